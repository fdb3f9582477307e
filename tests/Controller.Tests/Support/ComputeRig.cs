using Materialize.Core.Collections;
using Microsoft.Extensions.Logging.Abstractions;
using FakeComputeLink = Materialize.Controller.Tests.Support.FakeLink<Materialize.Protocol.ComputeCommand, Materialize.Protocol.ComputeResponse>;
using FakeComputeProcess = Materialize.Controller.Tests.Support.FakeProcess<Materialize.Protocol.ComputeCommand, Materialize.Protocol.ComputeResponse>;

namespace Materialize.Controller.Tests.Support;

/// <summary>A compute controller with one cluster, whose replicas are played by the test.</summary>
internal sealed class ComputeRig : IAsyncDisposable
{
    public static readonly InstanceId Cluster = new("u1");

    // What tests make: two indexes, a materialized view, a subscribe.
    public static readonly GlobalId X = GlobalId.User(10);
    public static readonly GlobalId Y = GlobalId.User(11);
    public static readonly GlobalId View1 = GlobalId.User(12);
    public static readonly GlobalId Subscription = GlobalId.Transient(13);
    public static readonly ColumnType Number = SqlType.Int64.Nullable(false);

    private static readonly GlobalId Marker = GlobalId.User(999);
    private ulong _marked = 1;

    public ComputeRig()
    {
        Compute = new ComputeController(Registry, new InstanceConfig(1000), new ImpatientTime(), NullLoggerFactory.Instance);
        Compute.CreateInstance(Cluster);
        Compute.CreateDataflow(Cluster, Index(Marker, 1), [], null);
    }

    public CollectionRegistry Registry { get; } = new();

    public ComputeController Compute { get; }

    public static DataflowDescription Index(GlobalId id, ulong asOf, params GlobalId[] imports) => new(
        $"index {id}", Imports(imports), [], [], [new IndexExport(id, new IndexDesc(id, new ArrangementKey([])), new RelationType([Number]))], [], asOf, null);

    public static DataflowDescription View(GlobalId id, ulong asOf, params GlobalId[] imports) => new(
        $"view {id}", Imports(imports), [], [], [], [Sink(id, new SinkConnection.MaterializedView(Metadata))], asOf, null);

    public static DataflowDescription Subscribe(GlobalId id, ulong asOf, params GlobalId[] imports) => new(
        $"subscribe {id}", Imports(imports), [], [], [], [Sink(id, new SinkConnection.Subscribe())], asOf, null);

    public static PeekRequest Peek(GlobalId index, ulong time) => new(
        Guid.NewGuid(), new PeekTarget.Index(index), null, time, Mfp.Identity(1), [Number], RowSetFinishing.Trivial(1), 1 << 20);

    public static RowBatch Row(byte value, ulong time = 0, long diff = 1) => new(new[] { value }, [1], time == 0 ? [] : [time], [diff]);

    /// <summary>A collection from outside, readable from <paramref name="since"/>, that keeps a window of one millisecond.</summary>
    public GlobalId Input(ulong number, ulong since, ulong upper)
    {
        var id = GlobalId.User(number);
        Registry.Register(id, Frontier.At(since), Frontier.At(upper), 1);
        return id;
    }

    public IReadOnlyList<ReadHold> Hold(params GlobalId[] ids)
    {
        var holds = Registry.Acquire(ids);
        Assert.NotNull(holds);
        return holds;
    }

    public ulong? SinceOf(GlobalId id) => Registry.Frontiers(id)?.Since.Time;

    public FakeComputeProcess[] AddReplica(string name, int processes = 1)
    {
        var fakes = Enumerable.Range(0, processes).Select(_ => new FakeComputeProcess()).ToArray();
        Compute.AddReplica(Cluster, name, fakes);
        return fakes;
    }

    /// <summary>A replica of one process that has been told the history.</summary>
    public async Task<(FakeComputeProcess Process, FakeComputeLink Link)> AddConnectedAsync(string name)
    {
        var process = AddReplica(name)[0];
        return (process, await ConnectedAsync(process));
    }

    /// <summary>The next connection, when it has been told the history.</summary>
    public static async Task<FakeComputeLink> ConnectedAsync(FakeComputeProcess process)
    {
        var link = await process.NextLinkAsync();
        await link.ToldAsync<ComputeCommand.InitializationComplete>();
        return link;
    }

    /// <summary>Waits until the controller has dealt with all that this connection has answered so far.</summary>
    public async Task SettleAsync(FakeComputeLink link)
    {
        link.Respond(new ComputeResponse.Frontiers(Marker, new FrontierChange(++_marked), null, null));
        await Registry.WaitForUpperPastAsync(Marker, _marked - 1, CancellationToken.None).WaitAsync(Waiting.Patience);
    }

    /// <summary>The replica says that a collection is complete before <paramref name="upper"/>, and the controller has heard it.</summary>
    public async Task AdvanceAsync(FakeComputeLink link, GlobalId id, ulong? upper)
    {
        link.Respond(new ComputeResponse.Frontiers(id, new FrontierChange(upper), null, null));
        await SettleAsync(link);
    }

    /// <summary>The history that a connection was told, without the marker of this rig, in words.</summary>
    public static string[] HistoryOf(FakeComputeLink link) => [.. link.Commands
        .TakeWhile(c => c is not ComputeCommand.InitializationComplete)
        .Select(c => c switch
        {
            ComputeCommand.Hello => "hello",
            ComputeCommand.CreateInstance => "instance",
            ComputeCommand.CreateDataflow x => $"create {x.Dataflow.DebugName} as of {x.Dataflow.AsOf}",
            ComputeCommand.Schedule x => $"schedule {x.Id}",
            ComputeCommand.AllowWrites x => $"writes {x.Id}",
            ComputeCommand.Peek x => $"peek {((PeekTarget.Index)x.Request.Target).Id} at {x.Request.Timestamp}",
            _ => c.ToString(),
        })
        .Where(text => !text.Contains($"{Marker}", StringComparison.Ordinal))];

    public ValueTask DisposeAsync() => Compute.DisposeAsync();

    private static readonly CollectionMetadata Metadata = new(new ShardId(Guid.Parse("00000000-0000-4000-8000-0000000000aa")), null, RelationDesc.Of(("n", Number)));

    private static ValueArray<SourceImport> Imports(GlobalId[] ids) =>
        ids.Select(id => new SourceImport(id, new RelationType([Number]), Metadata, Mfp.Identity(1), [Number])).ToValueArray();

    private static SinkExport Sink(GlobalId id, SinkConnection connection) => new(id, id, RelationDesc.Of(("n", Number)), connection, true, null);
}

/// <summary>What a subscribe's client gets.</summary>
internal sealed class Received : ISubscribeReceiver
{
    public List<SubscribeBatch> Batches { get; } = [];

    public int Drops { get; private set; }

    public void Receive(SubscribeBatch batch) => Batches.Add(batch);

    public void Dropped() => Drops++;
}
