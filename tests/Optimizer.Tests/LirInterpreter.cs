using System.Diagnostics;
using Materialize.Core.Collections;
using Materialize.Expr;
using Materialize.Protocol;
using Materialize.Repr;

namespace Materialize.Optimizer.Tests;

/// <summary>
/// The rows of a LIR plan, from scratch, as plainly as possible: it pins what the renderer must do. Lookups match key rows as bytes
/// would: null finds null.
/// </summary>
public sealed class LirInterpreter(IReadOnlyDictionary<GlobalId, Multiset> collections)
{
    private readonly Dictionary<Id, Multiset> _named = [];
    private readonly Dictionary<Id, ValueArray<ColumnType>> _columns = [];

    /// <summary>The rows of each object of the dataflow; those of an index on an import are the import's.</summary>
    public Dictionary<GlobalId, Multiset> Run(DataflowDescription dataflow)
    {
        foreach (var import in dataflow.SourceImports)
            Define(new Id.Global(import.Id), Apply(import.Mfp, collections[import.Id], import.Columns), import.Columns);
        foreach (var import in dataflow.IndexImports)
            Define(new Id.Global(import.Desc.OnId), collections[import.Desc.OnId], import.Type.Columns);
        var objects = new Dictionary<GlobalId, Multiset>();
        foreach (var built in dataflow.Objects)
        {
            objects[built.Id] = Eval(built.Plan);
            Define(new Id.Global(built.Id), objects[built.Id], built.Plan.Columns);
        }

        return objects;
    }

    public Multiset Eval(LirRelationExpr expr) => Checked(Rows(expr), expr.Columns);

    private void Define(Id id, Multiset rows, ValueArray<ColumnType> columns)
    {
        _named[id] = rows;
        _columns[id] = columns;
    }

    private static Multiset Checked(Multiset rows, ValueArray<ColumnType> columns)
    {
        foreach (var (row, _) in rows.Rows)
        {
            if (row.Length != columns.Count)
                throw new InvalidOperationException("the row's arity is not the node's");
            if (Enumerable.Range(0, row.Length).Any(i => row[i].IsNull && !columns[i].IsNullable))
                throw new InvalidOperationException($"({Multiset.Key(row)}) has a null where the layout has none");
        }

        return rows;
    }

    private static void Same(ValueArray<ColumnType> expected, ValueArray<ColumnType> actual, string what)
    {
        if (expected != actual)
            throw new InvalidOperationException($"{what}: expected {expected}, found {actual}");
    }

    private Multiset Rows(LirRelationExpr expr)
    {
        switch (expr)
        {
            case LirRelationExpr.Constant x:
                var constant = new Multiset();
                foreach (var row in x.Rows)
                    constant.Add([.. row.Values], row.Diff);
                return constant;
            case LirRelationExpr.Get x:
                var rows = _named[x.Id];
                if (x.Literals is { } literals)
                {
                    var keys = literals.Select(l => Multiset.Key(l)).AsEnumerable().ToList();
                    Xunit.Assert.Equal(keys.Count, keys.Distinct().Count());
                    rows = Relations.Select(rows, row => keys.Contains(Multiset.Key(x.Key!.Exprs.Select(k => Scalars.Eval(k, row)))) ? [row] : []);
                }

                if (x.Mfp.IsIdentity)
                    Same(_columns[x.Id], x.Columns, "get");
                return Apply(x.Mfp, rows, x.Columns);
            case LirRelationExpr.Let x:
                Define(new Id.Local(x.LocalId), Eval(x.Value), x.Value.Columns);
                Same(x.Body.Columns, x.Columns, "let");
                return Eval(x.Body);
            case LirRelationExpr.LetRec x:
                Same(x.Body.Columns, x.Columns, "recursion");
                return Rounds.Run(
                    x.Bindings.Count,
                    x.Bindings[0].Limit,
                    i => Eval(x.Bindings[i].Value),
                    (i, rows) => Define(new Id.Local(x.Bindings[i].LocalId), rows, x.Bindings[i].Value.Columns),
                    () => Eval(x.Body));
            case LirRelationExpr.MapFilterProject x:
                return Apply(x.Mfp, Eval(x.Input), x.Columns);
            case LirRelationExpr.FlatMap x:
                ValueArray<ColumnType> wide = [.. x.Input.Columns, .. x.FuncColumns];
                return Apply(x.MfpAfter, Checked(Relations.FlatMap(Eval(x.Input), x.Func, x.Args), wide), x.Columns);
            case LirRelationExpr.Join x:
                return Join(x);
            case LirRelationExpr.Reduce x:
                foreach (var aggregate in x.Aggregates)
                    Xunit.Assert.False(aggregate.Expr.Distinct && aggregate.Kind == ReduceKind.Hierarchical);
                ValueArray<ColumnType> grouped = [.. x.GroupKey.Select(k => k.TypeOf(x.Input.Columns)), .. x.Aggregates.Select(a => a.Expr.Output)];
                return Apply(x.MfpAfter, Checked(Relations.Reduce(Eval(x.Input), x.GroupKey, [.. x.Aggregates.Select(a => a.Expr)]), grouped), x.Columns);
            case LirRelationExpr.TopK x:
                Same(x.Input.Columns, x.Columns, "top k");
                return Relations.TopK(Eval(x.Input), x.GroupKey, x.OrderKey, x.Limit, x.Offset);
            case LirRelationExpr.Window x:
                return Relations.Window(Eval(x.Input), x.PartitionKey, x.OrderKey, x.Calls);
            case LirRelationExpr.Negate x:
                Same(x.Input.Columns, x.Columns, "negate");
                return Relations.Select(Eval(x.Input), row => [row], -1);
            case LirRelationExpr.Threshold x:
                Same(x.Input.Columns, x.Columns, "threshold");
                return Relations.Threshold(Eval(x.Input));
            case LirRelationExpr.Union x:
                foreach (var input in x.Inputs)
                    Same(input.Columns, x.Columns, "union");
                return Relations.Union(x.Inputs.Select(Eval));
            case LirRelationExpr.ArrangeBy x:
                Same(x.Input.Columns, x.Columns, "arrange");
                return Eval(x.Input);
            default:
                throw new UnreachableException();
        }
    }

    private Multiset Join(LirRelationExpr.Join x)
    {
        var inputs = x.Inputs.Select(Eval);
        if (x.Plan is LirJoinPlan.Linear linear)
        {
            if (linear.SourceKey is not null)
            {
                Xunit.Assert.True(linear.Initial.IsIdentity);
                Xunit.Assert.Equal(linear.SourceKey.Exprs, linear.Stages[0].StreamKey);
            }

            return Path(x, inputs, linear.Source, linear.Initial, linear.Stages);
        }

        var delta = (LirJoinPlan.Delta)x.Plan;
        Xunit.Assert.Equal(Enumerable.Range(0, x.Inputs.Count), delta.Paths.Select(p => p.Source).AsEnumerable());
        var results = delta.Paths.Select(p => Path(x, inputs, p.Source, p.Initial, p.Stages));
        foreach (var result in results)
            Xunit.Assert.Equal(results[0].ToString(), result.ToString());
        return results[0];
    }

    private static Multiset Path(LirRelationExpr.Join x, ValueArray<Multiset> inputs, int source, Mfp initial, ValueArray<LirJoinStage> stages)
    {
        var stream = Apply(initial, inputs[source], stages[0].StreamColumns);
        foreach (var stage in stages)
        {
            Checked(stream, stage.StreamColumns);
            var arranged = inputs[stage.Input].Rows.ToLookup(r => Multiset.Key(stage.LookupKey.Exprs.Select(k => Scalars.Eval(k, r.Row))));
            var joined = new Multiset();
            foreach (var (row, diff) in stream.Rows)
            {
                foreach (var (found, times) in arranged[Multiset.Key(stage.StreamKey.Select(k => Scalars.Eval(k, row)))])
                    joined.Add([.. row, .. found], diff * times);
            }

            stream = Apply(stage.Closure, joined, stage.Output);
        }

        Same(stages[^1].Output, x.Columns, "join");
        return stream;
    }

    private static Multiset Apply(Mfp mfp, Multiset input, ValueArray<ColumnType> columns) => Checked(
        Relations.Select(input, row =>
        {
            var values = row.ToList();
            var next = 0;
            foreach (var predicate in mfp.Predicates)
            {
                for (; next < predicate.Before - mfp.InputArity; next++)
                    values.Add(Scalars.Eval(mfp.Maps[next], values));
                if (!Scalars.Holds(predicate.Expr, values))
                    return [];
            }

            for (; next < mfp.Maps.Count; next++)
                values.Add(Scalars.Eval(mfp.Maps[next], values));
            return [[.. mfp.Projection.Select(c => values[c])]];
        }),
        columns);
}
