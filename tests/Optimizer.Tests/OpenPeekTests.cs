using Materialize.Core.Collections;
using Materialize.Expr;
using Materialize.Protocol;
using Materialize.Repr;
using Xunit;

namespace Materialize.Optimizer.Tests;

/// <summary>
/// Goal: a lookup planned once for all values answers as the query does with each of them. Method: random predicates of columns,
/// parameters and literals over an indexed table; the oracle evaluates the query's own predicate, row by row.
/// </summary>
public class OpenPeekTests
{
    private static readonly GlobalId Table = GlobalId.User(1);
    private static readonly SqlType Int = SqlType.Int64;
    private static readonly ValueArray<ColumnType> Columns = [Int.Nullable(), Int.Nullable(false), Int.Nullable()];

    [Fact]
    public void A_bound_lookup_answers_as_the_query_with_its_values()
    {
        var (lookups, scans, failures) = (0, 0, 0);
        for (var seed = 0; seed < 1000; seed++)
        {
            var random = new Random(seed);
            var catalog = new TestCatalog(random);
            var parameters = random.Next(1, 4);
            var predicates = Enumerable.Range(0, random.Next(1, 3)).Select(_ => Predicate(random, parameters, 2)).ToValueArray();
            MirRelationExpr query = new MirRelationExpr.Filter(new MirRelationExpr.Get(new Id.Global(Table), new RelationType(Columns)), predicates);
            if (random.Next(3) == 0)
                query = new MirRelationExpr.Map(query, [Operand(random, parameters)]);
            if (random.Next(3) == 0)
                query = new MirRelationExpr.Project(query, [2, 0]);
            var columns = query.TypeOf().Columns;
            var types = Enumerable.Repeat(Int, parameters).ToValueArray();
            if (PeekPlanning.PlanOpen(catalog, query, columns, types) is not { } open)
                continue;
            for (var round = 0; round < 4; round++)
            {
                Datum[] values = [.. Enumerable.Range(0, parameters).Select(_ => Value(random))];
                if (open.Bind(values) is not { } bound)
                {
                    failures++;
                    continue;
                }

                Assert.DoesNotContain(Scalars(bound), s => s.Any(e => e is MirScalarExpr.Parameter));
                if (bound is PeekPlan.FastPathIndex index)
                    _ = index.LiteralKeys is null ? scans++ : lookups++;

                // An error that only evaluating more than is needed would meet may be left out, here as by any other plan.
                if (Expected(query, values) is { } expected)
                    Assert.Equal(expected, Answer(bound, catalog));
            }
        }

        Assert.True(lookups > 100 && scans > 100 && failures > 3, $"{lookups} lookups, {scans} scans, {failures} that need planning");
    }

    [Fact]
    public void A_null_key_finds_nothing_and_equal_keys_are_looked_up_once()
    {
        var catalog = new TestCatalog([new AvailableIndex(GlobalId.User(2), Table, new ArrangementKey([ScalarExprs.Column(0)]))]);
        var either = ScalarExprs.Bool(ScalarFunctions.Or, Eq(0, new MirScalarExpr.Parameter(1, Int)), Eq(0, new MirScalarExpr.Parameter(2, Int)));
        var query = new MirRelationExpr.Filter(new MirRelationExpr.Get(new Id.Global(Table), new RelationType(Columns)), [either]);
        var open = PeekPlanning.PlanOpen(catalog, query, Columns, [Int, Int])!;
        Assert.Equal(0, Assert.IsType<PeekPlan.Constant>(open.Bind([Datum.Null, Datum.Null])).Rows.Count);
        Assert.Equal(1, Assert.IsType<PeekPlan.FastPathIndex>(open.Bind([Datum.FromInt64(3), Datum.Null])).LiteralKeys!.Value.Count);
        Assert.Equal(1, Assert.IsType<PeekPlan.FastPathIndex>(open.Bind([Datum.FromInt64(3), Datum.FromInt64(3)])).LiteralKeys!.Value.Count);
        Assert.Equal(2, Assert.IsType<PeekPlan.FastPathIndex>(open.Bind([Datum.FromInt64(3), Datum.FromInt64(4)])).LiteralKeys!.Value.Count);
    }

    private static MirScalarExpr Eq(int column, MirScalarExpr to) => ScalarExprs.Eq(ScalarExprs.Column(column), to);

    private static Datum Value(Random random) => random.Next(6) == 0 ? Datum.Null : Datum.FromInt64(random.Next(0, 5));

    private static MirScalarExpr Predicate(Random random, int parameters, int depth)
    {
        if (depth > 0 && random.Next(2) == 0)
        {
            var func = random.Next(2) == 0 ? ScalarFunctions.And : ScalarFunctions.Or;
            return ScalarExprs.Bool(func, [.. Enumerable.Range(0, random.Next(2, 4)).Select(_ => Predicate(random, parameters, depth - 1))]);
        }

        if (random.Next(8) == 0)
            return ScalarExprs.Bool(ScalarFunctions.IsNull, Operand(random, parameters));
        var column = ScalarExprs.Column(random.Next(Columns.Count));
        return random.Next(5) == 0
            ? ScalarExprs.Bool(ScalarFunctions.Lt, column, Operand(random, parameters))
            : ScalarExprs.Eq(column, Operand(random, parameters));
    }

    private static MirScalarExpr Operand(Random random, int parameters)
    {
        MirScalarExpr parameter = new MirScalarExpr.Parameter(random.Next(1, parameters + 1), Int);
        return random.Next(6) switch
        {
            0 => ScalarExprs.Column(random.Next(Columns.Count)),
            1 => new MirScalarExpr.Literal(Datum.FromInt64(random.Next(0, 5)), Int.Nullable(false)),
            2 => ScalarExprs.Call(ScalarFunctions.ById("div_int8"), Int, new MirScalarExpr.Literal(Datum.FromInt64(4), Int.Nullable(false)), parameter),
            _ => parameter,
        };
    }

    private static IEnumerable<MirScalarExpr> Scalars(PeekPlan plan) =>
        plan is PeekPlan.FastPathIndex x ? [.. x.Mfp.Maps, .. x.Mfp.Predicates.Select(p => p.Expr)] : [];

    private static IEnumerable<Datum[]> Rows()
    {
        for (var i = 0; i < 6; i++)
        {
            for (var j = 0; j < 5; j++)
            {
                for (var k = 0; k < 6; k++)
                    yield return [i == 5 ? Datum.Null : Datum.FromInt64(i), Datum.FromInt64(j), k == 5 ? Datum.Null : Datum.FromInt64(k)];
            }
        }
    }

    /// <summary>The rows of the query as it was written, its parameters replaced; null if it fails on one.</summary>
    private static List<string>? Expected(MirRelationExpr query, Datum[] values)
    {
        try
        {
            return [.. Of(query).Select(Multiset.Key).Order(StringComparer.Ordinal)];
        }
        catch (EvalException)
        {
            return null;
        }

        List<Datum[]> Of(MirRelationExpr expr) => expr switch
        {
            MirRelationExpr.Filter x => [.. Of(x.Input).Where(row => x.Predicates.All(p => Eval(p, row) is { IsNull: false } holds && holds.AsBool))],
            MirRelationExpr.Map x => [.. Of(x.Input).Select(row => row.Append(Eval(x.Scalars[0], row)).ToArray())],
            MirRelationExpr.Project x => [.. Of(x.Input).Select(row => x.Outputs.Select(o => row[o]).ToArray())],
            _ => [.. Rows()],
        };

        Datum Eval(MirScalarExpr expr, Datum[] row) => Interpreter.Eval(
            expr.Replace(e => e is MirScalarExpr.Parameter p ? new MirScalarExpr.Literal(values[p.Number - 1], Int.Nullable()) : null), Columns, row);
    }

    private static List<string> Answer(PeekPlan plan, TestCatalog catalog)
    {
        var answer = new List<string>();
        if (plan is PeekPlan.Constant constant)
            return [.. constant.Rows.Select(r => Multiset.Key(r.Values)).Order(StringComparer.Ordinal)];
        var read = Assert.IsType<PeekPlan.FastPathIndex>(plan);
        var key = catalog.IndexesOn(Table).Single(i => i.Id == read.IndexId).Key;
        var program = MfpProgram.Prepare(read.Mfp, Columns);
        foreach (var row in Rows())
        {
            if (read.LiteralKeys is { } keys && !keys.Contains(key.Exprs.Select(e => Interpreter.Eval(e, Columns, row))))
                continue;
            var buffer = new Datum[program.Columns.Count];
            row.CopyTo(buffer, 0);
            var outcome = program.Run(buffer, out _, out _, out var error);
            Assert.Null(error);
            if (outcome == MfpOutcome.Kept)
                answer.Add(Multiset.Key(read.Mfp.Projection.Select(c => buffer[c])));
        }

        answer.Sort(StringComparer.Ordinal);
        return answer;
    }

    private sealed class TestCatalog(IReadOnlyList<AvailableIndex> indexes) : IDataflowCatalog
    {
        public TestCatalog(Random random)
            : this([.. Enumerable.Range(0, random.Next(1, 3)).Select(i => new AvailableIndex(
                GlobalId.User((ulong)i + 2),
                Table,
                new ArrangementKey(Enumerable.Range(0, 3).OrderBy(_ => random.Next()).Take(random.Next(1, 3)).Select(ScalarExprs.Column).ToValueArray())))])
        {
        }

        public IReadOnlyList<AvailableIndex> IndexesOn(GlobalId id) => indexes;

        public CollectionSource Describe(GlobalId id) => new CollectionSource.Storage(new RelationType(Columns));
    }
}
