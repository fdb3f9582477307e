using Materialize.Repr;

namespace Materialize.Expr.Functions;

internal static partial class ScalarImplementations
{
    private static readonly RangeDatum EmptyRange = new(true, Datum.Null, false, Datum.Null, false);

    private static void AddRanges(Dictionary<string, ScalarImplementation> table)
    {
        table["range_create"] = (a, _, o) => CreateRange(o.Element!, a);
        table["range_lower"] = (a, _, _) => a[0].AsRange!.Lower;
        table["range_upper"] = (a, _, _) => a[0].AsRange!.Upper;
        table["range_is_empty"] = (a, _, _) => Bool(a[0].AsRange!.IsEmpty);
        table["range_lower_inc"] = (a, _, _) => Bool(a[0].AsRange!.LowerInclusive);
        table["range_upper_inc"] = (a, _, _) => Bool(a[0].AsRange!.UpperInclusive);
        table["range_lower_inf"] = (a, _, _) => Bool(!a[0].AsRange!.IsEmpty && a[0].AsRange!.Lower.IsNull);
        table["range_upper_inf"] = (a, _, _) => Bool(!a[0].AsRange!.IsEmpty && a[0].AsRange!.Upper.IsNull);
        table["range_contains_elem"] = (a, t, _) => Bool(ContainsElement(t[0].Element!, a[0].AsRange!, a[1]));
        table["elem_contained_in_range"] = (a, t, _) => Bool(ContainsElement(t[1].Element!, a[1].AsRange!, a[0]));
        table["range_contains_range"] = (a, t, _) => Bool(ContainsRange(t[0].Element!, a[0].AsRange!, a[1].AsRange!));
        table["range_contained_in_range"] = (a, t, _) => Bool(ContainsRange(t[0].Element!, a[1].AsRange!, a[0].AsRange!));
        NonEmpty("range_overlaps", (e, x, y) => !Before(e, x, y) && !Before(e, y, x));
        NonEmpty("range_before", Before);
        NonEmpty("range_after", (e, x, y) => Before(e, y, x));
        NonEmpty("range_overleft", (e, x, y) => DatumOrder.CompareUpper(e, x, y) <= 0);
        NonEmpty("range_overright", (e, x, y) => DatumOrder.CompareLower(e, x, y) >= 0);
        NonEmpty("range_adjacent", (e, x, y) => Touches(e, x, y) || Touches(e, y, x));
        table["range_union"] = (a, t, _) => Datum.FromRange(Union(t[0].Element!, a[0].AsRange!, a[1].AsRange!));
        table["range_intersection"] = (a, t, _) => Datum.FromRange(Intersection(t[0].Element!, a[0].AsRange!, a[1].AsRange!));
        table["range_difference"] = (a, t, _) => Datum.FromRange(Subtract(t[0].Element!, a[0].AsRange!, a[1].AsRange!));

        void NonEmpty(string id, Func<SqlType, RangeDatum, RangeDatum, bool> f) => table[id] = (a, t, _) =>
            Bool(!a[0].AsRange!.IsEmpty && !a[1].AsRange!.IsEmpty && f(t[0].Element!, a[0].AsRange!, a[1].AsRange!));
    }

    private static Datum CreateRange(SqlType element, ReadOnlySpan<Datum> args)
    {
        if (args.Length > 2 && args[2].IsNull)
            throw Fail("22000", "range constructor flags argument must not be null");
        var flags = args.Length > 2 ? args[2].AsString : "[)";
        if (flags is not ("[)" or "[]" or "(]" or "()"))
            throw Fail("42601", "invalid range bound flags");
        return Datum.FromRange(RangeText.Canonical(element, args[0], flags[0] == '[', args[1], flags[1] == ']'));
    }

    private static bool ContainsElement(SqlType element, RangeDatum range, Datum value)
    {
        if (range.IsEmpty)
            return false;
        var lower = range.Lower.IsNull ? -1 : DatumOrder.Compare(element, range.Lower, value);
        var upper = range.Upper.IsNull ? 1 : DatumOrder.Compare(element, range.Upper, value);
        return (lower < 0 || (lower == 0 && range.LowerInclusive)) && (upper > 0 || (upper == 0 && range.UpperInclusive));
    }

    private static bool ContainsRange(SqlType element, RangeDatum outer, RangeDatum inner) =>
        inner.IsEmpty || (!outer.IsEmpty && DatumOrder.CompareLower(element, outer, inner) <= 0 && DatumOrder.CompareUpper(element, outer, inner) >= 0);

    /// <summary>Whether all of x is below all of y.</summary>
    private static bool Before(SqlType element, RangeDatum x, RangeDatum y)
    {
        if (x.Upper.IsNull || y.Lower.IsNull)
            return false;
        var order = DatumOrder.Compare(element, x.Upper, y.Lower);
        return order < 0 || (order == 0 && !(x.UpperInclusive && y.LowerInclusive));
    }

    /// <summary>Whether y begins just where x ends, without a common element.</summary>
    private static bool Touches(SqlType element, RangeDatum x, RangeDatum y) =>
        !x.Upper.IsNull && !y.Lower.IsNull && x.UpperInclusive != y.LowerInclusive && DatumOrder.Compare(element, x.Upper, y.Lower) == 0;

    private static RangeDatum Union(SqlType element, RangeDatum x, RangeDatum y)
    {
        if (x.IsEmpty)
            return y;
        if (y.IsEmpty)
            return x;
        if ((Before(element, x, y) && !Touches(element, x, y)) || (Before(element, y, x) && !Touches(element, y, x)))
            throw Fail("22000", "result of range union would not be contiguous");
        var low = DatumOrder.CompareLower(element, x, y) <= 0 ? x : y;
        var high = DatumOrder.CompareUpper(element, x, y) >= 0 ? x : y;
        return new RangeDatum(false, low.Lower, low.LowerInclusive, high.Upper, high.UpperInclusive);
    }

    private static RangeDatum Intersection(SqlType element, RangeDatum x, RangeDatum y)
    {
        if (x.IsEmpty || y.IsEmpty || Before(element, x, y) || Before(element, y, x))
            return EmptyRange;
        var low = DatumOrder.CompareLower(element, x, y) >= 0 ? x : y;
        var high = DatumOrder.CompareUpper(element, x, y) <= 0 ? x : y;
        return RangeText.Canonical(element, low.Lower, low.LowerInclusive, high.Upper, high.UpperInclusive);
    }

    private static RangeDatum Subtract(SqlType element, RangeDatum x, RangeDatum y)
    {
        if (x.IsEmpty || y.IsEmpty || Before(element, x, y) || Before(element, y, x))
            return x;
        var startsBefore = DatumOrder.CompareLower(element, x, y) < 0;
        var endsAfter = DatumOrder.CompareUpper(element, x, y) > 0;
        if (startsBefore && endsAfter)
            throw Fail("22000", "result of range difference would not be contiguous");
        if (startsBefore)
            return RangeText.Canonical(element, x.Lower, x.LowerInclusive, y.Lower, !y.LowerInclusive);
        return endsAfter ? RangeText.Canonical(element, y.Upper, !y.UpperInclusive, x.Upper, x.UpperInclusive) : EmptyRange;
    }
}
