using System.Globalization;
using System.Text;
using Materialize.Core.Collections;
using Materialize.Interchange;
using Materialize.Repr;

namespace Materialize.PgWire.Tests;

/// <summary>Encoders that work on row bytes against the general forms of Repr, and every form against its inverse.</summary>
public sealed class CodecTests
{
    private static readonly SqlType[] Types =
    [
        SqlType.Bool, SqlType.Int16, SqlType.Int32, SqlType.Int64, SqlType.UInt16, SqlType.UInt32, SqlType.UInt64, SqlType.Float32, SqlType.Float64,
        SqlType.Numeric, SqlType.Date, SqlType.Time, SqlType.Timestamp, SqlType.TimestampTz, SqlType.Interval, SqlType.Bytes, SqlType.String,
        SqlType.VarCharOf(20), SqlType.CharOf(20), SqlType.Uuid, SqlType.Oid, SqlType.MzTimestamp, SqlType.PgLegacyName, SqlType.Jsonb,
        SqlType.ArrayOf(SqlType.Int32), SqlType.ArrayOf(SqlType.String), SqlType.Int2Vector, SqlType.RangeOf(SqlType.Int64),
    ];

    public static TheoryData<int> TypeIndexes => [.. Enumerable.Range(0, Types.Length)];

    [Theory]
    [MemberData(nameof(TypeIndexes))]
    public void Text_from_row_bytes_is_the_general_text(int index)
    {
        var type = Types[index];
        if (type.Kind is ScalarKind.Float32 or ScalarKind.Float64)
            return;
        foreach (var value in Values(type))
            Assert.Equal(DatumText.Format(type, value), Encoding.UTF8.GetString(Encode(type, value, binary: false)));
    }

    [Theory]
    [MemberData(nameof(TypeIndexes))]
    public void Text_and_binary_read_back(int index)
    {
        var type = Types[index];
        foreach (var value in Values(type))
        {
            Assert.Equal(PackOne(type, value), PackOne(type, ParameterDecoder.Decode(type, 0, Encode(type, value, binary: false))));
            Assert.Equal(PackOne(type, value), PackOne(type, ParameterDecoder.Decode(type, 1, Encode(type, value, binary: true))));
        }
    }

    [Theory]
    [MemberData(nameof(TypeIndexes))]
    public void Binary_from_row_bytes_is_the_general_binary(int index)
    {
        var type = Types[index];
        foreach (var value in Values(type))
        {
            using var general = new WireBuffer();
            if (type.Kind == ScalarKind.Char)
                continue;
            DatumBinary.Write(type, value, general);
            Assert.Equal(general.Written.ToArray(), Encode(type, value, binary: true));
        }
    }

    /// <summary>COPY out and in again gives the rows that the row codec packs.</summary>
    [Theory]
    [InlineData(CopyTextFormat.Text)]
    [InlineData(CopyTextFormat.Csv)]
    public void Copied_rows_are_the_same_bytes(CopyTextFormat format)
    {
        var columns = RelationDesc.Of([.. Types.Select((t, i) => ($"c{i}", t.Nullable(i % 3 != 0)))]);
        var layout = RowLayout.For(columns.Type.Columns);
        var random = new Random(5);
        var all = Types.Select(t => Values(t).ToList()).ToList();
        var rows = Enumerable.Range(0, 500).Select(_ => RowCodec.Pack(layout, [.. all.Select((v, i) => i % 3 != 0 && random.Next(4) == 0 ? Datum.Null : v[random.Next(v.Count)])])).ToList();

        // In CSV an empty string is a null, as Materialize has it: an unusual marker keeps them apart here.
        var options = format == CopyTextFormat.Csv ? CopyTextOptions.CsvDefault : CopyTextOptions.TextDefault;
        var text = CopyText.Encode(columns, rows, format);
        if (format == CopyTextFormat.Csv)
        {
            rows = [.. rows.Select(r => RowCodec.Unpack(layout, r)).Where(r => !r.Where((d, i) => !d.IsNull && DatumText.Format(Types[i], d).Length == 0).Any()).Select(r => RowCodec.Pack(layout, r))];
            text = CopyText.Encode(columns, rows, format);
            Assert.NotEmpty(rows);
        }

        var copied = CopyText.Decode(columns, text, options);
        Assert.Equal(rows.Count, copied.Count);
        for (var i = 0; i < rows.Count; i++)
            Assert.Equal(rows[i], copied[i]);
    }

    [Theory]
    [InlineData(0.0, "0")]
    [InlineData(1.0, "1")]
    [InlineData(-2.5, "-2.5")]
    [InlineData(100000, "100000")]
    [InlineData(1e15, "1000000000000000")]
    [InlineData(1e16, "1e+16")]
    [InlineData(1.5e300, "1.5e+300")]
    [InlineData(0.00012, "0.00012")]
    [InlineData(0.000012, "0.000012")]
    [InlineData(1.2e-7, "1.2e-7")]
    [InlineData(2.220446049250313e-16, "2.220446049250313e-16")]
    [InlineData(-1.7976931348623157e308, "-1.7976931348623157e+308")]
    [InlineData(double.NaN, "NaN")]
    [InlineData(double.NegativeInfinity, "-Infinity")]
    public void Floats_are_written_shortest(double value, string expected) =>
        Assert.Equal(expected, Encoding.UTF8.GetString(Encode(SqlType.Float64, Datum.FromDouble(value), binary: false)));

    [Theory]
    [InlineData(-3.4028235e38f, "-3.4028235e+38")]
    [InlineData(1.1920929e-7f, "1.1920929e-7")]
    [InlineData(1234567f, "1234567")]
    [InlineData(0.1f, "0.1")]
    public void Narrow_floats_are_written_shortest(float value, string expected) =>
        Assert.Equal(expected, Encoding.UTF8.GetString(Encode(SqlType.Float32, Datum.FromDouble(value), binary: false)));

    /// <summary>Digits, weight, sign, scale, groups: what Postgres's numeric_send gives.</summary>
    [Theory]
    [InlineData("0", "0000 0000 0000 0000")]
    [InlineData("1", "0001 0000 0000 0000 0001")]
    [InlineData("-1.5", "0002 0000 4000 0001 0001 1388")]
    [InlineData("12345.678", "0003 0001 0000 0003 0001 0929 1a7c")]
    [InlineData("100000000", "0001 0002 0000 0000 0001")]
    [InlineData("NaN", "0000 ffff c000 0000")]
    public void Numerics_are_sent_in_groups_of_four_digits(string text, string hex)
    {
        var sent = Encode(SqlType.Numeric, DatumText.Parse(SqlType.Numeric, text), binary: true);
        Assert.Equal(hex.Replace(" ", "", StringComparison.Ordinal), Convert.ToHexStringLower(sent));
    }

    [Fact]
    public void Broken_binary_values_are_refused()
    {
        var random = new Random(9);
        foreach (var type in Types)
        {
            for (var round = 0; round < 300; round++)
            {
                var bytes = new byte[random.Next(40)];
                random.NextBytes(bytes);
                if (random.Next(3) == 0 && bytes.Length >= 12)
                    bytes.AsSpan(0, 8).Clear();
                try
                {
                    PackOne(type, ParameterDecoder.Decode(type, 1, bytes));
                }
                catch (InterchangeException e)
                {
                    Assert.Equal(5, e.SqlState.Length);
                }
            }
        }
    }

    [Fact]
    public void Types_without_a_binary_form_say_so()
    {
        var layout = RowLayout.For([SqlType.ListOf(SqlType.Int32).Nullable()]);
        Assert.Equal("0A000", Assert.Throws<InterchangeException>(() => RowEncoder.For(layout, [1])).SqlState);
        Assert.NotNull(RowEncoder.For(layout, []));
    }

    private static byte[] PackOne(SqlType type, Datum value) => RowCodec.Pack(RowLayout.For([type.Nullable(false)]), [value]);

    private static byte[] Encode(SqlType type, Datum value, bool binary)
    {
        using var output = new WireBuffer();
        var layout = RowLayout.For([type.Nullable(false)]);
        RowEncoder.For(layout, binary ? [1] : []).WriteDataRow(RowCodec.Pack(layout, [value]), output);
        return output.Written[6..].ToArray();
    }

    private static IEnumerable<Datum> Values(SqlType type)
    {
        var random = new Random((int)type.Kind);
        switch (type.Kind)
        {
            case ScalarKind.Bool:
                return [Datum.True, Datum.False];
            case ScalarKind.Int16 or ScalarKind.Int32 or ScalarKind.Int64 or ScalarKind.UInt16 or ScalarKind.UInt32 or ScalarKind.UInt64 or ScalarKind.Oid or ScalarKind.MzTimestamp:
                var bits = RowLayout.FixedWidth(type) * 8;
                var signed = type.Kind is ScalarKind.Int16 or ScalarKind.Int32 or ScalarKind.Int64;
                return new long[] { 0, 1, -1, long.MaxValue, long.MinValue, random.NextInt64(), -random.NextInt64(), 255, 65536 }
                    .Select(n => Datum.FromInt64(signed ? n << (64 - bits) >> (64 - bits) : (long)((ulong)n << (64 - bits) >> (64 - bits))));
            case ScalarKind.Float32:
                return new[] { 0f, 1f, -1.5f, float.MaxValue, float.Epsilon, float.NaN, float.PositiveInfinity, (float)random.NextDouble() }.Select(f => Datum.FromDouble(f));
            case ScalarKind.Float64:
                return new[] { 0d, 1d, -1.5, double.MaxValue, double.Epsilon, double.NaN, double.NegativeInfinity, random.NextDouble(), random.NextDouble() * 1e18 }.Select(Datum.FromDouble);
            case ScalarKind.Numeric:
                return new[] { "0", "1", "-1", "0.1", "-0.00012", "10000", "9999.9999", "123456789012345678901234567890.123456789", "999999999999999999999999999999999999999", "0.000000000000000000000000000000000000001", "NaN", "-340282366920938463463374607431768211456.5" }
                    .Select(t => DatumText.Parse(type, t));
            case ScalarKind.Date:
                return new[] { 0, 1, -1, 59, 60, 366, -730_000, -2_451_545, 95_000_000, random.Next(-700_000, 700_000) }.Select(d => Datum.FromInt64(d));
            case ScalarKind.Time:
                return new[] { 0, 1, 86_399_999_999, 3_600_000_000, 12_345_600_000, random.NextInt64(86_400_000_000) }.Select(Datum.FromInt64);
            case ScalarKind.Timestamp or ScalarKind.TimestampTz:
                return new[] { 0, 1, -1, -86_400_000_001, 1_500_000, -62_000_000_000_000_000, -150_000_000_000_000_000, 8_000_000_000_000_000_000, random.NextInt64(1_000_000_000_000_000) }.Select(Datum.FromInt64);
            case ScalarKind.Interval:
                return new[] { new Interval(0, 0, 0), new Interval(1, -2, 3), new Interval(-13, 40, -86_400_000_001), new Interval(int.MaxValue, int.MinValue, 5) }.Select(Datum.FromInterval);
            case ScalarKind.Bytes:
                return new byte[][] { [], [0], [255, 92, 9, 10, 34, 44], [.. Enumerable.Range(0, 256).Select(i => (byte)i)] }.Select(Datum.FromBytes);
            case ScalarKind.Char:
                return new[] { "x", "a b", "ü€😀" }.Select(Datum.FromString);
            case ScalarKind.String or ScalarKind.VarChar or ScalarKind.PgLegacyName:
                return new[] { "", "x", "\\N", "\\.", "a\tb\nc\\d", "it's \"q\",", " lead", "ü€😀", "\r\n" }.Select(Datum.FromString);
            case ScalarKind.Uuid:
                return new[] { UInt128.Zero, UInt128.MaxValue, ((UInt128)0x0123456789abcdef << 64) | 0xfedcba9876543210 }.Select(Datum.FromUuid);
            case ScalarKind.Jsonb:
                return new[] { "null", "{\"a\":[1,2.5,\"x\\n\"],\"b\":{}}", "\"t\\tq\"", "[]" }.Select(t => DatumText.Parse(type, t));
            case ScalarKind.Array when type.Element == SqlType.Int32:
                return new[] { "{}", "{1,NULL,-3}", "{{1,2},{3,4}}" }.Select(t => DatumText.Parse(type, t));
            case ScalarKind.Array:
                return new[] { "{}", "{a,\"b c\",NULL,\"\\\"\"}" }.Select(t => DatumText.Parse(type, t));
            case ScalarKind.Int2Vector:
                return new[] { "1", "1 -2 3" }.Select(t => DatumText.Parse(type, t));
            default:
                return new[] { "empty", "[1,5)", "(,3)", "[2,)" }.Select(t => DatumText.Parse(type, t));
        }
    }
}
