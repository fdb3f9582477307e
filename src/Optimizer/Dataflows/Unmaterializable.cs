using System.Diagnostics;
using Materialize.Expr;

namespace Materialize.Optimizer;

/// <summary>Gives functions of session and time their values.</summary>
public static class Unmaterializable
{
    /// <summary>Every call for which <paramref name="environment"/> gives a value is replaced by it.</summary>
    public static MirRelationExpr Substitute(MirRelationExpr plan, Func<UnmaterializableFunc, MirScalarExpr?> environment) =>
        MirScalars.MapScalars(
            plan.MapInputs(input => Substitute(input, environment)),
            scalar => scalar.Replace(e => e is MirScalarExpr.CallUnmaterializable call ? environment(call.Func) : null));

    /// <summary>The functions of session and time that the plan calls.</summary>
    public static IReadOnlySet<UnmaterializableFunc> In(MirRelationExpr plan)
    {
        var found = new HashSet<UnmaterializableFunc>();
        Visit(plan);
        return found;

        void Visit(MirRelationExpr expr)
        {
            foreach (var scalar in MirScalars.Scalars(expr))
                scalar.Any(e => e is MirScalarExpr.CallUnmaterializable call && !found.Add(call.Func) && false);
            foreach (var child in expr.Children)
                Visit(child);
        }
    }
}

/// <summary>The scalar expressions of one relational node.</summary>
public static class MirScalars
{
    /// <summary>The node with <paramref name="f"/> applied to each of its scalar expressions; inputs stay.</summary>
    public static MirRelationExpr MapScalars(MirRelationExpr expr, Func<MirScalarExpr, MirScalarExpr> f) => expr switch
    {
        MirRelationExpr.Map x => x with { Scalars = x.Scalars.Select(f) },
        MirRelationExpr.FlatMap x => x with { Args = x.Args.Select(f) },
        MirRelationExpr.Filter x => x with { Predicates = x.Predicates.Select(f) },
        MirRelationExpr.Join x => x with { Equivalences = x.Equivalences.Select(c => c.Select(f)) },
        MirRelationExpr.Reduce x => x with
        {
            GroupKey = x.GroupKey.Select(f),
            Aggregates = x.Aggregates.Select(a => a with { Args = a.Args.Select(f), OrderKeys = a.OrderKeys.Select(f) }),
        },
        MirRelationExpr.TopK { Limit: { } limit } x => x with { Limit = f(limit) },
        MirRelationExpr.ArrangeBy x => x with { Keys = x.Keys.Select(k => k.Select(f)) },
        _ => expr,
    };

    public static IEnumerable<MirScalarExpr> Scalars(MirRelationExpr expr) => expr switch
    {
        MirRelationExpr.Map x => x.Scalars,
        MirRelationExpr.FlatMap x => x.Args,
        MirRelationExpr.Filter x => x.Predicates,
        MirRelationExpr.Join x => x.Equivalences.SelectMany(c => c),
        MirRelationExpr.Reduce x => [.. x.GroupKey, .. x.Aggregates.SelectMany(a => a.Args.Concat(a.OrderKeys))],
        MirRelationExpr.TopK { Limit: { } limit } => [limit],
        MirRelationExpr.ArrangeBy x => x.Keys.SelectMany(k => k),
        _ => [],
    };
}
