using System.Runtime.InteropServices;
using Materialize.Core.Rows;

namespace Materialize.Compute.Kernels;

/// <summary>
/// Runs a kernel outside of an operator: over rows from a shard, or from a trace for a peek. The caller fills in addresses, runs,
/// and takes rows and errors from the writers. One thread.
/// </summary>
internal sealed unsafe class KernelRunner : IDisposable
{
    private readonly RowKernel _kernel;
    private readonly KernelIo _io = new();

    public KernelRunner(RowKernel kernel, int parts, params ReadOnlySpan<RowShape> outputs)
    {
        _kernel = kernel;
        _io.Parts = new nint*[parts];
        for (var i = 0; i < parts; i++)
            _io.Parts[i] = (nint*)NativeMemory.Alloc(KernelIo.Capacity * (nuint)sizeof(nint));
        _io.Selected = (int*)NativeMemory.Alloc(KernelIo.Capacity * sizeof(int));
        _io.ErrorSelected = (int*)NativeMemory.Alloc(KernelIo.Capacity * sizeof(int));
        _io.Outputs = new RowWriter[outputs.Length];
        for (var i = 0; i < outputs.Length; i++)
            _io.Outputs[i] = new RowWriter(outputs[i]);
        _io.Errors = new RowWriter(RowShape.Variable);
    }

    public RowWriter Output => _io.Outputs[0];

    public RowWriter Errors => _io.Errors!;

    /// <summary>Rows that the last run appended to <see cref="Output"/>.</summary>
    public int Emitted => _io.Emitted;

    /// <summary>Errors that the last run appended to <see cref="Errors"/>.</summary>
    public int ErrorsEmitted => _io.ErrorsEmitted;

    /// <summary>Says where part <paramref name="part"/> of input <paramref name="index"/> of the next run lies.</summary>
    public void SetInput(int part, int index, nint address) => _io.Parts[part][index] = address;

    /// <summary>Which input gave row <paramref name="index"/> of the last run.</summary>
    public int Selected(int index) => _io.Selected[index];

    /// <summary>Which input gave error <paramref name="index"/> of the last run.</summary>
    public int ErrorSelected(int index) => _io.ErrorSelected[index];

    /// <param name="count">Inputs set, at most <see cref="KernelIo.Capacity"/>.</param>
    public void Run(int count)
    {
        _io.Count = count;
        _io.Emitted = 0;
        _io.ErrorsEmitted = 0;
        _kernel(_io);
    }

    public void Dispose()
    {
        for (var i = 0; i < _io.Parts.Length; i++)
            NativeMemory.Free(_io.Parts[i]);
        NativeMemory.Free(_io.Selected);
        NativeMemory.Free(_io.ErrorSelected);
        foreach (var output in _io.Outputs)
            output.Dispose();
        _io.Errors!.Dispose();
        _io.Parts = [];
        _io.Outputs = [];
    }
}
