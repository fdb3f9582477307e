using Materialize.Core.Rows;
using Materialize.Dataflow.Runtime;

namespace Materialize.Dataflow.Operators;

/// <summary>An operator's way to call its kernel: owns the <see cref="KernelIo"/>, whose arrays are the worker's scratch. Results are good until another operator runs.</summary>
internal sealed unsafe class KernelCall
{
    private const int PartsMax = 4;
    private readonly RowKernel _kernel;

    public KernelCall(WorkerScratch scratch, RowKernel kernel, int parts, RowWriter[] outputs, RowWriter? errors, bool temporal = false, int slot = WorkerScratch.KernelSlot)
    {
        _kernel = kernel;
        Io = NewIo(scratch, parts, outputs, errors, temporal, slot);
    }

    public KernelIo Io { get; }

    /// <summary>For who calls several kernels with the same outputs.</summary>
    public static KernelIo NewIo(WorkerScratch scratch, int parts, RowWriter[] outputs, RowWriter? errors, bool temporal = false, int slot = WorkerScratch.KernelSlot)
    {
        ArgumentOutOfRangeException.ThrowIfGreaterThan(parts, PartsMax);
        const int column = WorkerScratch.ColumnBytes;
        var next = scratch.Slot(slot);
        var io = new KernelIo { Outputs = outputs, Errors = errors, Parts = new nint*[parts] };
        for (var p = 0; p < parts; p++, next += column)
            io.Parts[p] = (nint*)next;
        io.Selected = (int*)next;
        io.ErrorSelected = (int*)(next + (column / 2));
        next += column;
        if (temporal)
        {
            io.ValidFrom = (ulong*)next;
            io.ValidUntil = (ulong*)(next + column);
        }

        return io;
    }

    public void Invoke(int count) => Invoke(_kernel, Io, count);

    public static void Invoke(RowKernel kernel, KernelIo io, int count)
    {
        io.Count = count;
        io.Emitted = 0;
        io.ErrorsEmitted = 0;
        kernel(io);
    }
}
