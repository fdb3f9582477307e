using Materialize.Core.Collections;
using Materialize.Expr;
using Materialize.Protocol;
using Materialize.Repr;
using Xunit;
using static Materialize.Compute.Tests.Plans;

namespace Materialize.Compute.Tests;

/// <summary>Nodes that random plans do not reach: temporal filters, table functions, collecting and collated aggregates, tables.</summary>
public sealed class NodeTests
{
    private static readonly GlobalId Source = GlobalId.User(1);
    private static readonly GlobalId Target = GlobalId.User(2);

    [Theory]
    [InlineData(1)]
    [InlineData(3)]
    public async Task A_temporal_filter_shows_rows_for_their_time_only(int workers)
    {
        await using var replica = await Replica.StartAsync(workers);
        var shard = await TestShard.CreateAsync(replica.Persist, Source, [SqlType.MzTimestamp.Nullable(false), SqlType.MzTimestamp.Nullable(false)]);
        await shard.AppendAsync(
            2, Enumerable.Range(0, 20).Select(i => ((ValueArray<Datum>)[Datum.FromUInt64((ulong)i), Datum.FromUInt64((ulong)(i + 3))], 1UL, 1L)));
        var now = new MirScalarExpr.CallUnmaterializable(UnmaterializableFunc.MzNow);
        var mfp = new Mfp(
            2, [], [new MfpPredicate(2, Call("lte", SqlType.Bool, Column(0), now)), new MfpPredicate(2, Call("lt", SqlType.Bool, now, Column(1)))], [0, 1]);
        var plan = new LirRelationExpr.MapFilterProject(Get(shard), mfp, shard.Columns);
        await replica.Controller.RunAsync(IndexOf(Target, plan, 1, [shard]));
        await shard.AppendAsync(30, ([Datum.FromUInt64(7), Datum.FromUInt64(10)], 8, -1));
        for (var time = 1UL; time < 25; time++)
        {
            var expected = shard.At(time).Where(r => r.Row[0].AsUInt64 <= time && time < r.Row[1].AsUInt64);
            await Check(replica, plan.Columns, time, Multiset(expected, plan.Columns));
        }
    }

    [Fact]
    public async Task Aggregates_of_all_kinds_are_collated()
    {
        await using var replica = await Replica.StartAsync(3);
        var shard = await TestShard.CreateAsync(replica.Persist, Source, [NullableText, NullableInt8]);
        await shard.AppendAsync(
            2,
            ([Str("a"), Int(1)], 1, 1), ([Str("a"), Int(3)], 1, 2), ([Datum.Null, Int(5)], 1, 1), ([Str("b"), Datum.Null], 1, 1), ([Str("b"), Datum.Null], 1, 1));
        LirAggregate Aggregate(AggregateFunc func, ReduceKind kind, SqlType output, bool distinct = false) =>
            new(new AggregateExpr(func, [Column(1)], distinct, output.Nullable(), [], []), kind);
        var list = new LirAggregate(
            new AggregateExpr(
                AggregateFunc.ListAgg, [Column(1)], false, SqlType.ListOf(SqlType.Int64).Nullable(), [new ColumnOrder(0, true, false)], [Column(1)]),
            ReduceKind.Basic);
        ValueArray<LirAggregate> aggregates =
        [
            Aggregate(AggregateFunc.Max, ReduceKind.Hierarchical, SqlType.Int64),
            Aggregate(AggregateFunc.Count, ReduceKind.Accumulable, SqlType.Int64),
            list,
            Aggregate(AggregateFunc.SumInt64, ReduceKind.Accumulable, SqlType.Numeric, distinct: true),
            Aggregate(AggregateFunc.Min, ReduceKind.Hierarchical, SqlType.Int64),
            Aggregate(AggregateFunc.SumInt64, ReduceKind.Accumulable, SqlType.Numeric),
        ];
        ValueArray<ColumnType> columns = [NullableText, .. aggregates.Select(a => a.Expr.Output)];
        var plan = new LirRelationExpr.Reduce(Get(shard), [Column(0)], aggregates, Mfp.Identity(columns.Count), columns);
        await replica.Controller.RunAsync(IndexOf(Target, plan, 1, [shard]));
        await shard.AppendAsync(4, ([Str("a"), Int(3)], 3, -2), ([Str("b"), Int(-2)], 3, 1));
        await Check(replica, columns, 1, ["a|3|3|{3,3,1}|4|1|7", "b|∅|0|{NULL,NULL}|∅|∅|∅", "∅|5|1|{5}|5|5|5"]);
        await Check(replica, columns, 3, ["a|1|1|{1}|1|1|1", "b|-2|1|{NULL,NULL,-2}|-2|-2|-2", "∅|5|1|{5}|5|5|5"]);
    }

    [Fact]
    public async Task A_long_series_comes_out_whole_and_goes_away_whole()
    {
        await using var replica = await Replica.StartAsync(2);
        var shard = await TestShard.CreateAsync(replica.Persist, Source, [Int8]);
        await shard.AppendAsync(2, ([Int(20_000)], 1, 1), ([Int(3)], 1, 2));
        var plan = new LirRelationExpr.FlatMap(
            Get(shard), TableFunc.GenerateSeriesInt64, null, [Literal(1), Column(0)], [Int8],
            new Mfp(2, [], [new MfpPredicate(2, Call("gt", SqlType.Bool, Column(1), Literal(2)))], [1]), [Int8]);
        await replica.Controller.RunAsync(IndexOf(Target, plan, 1, [shard]));
        await shard.AppendAsync(4, ([Int(20_000)], 2, -1));
        var first = Assert.IsType<PeekResult.Rows>(await replica.Controller.PeekAsync(Peek(Target, [Int8], 1)));
        Assert.Equal(19_998, first.Batch.Count);
        await Check(replica, [Int8], 2, new SortedDictionary<string, long> { ["3"] = 2 });
    }

    [Fact]
    public async Task An_invalid_table_function_call_is_an_error()
    {
        await using var replica = await Replica.StartAsync(1);
        var shard = await TestShard.CreateAsync(replica.Persist, Source, [Int8]);
        await shard.AppendAsync(2, ([Int(0)], 1, 1));
        var plan = new LirRelationExpr.FlatMap(
            Get(shard), TableFunc.GenerateSeriesInt64, null, [Literal(1), Literal(5), Column(0)], [Int8], Mfp.Identity(2), [Int8, Int8]);
        await replica.Controller.RunAsync(IndexOf(Target, plan, 1, [shard]));
        Assert.IsType<PeekResult.Error>(await replica.Controller.PeekAsync(Peek(Target, plan.Columns, 1)));
    }

    [Fact]
    public async Task A_limit_over_the_group_is_refused_by_the_reader_not_by_the_replica()
    {
        await using var replica = await Replica.StartAsync(2);
        var shard = await TestShard.CreateAsync(replica.Persist, Source, [Int8]);
        await shard.AppendAsync(2, ([Int(1)], 1, 1));
        var plan = new LirRelationExpr.TopK(Get(shard), [0], [], Column(0), 0, [Int8]);
        await replica.Controller.RunAsync(IndexOf(Target, plan, 1, [shard]));
        Assert.Equal("0A000", Assert.IsType<PeekResult.Error>(await replica.Controller.PeekAsync(Peek(Target, [Int8], 1))).Reason.SqlState);
    }

    [Fact]
    public async Task Windows_follow_their_rows_and_fail_while_one_is_there_less_than_never()
    {
        await using var replica = await Replica.StartAsync(2);
        var shard = await TestShard.CreateAsync(replica.Persist, Source, [Int8, NullableText]);
        await shard.AppendAsync(2, ([Int(1), Str("b")], 1, 1), ([Int(1), Str("d")], 1, 2), ([Int(2), Datum.Null], 1, 1), ([Int(2), Str("x")], 1, 1));
        var toPeers = new WindowRows(null, 0, ToPeers: true);
        ValueArray<WindowCall> calls =
        [
            new WindowCall.Number(WindowNumber.RowNumber, Int8), new WindowCall.Number(WindowNumber.Rank, Int8), new WindowCall.Neighbour(1, -1, null, NullableText),
            new WindowCall.Aggregate(AggregateFunc.Count, 1, toPeers, Int8), new WindowCall.Edge(0, IsFirst: false, new WindowRows(-1, null, false), SqlType.Int64.Nullable()),
        ];
        ValueArray<ColumnType> columns = [Int8, NullableText, .. calls.Select(c => c.Output)];
        var plan = new LirRelationExpr.Window(Get(shard), [0], [new ColumnOrder(1, Descending: true, NullsLast: true)], calls, columns);
        await replica.Controller.RunAsync(IndexOf(Target, plan, 1, [shard]));
        await shard.AppendAsync(5, ([Int(1), Str("c")], 2, 1), ([Int(2), Str("x")], 2, -1), ([Int(1), Str("d")], 3, -3), ([Int(1), Str("d")], 4, 1));
        await Check(replica, columns, 1, ["1|d|1|1|∅|2|1", "1|d|2|1|d|2|1", "1|b|3|3|d|3|1", "2|x|1|1|∅|1|2", "2|∅|2|2|x|1|2"]);
        await Check(replica, columns, 2, ["1|d|1|1|∅|2|1", "1|d|2|1|d|2|1", "1|c|3|3|d|3|1", "1|b|4|4|c|4|1", "2|∅|1|1|∅|0|2"]);
        Assert.Equal("XX000", Assert.IsType<PeekResult.Error>(await replica.Controller.PeekAsync(Peek(Target, columns, 3))).Reason.SqlState);
        await Check(replica, columns, 4, ["1|c|1|1|∅|1|1", "1|b|2|2|c|2|1", "2|∅|1|1|∅|0|2"]);
    }

    [Fact]
    public async Task Literal_keys_of_an_index_are_joined_not_scanned()
    {
        await using var replica = await Replica.StartAsync(3);
        var shard = await TestShard.CreateAsync(replica.Persist, Source, [Int8, NullableText]);
        await shard.AppendAsync(2, Enumerable.Range(0, 50).Select(i => ((ValueArray<Datum>)[Int(i % 7), Str($"{i}")], 1UL, 1L)));
        var first = IndexOf(GlobalId.User(9), Get(shard), 1, [shard], Key(0));
        await replica.Controller.RunAsync(first);
        var get = new LirRelationExpr.Get(
            new Id.Global(first.IndexExports[0].Desc.OnId), Key(0), (ValueArray<ValueArray<Datum>>)[[Int(3)], [Int(5)], [Int(70)]], Mfp.Identity(2), shard.Columns);
        var second = IndexOf(Target, get, 1, []) with
        {
            IndexImports = [new IndexImport(GlobalId.User(9), first.IndexExports[0].Desc, new RelationType(shard.Columns))],
        };
        await replica.Controller.RunAsync(second);
        await shard.AppendAsync(5, ([Int(3), Str("new")], 3, 1), ([Int(4), Str("new")], 3, 1));
        foreach (var time in (ulong[])[1, 4])
            await Check(replica, shard.Columns, time, Multiset(shard.At(time).Where(r => r.Row[0].AsInt64 is 3 or 5), shard.Columns));
    }

    private static async Task Check(Replica replica, ValueArray<ColumnType> columns, ulong time, SortedDictionary<string, long> expected)
    {
        var result = await replica.Controller.PeekAsync(Peek(Target, columns, time));
        Assert.Equal(expected, Decode(Assert.IsType<PeekResult.Rows>(result).Batch, columns));
    }

    private static Task Check(Replica replica, ValueArray<ColumnType> columns, ulong time, IEnumerable<string> expected) =>
        Check(replica, columns, time, new SortedDictionary<string, long>(expected.ToDictionary(e => e, _ => 1L), StringComparer.Ordinal));
}
