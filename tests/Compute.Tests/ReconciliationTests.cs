using Materialize.Core.Collections;
using Materialize.Expr;
using Materialize.Protocol;
using Materialize.Repr;
using Xunit;
using static Materialize.Compute.Tests.Plans;

namespace Materialize.Compute.Tests;

/// <summary>What a controller finds when it comes back, and how collections end.</summary>
public sealed class ReconciliationTests
{
    private static readonly GlobalId Source = GlobalId.User(1);
    private static readonly GlobalId Index = GlobalId.User(2);
    private static readonly GlobalId Other = GlobalId.User(3);

    [Fact]
    public async Task A_dataflow_that_is_wanted_again_is_kept_and_the_others_go()
    {
        await using var replica = await Replica.StartAsync(2);
        var shard = await ShardAsync(replica);
        var kept = IndexOf(Index, Get(shard), 1, [shard], Key(0));
        var other = IndexOf(Other, Get(shard), 1, [shard], Key(0));
        await replica.Controller.RunAsync(kept);
        await replica.Controller.RunAsync(other);
        await replica.Controller.OutputPassedAsync(Index, 1);
        await replica.Controller.OutputPassedAsync(Other, 1);

        // A shard that does not exist: if the dataflow were built anew, it could not become readable.
        var gone = kept with { AsOf = 1, DebugName = "renamed" };
        await replica.ConnectAsync([new ComputeCommand.CreateDataflow(gone), new ComputeCommand.Schedule(Index)]);
        await replica.Controller.OutputPassedAsync(Index, 1);
        var result = await replica.Controller.PeekAsync(Peek(Index, shard.Columns, 1));
        Assert.Equal(Multiset(shard.At(1), shard.Columns), Decode(Assert.IsType<PeekResult.Rows>(result).Batch, shard.Columns));
        Assert.IsType<PeekResult.Error>(await replica.Controller.PeekAsync(Peek(Other, shard.Columns, 1)));
        Assert.DoesNotContain(replica.Controller.Responses.OfType<ComputeResponse.Frontiers>(), f => f.Id == Other);
    }

    [Fact]
    public async Task A_dataflow_that_changed_or_was_compacted_too_far_is_built_anew()
    {
        await using var replica = await Replica.StartAsync(2);
        var shard = await ShardAsync(replica);
        await shard.AppendAsync(6, ([Int(9), Str("z")], 4, 1));
        await replica.Controller.RunAsync(IndexOf(Index, Get(shard), 1, [shard], Key(0)));
        await replica.Controller.OutputPassedAsync(Index, 5);
        await replica.Controller.SendAsync(new ComputeCommand.AllowCompaction(Index, 5));

        // Readable from 5 only: a dataflow as of 1 must be another.
        var wanted = IndexOf(Index, Get(shard), 1, [shard], Key(0));
        await replica.ConnectAsync([new ComputeCommand.CreateDataflow(wanted), new ComputeCommand.Schedule(Index)]);
        var early = await replica.Controller.PeekAsync(Peek(Index, shard.Columns, 1));
        Assert.Equal(Multiset(shard.At(1), shard.Columns), Decode(Assert.IsType<PeekResult.Rows>(early).Batch, shard.Columns));

        // Another plan under the same id.
        var filter = new Mfp(2, [], [new MfpPredicate(2, Call("eq", SqlType.Bool, Column(0), Literal(9)))], [0, 1]);
        var changed = IndexOf(Index, new LirRelationExpr.MapFilterProject(Get(shard), filter, shard.Columns), 1, [shard], Key(0));
        await replica.ConnectAsync([new ComputeCommand.CreateDataflow(changed), new ComputeCommand.Schedule(Index)]);
        var late = await replica.Controller.PeekAsync(Peek(Index, shard.Columns, 5));
        Assert.Equal(Multiset(shard.At(5).Where(r => r.Row[0].AsInt64 == 9), shard.Columns), Decode(Assert.IsType<PeekResult.Rows>(late).Batch, shard.Columns));
    }

    [Fact]
    public async Task Peeks_of_the_old_connection_are_forgotten()
    {
        await using var replica = await Replica.StartAsync(2);
        var shard = await ShardAsync(replica);
        var dataflow = IndexOf(Index, Get(shard), 1, [shard], Key(0));
        await replica.Controller.RunAsync(dataflow);
        var pending = Peek(Index, shard.Columns, 5);
        await replica.Controller.SendAsync(new ComputeCommand.Peek(pending));
        await replica.Controller.OutputPassedAsync(Index, 1);
        await replica.ConnectAsync([new ComputeCommand.CreateDataflow(dataflow), new ComputeCommand.Schedule(Index)]);
        await shard.AppendAsync(8);
        await replica.Controller.OutputPassedAsync(Index, 7);
        await replica.Controller.PeekAsync(Peek(Index, shard.Columns, 6));
        Assert.DoesNotContain(replica.Controller.Responses, r => r is ComputeResponse.PeekResponse p && p.Uuid == pending.Uuid);
    }

    [Fact]
    public async Task A_dropped_collection_says_so_and_what_reads_it_goes_on()
    {
        await using var replica = await Replica.StartAsync(2);
        var shard = await ShardAsync(replica);
        var first = IndexOf(Index, Get(shard), 1, [shard], Key(0));
        await replica.Controller.RunAsync(first);
        var get = new LirRelationExpr.Get(new Id.Global(first.IndexExports[0].Desc.OnId), Key(0), null, Mfp.Identity(2), shard.Columns);
        var second = IndexOf(Other, get, 1, []) with
        {
            IndexImports = [new IndexImport(Index, first.IndexExports[0].Desc, new RelationType(shard.Columns))],
        };
        await replica.Controller.RunAsync(second);
        await replica.Controller.SendAsync(new ComputeCommand.AllowCompaction(Index, null));
        await replica.Controller.AwaitAsync("the end", r => r.OfType<ComputeResponse.Frontiers>().FirstOrDefault(f => f.Id == Index && f.Output is { Time: null }));
        await shard.AppendAsync(8, ([Int(5), Datum.Null], 6, 1));
        var result = await replica.Controller.PeekAsync(Peek(Other, shard.Columns, 7));
        Assert.Equal(Multiset(shard.At(7), shard.Columns), Decode(Assert.IsType<PeekResult.Rows>(result).Batch, shard.Columns));
    }

    [Fact]
    public async Task A_subscribe_that_is_dropped_says_so()
    {
        await using var replica = await Replica.StartAsync(2);
        var shard = await ShardAsync(replica);
        var id = GlobalId.Transient(4);
        await replica.Controller.RunAsync(SinkOf(id, Get(shard), 1, [shard], new SinkConnection.Subscribe()));
        await replica.Controller.SendAsync(new ComputeCommand.AllowCompaction(id, null));
        await replica.Controller.AwaitAsync("dropped", r => r.OfType<ComputeResponse.SubscribeDropped>().FirstOrDefault(d => d.Id == id));
    }

    [Fact]
    public async Task A_peek_can_be_cancelled_and_is_refused_before_the_since()
    {
        await using var replica = await Replica.StartAsync(2);
        var shard = await ShardAsync(replica);
        await shard.AppendAsync(6);
        await replica.Controller.RunAsync(IndexOf(Index, Get(shard), 1, [shard], Key(0)));
        await replica.Controller.OutputPassedAsync(Index, 5);
        var waiting = Peek(Index, shard.Columns, 100);
        await replica.Controller.SendAsync(new ComputeCommand.Peek(waiting));
        await replica.Controller.SendAsync(new ComputeCommand.CancelPeek(waiting.Uuid));
        Assert.IsType<PeekResult.Canceled>(await replica.Controller.PeekResultAsync(waiting.Uuid));
        await replica.Controller.SendAsync(new ComputeCommand.AllowCompaction(Index, 4));
        Assert.IsType<PeekResult.Error>(await replica.Controller.PeekAsync(Peek(Index, shard.Columns, 3)));
        Assert.IsType<PeekResult.Rows>(await replica.Controller.PeekAsync(Peek(Index, shard.Columns, 4)));
    }

    [Fact]
    public async Task A_result_that_is_too_large_is_an_error_and_a_limit_cuts_it_short()
    {
        await using var replica = await Replica.StartAsync(2);
        var shard = await TestShard.CreateAsync(replica.Persist, Source, [Int8, NullableText]);
        await shard.AppendAsync(2, Enumerable.Range(0, 10_000).Select(i => ((ValueArray<Datum>)[Int(i), Str("0123456789")], 1UL, 1L)));
        await replica.Controller.RunAsync(IndexOf(Index, Get(shard), 1, [shard], Key(0)));
        var request = Peek(Index, shard.Columns, 1) with { MaxResultSize = 64 << 10 };
        var error = Assert.IsType<PeekResult.Error>(await replica.Controller.PeekAsync(request));
        Assert.Equal("53200", error.Reason.SqlState);
        var few = request with { Uuid = Guid.NewGuid(), Finishing = request.Finishing with { Limit = 10 } };
        Assert.InRange(Assert.IsType<PeekResult.Rows>(await replica.Controller.PeekAsync(few)).Batch.Count, 10, 10_000);
    }

    [Fact]
    public async Task A_dataflow_waits_until_it_is_scheduled()
    {
        await using var replica = await Replica.StartAsync(2);
        var shard = await ShardAsync(replica);
        await replica.Controller.SendAsync(new ComputeCommand.CreateDataflow(IndexOf(Index, Get(shard), 1, [shard], Key(0))));
        await replica.Controller.SendAsync(new ComputeCommand.CreateDataflow(IndexOf(Other, Get(shard), 1, [shard], Key(0))));
        await replica.Controller.SendAsync(new ComputeCommand.Schedule(Other));
        await replica.Controller.OutputPassedAsync(Other, 1);
        Assert.DoesNotContain(replica.Controller.Responses.OfType<ComputeResponse.Frontiers>(), f => f.Id == Index && f.Output?.Time > 1);
        await replica.Controller.SendAsync(new ComputeCommand.Schedule(Index));
        await replica.Controller.OutputPassedAsync(Index, 1);
    }

    private static async Task<TestShard> ShardAsync(Replica replica)
    {
        var shard = await TestShard.CreateAsync(replica.Persist, Source, [Int8, NullableText]);
        await shard.AppendAsync(2, ([Int(1), Str("a")], 1, 1), ([Int(2), Datum.Null], 1, 3));
        return shard;
    }
}
