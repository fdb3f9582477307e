using Materialize.Core.Collections;
using Materialize.Expr;
using Materialize.Protocol;
using Materialize.Repr;
using Xunit;
using static Materialize.Compute.Tests.Plans;

namespace Materialize.Compute.Tests;

public sealed class EndToEndTests
{
    private static readonly GlobalId Source = GlobalId.User(1);
    private static readonly GlobalId Index = GlobalId.User(2);

    [Theory]
    [InlineData(1)]
    [InlineData(3)]
    public async Task An_index_shows_a_shard_at_every_time(int workers)
    {
        await using var replica = await Replica.StartAsync(workers);
        var shard = await TestShard.CreateAsync(replica.Persist, Source, [Int8, NullableText]);
        await shard.AppendAsync(3, ([Int(1), Str("a")], 1, 1), ([Int(2), Datum.Null], 2, 1), ([Int(3), Str("c")], 2, 2));
        await replica.Controller.RunAsync(IndexOf(Index, Get(shard), 2, [shard], Key(0)));
        await Check(replica, shard, 2);
        await shard.AppendAsync(5, ([Int(1), Str("a")], 3, -1), ([Int(3), Str("c")], 4, 1));
        await Check(replica, shard, 3);
        await Check(replica, shard, 4);
    }

    [Fact]
    public async Task A_peek_waits_for_its_time()
    {
        await using var replica = await Replica.StartAsync(2);
        var shard = await TestShard.CreateAsync(replica.Persist, Source, [Int8, NullableText]);
        await shard.AppendAsync(2, ([Int(1), Str("a")], 1, 1));
        await replica.Controller.RunAsync(IndexOf(Index, Get(shard), 1, [shard], Key(0)));
        var peek = Peek(Index, shard.Columns, 7);
        await replica.Controller.SendAsync(new ComputeCommand.Peek(peek));
        await shard.AppendAsync(7, ([Int(2), Str("b")], 5, 1));
        await replica.Controller.OutputPassedAsync(Index, 6);
        Assert.DoesNotContain(replica.Controller.Responses, r => r is ComputeResponse.PeekResponse);
        await shard.AppendAsync(9, ([Int(3), Str("c")], 7, 1));
        var rows = Assert.IsType<PeekResult.Rows>(await replica.Controller.PeekResultAsync(peek.Uuid));
        Assert.Equal(Multiset(shard.At(7), shard.Columns), Decode(rows.Batch, shard.Columns));
    }

    [Fact]
    public async Task A_peek_looks_up_literal_keys()
    {
        await using var replica = await Replica.StartAsync(3);
        var shard = await TestShard.CreateAsync(replica.Persist, Source, [Int8, NullableText]);
        await shard.AppendAsync(2, Enumerable.Range(0, 100).Select(i => ((ValueArray<Datum>)[Int(i % 10), Str($"{i}")], 1UL, 1L)));
        await replica.Controller.RunAsync(IndexOf(Index, Get(shard), 1, [shard], Key(0)));
        var result = await replica.Controller.PeekAsync(Peek(Index, shard.Columns, 1, [[Int(3)], [Int(77)], [Int(5)]]));
        var expected = shard.At(1).Where(r => r.Row[0].AsInt64 is 3 or 5);
        Assert.Equal(Multiset(expected, shard.Columns), Decode(Assert.IsType<PeekResult.Rows>(result).Batch, shard.Columns));
    }

    [Fact]
    public async Task A_shard_is_peeked_without_a_dataflow()
    {
        await using var replica = await Replica.StartAsync(1);
        var shard = await TestShard.CreateAsync(replica.Persist, Source, [Int8, NullableText]);
        await shard.AppendAsync(4, ([Int(1), Str("a")], 1, 1), ([Int(1), Str("a")], 2, 1), ([Int(2), Str("b")], 3, 1));
        var request = Peek(Index, shard.Columns, 2) with { Target = new PeekTarget.Persist(shard.Id, shard.Metadata) };
        var result = await replica.Controller.PeekAsync(request);
        Assert.Equal(Multiset(shard.At(2), shard.Columns), Decode(Assert.IsType<PeekResult.Rows>(result).Batch, shard.Columns));
    }

    [Fact]
    public async Task A_subscribe_sends_every_change_once_in_contiguous_batches()
    {
        await using var replica = await Replica.StartAsync(2);
        var shard = await TestShard.CreateAsync(replica.Persist, Source, [Int8, NullableText]);
        await shard.AppendAsync(3, ([Int(1), Str("a")], 1, 1), ([Int(2), Str("b")], 2, 1));
        var id = GlobalId.Transient(9);
        await replica.Controller.RunAsync(SinkOf(id, Get(shard), 2, [shard], new SinkConnection.Subscribe(), upTo: 6));
        await shard.AppendAsync(4, ([Int(1), Str("a")], 3, -1));
        await shard.AppendAsync(8, ([Int(4), Str("d")], 5, 1), ([Int(5), Str("e")], 7, 1));
        await replica.Controller.AwaitAsync(
            "the end", r => r.OfType<ComputeResponse.SubscribeResponse>().FirstOrDefault(s => s.Id == id && s.Batch.Upper is null));
        var batches = replica.Controller.Responses.OfType<ComputeResponse.SubscribeResponse>().Select(s => s.Batch).ToList();
        var lower = 0UL;
        var seen = new List<string>();
        foreach (var batch in batches)
        {
            Assert.Equal(lower, batch.Lower);
            Assert.Null(batch.Error);
            lower = batch.Upper ?? ulong.MaxValue;
            for (var i = 0; i < batch.Updates.Count; i++)
            {
                var row = RowCodec.Unpack(RowLayout.For(shard.Columns), batch.Updates.Row(i));
                seen.Add($"{row[0].AsInt64}@{batch.Updates.Times[i]}:{batch.Updates.Diffs[i]}");
            }
        }

        Assert.Equal(["1@2:1", "2@2:1", "1@3:-1", "4@5:1"], seen);
    }

    [Fact]
    public async Task A_materialized_view_is_written_and_taken_up_again_after_a_restart()
    {
        await using var persist = Replica.NewPersist();
        var shard = await TestShard.CreateAsync(persist, Source, [Int8, NullableText]);
        var view = (await TestShard.CreateAsync(persist, Index, shard.Columns)).Metadata;
        await shard.AppendAsync(3, ([Int(1), Str("a")], 1, 1), ([Int(2), Str("b")], 2, 1));
        await using (var first = await Replica.StartAsync(2, persist))
        {
            await first.Controller.RunAsync(SinkOf(Index, Get(shard), 2, [shard], new SinkConnection.MaterializedView(view)));
            await first.Controller.OutputPassedAsync(Index, 2);
            await first.Controller.SendAsync(new ComputeCommand.AllowWrites(Index));
            await first.Controller.WritePassedAsync(Index, 2);
        }

        await shard.AppendAsync(6, ([Int(1), Str("a")], 4, -1), ([Int(3), Str("c")], 5, 1));

        // A second life that knows nothing of the first but the shard, beside a third that races it.
        await using var second = await Replica.StartAsync(1, persist);
        await using var third = await Replica.StartAsync(3, persist);
        foreach (var replica in new[] { second, third })
        {
            await replica.Controller.RunAsync(SinkOf(Index, Get(shard), 2, [shard], new SinkConnection.MaterializedView(view)));
            await replica.Controller.SendAsync(new ComputeCommand.AllowWrites(Index));
        }

        await shard.AppendAsync(8, ([Int(4), Str("d")], 6, 1));
        await second.Controller.WritePassedAsync(Index, 7);
        await third.Controller.WritePassedAsync(Index, 7);
        for (var time = 2UL; time < 8; time++)
        {
            var request = Peek(Index, shard.Columns, time) with { Target = new PeekTarget.Persist(Index, view) };
            var result = await second.Controller.PeekAsync(request);
            Assert.Equal(Multiset(shard.At(time), shard.Columns), Decode(Assert.IsType<PeekResult.Rows>(result).Batch, shard.Columns));
        }
    }

    private static async Task Check(Replica replica, TestShard shard, ulong time)
    {
        var result = await replica.Controller.PeekAsync(Peek(Index, shard.Columns, time));
        Assert.Equal(Multiset(shard.At(time), shard.Columns), Decode(Assert.IsType<PeekResult.Rows>(result).Batch, shard.Columns));
    }
}
