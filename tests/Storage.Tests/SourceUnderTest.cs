using System.Threading.Channels;
using Materialize.Core.Collections;
using Materialize.Expr;
using Materialize.Persist;
using Materialize.Persist.Columns;
using Materialize.Persist.Location;
using Materialize.Persist.Push;
using Materialize.Persist.State;
using Materialize.Protocol;
using Materialize.Repr;
using Microsoft.Extensions.Logging.Abstractions;
using NpgsqlTypes;

namespace Materialize.Storage.Tests;

/// <summary>A source over one database, its shards, and the runtime that comes and goes.</summary>
internal sealed class SourceUnderTest(Upstream upstream, Faults? faults = null) : IAsyncDisposable
{
    private static readonly GlobalId SourceId = GlobalId.User(1);
    private static readonly TimeSpan HangAfter = TimeSpan.FromMinutes(3);
    private readonly MemoryBlob _blob = new();
    private readonly MemoryConsensus _consensus = new();
    private readonly CollectionMetadata _remap = new(ShardId.New(), null, RelationDesc.Of(("lsn", SqlType.UInt64.Nullable())));
    private readonly string _slot = $"materialize_{Guid.NewGuid():N}";
    private readonly List<SourceExport> _exports = [];
    private readonly Dictionary<GlobalId, StorageResponse.StatisticsUpdate> _statistics = [];
    private readonly Dictionary<GlobalId, ulong?> _uppers = [];
    private readonly Dictionary<GlobalId, ulong> _joined = [];
    private Channel<StorageResponse> _responses = Channel.CreateUnbounded<StorageResponse>();
    private PersistClient? _persist;
    private PostgresStorageRuntime? _runtime;
    private readonly RecordedLog _log = new();
    private int _seed;

    public static CancellationToken Cancel => TestContext.Current.CancellationToken;

    public GlobalId Id => SourceId;

    public string Slot => _slot;

    public string Database { get; set; } = upstream.Database;

    public List<StorageResponse.StatusUpdate> Statuses { get; } = [];

    /// <summary>An export of all columns that the table has now.</summary>
    public async Task<SourceExport> AddAsync(string table)
    {
        var columns = await upstream.QueryAsync($"""
            SELECT attname, atttypid::oid::text, atttypmod, NOT attnotnull FROM pg_attribute
            WHERE attrelid = '{table}'::regclass AND attnum > 0 AND NOT attisdropped ORDER BY attnum
            """);
        var oid = uint.Parse((await upstream.QueryAsync($"SELECT '{table}'::regclass::oid::text"))[0]);
        var planned = columns.Select(c => c.Split('|')).Select(c => new UpstreamColumn(c[0], uint.Parse(c[1]), int.Parse(c[2]), c[3] == "t")).ToList();
        var desc = RelationDesc.Of([.. planned.Select(c => (c.Name, TypeOf(c).Nullable(c.IsNullable)))]);
        var export = new SourceExport(
            GlobalId.User(10 + (ulong)_exports.Count), "public", table, oid, planned.ToValueArray(), new CollectionMetadata(ShardId.New(), null, desc));
        _exports.Add(export);
        if (_runtime is not null)
            Run();
        return export;
    }

    public void Start()
    {
        IBlob blob = faults is null ? _blob : new UnreliableBlob(_blob, faults);
        IConsensus consensus = faults is null ? _consensus : new UnreliableConsensus(_consensus, faults);
        var config = new PersistConfig { AttemptsMax = 3, RetryPause = TimeSpan.FromTicks(1), PartBytesTarget = 64 * 1024, InlineBytesMax = 4096 };
        _persist = new PersistClient(blob, consensus, new InProcessStatePush(), config, TimeProvider.System, new Random(++_seed), _log);
        _runtime = new PostgresStorageRuntime(_persist, TimeProvider.System, _log);
        _responses = Channel.CreateUnbounded<StorageResponse>();
        _statistics.Clear();
        _uppers.Clear();
        _runtime.BeginSession(_responses.Writer);
        _runtime.Handle(new StorageCommand.Hello(Guid.NewGuid()));
        Run();
        _runtime.Handle(new StorageCommand.InitializationComplete());
        _runtime.Handle(new StorageCommand.AllowWrites());
    }

    public async Task StopAsync()
    {
        if (_runtime is not null)
            await EndsAsync(_runtime.DisposeAsync().AsTask(), "the runtime stops");
        if (_persist is not null)
            await EndsAsync(_persist.DisposeAsync().AsTask(), "persist stops");
        (_runtime, _persist) = (null, null);
    }

    public void Drop() => _runtime!.Handle(new StorageCommand.AllowCompaction(SourceId, null));

    /// <summary>The next thing the runtime says.</summary>
    public async Task<StorageResponse> NextAsync()
    {
        var reading = _responses.Reader.ReadAsync(Cancel).AsTask();
        await EndsAsync(reading, "the runtime says something");
        var response = await reading;
        switch (response)
        {
            case StorageResponse.StatusUpdate x:
                Statuses.Add(x);
                break;
            case StorageResponse.StatisticsUpdate x:
                _statistics[x.Id] = x;
                break;
            case StorageResponse.FrontierUpper x:
                Assert.True(_uppers.GetValueOrDefault(x.Id, 0UL) is { } old && (x.Upper.Time is not { } time || time >= old), "an upper never goes back");
                _uppers[x.Id] = x.Upper.Time;
                if (x.Upper.Time is > 0 and { } upper)
                    _joined.TryAdd(x.Id, upper - 1);
                break;
        }

        return response;
    }

    public async Task<StorageResponse.StatusUpdate> StatusAsync(GlobalId id, string status)
    {
        while (true)
        {
            if (await NextAsync() is StorageResponse.StatusUpdate x && x.Id == id && x.Status == status)
                return x;
        }
    }

    /// <summary>Waits until everything that upstream has committed so far is in the shards, and gives a time at which it is.</summary>
    public async Task<ulong> CaughtUpAsync()
    {
        var lsn = (ulong)NpgsqlLogSequenceNumber.Parse((await upstream.QueryAsync("SELECT pg_current_wal_insert_lsn()"))[0]);
        // So that there is something to hear about beyond it.
        await upstream.RunAsync("SELECT pg_logical_emit_message(true, 'test', 'tick')");
        while (!(_statistics.GetValueOrDefault(SourceId) is { SnapshotCommitted: true } s && s.OffsetCommitted >= lsn))
            await NextAsync();
        return _uppers[SourceId]!.Value - 1;
    }

    /// <summary>
    /// A time from which on all exports have a history. When storage fails between them, one joins while another is running already, and
    /// before it joined it reads as it was when it did (see ExportWriter).
    /// </summary>
    public ulong AllJoined => _exports.Max(e => _joined[e.Id]);

    /// <summary>The rows of an export at a time, as text, sorted.</summary>
    public async Task<List<string>> RowsAsync(SourceExport export, ulong asOf)
    {
        var layout = RowLayout.For(export.Metadata.Desc.Type.Columns);
        var rows = new List<string>();
        foreach (var (row, _, diff) in await UpdatesAsync(export, asOf))
        {
            Assert.True(diff > 0, "a row is there a positive number of times");
            Assert.False(ShardRows.IsError(layout, row), "no error");
            var values = RowCodec.Unpack(layout, row);
            rows.AddRange(Enumerable.Repeat(
                string.Join('|', values.Select((v, i) => v.IsNull ? "∅" : DatumText.Format(layout.Columns[i].Type, v))), (int)diff));
        }

        rows.Sort(StringComparer.Ordinal);
        return rows;
    }

    /// <summary>The errors in an export's shard, which is closed.</summary>
    public async Task<List<EvalError>> ErrorsAsync(SourceExport export)
    {
        var layout = RowLayout.For(export.Metadata.Desc.Type.Columns);
        using (var writer = await _persist!.OpenWriterAsync(export.Metadata.Shard, Cancel))
            Assert.True((await writer.FetchUpperAsync(Cancel)).IsEmpty, "the shard is closed");
        var updates = await UpdatesAsync(export, (ulong)DateTimeOffset.UtcNow.ToUnixTimeMilliseconds() + 1_000_000);
        return [.. updates.Where(u => ShardRows.IsError(layout, u.Row)).Select(u => EvalErrorCodec.Decode(ShardRows.Error(layout, u.Row)))];
    }

    /// <summary>All that was ever written before a time: row, time, diff.</summary>
    public async Task<List<(byte[] Row, ulong Time, long Diff)>> HistoryAsync(SourceExport export, ulong until)
    {
        var all = new List<(byte[], ulong, long)>();
        await using var reader = await _persist!.OpenReaderAsync(export.Metadata.Shard, "test", Cancel);
        await foreach (var delta in reader.ListenAsync(Timestamp.MinValue, Cancel))
        {
            Collect(delta.Updates, all);
            if (delta.Progress.Time is not { } progress || progress.Millis >= until)
                break;
        }

        return all;
    }

    /// <summary>Where the bindings end.</summary>
    public async Task<ulong> RemapUpperAsync()
    {
        var own = _persist is null;
        var persist = _persist ?? new PersistClient(
            _blob, _consensus, new InProcessStatePush(), new PersistConfig(), TimeProvider.System, new Random(99), NullLoggerFactory.Instance);
        using (var writer = await persist.OpenWriterAsync(_remap.Shard, Cancel))
        {
            var upper = (await writer.FetchUpperAsync(Cancel)).Time!.Value.Millis;
            if (own)
            {
                writer.Dispose();
                await persist.DisposeAsync();
            }

            return upper;
        }
    }

    public async ValueTask DisposeAsync() => await StopAsync();

    /// <summary>A guard against waiting for ever: what never comes fails its test, with what is known, long before the run is given up.</summary>
    private async Task EndsAsync(Task task, string what)
    {
        try
        {
            await task.WaitAsync(HangAfter, Cancel);
        }
        catch (TimeoutException)
        {
            var server = await upstream.QueryAsync("SELECT pid, backend_type, state, wait_event, left(query, 80), now() - state_change FROM pg_stat_activity");
            var slots = await upstream.QueryAsync("SELECT slot_name, active_pid, confirmed_flush_lsn, pg_current_wal_lsn() FROM pg_replication_slots");
            Assert.Fail($"{what}: not for {HangAfter}.\nslot {_slot}\n{_log}\n{string.Join('\n', server)}\n{string.Join('\n', slots)}");
        }
    }

    private async Task<List<(byte[] Row, ulong Time, long Diff)>> UpdatesAsync(SourceExport export, ulong asOf)
    {
        var all = new List<(byte[], ulong, long)>();
        await using var reader = await _persist!.OpenReaderAsync(export.Metadata.Shard, "test", Cancel);
        using var snapshot = await reader.SnapshotAsync(new Timestamp(asOf), Cancel);
        await foreach (var updates in snapshot.ReadConsolidatedAsync(Cancel))
            Collect(updates, all);
        return all;
    }

    private void Run() => _runtime!.Handle(new StorageCommand.RunIngestion(new IngestionDescription(
        SourceId,
        "s",
        new SourceConnection.Postgres("127.0.0.1", upstream.Port, "postgres", "s3cret", Database, "disable", "mz", _slot),
        _remap,
        _exports.ToValueArray(),
        20)));

    private static void Collect(UpdateColumns updates, List<(byte[], ulong, long)> all)
    {
        for (var i = 0; i < updates.Count; i++)
            all.Add((updates.Row(i).ToArray(), updates.Times[i].Millis, updates.Diffs[i]));
    }

    private static SqlType TypeOf(UpstreamColumn column)
    {
        var type = PgType.ByOid(column.TypeOid)!;
        return type.Kind switch
        {
            ScalarKind.VarChar when column.TypeModifier >= 4 => SqlType.VarCharOf(column.TypeModifier - 4),
            ScalarKind.Char => SqlType.CharOf(column.TypeModifier - 4),
            ScalarKind.Numeric when column.TypeModifier >= 4 => SqlType.NumericOf((column.TypeModifier - 4) & 0xffff),
            _ => type,
        };
    }
}
