using Materialize.Core.Collections;
using Materialize.Expr;
using Materialize.Protocol;
using Materialize.Repr;
using Xunit;
using static Materialize.Compute.Tests.Plans;

namespace Materialize.Compute.Tests;

/// <summary>An error is content: it is there while the row that causes it is, and whoever reads meanwhile gets it.</summary>
public sealed class ErrorTests
{
    private static readonly GlobalId Source = GlobalId.User(1);
    private static readonly GlobalId Target = GlobalId.User(2);

    [Fact]
    public async Task An_index_with_an_error_answers_with_it_until_it_is_gone()
    {
        await using var replica = await Replica.StartAsync(2);
        var (shard, plan) = await InverseAsync(replica);
        await replica.Controller.RunAsync(IndexOf(Target, plan, 1, [shard]));
        await shard.AppendAsync(4, ([Int(0)], 2, 1), ([Int(0)], 3, -1));
        Assert.IsType<PeekResult.Rows>(await replica.Controller.PeekAsync(Peek(Target, plan.Columns, 1)));
        var failed = Assert.IsType<PeekResult.Error>(await replica.Controller.PeekAsync(Peek(Target, plan.Columns, 2)));
        Assert.Equal(EvalError.DivisionByZero, failed.Reason);
        Assert.IsType<PeekResult.Rows>(await replica.Controller.PeekAsync(Peek(Target, plan.Columns, 3)));
    }

    [Fact]
    public async Task An_error_passes_through_an_imported_index()
    {
        await using var replica = await Replica.StartAsync(2);
        var (shard, plan) = await InverseAsync(replica);
        var first = IndexOf(Target, plan, 1, [shard]);
        await replica.Controller.RunAsync(first);
        var onId = first.IndexExports[0].Desc.OnId;
        var again = new LirRelationExpr.Get(new Id.Global(onId), null, null, Mfp.Identity(1), plan.Columns);
        var second = IndexOf(GlobalId.User(3), again, 1, []) with
        {
            IndexImports = [new IndexImport(Target, first.IndexExports[0].Desc, new RelationType(plan.Columns))],
        };
        await replica.Controller.RunAsync(second);
        await shard.AppendAsync(4, ([Int(0)], 2, 1), ([Int(0)], 3, -1));
        Assert.IsType<PeekResult.Rows>(await replica.Controller.PeekAsync(Peek(GlobalId.User(3), plan.Columns, 1)));
        Assert.IsType<PeekResult.Error>(await replica.Controller.PeekAsync(Peek(GlobalId.User(3), plan.Columns, 2)));
        Assert.IsType<PeekResult.Rows>(await replica.Controller.PeekAsync(Peek(GlobalId.User(3), plan.Columns, 3)));
    }

    [Fact]
    public async Task A_subscribe_ends_with_the_error()
    {
        await using var replica = await Replica.StartAsync(2);
        var (shard, plan) = await InverseAsync(replica);
        var id = GlobalId.Transient(7);
        await replica.Controller.RunAsync(SinkOf(id, plan, 1, [shard], new SinkConnection.Subscribe()));
        await shard.AppendAsync(4, ([Int(0)], 2, 1));
        var last = await replica.Controller.AwaitAsync(
            "the error", r => r.OfType<ComputeResponse.SubscribeResponse>().FirstOrDefault(s => s.Batch.Error is not null));
        Assert.Equal(EvalError.DivisionByZero, last.Batch.Error);
    }

    [Fact]
    public async Task A_materialized_view_stores_the_error_and_takes_it_back()
    {
        await using var replica = await Replica.StartAsync(2);
        var (shard, plan) = await InverseAsync(replica);
        var view = (await TestShard.CreateAsync(replica.Persist, Target, plan.Columns)).Metadata;
        await replica.Controller.RunAsync(SinkOf(Target, plan, 1, [shard], new SinkConnection.MaterializedView(view)));
        await replica.Controller.SendAsync(new ComputeCommand.AllowWrites(Target));
        await shard.AppendAsync(4, ([Int(0)], 2, 1), ([Int(0)], 3, -1));
        await replica.Controller.WritePassedAsync(Target, 3);
        PeekRequest At(ulong time) => Peek(Target, plan.Columns, time) with { Target = new PeekTarget.Persist(Target, view) };
        Assert.IsType<PeekResult.Rows>(await replica.Controller.PeekAsync(At(1)));
        Assert.Equal(EvalError.DivisionByZero, Assert.IsType<PeekResult.Error>(await replica.Controller.PeekAsync(At(2))).Reason);
        Assert.IsType<PeekResult.Rows>(await replica.Controller.PeekAsync(At(3)));
    }

    /// <summary>A lookup asks only the workers that own its keys, once the others have said that they hold no error.</summary>
    [Theory]
    [InlineData(4, 1)]
    [InlineData(2, 2)]
    public async Task Lookups_find_their_keys_and_fail_while_there_is_an_error_at_any_worker(int workers, int processes)
    {
        const int Keys = 40;
        await using var replica = await Replica.StartAsync(workers, processes: processes);
        var shard = await TestShard.CreateAsync(replica.Persist, Source, [Int8, Int8]);
        await shard.AppendAsync(2, [.. Enumerable.Range(1, Keys).Select(k => (ValueArray.Create<Datum>([Int(k), Int(10)]), 1UL, 1L))]);
        ValueArray<ColumnType> columns = [Int8, NullableInt8];
        var inverse = Call("div_int8", SqlType.Int64, Literal(10), Column(1));
        var plan = new LirRelationExpr.MapFilterProject(Get(shard), new Mfp(2, [inverse], [], [0, 2]), columns);
        await replica.Controller.RunAsync(IndexOf(Target, plan, 1, [shard], Key(0)));
        await CheckAsync(1, isError: false);

        // One error at a time, among rows of other keys: wherever its worker is, lookups of all keys give it.
        for (var time = 2UL; time < 12; time += 2)
        {
            await shard.AppendAsync(time + 2, ([Int(1000 + (long)time), Int(0)], time, 1), ([Int(1000 + (long)time), Int(0)], time + 1, -1));
            await CheckAsync(time - 1, isError: false);
            await CheckAsync(time, isError: true);
            await CheckAsync(time + 1, isError: false);
        }

        async Task CheckAsync(ulong time, bool isError)
        {
            var requests = new List<PeekRequest>();
            for (var k = 0; k <= Keys; k++)
            {
                ValueArray<ValueArray<Datum>> keys = k % 3 == 0 ? [[Int(k)], [Int(k + 1)]] : [[Int(k)]];
                requests.Add(Peek(Target, columns, time, keys));
                await replica.Controller.SendAsync(new ComputeCommand.Peek(requests[^1]));
            }

            foreach (var request in requests)
            {
                var result = await replica.Controller.PeekResultAsync(request.Uuid);
                if (isError)
                {
                    Assert.Equal(EvalError.DivisionByZero, Assert.IsType<PeekResult.Error>(result).Reason);
                    continue;
                }

                var expected = request.LiteralKeys!.Value.Select(row => row[0].AsInt64).Where(k => k is > 0 and <= Keys).Order();
                var layout = RowLayout.For(columns);
                var batch = Assert.IsType<PeekResult.Rows>(result).Batch;
                Assert.Equal(expected, Enumerable.Range(0, batch.Count).Select(i => RowCodec.Unpack(layout, batch.Row(i))[0].AsInt64).Order());
            }
        }
    }

    [Fact]
    public async Task A_filter_of_a_peek_may_fail_too()
    {
        await using var replica = await Replica.StartAsync(1);
        var shard = await TestShard.CreateAsync(replica.Persist, Source, [Int8]);
        await shard.AppendAsync(2, ([Int(0)], 1, 1));
        await replica.Controller.RunAsync(IndexOf(Target, Get(shard), 1, [shard]));
        var request = Peek(Target, [Int8], 1) with { Mfp = new Mfp(1, [Inverse], [], [1]) };
        Assert.Equal(EvalError.DivisionByZero, Assert.IsType<PeekResult.Error>(await replica.Controller.PeekAsync(request)).Reason);
    }

    [Fact]
    public async Task A_constant_error_is_an_error_at_every_time()
    {
        await using var replica = await Replica.StartAsync(2);
        var plan = new LirRelationExpr.Constant([], EvalError.DivisionByZero, [Int8]);
        await replica.Controller.RunAsync(IndexOf(Target, plan, 1, []));
        Assert.IsType<PeekResult.Error>(await replica.Controller.PeekAsync(Peek(Target, [Int8], 9)));
    }

    [Fact]
    public async Task A_plan_that_makes_no_sense_fails_alone()
    {
        await using var replica = await Replica.StartAsync(2);
        var shard = await TestShard.CreateAsync(replica.Persist, Source, [Int8]);
        await shard.AppendAsync(2, ([Int(1)], 1, 1));
        var senseless = new LirRelationExpr.Get(new Id.Global(GlobalId.User(77)), null, null, Mfp.Identity(1), [Int8]);
        await replica.Controller.RunAsync(IndexOf(Target, senseless, 1, []));
        Assert.Equal("XX000", Assert.IsType<PeekResult.Error>(await replica.Controller.PeekAsync(Peek(Target, [Int8], 1))).Reason.SqlState);
        await replica.Controller.RunAsync(IndexOf(GlobalId.User(3), Get(shard), 1, [shard]));
        Assert.IsType<PeekResult.Rows>(await replica.Controller.PeekAsync(Peek(GlobalId.User(3), [Int8], 1)));
    }

    private static MirScalarExpr Inverse => Call("div_int8", SqlType.Int64, Literal(10), Column(0));

    /// <summary>A shard that holds 5, and 10 divided by what it holds.</summary>
    private static async Task<(TestShard Shard, LirRelationExpr Plan)> InverseAsync(Replica replica)
    {
        var shard = await TestShard.CreateAsync(replica.Persist, Source, [Int8]);
        await shard.AppendAsync(2, ([Int(5)], 1, 1));
        return (shard, new LirRelationExpr.MapFilterProject(Get(shard), new Mfp(1, [Inverse], [], [1]), [NullableInt8]));
    }
}
