using Materialize.Compute.Kernels;
using Materialize.Core.Collections;
using Materialize.Core.Rows;
using Materialize.Expr;
using Materialize.Protocol;
using Materialize.Repr;

namespace Materialize.Compute.Peeks;

/// <summary>
/// Applies a peek's filter and projection to rows as they are found, and gathers the answer: rows back to back with their
/// multiplicities. One thread.
/// </summary>
internal sealed class PeekRows : IDisposable
{
    private const int KeptBytesMax = 16 * 1024;

    private readonly Mfp _mfp;
    private readonly ValueArray<ColumnType> _columns;
    private readonly KernelRunner _runner;
    private readonly RowWriter[] _parts;
    private readonly List<long> _pending = [];
    private readonly List<long> _diffs = [];
    private PeekJob _job;
    private long _rows;

    public PeekRows(PeekJob job, RowSource source)
    {
        _job = job;
        _mfp = job.Request.Mfp;
        _columns = job.Request.ResultColumns;
        var kernel = RowKernels.Mfp(job.Request.Mfp, source, job.Request.ResultColumns);
        _runner = new KernelRunner(kernel.Kernel, source.Parts.Count, kernel.Shape);
        _parts = [.. source.Parts.Select(_ => new RowWriter(RowShape.Variable))];
    }

    /// <summary>Why there is no answer; once set, no more rows are wanted.</summary>
    public EvalError? Error { get; private set; }

    /// <summary>Whether no more rows are wanted.</summary>
    public bool IsDone => Error is not null || _rows >= _job.RowsWanted;

    /// <summary>
    /// Starts anew for another peek of the same arrangement. False if that asks for other columns or rows, or this one has grown too large to be kept:
    /// making the tools of a lookup takes longer than the lookup.
    /// </summary>
    public bool TryRestart(PeekJob job)
    {
        if (_runner.Output.Bytes > KeptBytesMax || _mfp != job.Request.Mfp || _columns != job.Request.ResultColumns)
            return false;
        _job = job;
        _rows = 0;
        Error = null;
        _runner.Output.Clear();
        _runner.Errors.Clear();
        _pending.Clear();
        _diffs.Clear();
        foreach (var part in _parts)
            part.Clear();
        return true;
    }

    /// <summary>One row of the collection, in its parts.</summary>
    public void Add(ReadOnlySpan<byte> key, ReadOnlySpan<byte> value, long diff)
    {
        _parts[0].Append(key);
        _parts[1].Append(value);
        Count(diff);
    }

    /// <summary>One row of the collection, whole.</summary>
    public void Add(ReadOnlySpan<byte> row, long diff)
    {
        _parts[0].Append(row);
        Count(diff);
    }

    /// <summary>Works off the rows added so far.</summary>
    public unsafe void Flush()
    {
        var count = _pending.Count;
        if (count == 0)
            return;
        for (var p = 0; p < _parts.Length; p++)
        {
            var writer = _parts[p];

            // The writer of empty rows may have no memory; kernels still want an address.
            var data = writer.Reserve(1);
            data -= writer.Bytes;
            for (var i = 0; i < count; i++)
                _runner.SetInput(p, i, (nint)(data + (i == 0 ? 0 : writer.Ends[i - 1])));
        }

        _runner.Run(count);
        for (var j = 0; j < _runner.Emitted; j++)
        {
            var diff = _pending[_runner.Selected(j)];
            _diffs.Add(diff);
            _rows += diff;
            if (diff < 0)
                Error ??= PeekJob.NegativeMultiplicity;
        }

        if (_runner.ErrorsEmitted > 0)
            Error ??= RowKernels.DecodeError(_runner.Errors[0]);
        if ((ulong)_runner.Output.Bytes > _job.Request.MaxResultSize || _runner.Output.Bytes > Array.MaxLength)
            Error ??= PeekJob.TooLarge(_job.Request.MaxResultSize);
        _pending.Clear();
        _runner.Errors.Clear();
        foreach (var part in _parts)
            part.Clear();
    }

    /// <summary>The answer.</summary>
    public unsafe RowBatch ToBatch()
    {
        Flush();
        var output = _runner.Output;
        var data = new ReadOnlySpan<byte>(output.Data, (int)output.Bytes).ToArray();
        var ends = new int[output.Count];
        for (var i = 0; i < ends.Length; i++)
            ends[i] = output.Shape.IsFixed ? (i + 1) * output.Shape.Width : (int)output.Ends[i];
        return new RowBatch(data, ends, [], [.. _diffs]);
    }

    public void Dispose()
    {
        _runner.Dispose();
        foreach (var part in _parts)
            part.Dispose();
    }

    private void Count(long diff)
    {
        _pending.Add(diff);
        if (_pending.Count == KernelIo.Capacity)
            Flush();
    }
}
