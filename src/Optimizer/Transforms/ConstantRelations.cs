using System.Runtime.InteropServices;
using Materialize.Core.Collections;
using Materialize.Expr;
using Materialize.Repr;

namespace Materialize.Optimizer;

/// <summary>
/// What is computed from constants alone is a constant, within a limit of rows; if computing it fails, it is the constant error. What
/// depends on session or time is left.
/// </summary>
public sealed class ConstantRelations : LocalRewrite
{
    public override string Name => "constant_relations";

    protected override MirRelationExpr Rewrite(MirRelationExpr node, TransformContext context)
    {
        if (node is MirRelationExpr.Constant or MirRelationExpr.Get or MirRelationExpr.Let or MirRelationExpr.ArrangeBy)
            return node;
        var inputs = new List<MirRelationExpr.Constant>();
        foreach (var child in node.Children)
        {
            if (child is not MirRelationExpr.Constant constant || constant.Rows.Count > context.ConstantRowsMax)
                return node;
            inputs.Add(constant);
        }

        if (!MirScalars.Scalars(node).All(ConstantFolding.CanEvaluate))
            return node;
        try
        {
            return node switch
            {
                MirRelationExpr.Project or MirRelationExpr.Map or MirRelationExpr.Filter when inputs[0].Error is { } error => Error(node, error),
                _ when inputs.Any(i => i.Error is not null) => node,
                MirRelationExpr.Project x => Project(x, inputs[0]),
                MirRelationExpr.Map x => Map(x, inputs[0]),
                MirRelationExpr.Filter x => Filter(x, inputs[0]),
                MirRelationExpr.Join x => Join(x, inputs, context.ConstantRowsMax) ?? node,
                MirRelationExpr.Union => Constant(node, inputs.SelectMany(i => i.Rows)),
                MirRelationExpr.Negate => Constant(node, inputs[0].Rows.Select(r => r with { Diff = -r.Diff })),
                MirRelationExpr.Threshold => Constant(node, Consolidate(inputs[0].Rows).Where(r => r.Diff > 0)),
                MirRelationExpr.Reduce { Aggregates.IsEmpty: true } x when inputs[0].Rows.All(r => r.Diff > 0) => Distinct(x, inputs[0]),
                _ => node,
            };
        }
        catch (EvalException e)
        {
            return Error(node, e.Error);
        }
    }

    private static MirRelationExpr Error(MirRelationExpr node, EvalError error) =>
        new MirRelationExpr.Constant([], node.TypeOf() with { Keys = [] }, error);

    /// <summary>A constant of the node's type, but for keys: those are seen in the rows.</summary>
    private static MirRelationExpr.Constant Constant(MirRelationExpr node, IEnumerable<ConstantRow> rows) =>
        new(Consolidate(rows), new RelationType(node.TypeOf().Columns));

    private static ValueArray<ConstantRow> Consolidate(IEnumerable<ConstantRow> rows)
    {
        var sums = new Dictionary<ValueArray<Datum>, long>();
        var order = new List<ValueArray<Datum>>();
        foreach (var row in rows)
        {
            ref var sum = ref CollectionsMarshal.GetValueRefOrAddDefault(sums, row.Values, out var exists);
            sum += row.Diff;
            if (!exists)
                order.Add(row.Values);
        }

        return order.Where(v => sums[v] != 0).Select(v => new ConstantRow(v, sums[v])).ToValueArray();
    }

    private static MirRelationExpr Project(MirRelationExpr.Project x, MirRelationExpr.Constant input) =>
        Constant(x, input.Rows.Select(r => r with { Values = x.Outputs.Select(o => r.Values[o]) }));

    private static MirRelationExpr Map(MirRelationExpr.Map x, MirRelationExpr.Constant input)
    {
        var columns = input.Type.Columns;
        var programs = new List<ScalarProgram>();
        foreach (var scalar in x.Scalars)
        {
            programs.Add(Interpreter.Prepare(scalar, columns));
            columns = columns.Add(scalar.TypeOf(columns));
        }

        return Constant(x, input.Rows.Select(row =>
        {
            var values = new List<Datum>(row.Values);
            foreach (var program in programs)
                values.Add(program.Eval(CollectionsMarshal.AsSpan(values)));
            return row with { Values = values.ToValueArray() };
        }).AsEnumerable().ToList());
    }

    private static MirRelationExpr Filter(MirRelationExpr.Filter x, MirRelationExpr.Constant input)
    {
        var program = Interpreter.Prepare(ScalarExprs.And(x.Predicates), input.Type.Columns);
        return Constant(x, input.Rows.Where(r => program.Eval(r.Values.AsSpan()) is { IsNull: false } holds && holds.AsBool).ToList());
    }

    /// <summary>The product, filtered; null if it is too large.</summary>
    private static MirRelationExpr? Join(MirRelationExpr.Join x, List<MirRelationExpr.Constant> inputs, int rowsMax)
    {
        if (inputs.Aggregate(1L, (product, i) => Math.Min(rowsMax + 1L, product * i.Rows.Count)) > rowsMax)
            return null;
        var columns = inputs.SelectMany(i => i.Type.Columns).ToValueArray();
        var tests = x.Equivalences.SelectMany(c => c.Select(m => ScalarExprs.Eq(c[0], m))).ToList();
        var program = Interpreter.Prepare(ScalarExprs.And(tests), columns);
        IEnumerable<ConstantRow> product = [new ConstantRow([], 1)];
        foreach (var input in inputs)
            product = product.SelectMany(p => input.Rows.Select(r => new ConstantRow([.. p.Values, .. r.Values], p.Diff * r.Diff)));
        return Constant(x, product.Where(r => program.Eval(r.Values.AsSpan()) is { IsNull: false } holds && holds.AsBool).ToList());
    }

    private static MirRelationExpr Distinct(MirRelationExpr.Reduce x, MirRelationExpr.Constant input)
    {
        var programs = x.GroupKey.Select(k => Interpreter.Prepare(k, input.Type.Columns));
        var keys = input.Rows.Select(r => programs.Select(p => p.Eval(r.Values.AsSpan()))).AsEnumerable().Distinct();
        return Constant(x, keys.Select(k => new ConstantRow(k, 1)).ToList());
    }
}
