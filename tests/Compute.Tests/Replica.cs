using System.Net;
using System.Net.Sockets;
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
/// A replica and the shards that it reads and writes, in memory, driven as a controller drives it: by messages over connections, one to each of
/// its processes, all of which are here. Nothing here sleeps; every wait is for a response.
/// </summary>
internal sealed class Replica : IAsyncDisposable
{
    private static readonly FrameHello Hello = new(ProtocolCodecs.Version, "compute", "");

    private readonly MemoryTransport _transport = new();
    private readonly CancellationTokenSource _stop = new();
    private readonly List<(ITransportListener Listener, Task Serving, ComputeState State)> _processes = [];
    private readonly string _sockets = Directory.CreateTempSubdirectory("mz-mesh-").FullName;
    private readonly bool _ownsPersist;
    private Controller? _controller;
    private bool _isEnding;

    private Replica(PersistClient persist, bool ownsPersist, int workers, int processes, long? sinkBacklogBytesMax)
    {
        Persist = persist;
        _ownsPersist = ownsPersist;
        // The first over TCP, as in a deployment; the others over unix sockets, as where all are children of one process.
        TransportAddress[] mesh = [.. Enumerable.Range(0, processes).Select(p => p == 0 ? FreePort() : new TransportAddress.Unix(Path.Combine(_sockets, $"{p}")) as TransportAddress)];
        for (var i = 0; i < processes; i++)
            Start(i, workers, mesh, sinkBacklogBytesMax);
    }

    public PersistClient Persist { get; }

    public TaskCompletionSource Failure { get; } = new(TaskCreationOptions.RunContinuationsAsynchronously);

    public Controller Controller => _controller!;

    public long SinkBacklogBytes => _processes.Sum(p => p.State.SinkBacklogBytes);

    /// <param name="workers">Of each process.</param>
    /// <param name="persist">Null: stores of its own.</param>
    public static async Task<Replica> StartAsync(int workers, PersistClient? persist = null, int processes = 1, long? sinkBacklogBytesMax = null)
    {
        var replica = new Replica(persist ?? NewPersist(), persist is null, workers, processes, sinkBacklogBytesMax);
        await replica.ConnectAsync([]);
        return replica;
    }

    public static PersistClient NewPersist() => new(
        new MemoryBlob(), new MemoryConsensus(), new InProcessStatePush(), new PersistConfig(), TimeProvider.System, new Random(1), NullLoggerFactory.Instance);

    /// <summary>New connections, which evict the ones before, with this history.</summary>
    public async Task ConnectAsync(IReadOnlyList<ComputeCommand> history)
    {
        var connections = new List<CommandConnection<ComputeCommand, ComputeResponse>>();
        for (var i = 0; i < _processes.Count; i++)
        {
            connections.Add(await new CommandClient<ComputeCommand, ComputeResponse>(
                _transport, Address(i), Hello, FrameOptions.Client, ProtocolCodecs.ComputeCommands, ProtocolCodecs.ComputeResponses, TimeProvider.System, NullLogger.Instance)
                .ConnectAsync(_stop.Token));
        }

        if (_controller is { } old)
            await old.DisposeAsync();
        _controller = new Controller(connections, Failure.Task);
        var hello = new ComputeCommand.Hello(Guid.NewGuid());
        foreach (var connection in connections)
            await connection.SendAsync(hello, _stop.Token);
        await _controller.SendAsync(new ComputeCommand.CreateInstance(new InstanceConfig(1000)));
        foreach (var command in history)
            await _controller.SendAsync(command);
        await _controller.SendAsync(new ComputeCommand.InitializationComplete());
    }

    private static TransportAddress.Memory Address(int process) => new($"compute-{process}");

    private static TransportAddress.Tcp FreePort()
    {
        using var probe = new Socket(AddressFamily.InterNetwork, SocketType.Stream, ProtocolType.Tcp);
        probe.Bind(new IPEndPoint(IPAddress.Loopback, 0));
        return new TransportAddress.Tcp("127.0.0.1", ((IPEndPoint)probe.LocalEndPoint!).Port);
    }

    private void Start(int process, int workers, TransportAddress[] mesh, long? sinkBacklogBytesMax)
    {
        var options = new ComputeOptions
        {
            Workers = workers,
            Mesh = mesh.Length > 1 ? new ReplicaMesh("r1", process, mesh, new SocketTransport()) : null,
            Persist = Persist,
            Time = TimeProvider.System,
            Logs = NullLoggerFactory.Instance,
            Fatal = e =>
            {
                // The processes end one after the other, and each misses the one before it.
                if (!_isEnding)
                    Failure.TrySetException(e);
            },
        };
        var state = new ComputeState(sinkBacklogBytesMax is { } max ? options with { SinkBacklogBytesMax = max } : options);
        var listener = _transport.ListenAsync(Address(process), _stop.Token).AsTask().GetAwaiter().GetResult();
        var server = new CommandServer<ComputeCommand, ComputeResponse>(
            listener, Hello, FrameOptions.Server, ProtocolCodecs.ComputeCommands, ProtocolCodecs.ComputeResponses, state.ServeAsync, TimeProvider.System, NullLogger.Instance);
        _processes.Add((listener, server.RunAsync(_stop.Token), state));
    }

    public async ValueTask DisposeAsync()
    {
        if (_controller is { } controller)
            await controller.DisposeAsync();
        _isEnding = true;
        await _stop.CancelAsync();
        foreach (var (listener, serving, state) in _processes)
        {
            await listener.DisposeAsync();
            await serving;
            await state.DisposeAsync();
        }

        Directory.Delete(_sockets, recursive: true);
        if (_ownsPersist)
            await Persist.DisposeAsync();
        _stop.Dispose();
        if (Failure.Task.IsFaulted)
            await Failure.Task;
    }
}

/// <summary>The controller's end of the connections: sends commands, keeps what was answered, lets tests wait for more.</summary>
internal sealed class Controller : IAsyncDisposable
{
    private static readonly TimeSpan Patience = TimeSpan.FromSeconds(20);

    private readonly List<CommandConnection<ComputeCommand, ComputeResponse>> _connections;
    private readonly Task _failure;
    private readonly Task _reading;
    private readonly Lock _lock = new();
    private readonly List<ComputeResponse> _responses = [];
    private TaskCompletionSource _arrived = new(TaskCreationOptions.RunContinuationsAsynchronously);

    public Controller(List<CommandConnection<ComputeCommand, ComputeResponse>> connections, Task failure)
    {
        _connections = connections;
        _failure = failure;
        _reading = Task.WhenAll(connections.Select(ReadAsync));
    }

    public ValueTask SendAsync(ComputeCommand command) => _connections[0].SendAsync(command, CancellationToken.None);

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

    /// <summary>The answers of all processes: the rows of all, or the first that is none.</summary>
    public async Task<PeekResult> PeekResultAsync(Guid uuid) => await AwaitAsync($"peek {uuid}", responses =>
    {
        var parts = responses.OfType<ComputeResponse.PeekResponse>().Where(p => p.Uuid == uuid).Select(p => p.Result).ToList();
        return parts.Count < _connections.Count ? null : parts.Find(p => p is not PeekResult.Rows) ?? Union(parts.Cast<PeekResult.Rows>());
    });

    private static PeekResult.Rows Union(IEnumerable<PeekResult.Rows> parts)
    {
        var data = new List<byte>();
        var (ends, diffs) = (new List<int>(), new List<long>());
        foreach (var part in parts)
        {
            ends.AddRange(part.Batch.Ends.Select(e => data.Count + e));
            diffs.AddRange(part.Batch.Diffs);
            data.AddRange(part.Batch.Data.Span);
        }

        return new PeekResult.Rows(new RowBatch(data.ToArray(), [.. ends], [], [.. diffs]));
    }

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
        foreach (var connection in _connections)
            await connection.DisposeAsync();
        await _reading;
    }

    private async Task ReadAsync(CommandConnection<ComputeCommand, ComputeResponse> connection)
    {
        while (await connection.ReceiveAsync(CancellationToken.None) is { } response)
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
