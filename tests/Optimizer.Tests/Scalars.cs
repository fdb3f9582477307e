using System.Diagnostics;
using Materialize.Expr;
using Materialize.Repr;

namespace Materialize.Optimizer.Tests;

/// <summary>Evaluates the few scalar functions that the random plans use, over ints and bools, written as plainly as possible.</summary>
public static class Scalars
{
    public static Datum Eval(MirScalarExpr expr, IReadOnlyList<Datum> row)
    {
        switch (expr)
        {
            case MirScalarExpr.Column c:
                return row[c.Index];
            case MirScalarExpr.Literal l:
                return l.Value;
            case MirScalarExpr.If i:
                var condition = Eval(i.Condition, row);
                return Eval(!condition.IsNull && condition.AsBool ? i.Then : i.Else, row);
            case MirScalarExpr.Call c:
                return Call(c.Func.Id, [.. c.Args.Select(a => Eval(a, row))]);
            default:
                throw new UnreachableException(expr.ToString());
        }
    }

    public static bool Holds(MirScalarExpr expr, IReadOnlyList<Datum> row) => Eval(expr, row) is { IsNull: false } d && d.AsBool;

    public static int Compare(Datum a, Datum b, bool descending, bool nullsLast)
    {
        if (a.IsNull || b.IsNull)
            return a.IsNull && b.IsNull ? 0 : a.IsNull == nullsLast ? 1 : -1;
        var order = a.AsInt64.CompareTo(b.AsInt64);
        return descending ? -order : order;
    }

    private static Datum Call(string id, Datum[] args)
    {
        switch (id)
        {
            case "and":
                return args.Any(a => !a.IsNull && !a.AsBool) ? Datum.False : args.Any(a => a.IsNull) ? Datum.Null : Datum.True;
            case "or":
                return args.Any(a => !a.IsNull && a.AsBool) ? Datum.True : args.Any(a => a.IsNull) ? Datum.Null : Datum.False;
            case "is_null":
                return Datum.FromBool(args[0].IsNull);
            case "is_true":
                return Datum.FromBool(!args[0].IsNull && args[0].AsBool);
            case "is_false":
                return Datum.FromBool(!args[0].IsNull && !args[0].AsBool);
            case "coalesce":
                return args.FirstOrDefault(a => !a.IsNull, Datum.Null);
        }

        if (args.Any(a => a.IsNull))
            return Datum.Null;
        var (x, y) = (args[0].AsInt64, args.Length > 1 ? args[1].AsInt64 : 0);
        return id switch
        {
            "not" => Datum.FromBool(!args[0].AsBool),
            "eq" => Datum.FromBool(x == y),
            "not_eq" => Datum.FromBool(x != y),
            "lt" => Datum.FromBool(x < y),
            "lte" => Datum.FromBool(x <= y),
            "gt" => Datum.FromBool(x > y),
            "gte" => Datum.FromBool(x >= y),
            "add_int4" => Datum.FromInt64(x + y),
            "cast_int4_to_int8" => args[0],
            _ => throw new UnreachableException(id),
        };
    }
}
