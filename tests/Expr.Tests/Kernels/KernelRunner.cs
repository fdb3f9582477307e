using System.Runtime.InteropServices;
using Materialize.Core.Rows;
using Materialize.Expr.Kernels;
using Materialize.Repr;

namespace Materialize.Expr.Tests;

/// <summary>Calls a kernel over rows given as datums.</summary>
internal static unsafe class KernelRunner
{
    public sealed record Result(List<byte[][]> Rows, List<int> Selected, List<(ulong From, ulong Until)> Times, List<byte[]> Errors, List<int> ErrorSelected);

    /// <summary><paramref name="rows"/>[i][p] is part p of input i, packed.</summary>
    public static Result Run(RowKernel kernel, int parts, IReadOnlyList<byte[][]> rows, params RowLayout[] outputs)
    {
        var pins = new List<GCHandle>();
        var io = new KernelIo
        {
            Count = rows.Count,
            Parts = new nint*[parts],
            Outputs = [.. outputs.Select(o => new RowWriter(o.Shape))],
            Errors = new RowWriter(RowShape.Variable),
            Selected = (int*)NativeMemory.Alloc((nuint)(4 * (rows.Count + 1))),
            ErrorSelected = (int*)NativeMemory.Alloc((nuint)(4 * (rows.Count + 1))),
            ValidFrom = (ulong*)NativeMemory.Alloc((nuint)(8 * (rows.Count + 1))),
            ValidUntil = (ulong*)NativeMemory.Alloc((nuint)(8 * (rows.Count + 1))),
        };
        try
        {
            for (var p = 0; p < parts; p++)
            {
                io.Parts[p] = (nint*)NativeMemory.Alloc((nuint)(8 * (rows.Count + 1)));
                for (var i = 0; i < rows.Count; i++)
                {
                    // Never an empty array: it has no address.
                    var bytes = rows[i][p].Length == 0 ? new byte[1] : rows[i][p];
                    var pin = GCHandle.Alloc(bytes, GCHandleType.Pinned);
                    pins.Add(pin);
                    io.Parts[p][i] = pin.AddrOfPinnedObject();
                }
            }

            kernel(io);
            var result = new Result([], [], [], [], []);
            for (var j = 0; j < io.Emitted; j++)
            {
                result.Rows.Add([.. io.Outputs.Select(o => o[j].ToArray())]);
                result.Selected.Add(io.Selected[j]);
                result.Times.Add((io.ValidFrom[j], io.ValidUntil[j]));
            }

            for (var j = 0; j < io.ErrorsEmitted; j++)
            {
                result.Errors.Add(io.Errors[j].ToArray());
                result.ErrorSelected.Add(io.ErrorSelected[j]);
            }

            return result;
        }
        finally
        {
            pins.ForEach(p => p.Free());
            foreach (var part in io.Parts)
                NativeMemory.Free(part);
            NativeMemory.Free(io.Selected);
            NativeMemory.Free(io.ErrorSelected);
            NativeMemory.Free(io.ValidFrom);
            NativeMemory.Free(io.ValidUntil);
            foreach (var output in io.Outputs)
                output.Dispose();
            io.Errors.Dispose();
        }
    }
}
