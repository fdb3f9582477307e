using System.Runtime.InteropServices;
using Materialize.Compute.Kernels;
using Materialize.Compute.Render;
using Materialize.Core.Rows;
using Materialize.Dataflow;
using Materialize.Protocol;
using Materialize.Repr;

namespace Materialize.Compute.Logging;

/// <summary>One worker's share of the logs that a dataflow imports: feeds what has changed since the last tick. Worker thread only.</summary>
internal sealed class LogInputs
{
    private readonly List<Input> _inputs = [];

    public bool IsEmpty => _inputs.Count == 0;

    /// <summary>Builds the input of one log and makes it known to <paramref name="render"/>.</summary>
    public void Add(Scope<Time> scope, Render<Time> render, LogImport import, ulong asOf)
    {
        var id = new Expr.Id.Global(import.Id);
        if (!ReplicaLog.All.TryGetValue(import.Name, out var log) || log.Columns != import.Type.Columns.Count)
        {
            render.Bind(id, render.Failed(import.Type.Columns, new Expr.EvalError("0A000", $"this replica does not keep the log {import.Name}")));
            return;
        }

        var layout = RowLayout.For(import.Type.Columns);
        var (handle, rows) = scope.NewInput($"log {import.Name}", layout.Shape, asOf);
        _inputs.Add(new Input(log, layout, handle, Datum.FromInt64(scope.Worker.Index)));
        render.Bind(id, Bundle.OfStream(rows, scope.Empty(Bundle.ErrorShape), import.Type.Columns));
    }

    /// <summary>Brings all logs up to date as of <paramref name="now"/>, ms since 1970; times up to it are then complete.</summary>
    public void Tick(LogSnapshot snapshot, ulong now)
    {
        foreach (var input in _inputs)
            input.Tick(snapshot, now);
    }

    private sealed class Input(ReplicaLog log, RowLayout layout, InputHandle<Time> handle, Datum worker)
    {
        private Dictionary<LogKey, long> _fed = [];
        private Dictionary<LogKey, long> _counted = [];

        public void Tick(LogSnapshot snapshot, ulong now)
        {
            // From right after the last tick on: whoever reads at a time that was not complete yet sees what there is now.
            var time = handle.Time.Value;
            log.Collect(snapshot, Count);
            foreach (var (key, count) in _counted)
                Feed(key, count - _fed.GetValueOrDefault(key), time);
            foreach (var (key, count) in _fed)
            {
                if (!_counted.ContainsKey(key))
                    Feed(key, -count, time);
            }

            (_fed, _counted) = (_counted, _fed);
            _counted.Clear();
            handle.AdvanceTo(Math.Max(time, now) + 1);
        }

        private void Count(LogKey key, long count)
        {
            if (count != 0)
                CollectionsMarshal.GetValueRefOrAddDefault(_counted, key, out _) += count;
        }

        private void Feed(LogKey key, long diff, ulong time)
        {
            if (diff == 0)
                return;
            RowCodec.Pack(layout, log.Encode(key, worker), handle.Rows);
            handle.Commit(time, diff);
        }
    }
}
