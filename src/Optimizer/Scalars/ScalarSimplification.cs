using Materialize.Core.Collections;
using Materialize.Expr;
using Materialize.Repr;

namespace Materialize.Optimizer;

/// <summary>
/// Laws of scalar expressions: three-valued logic, nulls that propagate, tests whose answer the types know, calls of literals.
/// The result has the same value on every row; it may fail on fewer rows, never on more.
/// </summary>
public static class ScalarSimplification
{
    private const int RoundsMax = 10;

    public static MirScalarExpr Simplify(this MirScalarExpr expr, ValueArray<ColumnType> columns)
    {
        for (var round = 0; round < RoundsMax; round++)
        {
            var next = expr.Rewrite(e => Step(e, columns));
            if (next == expr)
                break;
            expr = next;
        }

        return expr;
    }

    private static MirScalarExpr Step(MirScalarExpr expr, ValueArray<ColumnType> columns) => expr switch
    {
        MirScalarExpr.If x => If(x, columns),
        MirScalarExpr.Call x when x.Func == ScalarFunctions.And => Connective(x, ScalarFunctions.Or, isAnd: true),
        MirScalarExpr.Call x when x.Func == ScalarFunctions.Or => Connective(x, ScalarFunctions.And, isAnd: false),
        MirScalarExpr.Call x => Call(x, columns),
        _ => expr,
    };

    private static MirScalarExpr If(MirScalarExpr.If x, ValueArray<ColumnType> columns)
    {
        if (x.Condition.IsLiteralTrue())
            return x.Then;
        if (x.Condition is MirScalarExpr.Literal)
            return x.Else;
        if (x.Condition is MirScalarExpr.LiteralError e)
            return e with { Type = x.TypeOf(columns) };
        if (x.Then == x.Else && !x.Condition.CouldError())
            return x.Then;
        if (x.Then.IsLiteralTrue() && x.Else.IsLiteralFalse())
            return x.Condition.TypeOf(columns).IsNullable ? ScalarExprs.Bool(ScalarFunctions.IsTrue, x.Condition) : x.Condition;
        if (x.Then.IsLiteralFalse() && x.Else.IsLiteralTrue() && !x.Condition.TypeOf(columns).IsNullable)
            return ScalarExprs.Bool(ScalarFunctions.Not, x.Condition);
        return x;
    }

    /// <summary>AND, and OR as its mirror image: flat, without duplicates and neutral elements, cut short by the absorbing one.</summary>
    private static MirScalarExpr Connective(MirScalarExpr.Call x, ScalarFunc dual, bool isAnd)
    {
        var args = x.Args.SelectMany(a => a is MirScalarExpr.Call c && c.Func == x.Func ? c.Args : [a])
            .Where(a => isAnd ? !a.IsLiteralTrue() : !a.IsLiteralFalse())
            .Distinct()
            .ToList();
        if (args.Any(a => isAnd ? a.IsLiteralFalse() : a.IsLiteralTrue()))
            return isAnd ? MirScalarExpr.False : MirScalarExpr.True;
        if (args.Any(a => a is MirScalarExpr.Call n && n.Func == ScalarFunctions.Not && args.Contains(n.Args[0]) && IsNeverNull(n.Args[0]) && !n.CouldError()))
            return isAnd ? MirScalarExpr.False : MirScalarExpr.True;
        if (args.Count == 0)
            return isAnd ? MirScalarExpr.True : MirScalarExpr.False;
        if (args.Count == 1)
            return args[0];
        if (isAnd && Contradicts(args))
            return MirScalarExpr.False;

        // (a AND b) OR (a AND c) = a AND (b OR c), so that a can be used as a predicate of its own.
        if (!isAnd)
        {
            var parts = args.Select(a => a.Conjuncts().ToList()).ToList();
            var common = parts[0].Where(p => parts.All(other => other.Contains(p))).ToList();
            if (common.Count > 0)
            {
                var rest = parts.Select(p => ScalarExprs.And([.. p.Where(c => !common.Contains(c))])).ToList();
                var either = rest.Any(r => r.IsLiteralTrue())
                    ? MirScalarExpr.True
                    : new MirScalarExpr.Call(x.Func, rest.ToValueArray(), SqlType.Bool);
                return new MirScalarExpr.Call(dual, [.. common, either], SqlType.Bool);
            }
        }

        return args.Count == x.Args.Count && args.SequenceEqual(x.Args) ? x : x with { Args = args.ToValueArray() };
    }

    private static bool IsNeverNull(MirScalarExpr expr) => expr is MirScalarExpr.Call { Func.NeverNull: true };

    /// <summary>
    /// Whether one expression would have to equal two literals. The AND is then false, or null where the expression is: as good as false in
    /// a predicate but not as a value, so only expressions are taken that are tested for null, too.
    /// </summary>
    private static bool Contradicts(List<MirScalarExpr> args)
    {
        var equal = new Dictionary<MirScalarExpr, Datum>();
        foreach (var call in args.OfType<MirScalarExpr.Call>().Where(c => c.Func == ScalarFunctions.Eq))
        {
            if (call.Args is not [var subject, MirScalarExpr.Literal { Value.IsNull: false } literal])
                continue;
            if (equal.TryGetValue(subject, out var other))
            {
                if (literal.Type.Type.Kind is ScalarKind.Int16 or ScalarKind.Int32 or ScalarKind.Int64 or ScalarKind.String or ScalarKind.Bool
                    && !other.Equals(literal.Value)
                    && args.Contains(ScalarExprs.IsNotNull(subject)))
                {
                    return true;
                }
            }
            else
            {
                equal.Add(subject, literal.Value);
            }
        }

        return false;
    }

    private static MirScalarExpr Call(MirScalarExpr.Call x, ValueArray<ColumnType> columns)
    {
        if (x.Func.PropagatesNulls && x.Args.Any(a => a.IsLiteralNull()))
            return MirScalarExpr.Null(x.Output);
        if (x.Func.PropagatesNulls && x.Args.FirstOrDefault(a => a is MirScalarExpr.LiteralError) is MirScalarExpr.LiteralError error
            && x.Args.All(a => a.IsLiteral()))
        {
            return error with { Type = x.TypeOf(columns) };
        }

        if (x.Func == ScalarFunctions.Not)
            return Not(x);
        if (x.Func == ScalarFunctions.IsNull)
            return IsNull(x, columns);
        if (x.Func == ScalarFunctions.IsTrue && !x.Args[0].TypeOf(columns).IsNullable)
            return x.Args[0];
        if (x.Func == ScalarFunctions.IsFalse && !x.Args[0].TypeOf(columns).IsNullable)
            return ScalarExprs.Bool(ScalarFunctions.Not, x.Args[0]);
        if (x.Func == ScalarFunctions.Coalesce)
            return Coalesce(x, columns);
        if (x.Func == ScalarFunctions.Eq && Equality(x, columns) is { } equality)
            return equality;

        // Literals stand on the right, where lookups and equivalences expect them.
        if (x.Func == ScalarFunctions.Eq && x.Args[0].IsLiteral() && !x.Args[1].IsLiteral())
            return x with { Args = [x.Args[1], x.Args[0]] };
        return x.Args.All(a => a is MirScalarExpr.Literal) && ConstantFolding.CanFold(x) ? ConstantFolding.Fold(x, columns) : x;
    }

    private static MirScalarExpr Not(MirScalarExpr.Call x)
    {
        switch (x.Args[0])
        {
            case MirScalarExpr.Call inner when inner.Func == ScalarFunctions.Not:
                return inner.Args[0];
            case MirScalarExpr.Call inner when inner.Func == ScalarFunctions.And || inner.Func == ScalarFunctions.Or:
                var dual = inner.Func == ScalarFunctions.And ? ScalarFunctions.Or : ScalarFunctions.And;
                return inner with { Func = dual, Args = inner.Args.Select(a => ScalarExprs.Bool(ScalarFunctions.Not, a)) };
            case MirScalarExpr.Call { Func.NegatedId: { } negated } inner when ScalarFunctions.TryGet(negated, out var func):
                return inner with { Func = func };
            case MirScalarExpr.Literal literal when !literal.Value.IsNull:
                return literal.Value.AsBool ? MirScalarExpr.False : MirScalarExpr.True;
            default:
                return x;
        }
    }

    private static MirScalarExpr IsNull(MirScalarExpr.Call x, ValueArray<ColumnType> columns)
    {
        if (x.Args[0] is MirScalarExpr.Literal literal)
            return literal.Value.IsNull ? MirScalarExpr.True : MirScalarExpr.False;
        return !x.Args[0].CouldError() && !x.Args[0].TypeOf(columns).IsNullable ? MirScalarExpr.False : x;
    }

    private static MirScalarExpr Coalesce(MirScalarExpr.Call x, ValueArray<ColumnType> columns)
    {
        var args = new List<MirScalarExpr>();
        foreach (var arg in x.Args.SelectMany(a => a is MirScalarExpr.Call c && c.Func == ScalarFunctions.Coalesce ? c.Args : [a]))
        {
            if (arg.IsLiteralNull() || args.Contains(arg))
                continue;
            args.Add(arg);
            if (!arg.TypeOf(columns).IsNullable)
                break;
        }

        return args.Count switch
        {
            0 => MirScalarExpr.Null(x.Output),
            1 => args[0],
            _ => args.SequenceEqual(x.Args) ? x : x with { Args = args.ToValueArray() },
        };
    }

    private static MirScalarExpr? Equality(MirScalarExpr.Call x, ValueArray<ColumnType> columns)
    {
        var (a, b) = (x.Args[0], x.Args[1]);
        if (a == b && !a.CouldError() && a is not MirScalarExpr.Literal)
            return a.TypeOf(columns).IsNullable ? null : MirScalarExpr.True;
        if (a.IsLiteralTrue())
            return b;
        if (b.IsLiteralTrue())
            return a;
        return null;
    }
}
