using Materialize.Core.Collections;

namespace Materialize.Repr.Tests;

/// <summary>Values of every type from a seed; few distinct ones, so that equal ones meet.</summary>
internal sealed class RandomValues(Random random)
{
    public static readonly SqlType[] Types =
    [
        .. Enum.GetValues<ScalarKind>().Where(k => k is not (ScalarKind.Array or ScalarKind.List or ScalarKind.Map or ScalarKind.Record or ScalarKind.Range)).Select(k => new SqlType(k)),
        SqlType.ArrayOf(SqlType.String), SqlType.ListOf(SqlType.ListOf(SqlType.Int32)), SqlType.MapOf(SqlType.Numeric),
        SqlType.RecordOf(new RecordField("f1", SqlType.Int32.Nullable()), new RecordField("f2", SqlType.String.Nullable())),
        SqlType.RangeOf(SqlType.Int32), SqlType.RangeOf(SqlType.Numeric), SqlType.RangeOf(SqlType.Timestamp),
    ];

    private static readonly string[] Words = ["", "a", "ab", "b", "a b", "\"q\"", "null", "é", "\uFFFD", "🙂", "x,y", "{", "back\\slash", "a=>b"];

    public Datum Value(ColumnType type) => type.IsNullable && random.Next(4) == 0 ? Datum.Null : Value(type.Type);

    public Datum Value(SqlType type)
    {
        switch (type.Kind)
        {
            case ScalarKind.Bool:
                return Datum.FromBool(random.Next(2) == 0);
            case ScalarKind.PgLegacyChar:
                return Datum.FromInt64(random.Next(1, 127));
            case ScalarKind.Int16:
                return Datum.FromInt64(Pick(short.MinValue, -1, 0, 1, 300, short.MaxValue));
            case ScalarKind.Int32:
                return Datum.FromInt64(Pick(int.MinValue, -1, 0, 1, 70_000, int.MaxValue));
            case ScalarKind.Date:
                return Datum.FromInt64(Pick(Calendar.MinDate, -800_000, -1, 0, 59, 8000, Calendar.MaxDate));
            case ScalarKind.UInt16:
                return Datum.FromInt64(Pick(0, 1, 300, ushort.MaxValue));
            case ScalarKind.UInt32 or ScalarKind.Oid or ScalarKind.RegClass or ScalarKind.RegProc or ScalarKind.RegType:
                return Datum.FromInt64(Pick(0, 1, 70_000, uint.MaxValue));
            case ScalarKind.UInt64 or ScalarKind.MzTimestamp:
                return Datum.FromUInt64((ulong)Pick(0, 1, long.MaxValue, long.MinValue, -1));
            case ScalarKind.Int64:
                return Datum.FromInt64(Pick(long.MinValue, -1, 0, 1, 1L << 40, long.MaxValue));
            case ScalarKind.Time:
                return Datum.FromInt64(Pick(0, 1, 3_600_000_000, Calendar.MicrosPerDay - 1, 45_296_789_000));
            case ScalarKind.Timestamp or ScalarKind.TimestampTz:
                return Datum.FromInt64(Pick(Calendar.MinTimestamp, -1, 0, 1, 6_000_000_123_000, Calendar.MaxTimestamp));
            case ScalarKind.Float32:
                return Datum.FromDouble((float)Float());
            case ScalarKind.Float64:
                return Datum.FromDouble(Float());
            case ScalarKind.Numeric:
                return Datum.FromNumeric(random.Next(8) switch
                {
                    0 => Numeric.NaN,
                    1 => Numeric.Parse("99999999999999999999999999999999999999"),
                    2 => Numeric.Parse("-0.00000000000000000000001"),
                    _ => Numeric.FromScaled(random.Next(-300, 300), random.Next(4)),
                });
            case ScalarKind.Interval:
                return Datum.FromInterval(new Interval(random.Next(-14, 14), random.Next(-2, 3), Pick(0, 1, -1, 3_661_000_000, -90_000_000_000)));
            case ScalarKind.Uuid:
                return Datum.FromUuid(new UInt128((ulong)Pick(0, 1, -1), (ulong)Pick(0, 1, -1)));
            case ScalarKind.Bytes:
                return Datum.FromBytes([.. Enumerable.Range(0, random.Next(4)).Select(_ => (byte)Pick(0, 1, 92, 255))]);
            case ScalarKind.Jsonb:
                return Datum.FromBytes(JsonbText.Parse(((string[])["null", "1", "-2.5", "\"a\"", "\"\"", "[1,[2],null]", "[1]", "[]", "{\"a\":1,\"b\":{\"c\":null}}", "{\"a\":2}", "{}", "true", "false"])[random.Next(13)]));
            case ScalarKind.Char:
                return Datum.FromString(Words[random.Next(Words.Length)].TrimEnd(' '));
            case ScalarKind.AclItem or ScalarKind.MzAclItem:
                return Datum.FromString(AclText.Join(random.Next(2) == 0 ? "" : "u1", "rw", "s1"));
            case ScalarKind.Int2Vector:
                return Datum.FromList([.. Enumerable.Range(0, random.Next(3)).Select(_ => Value(SqlType.Int16))]);
            case ScalarKind.List:
                return Datum.FromList(Many(type.Element!));
            case ScalarKind.Array:
                var elements = Many(type.Element!);
                return Datum.FromArray(elements.IsEmpty ? new ArrayDatum([], [])
                    : elements.Count == 2 && random.Next(2) == 0 ? new ArrayDatum([new ArrayDimension(1, 2), new ArrayDimension(1, 1)], elements)
                    : new ArrayDatum([new ArrayDimension(1, elements.Count)], elements));
            case ScalarKind.Map:
                var entries = new SortedDictionary<string, Datum>(ContainerText.TextOrder.Instance);
                for (var i = random.Next(3); i > 0; i--)
                    entries[Words[random.Next(Words.Length)]] = Value(type.Element!.Nullable());
                return Datum.FromMap(entries.ToValueArray());
            case ScalarKind.Record:
                return Datum.FromList(type.Fields.Select(f => Value(f.Type)));
            case ScalarKind.Range:
                var (a, b) = (Value(type.Element!), Value(type.Element!));
                if (DatumOrder.Compare(type.Element!, a, b) > 0)
                    (a, b) = (b, a);
                try
                {
                    return Datum.FromRange(RangeText.Canonical(type.Element!, random.Next(4) == 0 ? Datum.Null : a, random.Next(2) == 0, random.Next(4) == 0 ? Datum.Null : b, random.Next(2) == 0));
                }
                catch (TextFormatException)
                {
                    return Datum.FromRange(new RangeDatum(true, Datum.Null, false, Datum.Null, false));
                }

            default:
                return Datum.FromString(Words[random.Next(Words.Length)]);
        }
    }

    private ValueArray<Datum> Many(SqlType element) => [.. Enumerable.Range(0, random.Next(4)).Select(_ => Value(element.Nullable()))];

    private long Pick(params ReadOnlySpan<long> values) => values[random.Next(values.Length)];

    private double Float() => random.Next(9) switch
    {
        0 => double.NaN,
        1 => double.PositiveInfinity,
        2 => double.NegativeInfinity,
        3 => -0.0,
        4 => 1.5e30,
        5 => -1e-20,
        _ => random.Next(-9, 9) / 4.0,
    };
}
