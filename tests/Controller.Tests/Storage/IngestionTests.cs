using Microsoft.Extensions.Logging.Abstractions;

namespace Materialize.Controller.Tests.Storage;

/// <summary>Which replica runs the ingestions, and what it is told.</summary>
public sealed class IngestionTests : IAsyncDisposable
{
    private static readonly GlobalId Source = GlobalId.User(7);

    private readonly StorageInstance _storage = new(new InstanceId("u1"), new ImpatientTime(), NullLogger.Instance, _ => { });

    public ValueTask DisposeAsync() => _storage.DisposeAsync();

    [Fact]
    public async Task A_replica_that_comes_back_is_told_its_ingestions_again()
    {
        var process = Add("r1");
        var first = await process.NextLinkAsync();
        await first.ToldAsync<StorageCommand.AllowWrites>();
        _storage.Run(Ingestion("one"));
        _storage.Run(Ingestion("two"));
        Assert.Equal(["one", "two"], Run(first));
        first.Break();
        var second = await process.NextLinkAsync();
        await second.ToldAsync<StorageCommand.AllowWrites>();
        Assert.Equal(["two"], Run(second));
        Assert.IsType<StorageCommand.Hello>(second.Commands[0]);
    }

    [Fact]
    public async Task One_replica_runs_them_until_it_is_dropped_whatever_comes_and_goes_beside_it()
    {
        _storage.Run(Ingestion("one"));
        var first = await ReadyAsync(Add("r1"));
        var second = await ReadyAsync(Add("r2"));
        Assert.Equal((1, 0), (Run(first).Length, Run(second).Length));
        await _storage.DropReplicaAsync("r1");
        Assert.Single(Run(second));

        // The third may not take the first's place: the second has it.
        var third = await ReadyAsync(Add("r3"));
        Assert.Empty(Run(third));
        _storage.Run(Ingestion("changed"));
        Assert.Empty(Run(third));
        Assert.Equal("changed", Run(second)[^1]);
        await _storage.DropReplicaAsync("r2");
        Assert.Equal(["changed"], Run(third));
    }

    [Fact]
    public async Task Stopping_an_ingestion_ends_when_the_replica_has_cleaned_up()
    {
        _storage.Run(Ingestion("one"));
        var link = await ReadyAsync(Add("r1"));
        var stopping = _storage.StopAsync(Source, CancellationToken.None);
        Assert.Equal(new StorageCommand.AllowCompaction(Source, null), link.Commands[^1]);
        link.Respond(new StorageResponse.DroppedId(Source));
        await stopping.WaitAsync(Waiting.Patience);
        link.Break();
    }

    private FakeProcess<StorageCommand, StorageResponse> Add(string name)
    {
        var process = new FakeProcess<StorageCommand, StorageResponse>();
        _storage.AddReplica(name, [process]);
        return process;
    }

    private static async Task<FakeLink<StorageCommand, StorageResponse>> ReadyAsync(FakeProcess<StorageCommand, StorageResponse> process)
    {
        var link = await process.NextLinkAsync();
        await link.ToldAsync<StorageCommand.AllowWrites>();
        return link;
    }

    private static string[] Run(FakeLink<StorageCommand, StorageResponse> link) =>
        [.. link.Commands.OfType<StorageCommand.RunIngestion>().Select(c => c.Ingestion.Name)];

    private static IngestionDescription Ingestion(string name) => new(
        Source, name, new SourceConnection.Postgres("localhost", 1, "u", null, "d", "disable", "p", "s"),
        new CollectionMetadata(new ShardId(Guid.Parse("00000000-0000-4000-8000-0000000000aa")), null, RelationDesc.Empty), [], 1000);
}
