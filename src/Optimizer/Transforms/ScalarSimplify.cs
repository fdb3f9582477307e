using Materialize.Core.Collections;
using Materialize.Expr;
using Materialize.Repr;

namespace Materialize.Optimizer;

/// <summary>Scalar expressions in a plan are replaced by simpler ones with the same value on the rows they see.</summary>
public sealed class ScalarSimplify : LocalRewrite
{
    public override string Name => "scalar_simplify";

    protected override MirRelationExpr Rewrite(MirRelationExpr node, TransformContext context)
    {
        switch (node)
        {
            case MirRelationExpr.Map x:
                var columns = x.Input.TypeOf().Columns;
                var scalars = new List<MirScalarExpr>();
                foreach (var scalar in x.Scalars)
                {
                    scalars.Add(scalar.Simplify(columns));
                    columns = columns.Add(scalars[^1].TypeOf(columns));
                }

                return x with { Scalars = scalars.ToValueArray() };
            case MirRelationExpr.Filter x:
                var types = x.Input.TypeOf().Columns;
                var predicates = x.Predicates.SelectMany(p => Predicate(p.Simplify(types), types).Conjuncts()).Where(p => !p.IsLiteralTrue()).Distinct().ToValueArray();
                return predicates.IsEmpty ? x.Input : x with { Predicates = predicates };
            case MirRelationExpr.Join x:
                types = x.Inputs.SelectMany(i => i.TypeOf().Columns).ToValueArray();
                return x with { Equivalences = JoinEquivalences.Canonicalize(x.Equivalences.Select(c => c.Select(m => m.Simplify(types))), m => m.TypeOf(types).IsNullable) };
            case MirRelationExpr.FlatMap or MirRelationExpr.Reduce:
                types = node.Children.First().TypeOf().Columns;
                return MirScalars.MapScalars(node, s => s.Simplify(types));
            default:
                return node;
        }
    }

    /// <summary>Where null is as good as false: <c>x = x</c> is "x is not null", <c>is_true(p)</c> is p.</summary>
    private static MirScalarExpr Predicate(MirScalarExpr predicate, ValueArray<ColumnType> columns)
    {
        if (predicate is not MirScalarExpr.Call call)
            return predicate;
        if (call.Func == ScalarFunctions.Eq && call.Args[0] == call.Args[1])
            return ScalarExprs.IsNotNull(call.Args[0]).Simplify(columns);
        if (call.Func == ScalarFunctions.IsTrue)
            return Predicate(call.Args[0], columns);
        return call.Func == ScalarFunctions.And ? call with { Args = call.Args.Select(a => Predicate(a, columns)) } : predicate;
    }
}
