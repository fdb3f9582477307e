using Materialize.Core.Collections;
using Materialize.Expr;
using Materialize.Repr;
using Xunit;

namespace Materialize.Optimizer.Tests;

/// <summary>
/// Goal: rows prepared once for all values are those of the query with each of them. Method: random maps, projections and unions over constants; the
/// oracle evaluates the query itself, its parameters replaced by literals.
/// </summary>
public class OpenRowsTests
{
    private static readonly SqlType Int = SqlType.Int64;
    private static readonly ValueArray<SqlType> Parameters = [Int, Int];

    [Fact]
    public void Rows_with_values_are_those_of_the_query_with_its_values()
    {
        var (same, failures, environments) = (0, 0, 0);
        for (var seed = 0; seed < 500; seed++)
        {
            var random = new Random(seed);
            var query = Relation(random, 3);
            var open = OpenRows.Of(query, Parameters);
            Assert.NotNull(open);
            for (var round = 0; round < 4; round++)
            {
                Datum[] values = [Value(random), Value(random)];
                List<string>? expected;
                try
                {
                    expected = [.. Rows(query, values).Select(Multiset.Key)];
                }
                catch (EvalException)
                {
                    expected = null;
                }

                var actual = open.TryEval(values, f => f == UnmaterializableFunc.PgBackendPid ? new MirScalarExpr.Literal(Datum.FromInt64(17), SqlType.Int32.Nullable(false)) : null);

                // An error that only evaluating more than is needed would meet may be left out, here as by any other plan.
                if (expected is not null)
                    Assert.Equal(expected, actual?.Select(r => Multiset.Key(r)));
                failures += actual is null ? 1 : 0;
                same += expected is not null ? 1 : 0;
                environments += Unmaterializable.In(query).Count;
            }
        }

        Assert.True(same > 500 && failures > 20 && environments > 100, $"{same} the same, {failures} fail, {environments} ask for the session");
    }

    [Fact]
    public void What_reads_or_filters_or_has_no_value_yet_is_left_to_planning()
    {
        var one = new MirRelationExpr.Constant([new ConstantRow([Datum.FromInt64(1)], 1)], new RelationType([Int.Nullable(false)]));
        Assert.Null(OpenRows.Of(new MirRelationExpr.Get(new Id.Global(GlobalId.User(1)), new RelationType([Int.Nullable(false)])), []));
        Assert.Null(OpenRows.Of(new MirRelationExpr.Filter(one, [MirScalarExpr.True]), []));
        Assert.Null(OpenRows.Of(one with { Error = new EvalError("22012", "division by zero") }, []));
        var now = OpenRows.Of(new MirRelationExpr.Map(one, [new MirScalarExpr.CallUnmaterializable(UnmaterializableFunc.MzNow)]), []);
        Assert.Null(now!.TryEval([], _ => null));
    }

    private static Datum Value(Random random) => random.Next(6) == 0 ? Datum.Null : Datum.FromInt64(random.Next(0, 5));

    private static MirRelationExpr Relation(Random random, int arity)
    {
        if (random.Next(4) == 0)
            return new MirRelationExpr.Union(Relation(random, arity), [Relation(random, arity)]);
        var width = random.Next(0, 3);
        MirRelationExpr relation = new MirRelationExpr.Constant(
            Enumerable.Range(0, random.Next(1, 3)).Select(_ => new ConstantRow(Enumerable.Range(0, width).Select(_ => Value(random)).ToValueArray(), random.Next(1, 3))).ToValueArray(),
            new RelationType(Enumerable.Repeat(Int.Nullable(), width).ToValueArray()));
        var scalars = new List<MirScalarExpr>();
        for (var i = 0; i < random.Next(1, 4); i++)
            scalars.Add(Scalar(random, width + i, 2));
        relation = new MirRelationExpr.Map(relation, scalars.ToValueArray());
        return new MirRelationExpr.Project(relation, Enumerable.Range(0, arity).Select(_ => random.Next(width + scalars.Count)).ToValueArray());
    }

    private static MirScalarExpr Scalar(Random random, int columns, int depth) => random.Next(depth > 0 ? 6 : 3) switch
    {
        0 when columns > 0 => ScalarExprs.Column(random.Next(columns)),
        0 or 1 => new MirScalarExpr.Parameter(random.Next(1, 3), Int),
        2 => random.Next(4) == 0
            ? ScalarExprs.Call(ScalarFunctions.ById("cast_int4_to_int8"), Int, new MirScalarExpr.CallUnmaterializable(UnmaterializableFunc.PgBackendPid))
            : new MirScalarExpr.Literal(Value(random), Int.Nullable()),
        3 => new MirScalarExpr.If(
            ScalarExprs.Bool(ScalarFunctions.IsNull, Scalar(random, columns, depth - 1)), Scalar(random, columns, depth - 1), Scalar(random, columns, depth - 1)),
        _ => ScalarExprs.Call(ScalarFunctions.ById("div_int8"), Int, Scalar(random, columns, depth - 1), Scalar(random, columns, depth - 1)),
    };

    private static List<Datum[]> Rows(MirRelationExpr query, Datum[] parameters)
    {
        switch (query)
        {
            case MirRelationExpr.Constant x:
                return [.. x.Rows.SelectMany(r => Enumerable.Repeat(r.Values.AsSpan().ToArray(), (int)r.Diff))];
            case MirRelationExpr.Map x:
                var columns = x.Input.TypeOf().Columns;
                var rows = Rows(x.Input, parameters);
                foreach (var scalar in x.Scalars)
                {
                    var bound = scalar.Replace(e => e switch
                    {
                        MirScalarExpr.Parameter p => new MirScalarExpr.Literal(parameters[p.Number - 1], Int.Nullable()),
                        MirScalarExpr.CallUnmaterializable => new MirScalarExpr.Literal(Datum.FromInt64(17), SqlType.Int32.Nullable(false)),
                        _ => null,
                    });
                    rows = [.. rows.Select(row => (Datum[])[.. row, Interpreter.Eval(bound, columns, row)])];
                    columns = columns.Add(bound.TypeOf(columns));
                }

                return rows;
            case MirRelationExpr.Project x:
                return [.. Rows(x.Input, parameters).Select(row => x.Outputs.Select(i => row[i]).ToArray())];
            case MirRelationExpr.Union x:
                return [.. Rows(x.Base, parameters), .. x.Inputs.SelectMany(i => Rows(i, parameters))];
            default:
                throw new System.Diagnostics.UnreachableException();
        }
    }
}
