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
        ArgumentOutOfRangeException.ThrowIfGreaterThan(parts, PartsMax);
        _kernel = kernel;
        const int column = WorkerScratch.ColumnBytes;
        var next = scratch.Slot(slot);
        Io = new KernelIo { Outputs = outputs, Errors = errors, Parts = new nint*[parts] };
        for (var p = 0; p < parts; p++, next += column)
            Io.Parts[p] = (nint*)next;
        Io.Selected = (int*)next;
        Io.ErrorSelected = (int*)(next + (column / 2));
        next += column;
        if (temporal)
        {
            Io.ValidFrom = (ulong*)next;
            Io.ValidUntil = (ulong*)(next + column);
        }
    }

    public KernelIo Io { get; }

    public void Invoke(int count)
    {
        Io.Count = count;
        Io.Emitted = 0;
        Io.ErrorsEmitted = 0;
        _kernel(Io);
    }
}
