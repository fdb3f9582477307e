// One attempt at a source, from what is durable to the first failure or change of its description. One task does everything: it takes a
// message from the stream, or a tick of the clock, whichever is there. A tick binds a time to how far the stream has been read, and
// appends to every shard what committed before. Several snapshots are read on the side by one task of their own.
//
// How far the stream has been read. After a commit message that is the commit's end. Between transactions it is also what the server
// says of its log (in keepalives, or where a message starts): everything that committed before has been sent. Within a transaction it
// is where the last one ended, since this one commits later.
//
// Restart. Every export with a history has all transactions before some binding. Reading begins at the least of these; what an export
// already has is recognised by its time. Bindings that some export lacks are completed, with what was bound to them then, before new
// ones are made. The server is told only of positions that every such export has: it may forget what is before.

using System.Buffers.Binary;
using System.Net.Sockets;
using Materialize.Core;
using Materialize.Persist;
using Materialize.Persist.State;
using Materialize.Protocol;
using Materialize.Repr;
using Npgsql;
using Npgsql.Replication;
using Npgsql.Replication.Internal;
using Npgsql.Replication.PgOutput;
using NpgsqlTypes;

namespace Materialize.Storage;

/// <summary>One attempt at running a source.</summary>
internal sealed partial class IngestionRun : IAsyncDisposable
{
    private static readonly TimeSpan CheckInterval = TimeSpan.FromSeconds(2);
    private static readonly TimeSpan ForgetInterval = TimeSpan.FromSeconds(10);

    /// <summary>How long a cancelled read of the stream may take to end, and the closing of its connection; then the server is asked to end it.</summary>
    private static readonly TimeSpan CloseTimeout = TimeSpan.FromSeconds(2);

    private readonly PersistClient _persist;
    private readonly TimeProvider _time;
    private readonly IngestionDescription _description;
    private readonly PostgresUpstream _upstream;
    private readonly IngestionReport _report;
    private readonly List<ExportWriter> _exports = [];
    private readonly Dictionary<uint, List<ExportWriter>> _byOid = [];
    private readonly Queue<Binding> _incomplete = [];
    private readonly CancellationTokenSource _stop;
    private RemapShard _remap = null!;
    private LogicalReplicationConnection _replication = null!;
    private ulong _received;
    private Task _snapshots = Task.CompletedTask;
    private Task _checks = Task.CompletedTask;
    private IReadOnlyDictionary<uint, PublishedTable>? _checkedTables;
    private ulong _checkedLsn;
    private long _forgotten;

    private IngestionRun(PersistClient persist, TimeProvider time, IngestionDescription description, IngestionReport report, CancellationToken cancel)
    {
        _persist = persist;
        _time = time;
        _description = description;
        _report = report;
        _upstream = new PostgresUpstream((SourceConnection.Postgres)description.Connection, time);
        _stop = CancellationTokenSource.CreateLinkedTokenSource(cancel);
    }

    /// <summary>Runs until something fails or <paramref name="cancel"/> says so; never returns.</summary>
    /// <exception cref="RestartException">Begin again at once.</exception>
    /// <exception cref="SourceException">Begin again after a while; also for exceptions of Npgsql, persist, sockets.</exception>
    public static async Task RunAsync(
        PersistClient persist, TimeProvider time, IngestionDescription description, IngestionReport report, CancellationToken cancel)
    {
        await using var run = new IngestionRun(persist, time, description, report, cancel);
        await run.RunAsync();
    }

    public async ValueTask DisposeAsync()
    {
        await _stop.CancelQuietlyAsync();
        foreach (var task in (Task[])[_snapshots, _checks])
        {
            try
            {
                await task;
            }
            catch (Exception e) when (e is not InvariantViolationException)
            {
                // Of no interest any more.
            }
        }

        foreach (var export in _exports)
        {
            try
            {
                await export.AbandonAsync();
            }
            catch (PersistException)
            {
                // Blobs that nobody names stay behind.
            }

            export.Columns?.Dispose();
            export.Dispose();
        }

        if (_replication is not null)
            await EndsAsync(Task.Run(async () => await _replication.DisposeAsync()));
        _remap?.Dispose();
        _stop.Dispose();
    }

    private async Task RunAsync()
    {
        var cancel = _stop.Token;
        _remap = await RemapShard.OpenAsync(_persist, _description.Remap, cancel);
        foreach (var export in _description.Exports)
        {
            var writer = await ExportWriter.OpenAsync(_persist, export, cancel);
            _exports.Add(writer);
            _report.Upper(export.Id, writer.Upper);
            if (!writer.HasFailed)
                (_byOid.TryGetValue(export.UpstreamOid, out var same) ? same : _byOid[export.UpstreamOid] = []).Add(writer);
        }

        _report.Upper(_description.Id, Frontier.Of(_remap.Upper));
        await using var metadata = await _upstream.OpenAsync(cancel);
        _replication = await _upstream.OpenReplicationAsync(cancel);
        var from = await PrepareAsync(metadata, cancel);
        foreach (var export in _exports.Where(e => !e.HasFailed))
            _report.Status(export.Export.Id, export.IsJoining ? "starting" : "running");
        _report.Status(_description.Id, "running");
        _checks = CheckUpstreamAsync(metadata, cancel);
        await StreamAsync(from, cancel);
    }

    /// <summary>Finds where to read from, and begins the snapshots of tables that join. Returns that position.</summary>
    private async Task<ulong> PrepareAsync(NpgsqlConnection metadata, CancellationToken cancel)
    {
        var joining = _exports.Where(e => e.IsJoining).ToList();
        var oids = joining.Select(e => e.Export.UpstreamOid).ToHashSet();
        await _upstream.TakeSlotAsync(metadata, cancel);
        var slot = await _upstream.SlotAsync(metadata, cancel);
        if (_remap.Latest is null)
        {
            // A slot that was made before and never bound: nothing has been read by it, and its snapshot is gone.
            if (slot is not null)
                await _upstream.DropSlotAsync(cancel);
            var first = await SnapshotReader.BeginAsync(_upstream, _replication, _upstream.Connection.Slot, isTemporary: false, oids, cancel);
            _snapshots = ReadSnapshotsAsync(first, joining, cancel);
            await _remap.BindAsync(Now, first.Lsn, cancel);
            _received = first.Lsn;
            return first.Lsn;
        }

        var established = _exports.Where(e => !e.IsJoining && !e.HasFailed).ToList();
        var resume = _remap.Latest.Value;
        if (established.Count > 0)
        {
            var complete = established.Min(e => e.Upper.Time!.Value).StepBack()!.Value;
            resume = _remap.At(complete) ?? throw new InvariantViolationException($"the binding at {complete} is kept");
            foreach (var binding in _remap.After(complete))
                _incomplete.Enqueue(binding);
        }

        if (slot is null)
            throw new SourceException($"replication slot \"{_upstream.Connection.Slot}\" does not exist", "It was dropped upstream. Drop the source and create it again.");
        if (slot > resume.Lsn)
        {
            throw new SourceException(
                $"replication slot \"{_upstream.Connection.Slot}\" was advanced by somebody else, and changes are lost", "Drop the source and create it again.");
        }

        if (joining.Count > 0)
        {
            await using var temporary = await _upstream.OpenReplicationAsync(cancel);
            var name = $"{_upstream.Connection.Slot[..Math.Min(_upstream.Connection.Slot.Length, 40)]}_{Guid.NewGuid().ToString("N")[..12]}";
            var snapshot = await SnapshotReader.BeginAsync(_upstream, temporary, name, isTemporary: true, oids, cancel);
            _snapshots = ReadSnapshotsAsync(snapshot, joining, cancel);
        }

        _received = resume.Lsn;
        return resume.Lsn;
    }

    /// <summary>Reads tables one after the other; each export learns of its own.</summary>
    private Task ReadSnapshotsAsync(SnapshotReader snapshot, List<ExportWriter> joining, CancellationToken cancel)
    {
        var results = joining.ToDictionary(e => e, _ => new TaskCompletionSource<IReadOnlyList<StagedBatch>>(TaskCreationOptions.RunContinuationsAsynchronously));
        foreach (var (export, result) in results)
        {
            export.SnapshotLsn = snapshot.Lsn;
            export.Snapshot = result.Task;
        }

        return ReadAsync();

        async Task ReadAsync()
        {
            await using (snapshot)
            {
                foreach (var export in joining)
                {
                    try
                    {
                        results[export].SetResult(await snapshot.ReadAsync(export, cancel));
                    }
                    catch (DefiniteException e)
                    {
                        results[export].SetException(e);
                    }
                    catch (Exception e)
                    {
                        // The attempt ends with it: see the tick.
                        foreach (var result in results.Values)
                            result.TrySetException(e);
                        throw;
                    }
                }
            }
        }
    }

    private async Task StreamAsync(ulong from, CancellationToken cancel)
    {
        var slot = new PgOutputReplicationSlot(_upstream.Connection.Slot);
        KeyValuePair<string, string?>[] options =
        [
            new("proto_version", "1"),
            new("publication_names", PostgresUpstream.Quote(_upstream.Connection.Publication)),
        ];
        var messages = _replication
            .StartLogicalReplication(slot, cancel, new NpgsqlLogSequenceNumber(from), options)
            .GetAsyncEnumerator(cancel);
        using var timer = new PeriodicTimer(TimeSpan.FromMilliseconds(Math.Max(_description.TimestampIntervalMs, 1)), _time);
        var tick = timer.WaitForNextTickAsync(cancel).AsTask();
        var next = messages.MoveNextAsync().AsTask();
        try
        {
            while (true)
            {
                if (tick.IsCompleted)
                {
                    await tick;
                    await TickAsync(cancel);
                    tick = timer.WaitForNextTickAsync(cancel).AsTask();
                }

                if (!next.IsCompleted)
                {
                    await Task.WhenAny(next, tick);
                    continue;
                }

                if (!await next)
                    throw new SourceException("the upstream ended the replication stream");
                await ReceiveAsync(messages.Current, cancel);
                next = messages.MoveNextAsync().AsTask();
            }
        }
        finally
        {
            // The stream cannot be closed while it is being read.
            await _stop.CancelQuietlyAsync();
            if (await EndsAsync(next))
                await EndsAsync(messages.DisposeAsync().AsTask());
        }
    }

    /// <summary>
    /// Waits for a task that ends when the replication connection does, but not for ever: the driver can lose a cancellation that comes
    /// between two reads, and closing reads the stream to its end. A connection that was merely left alone would answer the server's
    /// keepalives and hold the slot for as long as the process lives, so the server ends it; the task then ends with an error. If the
    /// server cannot be reached either, the connection is left to it: the next attempt takes the slot.
    /// </summary>
    /// <returns>Whether it has ended.</returns>
    private async Task<bool> EndsAsync(Task task)
    {
        if (await Ended())
            return true;
        try
        {
            await _upstream.TerminateAsync(_replication.ProcessID, CancellationToken.None);
        }
        catch (Exception e) when (e is NpgsqlException or IOException or SocketException or TimeoutException or InvalidOperationException)
        {
            // Away, or the connection is closed already.
        }

        return await Ended();

        async Task<bool> Ended()
        {
            await Task.WhenAny(task, Task.Delay(CloseTimeout, _time, CancellationToken.None));
            return task.IsCompleted;
        }
    }

    /// <summary>Binds a time to how far the stream was read, and makes every shard complete up to it.</summary>
    private async Task TickAsync(CancellationToken cancel)
    {
        if (_snapshots.IsFaulted)
            await _snapshots;
        if (_checks.IsFaulted)
            await _checks;
        if (_transaction is null)
            _received = Math.Max(_received, (ulong)_replication.LastReceivedLsn);
        if (_mustCommitFirst)
            return;
        await CompleteAsync(_received, cancel);
        if (_incomplete.Count > 0)
            return;
        await ApplyCheckAsync();
        var lsn = Math.Max(_received, _remap.Latest!.Value.Lsn);
        var time = await _remap.BindAsync(Now, lsn, cancel);
        await AppendAsync(new Binding(time, lsn), cancel);
        await ConfirmAsync(time, cancel);
        Report();
    }

    /// <summary>Completes bindings of an earlier life that the stream has passed: what was received is theirs.</summary>
    private async Task CompleteAsync(ulong received, CancellationToken cancel)
    {
        while (_incomplete.TryPeek(out var binding) && binding.Lsn <= received)
        {
            await AppendAsync(binding, cancel);
            _incomplete.Dequeue();
        }
    }

    private async Task AppendAsync(Binding binding, CancellationToken cancel)
    {
        var joining = _exports.Where(e => e.IsJoining).ToList();
        var open = _exports.Where(e => !e.HasFailed).ToList();
        await Task.WhenAll(open.Select(e => e.AppendAsync(binding.Time, binding.Lsn, cancel)));
        foreach (var export in open)
        {
            _report.Upper(export.Export.Id, export.Upper);
            if (export.HasFailed)
                _report.Status(export.Export.Id, "ceased", export.Error);
            else if (joining.Contains(export) && !export.IsJoining)
                _report.Status(export.Export.Id, "running");
        }

        _report.Upper(_description.Id, Frontier.Of(_remap.Upper));
    }

    /// <summary>Tells upstream what it need not keep. All shards have what is bound at <paramref name="time"/>.</summary>
    private async Task ConfirmAsync(Timestamp time, CancellationToken cancel)
    {
        // Before the server has said anything, the stream may not have begun.
        if ((ulong)_replication.LastReceivedLsn > 0)
        {
            _replication.SetReplicationStatus(new NpgsqlLogSequenceNumber(_remap.Latest!.Value.Lsn));
            await _replication.SendStatusUpdate(cancel);
        }

        if (_time.GetElapsedTime(_forgotten) < ForgetInterval)
            return;
        _forgotten = _time.GetTimestamp();
        await _remap.ForgetBeforeAsync(time, cancel);
    }

    /// <summary>
    /// Looks now and then whether the tables are still there: the stream says nothing of a table that is dropped, nor of a change of
    /// columns before it is next written to.
    /// </summary>
    private async Task CheckUpstreamAsync(NpgsqlConnection metadata, CancellationToken cancel)
    {
        while (true)
        {
            var (tables, lsn) = await _upstream.TablesAsync(metadata, cancel);
            Volatile.Write(ref _checkedLsn, lsn);
            Volatile.Write(ref _checkedTables, tables);
            await Task.Delay(CheckInterval, _time, cancel);
        }
    }

    /// <summary>Fails tables that the last look found changed, once all that was written before has been received.</summary>
    private async Task ApplyCheckAsync()
    {
        if (Volatile.Read(ref _checkedTables) is not { } tables || _received < Volatile.Read(ref _checkedLsn))
            return;
        _checkedTables = null;
        foreach (var export in _exports.Where(e => !e.TakesNothing))
        {
            try
            {
                if (!tables.TryGetValue(export.Export.UpstreamOid, out var table))
                    throw new DefiniteException($"{TableColumns.NameOf(export.Export)} was dropped upstream or is no longer in the publication");
                using var check = new TableColumns(export.Export, table.Relation);
            }
            catch (DefiniteException e)
            {
                await export.FailAsync(e);
            }
        }
    }

    private void Report()
    {
        var committed = _remap.Latest!.Value.Lsn;
        foreach (var export in _exports)
            _report.Statistics(export.Export.Id, export.MessagesReceived, export.BytesReceived, export.Committed, !export.IsJoining, _received, committed);
        _report.Statistics(
            _description.Id,
            _exports.Aggregate(0UL, (n, e) => n + e.MessagesReceived),
            _exports.Aggregate(0UL, (n, e) => n + e.BytesReceived),
            _exports.Aggregate(0UL, (n, e) => n + e.Committed),
            _exports.TrueForAll(e => !e.IsJoining),
            _received,
            committed);
    }

    private Timestamp Now => Timestamp.FromDateTimeOffset(_time.GetUtcNow());
}
