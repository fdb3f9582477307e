using System.Diagnostics;

namespace Materialize.Repr;

/// <summary>
/// SQL's order and equality of values, by type. Total: NaN equals NaN and is greatest, text compares by UTF-8 bytes, and null,
/// where it is compared at all (in containers and in grouping), equals null and comes last.
/// </summary>
public static class DatumOrder
{
    /// <summary>Negative, zero or positive as <paramref name="a"/> is before, equal to or after <paramref name="b"/>.</summary>
    public static int Compare(SqlType type, Datum a, Datum b)
    {
        if (a.IsNull || b.IsNull)
            return a.IsNull.CompareTo(b.IsNull);
        switch (type.Kind)
        {
            case ScalarKind.Float32 or ScalarKind.Float64:
                return CompareFloats(a.AsDouble, b.AsDouble);
            case ScalarKind.UInt64 or ScalarKind.MzTimestamp:
                return a.AsUInt64.CompareTo(b.AsUInt64);
            case ScalarKind.Numeric:
                return a.AsNumeric.CompareTo(b.AsNumeric);
            case ScalarKind.String or ScalarKind.VarChar or ScalarKind.Char or ScalarKind.PgLegacyName or ScalarKind.AclItem or ScalarKind.MzAclItem:
                return CompareText(a.AsString, b.AsString);
            case ScalarKind.Bytes:
                return a.AsBytes.AsSpan().SequenceCompareTo(b.AsBytes);
            case ScalarKind.Jsonb:
                return Jsonb.Compare(new Jsonb(a.AsBytes), new Jsonb(b.AsBytes));
            case ScalarKind.Uuid:
                return a.AsUuid.CompareTo(b.AsUuid);
            case ScalarKind.Interval:
                var (x, y) = (a.AsInterval, b.AsInterval);
                return (x.Months, x.Days, x.Micros).CompareTo((y.Months, y.Days, y.Micros));
            case ScalarKind.List:
                return CompareAll(type.Element!, a.AsList.AsSpan(), b.AsList.AsSpan());
            case ScalarKind.Int2Vector:
                return CompareAll(SqlType.Int16, a.AsList.AsSpan(), b.AsList.AsSpan());
            case ScalarKind.Array:
                var elements = CompareAll(type.Element!, a.AsArray.Elements.AsSpan(), b.AsArray.Elements.AsSpan());
                return elements != 0 ? elements : CompareDimensions(a.AsArray, b.AsArray);
            case ScalarKind.Map:
                return CompareMaps(type, a, b);
            case ScalarKind.Record:
                return CompareRecords(type, a, b);
            case ScalarKind.Range:
                return CompareRanges(type.Element!, a.AsRange!, b.AsRange!);
            default:
                return a.AsInt64.CompareTo(b.AsInt64);
        }
    }

    /// <summary>Equality in SQL's grouping: nulls are equal.</summary>
    public static bool Equals(SqlType type, Datum a, Datum b) => Compare(type, a, b) == 0;

    /// <summary>Text in the order of its UTF-8 bytes, which UTF-16 order is not where surrogates are involved.</summary>
    public static int CompareText(string a, string b)
    {
        var common = a.AsSpan().CommonPrefixLength(b);
        if (common == a.Length || common == b.Length)
            return a.Length.CompareTo(b.Length);
        return Fix(a[common]).CompareTo(Fix(b[common]));

        static int Fix(char c) => c >= 0xE000 ? c - 0x800 : c >= 0xD800 ? c + 0x2000 : c;
    }

    /// <summary>NaN is greatest and equal to itself.</summary>
    public static int CompareFloats(double a, double b) =>
        a < b ? -1 : a > b ? 1 : a == b ? 0 : double.IsNaN(a).CompareTo(double.IsNaN(b));

    /// <summary>Order of ranges by lower bound, then upper; the empty range is first.</summary>
    public static int CompareRanges(SqlType element, RangeDatum a, RangeDatum b)
    {
        if (a.IsEmpty || b.IsEmpty)
            return b.IsEmpty.CompareTo(a.IsEmpty);
        var lower = CompareLower(element, a, b);
        return lower != 0 ? lower : CompareUpper(element, a, b);
    }

    /// <summary>Which of two non-empty ranges begins first.</summary>
    public static int CompareLower(SqlType element, RangeDatum a, RangeDatum b)
    {
        if (a.Lower.IsNull || b.Lower.IsNull)
            return b.Lower.IsNull.CompareTo(a.Lower.IsNull);
        var bound = Compare(element, a.Lower, b.Lower);
        return bound != 0 ? bound : b.LowerInclusive.CompareTo(a.LowerInclusive);
    }

    /// <summary>Which of two non-empty ranges ends first.</summary>
    public static int CompareUpper(SqlType element, RangeDatum a, RangeDatum b)
    {
        if (a.Upper.IsNull || b.Upper.IsNull)
            return a.Upper.IsNull.CompareTo(b.Upper.IsNull);
        var bound = Compare(element, a.Upper, b.Upper);
        return bound != 0 ? bound : a.UpperInclusive.CompareTo(b.UpperInclusive);
    }

    private static int CompareAll(SqlType element, ReadOnlySpan<Datum> a, ReadOnlySpan<Datum> b)
    {
        for (var i = 0; i < a.Length && i < b.Length; i++)
        {
            var item = Compare(element, a[i], b[i]);
            if (item != 0)
                return item;
        }

        return a.Length.CompareTo(b.Length);
    }

    private static int CompareDimensions(ArrayDatum a, ArrayDatum b)
    {
        for (var i = 0; i < a.Dimensions.Count && i < b.Dimensions.Count; i++)
        {
            var (x, y) = (a.Dimensions[i], b.Dimensions[i]);
            var dimension = (x.LowerBound, x.Length).CompareTo((y.LowerBound, y.Length));
            if (dimension != 0)
                return dimension;
        }

        return a.Dimensions.Count.CompareTo(b.Dimensions.Count);
    }

    private static int CompareMaps(SqlType type, Datum a, Datum b)
    {
        var (x, y) = (a.AsMap, b.AsMap);
        for (var i = 0; i < x.Count && i < y.Count; i++)
        {
            var entry = CompareText(x[i].Key, y[i].Key);
            if (entry == 0)
                entry = Compare(type.Element!, x[i].Value, y[i].Value);
            if (entry != 0)
                return entry;
        }

        return x.Count.CompareTo(y.Count);
    }

    private static int CompareRecords(SqlType type, Datum a, Datum b)
    {
        var (x, y) = (a.AsList, b.AsList);
        Debug.Assert(x.Count == y.Count, "records of one type have equally many fields");
        for (var i = 0; i < x.Count; i++)
        {
            var field = Compare(type.Fields[i].Type.Type, x[i], y[i]);
            if (field != 0)
                return field;
        }

        return 0;
    }
}
