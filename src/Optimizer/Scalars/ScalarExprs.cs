using Materialize.Core.Collections;
using Materialize.Expr;
using Materialize.Repr;

namespace Materialize.Optimizer;

/// <summary>Questions about scalar expressions, and rewrites of the columns they refer to.</summary>
public static class ScalarExprs
{
    public static MirScalarExpr Column(int index) => new MirScalarExpr.Column(index);

    public static MirScalarExpr Call(ScalarFunc func, SqlType output, params ReadOnlySpan<MirScalarExpr> args) =>
        new MirScalarExpr.Call(func, ValueArray.Create(args), output);

    public static MirScalarExpr Bool(ScalarFunc func, params ReadOnlySpan<MirScalarExpr> args) => Call(func, SqlType.Bool, args);

    public static MirScalarExpr Eq(MirScalarExpr a, MirScalarExpr b) => Bool(ScalarFunctions.Eq, a, b);

    public static MirScalarExpr IsNull(MirScalarExpr a) => Bool(ScalarFunctions.IsNull, a);

    public static MirScalarExpr IsNotNull(MirScalarExpr a) => Bool(ScalarFunctions.Not, IsNull(a));

    /// <summary>The conjunction; true when there is nothing to hold.</summary>
    public static MirScalarExpr And(IReadOnlyList<MirScalarExpr> conjuncts) => conjuncts.Count switch
    {
        0 => MirScalarExpr.True,
        1 => conjuncts[0],
        _ => new MirScalarExpr.Call(ScalarFunctions.And, conjuncts.ToValueArray(), SqlType.Bool),
    };

    public static bool IsCallOf(this MirScalarExpr expr, ScalarFunc func) => expr is MirScalarExpr.Call c && c.Func == func;

    public static bool IsLiteral(this MirScalarExpr expr) => expr is MirScalarExpr.Literal or MirScalarExpr.LiteralError;

    public static bool IsLiteralTrue(this MirScalarExpr expr) => expr is MirScalarExpr.Literal { Value: { IsNull: false } v, Type.Type.Kind: ScalarKind.Bool } && v.AsBool;

    public static bool IsLiteralFalse(this MirScalarExpr expr) => expr is MirScalarExpr.Literal { Value: { IsNull: false } v, Type.Type.Kind: ScalarKind.Bool } && !v.AsBool;

    public static bool IsLiteralNull(this MirScalarExpr expr) => expr is MirScalarExpr.Literal { Value.IsNull: true };

    /// <summary>The columns that the expression reads.</summary>
    public static SortedSet<int> Support(this MirScalarExpr expr)
    {
        var columns = new SortedSet<int>();
        AddSupport(expr, columns);
        return columns;
    }

    public static void AddSupport(this MirScalarExpr expr, ISet<int> columns)
    {
        if (expr is MirScalarExpr.Column c)
            columns.Add(c.Index);
        else
        {
            foreach (var child in expr.Children)
                AddSupport(child, columns);
        }
    }

    /// <summary>Whether every column that the expression reads satisfies <paramref name="holds"/>.</summary>
    public static bool SupportAll(this MirScalarExpr expr, Func<int, bool> holds) =>
        expr is MirScalarExpr.Column c ? holds(c.Index) : expr.Children.All(child => SupportAll(child, holds));

    public static bool Any(this MirScalarExpr expr, Func<MirScalarExpr, bool> holds) =>
        holds(expr) || expr.Children.Any(child => Any(child, holds));

    /// <summary>Number of nodes.</summary>
    public static int Size(this MirScalarExpr expr) => 1 + expr.Children.Sum(Size);

    public static bool ContainsMzNow(this MirScalarExpr expr) =>
        expr.Any(e => e is MirScalarExpr.CallUnmaterializable { Func: UnmaterializableFunc.MzNow });

    /// <summary>Whether evaluating it may fail on some row.</summary>
    public static bool CouldError(this MirScalarExpr expr) =>
        expr.Any(e => e is MirScalarExpr.LiteralError or MirScalarExpr.Call { Func.CouldError: true });

    /// <summary>Each column <c>i</c> replaced by <paramref name="f"/><c>(i)</c>.</summary>
    public static MirScalarExpr MapColumns(this MirScalarExpr expr, Func<int, MirScalarExpr> f) =>
        expr is MirScalarExpr.Column c ? f(c.Index) : expr.MapChildren(child => MapColumns(child, f));

    /// <summary>Each column <c>i</c> renamed to <paramref name="f"/><c>(i)</c>.</summary>
    public static MirScalarExpr Permute(this MirScalarExpr expr, Func<int, int> f) =>
        expr.MapColumns(i => new MirScalarExpr.Column(f(i)));

    /// <summary>Each column <c>i</c> renamed to <c>map[i]</c>.</summary>
    public static MirScalarExpr Permute(this MirScalarExpr expr, ValueArray<int> map) => expr.Permute(i => map[i]);

    public static MirScalarExpr Shift(this MirScalarExpr expr, int by) => by == 0 ? expr : expr.Permute(i => i + by);

    /// <summary>Bottom-up rewrite: children first, then <paramref name="f"/> on the node.</summary>
    public static MirScalarExpr Rewrite(this MirScalarExpr expr, Func<MirScalarExpr, MirScalarExpr> f) =>
        f(expr.MapChildren(child => Rewrite(child, f)));

    /// <summary>Top-down replacement: a node for which <paramref name="f"/> gives an expression is replaced, others are descended into.</summary>
    public static MirScalarExpr Replace(this MirScalarExpr expr, Func<MirScalarExpr, MirScalarExpr?> f) =>
        f(expr) ?? expr.MapChildren(child => Replace(child, f));

    /// <summary>The conjuncts of nested ANDs, in order.</summary>
    public static IEnumerable<MirScalarExpr> Conjuncts(this MirScalarExpr expr) =>
        expr is MirScalarExpr.Call c && c.Func == ScalarFunctions.And ? c.Args.SelectMany(Conjuncts) : [expr];

    public static IEnumerable<MirScalarExpr> Disjuncts(this MirScalarExpr expr) =>
        expr is MirScalarExpr.Call c && c.Func == ScalarFunctions.Or ? c.Args.SelectMany(Disjuncts) : [expr];

    /// <summary>
    /// Whether a null in <paramref name="column"/> makes the expression null (so that, as a predicate, it drops the row).
    /// </summary>
    public static bool IsNullWhenNull(this MirScalarExpr expr, int column) => expr switch
    {
        MirScalarExpr.Column c => c.Index == column,
        MirScalarExpr.Call { Func.PropagatesNulls: true } c when c.Func != ScalarFunctions.And && c.Func != ScalarFunctions.Or =>
            c.Args.Any(a => a.IsNullWhenNull(column)),
        _ => false,
    };

    /// <summary>
    /// Whether the predicate is false or null on rows with a null in <paramref name="column"/>.
    /// </summary>
    public static bool RejectsNull(this MirScalarExpr predicate, int column)
    {
        if (predicate is MirScalarExpr.Call call)
        {
            if (call.Func == ScalarFunctions.And)
                return call.Args.Any(a => a.RejectsNull(column));
            if (call.Func == ScalarFunctions.Or)
                return call.Args.All(a => a.RejectsNull(column));
            if (call.Func == ScalarFunctions.Not && call.Args[0] is MirScalarExpr.Call inner && inner.Func == ScalarFunctions.IsNull)
                return inner.Args[0].IsNullWhenNull(column);
        }

        return predicate.IsNullWhenNull(column);
    }
}
