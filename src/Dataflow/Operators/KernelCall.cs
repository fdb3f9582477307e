using Materialize.Core.Memory;
using Materialize.Core.Rows;

namespace Materialize.Dataflow.Operators;

/// <summary>An operator's way to call its kernel: owns the <see cref="KernelIo"/> and its arrays.</summary>
internal sealed unsafe class KernelCall : IDisposable
{
    private readonly RowKernel _kernel;
    private readonly long _capacity;
    private byte* _memory;

    public KernelCall(RowKernel kernel, int parts, RowWriter[] outputs, RowWriter? errors, bool temporal = false)
    {
        _kernel = kernel;
        const int column = KernelIo.Capacity * sizeof(ulong);
        _capacity = SlabPool.CapacityFor((parts + 4) * column);
        _memory = SlabPool.Rent(_capacity);
        var next = _memory;
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

    public void Dispose()
    {
        SlabPool.Return(_memory, _capacity);
        _memory = null;
    }
}
