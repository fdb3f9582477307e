using System.Collections.Concurrent;
using Materialize.Core.Collections;
using Materialize.Expr;
using Materialize.Persist;
using Materialize.Persist.Columns;
using Materialize.Persist.Location;
using Materialize.Persist.Push;
using Materialize.Protocol;
using Materialize.Repr;
using Microsoft.Extensions.Logging.Abstractions;

namespace Materialize.Compute.Tests;

/// <summary>
/// A replica of one process and the shards that it reads and writes, in memory, driven as a controller drives it: by messages over a
/// connection. Nothing here sleeps; every wait is for a response.
/// </summary>
internal sealed class Replica : IAsyncDisposable
{
    private static readonly FrameHello Hello = new(ProtocolCodecs.Version, "compute", "");
    private static readonly TransportAddress Address = new TransportAddress.Memory("compute");

    private readonly MemoryTransport _transport = new();
    private readonly CancellationTokenSource _stop = new();
    private readonly ITransportListener _listener;
    private readonly Task _serving;
    private readonly ComputeState _state;
    private readonly bool _ownsPersist;
    private Controller? _controller;

    private Replica(PersistClient persist, bool ownsPersist, int workers)
    {
        Persist = persist;
        _ownsPersist = ownsPersist;
        _state = new ComputeState(new ComputeOptions
        {
            Workers = workers,
            Persist = persist,
            Time = TimeProvider.System,
            Logs = NullLoggerFactory.Instance,
            Fatal = e => Failure.TrySetException(e),
        });
        _listener = _transport.ListenAsync(Address, _stop.Token).AsTask().GetAwaiter().GetResult();
        var server = new CommandServer<ComputeCommand, ComputeResponse>(
            _listener, Hello, FrameOptions.Server, ProtocolCodecs.ComputeCommands, ProtocolCodecs.ComputeResponses, _state.ServeAsync, TimeProvider.System, NullLogger.Instance);
        _serving = server.RunAsync(_stop.Token);
    }

    public PersistClient Persist { get; }

    public TaskCompletionSource Failure { get; } = new();

    public Controller Controller => _controller!;

    /// <param name="persist">Null: stores of its own.</param>
    public static async Task<Replica> StartAsync(int workers, PersistClient? persist = null)
    {
        var replica = new Replica(persist ?? NewPersist(), persist is null, workers);
        await replica.ConnectAsync([]);
        return replica;
    }

    public static PersistClient NewPersist() => new(
        new MemoryBlob(), new MemoryConsensus(), new InProcessStatePush(), new PersistConfig(), TimeProvider.System, new Random(1), NullLoggerFactory.Instance);

    /// <summary>A new connection, which evicts the one before, with this history.</summary>
    public async Task ConnectAsync(IReadOnlyList<ComputeCommand> history)
    {
        var client = new CommandClient<ComputeCommand, ComputeResponse>(
            _transport, Address, Hello, FrameOptions.Client, ProtocolCodecs.ComputeCommands, ProtocolCodecs.ComputeResponses, TimeProvider.System, NullLogger.Instance);
        var connection = await client.ConnectAsync(_stop.Token);
        if (_controller is { } old)
            await old.DisposeAsync();
        _controller = new Controller(connection, Failure.Task);
        await _controller.SendAsync(new ComputeCommand.Hello(Guid.NewGuid()));
        await _controller.SendAsync(new ComputeCommand.CreateInstance(new InstanceConfig(1000)));
        foreach (var command in history)
            await _controller.SendAsync(command);
        await _controller.SendAsync(new ComputeCommand.InitializationComplete());
    }

    public async ValueTask DisposeAsync()
    {
        if (_controller is { } controller)
            await controller.DisposeAsync();
        await _stop.CancelAsync();
        await _listener.DisposeAsync();
        await _serving;
        await _state.DisposeAsync();
        if (_ownsPersist)
            await Persist.DisposeAsync();
        _stop.Dispose();
        if (Failure.Task.IsFaulted)
            await Failure.Task;
    }
}

/// <summary>The controller's end of a connection: sends commands, keeps what was answered, lets tests wait for more.</summary>
internal sealed class Controller : IAsyncDisposable
{
    private static readonly TimeSpan Patience = TimeSpan.FromSeconds(20);

    private readonly CommandConnection<ComputeCommand, ComputeResponse> _connection;
    private readonly Task _failure;
    private readonly Task _reading;
    private readonly Lock _lock = new();
    private readonly List<ComputeResponse> _responses = [];
    private TaskCompletionSource _arrived = new(TaskCreationOptions.RunContinuationsAsynchronously);

    public Controller(CommandConnection<ComputeCommand, ComputeResponse> connection, Task failure)
    {
        _connection = connection;
        _failure = failure;
        _reading = ReadAsync();
    }

    public ValueTask SendAsync(ComputeCommand command) => _connection.SendAsync(command, CancellationToken.None);

    public async Task RunAsync(DataflowDescription dataflow)
    {
        await SendAsync(new ComputeCommand.CreateDataflow(dataflow));
        foreach (var id in dataflow.ExportIds)
            await SendAsync(new ComputeCommand.Schedule(id));
    }

    /// <summary>The first answer, of all so far and yet to come, that <paramref name="choose"/> takes.</summary>
    public async Task<T> AwaitAsync<T>(string what, Func<IReadOnlyList<ComputeResponse>, T?> choose) where T : class
    {
        using var timeout = new CancellationTokenSource(Patience);
        while (true)
        {
            Task arrived;
            lock (_lock)
            {
                if (choose(_responses) is { } found)
                    return found;
                arrived = _arrived.Task;
            }

            if (_failure.IsFaulted)
                await _failure;
            try
            {
                await Task.WhenAny(arrived, _failure).WaitAsync(timeout.Token);
            }
            catch (OperationCanceledException)
            {
                throw new TimeoutException($"waited in vain for {what}");
            }
        }
    }

    /// <summary>Waits until the output of <paramref name="id"/> is known to be complete at <paramref name="time"/>.</summary>
    public Task OutputPassedAsync(GlobalId id, ulong time) => AwaitAsync(
        $"{id} to pass {time}",
        responses => responses.OfType<ComputeResponse.Frontiers>().FirstOrDefault(f => f.Id == id && f.Output is { } o && !(o.Time <= time)));

    /// <summary>Waits until the shard behind <paramref name="id"/> is known to be complete at <paramref name="time"/>.</summary>
    public Task WritePassedAsync(GlobalId id, ulong time) => AwaitAsync(
        $"{id} to be written past {time}",
        responses => responses.OfType<ComputeResponse.Frontiers>().FirstOrDefault(f => f.Id == id && f.Write is { } w && !(w.Time <= time)));

    public async Task<PeekResult> PeekAsync(PeekRequest request)
    {
        await SendAsync(new ComputeCommand.Peek(request));
        return await PeekResultAsync(request.Uuid);
    }

    public async Task<PeekResult> PeekResultAsync(Guid uuid) => (await AwaitAsync(
        $"peek {uuid}", responses => responses.OfType<ComputeResponse.PeekResponse>().FirstOrDefault(p => p.Uuid == uuid))).Result;

    /// <summary>All responses so far.</summary>
    public IReadOnlyList<ComputeResponse> Responses
    {
        get
        {
            lock (_lock)
                return [.. _responses];
        }
    }

    public async ValueTask DisposeAsync()
    {
        await _connection.DisposeAsync();
        await _reading;
    }

    private async Task ReadAsync()
    {
        while (await _connection.ReceiveAsync(CancellationToken.None) is { } response)
        {
            TaskCompletionSource arrived;
            lock (_lock)
            {
                _responses.Add(response);
                arrived = _arrived;
                _arrived = new TaskCompletionSource(TaskCreationOptions.RunContinuationsAsynchronously);
            }

            arrived.SetResult();
        }
    }
}

/// <summary>A shard that a test writes, and the same updates as datums.</summary>
internal sealed class TestShard
{
    private readonly WriteHandle _writer;

    private TestShard(GlobalId id, CollectionMetadata metadata, WriteHandle writer)
    {
        Id = id;
        Metadata = metadata;
        _writer = writer;
    }

    public GlobalId Id { get; }

    public CollectionMetadata Metadata { get; }

    public ValueArray<ColumnType> Columns => Metadata.Desc.Type.Columns;

    public ulong Upper { get; private set; }

    /// <summary>Everything ever appended.</summary>
    public List<(ValueArray<Datum> Row, ulong Time, long Diff)> Updates { get; } = [];

    public static async Task<TestShard> CreateAsync(PersistClient persist, GlobalId id, ValueArray<ColumnType> columns)
    {
        var names = Enumerable.Range(0, columns.Count).Select(i => $"c{i}").ToValueArray();
        var metadata = new CollectionMetadata(ShardId.New(), null, new RelationDesc(new RelationType(columns), names));
        return new TestShard(id, metadata, await persist.OpenWriterAsync(metadata.Shard, CancellationToken.None));
    }

    /// <summary>Appends and completes everything before <paramref name="upper"/>.</summary>
    public async Task AppendAsync(ulong upper, params IEnumerable<(ValueArray<Datum> Row, ulong Time, long Diff)> updates)
    {
        var builder = new UpdateColumnsBuilder();
        var layout = RowLayout.For(Columns);
        foreach (var (row, time, diff) in updates)
        {
            Updates.Add((row, time, diff));
            builder.Add(RowCodec.Pack(layout, row.AsSpan()), new Timestamp(time), diff);
        }

        var result = await _writer.CompareAndAppendAsync(builder.Build(), Frontier(Upper), Frontier(upper), CancellationToken.None);
        Xunit.Assert.IsType<AppendResult.Appended>(result);
        Upper = upper;
    }

    public SourceImport Import() => new(Id, Metadata.Desc.Type, Metadata, Mfp.Identity(Columns.Count), Columns);

    /// <summary>The contents at a time.</summary>
    public IEnumerable<(ValueArray<Datum> Row, long Diff)> At(ulong time) => Updates.Where(u => u.Time <= time).Select(u => (u.Row, u.Diff));

    public static Core.Order.Antichain<Timestamp> Frontier(ulong time) => Core.Order.Antichain<Timestamp>.Of(new Timestamp(time));
}
