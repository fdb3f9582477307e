using Materialize.Persist;
using Materialize.Persist.Location;
using Materialize.Persist.Push;
using Materialize.Repr;
using Microsoft.Extensions.Logging.Abstractions;

namespace Materialize.Catalog.Tests;

/// <summary>A catalog in memory, that can be opened again and again.</summary>
internal sealed class Catalogs
{
    private readonly PersistClient _persist = new(
        new MemoryBlob(), new MemoryConsensus(), new InProcessStatePush(), new PersistConfig(), TimeProvider.System, new Random(1), NullLoggerFactory.Instance);

    private readonly ShardId _shard = ShardId.New();

    public Task<DurableCatalog> OpenDurableAsync() => DurableCatalog.OpenAsync(_persist, _shard, 0, TestContext.Current.CancellationToken);

    public Task<Catalog> OpenAsync(ulong generation = 0) =>
        Catalog.OpenAsync(_persist, _shard, generation, "1", TestContext.Current.CancellationToken);
}
