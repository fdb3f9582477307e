using System.Diagnostics;
using Materialize.Core.Collections;

namespace Materialize.Sql;

/// <summary>
/// Walks over the scalar expressions of a plan with the nesting known: how many relations lie between the root of the walk and the
/// expression. A column of level &gt; nesting belongs to something outside the root: it is <em>free</em>.
/// </summary>
internal static class HirColumns
{
    /// <summary>Replaces columns: <paramref name="f"/> is given each column and its nesting.</summary>
    public static HirRelationExpr MapColumns(this HirRelationExpr relation, int nesting, Func<HirScalarExpr.Column, int, HirScalarExpr> f) =>
        relation.MapScalars(nesting, (s, n) => s.MapColumns(n, f));

    /// <inheritdoc cref="MapColumns(HirRelationExpr, int, Func{HirScalarExpr.Column, int, HirScalarExpr})"/>
    public static HirScalarExpr MapColumns(this HirScalarExpr scalar, int nesting, Func<HirScalarExpr.Column, int, HirScalarExpr> f) =>
        scalar is HirScalarExpr.Column column
            ? f(column, nesting)
            : scalar.MapChildren(s => s.MapColumns(nesting, f), r => r.MapColumns(nesting + 1, f));

    /// <summary>Applies <paramref name="f"/> to every root scalar expression of the relation and of its inputs.</summary>
    public static HirRelationExpr MapScalars(this HirRelationExpr relation, int nesting, Func<HirScalarExpr, int, HirScalarExpr> f)
    {
        HirRelationExpr Same(HirRelationExpr input) => input.MapScalars(nesting, f);
        HirScalarExpr Scalar(HirScalarExpr scalar) => f(scalar, nesting);
        return relation switch
        {
            HirRelationExpr.Constant or HirRelationExpr.Get => relation,
            HirRelationExpr.Let x => x with { Value = Same(x.Value), Body = Same(x.Body) },
            HirRelationExpr.LetRec x => x with { Bindings = x.Bindings.Select(b => b with { Value = Same(b.Value) }), Body = Same(x.Body) },
            HirRelationExpr.Project x => x with { Input = Same(x.Input) },
            HirRelationExpr.Map x => x with { Input = Same(x.Input), Scalars = x.Scalars.Select(Scalar) },
            HirRelationExpr.CallTable x => x with { Args = x.Args.Select(Scalar) },
            HirRelationExpr.Filter x => x with { Input = Same(x.Input), Predicates = x.Predicates.Select(Scalar) },
            HirRelationExpr.Join x => x with { Left = Same(x.Left), Right = x.Right.MapScalars(nesting + 1, f), On = Scalar(x.On) },
            HirRelationExpr.Reduce x => x with { Input = Same(x.Input), Aggregates = x.Aggregates.Select(a => a.MapExprs(Scalar)) },
            HirRelationExpr.Distinct x => x with { Input = Same(x.Input) },
            HirRelationExpr.TopK x => x with { Input = Same(x.Input), Limit = x.Limit is null ? null : Scalar(x.Limit) },
            HirRelationExpr.Negate x => x with { Input = Same(x.Input) },
            HirRelationExpr.Threshold x => x with { Input = Same(x.Input) },
            HirRelationExpr.Union x => x with { Base = Same(x.Base), Inputs = x.Inputs.Select(Same) },
            _ => throw new UnreachableException(relation.GetType().Name),
        };
    }

    /// <summary>Moves the relation <paramref name="by"/> levels inwards (outwards if negative): its free columns keep their meaning.</summary>
    public static HirRelationExpr Shift(this HirRelationExpr relation, int by) =>
        by == 0 ? relation : relation.MapColumns(0, (c, nesting) => c.Level > nesting ? c with { Level = c.Level + by } : c);

    /// <summary>Moves an expression <paramref name="by"/> levels inwards: every column of it that is not of a subquery of its own.</summary>
    public static HirScalarExpr Shift(this HirScalarExpr scalar, int by) =>
        by == 0 ? scalar : scalar.MapColumns(0, (c, nesting) => c.Level >= nesting ? c with { Level = c.Level + by } : c);

    /// <summary>Calls <paramref name="f"/> for each column with its nesting.</summary>
    public static void Visit(this HirRelationExpr relation, int nesting, Action<HirScalarExpr.Column, int> f) =>
        relation.MapColumns(nesting, (c, n) =>
        {
            f(c, n);
            return c;
        });

    /// <inheritdoc cref="Visit(HirRelationExpr, int, Action{HirScalarExpr.Column, int})"/>
    public static void Visit(this HirScalarExpr scalar, int nesting, Action<HirScalarExpr.Column, int> f) =>
        scalar.MapColumns(nesting, (c, n) =>
        {
            f(c, n);
            return c;
        });

    /// <summary>The relation's free columns as (levels outwards from the relation, from 1; index), in order of appearance.</summary>
    public static List<(int Level, int Index)> FreeColumns(this HirRelationExpr relation)
    {
        List<(int, int)> free = [];
        HashSet<(int, int)> seen = [];
        relation.Visit(0, (c, nesting) =>
        {
            if (c.Level > nesting && seen.Add((c.Level - nesting, c.Index)))
                free.Add((c.Level - nesting, c.Index));
        });
        return free;
    }

    /// <summary>Whether something occurs in the expression that is computed from rows: a subquery or a window function.</summary>
    public static bool HasSubquery(this HirScalarExpr scalar) =>
        scalar is HirScalarExpr.Exists or HirScalarExpr.Select or HirScalarExpr.Windowed || scalar.Children.Any(HasSubquery);

    /// <summary>The relation with each scalar expression, at any depth, rewritten from the bottom by <paramref name="f"/>.</summary>
    public static HirRelationExpr RewriteScalars(this HirRelationExpr relation, Func<HirScalarExpr, HirScalarExpr> f) =>
        relation.MapScalars(0, (s, _) => s.Rewrite(f));

    /// <inheritdoc cref="RewriteScalars"/>
    public static HirScalarExpr Rewrite(this HirScalarExpr scalar, Func<HirScalarExpr, HirScalarExpr> f) =>
        f(scalar.MapChildren(s => s.Rewrite(f), r => r.RewriteScalars(f)));

    /// <summary>Items the plan reads.</summary>
    public static IEnumerable<Materialize.Repr.GlobalId> GlobalIds(this HirRelationExpr relation)
    {
        HashSet<Materialize.Repr.GlobalId> ids = [];
        Collect(relation, ids);
        return ids.Order();
    }

    private static void Collect(HirRelationExpr relation, HashSet<Materialize.Repr.GlobalId> ids)
    {
        if (relation is HirRelationExpr.Get { Id: Materialize.Expr.Id.Global global })
            ids.Add(global.GlobalId);
        foreach (var input in relation.Inputs())
            Collect(input, ids);
        void Scalar(HirScalarExpr scalar)
        {
            scalar.MapChildren(
                s =>
                {
                    Scalar(s);
                    return s;
                },
                r =>
                {
                    Collect(r, ids);
                    return r;
                });
        }

        foreach (var scalar in relation.RootScalars())
            Scalar(scalar);
    }

    /// <summary>The subqueries of the expression; not theirs.</summary>
    public static IEnumerable<HirRelationExpr> Subqueries(this HirScalarExpr scalar) => scalar switch
    {
        HirScalarExpr.Exists x => [x.Query],
        HirScalarExpr.Select x => [x.Query],
        _ => scalar.Children.SelectMany(Subqueries),
    };

    /// <summary>The direct inputs.</summary>
    public static IEnumerable<HirRelationExpr> Inputs(this HirRelationExpr relation) => relation switch
    {
        HirRelationExpr.Let x => [x.Value, x.Body],
        HirRelationExpr.LetRec x => [.. x.Bindings.Select(b => b.Value), x.Body],
        HirRelationExpr.Project x => [x.Input],
        HirRelationExpr.Map x => [x.Input],
        HirRelationExpr.Filter x => [x.Input],
        HirRelationExpr.Join x => [x.Left, x.Right],
        HirRelationExpr.Reduce x => [x.Input],
        HirRelationExpr.Distinct x => [x.Input],
        HirRelationExpr.TopK x => [x.Input],
        HirRelationExpr.Negate x => [x.Input],
        HirRelationExpr.Threshold x => [x.Input],
        HirRelationExpr.Union x => [x.Base, .. x.Inputs],
        _ => [],
    };

    /// <summary>The scalar expressions of this node alone.</summary>
    public static IEnumerable<HirScalarExpr> RootScalars(this HirRelationExpr relation) => relation switch
    {
        HirRelationExpr.Map x => x.Scalars,
        HirRelationExpr.CallTable x => x.Args,
        HirRelationExpr.Filter x => x.Predicates,
        HirRelationExpr.Join x => [x.On],
        HirRelationExpr.Reduce x => x.Aggregates.SelectMany(a => a.Exprs),
        HirRelationExpr.TopK { Limit: { } limit } => [limit],
        _ => [],
    };
}
