using Materialize.Core.Collections;
using Materialize.Repr;

namespace Materialize.Expr.Functions;

internal static partial class ScalarImplementations
{
    private static void AddLogic(Dictionary<string, ScalarImplementation> table)
    {
        table["not"] = (a, _, _) => Bool(!a[0].AsBool);
        table["is_null"] = (a, _, _) => Bool(a[0].IsNull);
        table["is_true"] = (a, _, _) => Bool(!a[0].IsNull && a[0].AsBool);
        table["is_false"] = (a, _, _) => Bool(!a[0].IsNull && !a[0].AsBool);
        table["eq"] = (a, t, _) => Bool(DatumOrder.Compare(t[0], a[0], a[1]) == 0);
        table["not_eq"] = (a, t, _) => Bool(DatumOrder.Compare(t[0], a[0], a[1]) != 0);
        table["lt"] = (a, t, _) => Bool(DatumOrder.Compare(t[0], a[0], a[1]) < 0);
        table["lte"] = (a, t, _) => Bool(DatumOrder.Compare(t[0], a[0], a[1]) <= 0);
        table["gt"] = (a, t, _) => Bool(DatumOrder.Compare(t[0], a[0], a[1]) > 0);
        table["gte"] = (a, t, _) => Bool(DatumOrder.Compare(t[0], a[0], a[1]) >= 0);
        table["is_not_distinct_from"] = (a, t, _) => Bool(DatumOrder.Equals(t[0], a[0], a[1]));
        table["greatest"] = (a, t, _) => Extreme(a, t, 1);
        table["least"] = (a, t, _) => Extreme(a, t, -1);
        table["error_if_null"] = (a, _, _) => a[0].IsNull ? throw Fail("22004", a[1].IsNull ? "unexpected NULL" : a[1].AsString) : a[0];
        table["any_of"] = (a, t, _) => Quantified(a, t, decides: true);
        table["all_of"] = (a, t, _) => Quantified(a, t, decides: false);
        table["record_create"] = (a, _, _) => Datum.FromList(ValueArray.Create(a));
        table["record_get"] = (a, _, _) => a[0].AsList[(int)a[1].AsInt64];
        // A function runs on a dataflow worker, which must never block.
        table["mz_sleep"] = (_, _, _) => throw Fail("0A000", "mz_sleep is not supported");
        table["mz_panic"] = (a, _, _) => throw Fail("XX000", a[0].AsString);
    }

    private static Datum Extreme(ReadOnlySpan<Datum> args, ReadOnlySpan<SqlType> types, int sign)
    {
        var best = Datum.Null;
        foreach (var arg in args)
        {
            if (!arg.IsNull && (best.IsNull || sign * DatumOrder.Compare(types[0], arg, best) > 0))
                best = arg;
        }

        return best;
    }

    /// <summary>operator id, value, array or list: true as soon as one is (ANY), or false as soon as one is (ALL).</summary>
    private static Datum Quantified(ReadOnlySpan<Datum> args, ReadOnlySpan<SqlType> types, bool decides)
    {
        if (args[2].IsNull)
            return Datum.Null;
        var func = ScalarFunctions.ById(args[0].AsString);
        var items = types[2].Kind == ScalarKind.Array ? args[2].AsArray.Elements : args[2].AsList;
        SqlType[] operandTypes = [types[1], types[2].Element ?? SqlType.Int16];
        var anyNull = false;
        foreach (var item in items)
        {
            Datum[] operands = [args[1], item];
            var value = func.PropagatesNulls && (args[1].IsNull || item.IsNull) ? Datum.Null : func.Implementation!(operands, operandTypes, SqlType.Bool);
            if (value.IsNull)
                anyNull = true;
            else if (value.AsBool == decides)
                return value;
        }

        return anyNull ? Datum.Null : Bool(!decides);
    }
}
