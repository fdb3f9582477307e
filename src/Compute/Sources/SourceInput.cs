using System.Buffers;
using Materialize.Compute.Kernels;
using Materialize.Compute.Render;
using Materialize.Core.Rows;
using Materialize.Dataflow;
using Materialize.Expr;
using Materialize.Persist.Columns;
using Materialize.Protocol;
using Materialize.Repr;

namespace Materialize.Compute.Sources;

/// <summary>
/// One worker's end of a <see cref="PersistSource"/>: takes the shard's updates, applies the import's filter and projection, and feeds
/// the dataflow. Worker thread only.
/// </summary>
internal sealed class SourceInput : IDisposable
{
    private readonly RowLayout _stored;
    private readonly InputHandle<Time> _rows;
    private readonly InputHandle<Time> _errors;
    private readonly KernelRunner? _runner;
    private readonly ulong? _until;
    private bool _disposed;

    private SourceInput(Repr.GlobalId id, RowLayout stored, InputHandle<Time> rows, InputHandle<Time> errors, KernelRunner? runner, ulong? until)
    {
        Id = id;
        _stored = stored;
        _rows = rows;
        _errors = errors;
        _runner = runner;
        _until = until;
    }

    /// <summary>Builds the input operators of an import.</summary>
    public static (SourceInput Input, Bundle Bundle) Build(Scope<Time> scope, SourceImport import, ulong asOf, ulong? until)
    {
        var stored = import.Type.Columns;
        var kernel = RowKernels.Mfp(import.Mfp, RowSource.Whole(stored), import.Columns);
        var raw = kernel.IsTemporal || (import.Mfp.IsIdentity && Layouts.AreEqual(stored, import.Columns));
        var layout = RowLayout.For(stored);
        var (rows, stream) = scope.NewInput($"read {import.Id}", raw ? layout.Shape : kernel.Shape, asOf);
        var (errors, errorStream) = scope.NewInput($"errors of {import.Id}", Bundle.ErrorShape, asOf);
        var input = new SourceInput(import.Id, layout, rows, errors, raw ? null : new KernelRunner(kernel.Kernel, 1, kernel.Shape), until);
        var bundle = kernel.IsTemporal
            ? Bundle.OfStream(stream.Map("temporal filter", kernel.Kernel, kernel.Shape, temporal: true), import.Columns, errorStream)
            : Bundle.OfStream(stream, errorStream, import.Columns);
        return (input, bundle);
    }

    /// <summary>Feeds updates <paramref name="from"/> up to <paramref name="to"/>; does nothing once disposed.</summary>
    public unsafe void Feed(UpdateColumns updates, int from, int to)
    {
        if (_disposed)
            return;
        using var pin = updates.RowsMemory.Pin();
        var rows = (byte*)pin.Pointer;
        var offsets = updates.Offsets;
        var times = updates.Times;
        var diffs = updates.Diffs;
        var batch = stackalloc int[KernelIo.Capacity];
        var count = 0;
        for (var i = from; i < to; i++)
        {
            var time = times[i].Millis;
            if (_until is { } until && time >= until)
                continue;
            var row = new ReadOnlySpan<byte>(rows + offsets[i], offsets[i + 1] - offsets[i]);
            if (ShardRows.IsError(_stored, row))
            {
                _errors.Send(ShardRows.Error(_stored, row), time, diffs[i]);
            }
            else if (_runner is null)
            {
                _rows.Send(row, time, diffs[i]);
            }
            else
            {
                _runner.SetInput(0, count, (nint)(rows + offsets[i]));
                batch[count++] = i;
                if (count == KernelIo.Capacity)
                {
                    Run(batch, count, times, diffs);
                    count = 0;
                }
            }
        }

        if (count > 0)
            Run(batch, count, times, diffs);
        _rows.Flush();
        _errors.Flush();
    }

    /// <summary>Puts the whole collection into error from <paramref name="time"/> on; does nothing once disposed.</summary>
    public void Fail(EvalError error, ulong time)
    {
        if (_disposed)
            return;
        _errors.Send(EvalErrorCodec.Encode(error), time, 1);
        _errors.Flush();
    }

    /// <summary>Completes the times before <paramref name="time"/>; null, or at or beyond what is wanted: all times.</summary>
    public void AdvanceTo(ulong? time)
    {
        if (_disposed)
            return;
        if (time is not { } t || t >= _until)
        {
            _rows.Close();
            _errors.Close();
        }
        else
        {
            _rows.AdvanceTo(t);
            _errors.AdvanceTo(t);
        }
    }

    /// <summary>Of what is read.</summary>
    public Repr.GlobalId Id { get; }

    /// <summary>Times before it are complete at this worker.</summary>
    public Frontier Frontier => _rows.IsClosed ? Frontier.Closed : Frontier.At(_rows.Time);

    /// <summary>The dataflow is gone: what still comes is thrown away.</summary>
    public void Dispose()
    {
        if (_disposed)
            return;
        _disposed = true;
        _runner?.Dispose();
    }

    private unsafe void Run(int* batch, int count, ReadOnlySpan<Timestamp> times, ReadOnlySpan<long> diffs)
    {
        var runner = _runner!;
        runner.Run(count);
        for (var j = 0; j < runner.Emitted; j++)
        {
            var i = batch[runner.Selected(j)];
            _rows.Send(runner.Output[j], times[i].Millis, diffs[i]);
        }

        for (var j = 0; j < runner.ErrorsEmitted; j++)
        {
            var i = batch[runner.ErrorSelected(j)];
            _errors.Send(runner.Errors[j], times[i].Millis, diffs[i]);
        }

        runner.Output.Clear();
        runner.Errors.Clear();
    }
}
