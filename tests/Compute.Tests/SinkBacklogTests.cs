using Materialize.Core.Collections;
using Materialize.Persist;
using Materialize.Persist.Location;
using Materialize.Persist.Push;
using Materialize.Protocol;
using Materialize.Repr;
using Microsoft.Extensions.Logging.Abstractions;
using Xunit;
using static Materialize.Compute.Tests.Plans;

namespace Materialize.Compute.Tests;

/// <summary>A store that cannot keep up holds sources back, and nothing is lost by it.</summary>
public sealed class SinkBacklogTests
{
    private const int RowBytes = 100_000;
    private const int RowsATime = 5;
    private const int Times = 60;
    private const long Limit = 2 << 20;

    // What was on its way when the limit was reached: a piece for each credit of a worker, one that was let through and one at the sink.
    private const long Bound = Limit + (10 * ((1 << 20) + RowBytes + 1000));

    private static readonly GlobalId Source = GlobalId.User(1);
    private static readonly GlobalId View = GlobalId.User(2);
    private static readonly GlobalId Index = GlobalId.User(3);

    [Fact]
    public async Task What_waits_to_be_written_is_bounded_while_the_store_takes_nothing()
    {
        var (blob, consensus, push) = (new MemoryBlob(), new MemoryConsensus(), new InProcessStatePush());
        var gate = new GatedBlob(blob);
        await using var writers = Client(blob, consensus, push);
        await using var gated = Client(gate, consensus, push);
        await using var replica = await Replica.StartAsync(1, gated, sinkBacklogBytesMax: Limit);
        var shard = await TestShard.CreateAsync(writers, Source, [Int8, Text]);
        var random = new Random(5);
        await shard.AppendAsync(2, Rows(random, 1));
        var output = new CollectionMetadata(ShardId.New(), null, shard.Metadata.Desc);
        await replica.Controller.RunAsync(SinkOf(View, Get(shard), 1, [shard], new SinkConnection.MaterializedView(output)));
        await replica.Controller.SendAsync(new ComputeCommand.AllowWrites(View));
        await replica.Controller.WritePassedAsync(View, 1);

        // From the first write that does not end on, all that the view takes in has nowhere to go. An index without a sink reads all of it meanwhile.
        gate.Close();
        await replica.Controller.RunAsync(IndexOf(Index, Get(shard), 1, [shard], Key(0)));
        await shard.AppendAsync(3, Rows(random, 2));
        await gate.Entered;
        for (var time = 3UL; time < 2 + Times; time++)
            await shard.AppendAsync(time + 1, Rows(random, time));
        await replica.Controller.OutputPassedAsync(Index, 1 + Times);

        Assert.InRange(replica.SinkBacklogBytes, 1, Bound);
        Assert.True(Times * RowsATime * RowBytes > 2 * Bound);

        gate.Open();
        await replica.Controller.WritePassedAsync(View, 1 + Times);
        var peek = Peek(View, shard.Columns, 1 + Times) with { Target = new PeekTarget.Persist(View, output) };
        var result = Assert.IsType<PeekResult.Rows>(await replica.Controller.PeekAsync(peek));
        Assert.Equal(Multiset(shard.At(1 + Times), shard.Columns), Decode(result.Batch, shard.Columns));
        Assert.Equal(0, replica.SinkBacklogBytes);
    }

    private static IEnumerable<(ValueArray<Datum>, ulong, long)> Rows(Random random, ulong time)
    {
        for (var i = 0; i < RowsATime; i++)
        {
            var text = new string((char)('a' + random.Next(26)), RowBytes);
            yield return ([Int(((long)time * RowsATime) + i), Str(text)], time, 1);
        }
    }

    private static PersistClient Client(IBlob blob, IConsensus consensus, IStatePush push) => new(
        blob, consensus, push, new PersistConfig { Background = false }, TimeProvider.System, new Random(1), NullLoggerFactory.Instance);

    /// <summary>A store that can be closed: what is set then is set when it is opened.</summary>
    private sealed class GatedBlob(IBlob blob) : IBlob
    {
        private readonly TaskCompletionSource _entered = new(TaskCreationOptions.RunContinuationsAsynchronously);
        private readonly TaskCompletionSource _opened = new(TaskCreationOptions.RunContinuationsAsynchronously);
        private volatile bool _isClosed;

        /// <summary>Somebody waits.</summary>
        public Task Entered => _entered.Task.WaitAsync(TimeSpan.FromSeconds(60));

        public void Close() => _isClosed = true;

        public void Open()
        {
            _isClosed = false;
            _opened.SetResult();
        }

        public ValueTask<ReadOnlyMemory<byte>?> GetAsync(string key, CancellationToken cancel) => blob.GetAsync(key, cancel);

        public async ValueTask SetAsync(string key, ReadOnlyMemory<byte> value, CancellationToken cancel)
        {
            if (_isClosed)
            {
                _entered.TrySetResult();
                await _opened.Task.WaitAsync(cancel);
            }

            await blob.SetAsync(key, value, cancel);
        }

        public ValueTask<bool> DeleteAsync(string key, CancellationToken cancel) => blob.DeleteAsync(key, cancel);

        public IAsyncEnumerable<BlobEntry> ListAsync(string prefix, CancellationToken cancel) => blob.ListAsync(prefix, cancel);
    }
}
