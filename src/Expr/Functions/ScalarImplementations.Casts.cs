using System.Globalization;
using Materialize.Repr;
using Calendar = Materialize.Repr.Calendar;

namespace Materialize.Expr.Functions;

internal static partial class ScalarImplementations
{
    private static readonly ScalarKind[] StringKinds = [ScalarKind.String, ScalarKind.VarChar, ScalarKind.Char, ScalarKind.PgLegacyName];

    private static void AddCasts(Dictionary<string, ScalarImplementation> table)
    {
        foreach (var kind in Enum.GetValues<ScalarKind>())
        {
            // To text and its constrained variants.
            table[CastTable.Id(kind, ScalarKind.String)] = (a, t, _) => Text(CastText(t[0], a[0]));
            table[CastTable.Id(kind, ScalarKind.VarChar)] = (a, t, o) => Text(FitVarChar(CastText(t[0], a[0]), o.Modifier));
            table[CastTable.Id(kind, ScalarKind.Char)] = (a, t, o) => Text(FitChar(CastText(t[0], a[0]), o.Modifier));
            table[CastTable.Id(kind, ScalarKind.PgLegacyName)] = (a, t, _) => Text(DatumText.TruncateName(CastText(t[0], a[0])));

            // From text.
            if (StringKinds.Contains(kind))
                continue;
            foreach (var source in StringKinds)
                table[CastTable.Id(source, kind)] = (a, _, o) => Constrain(o, DatumText.Parse(o, a[0].AsString));
        }

        table["truncate_varchar"] = (a, t, o) => Text(o.Modifier is { } n ? Left(CastText(t[0], a[0]), n) : CastText(t[0], a[0]));
        table["truncate_char"] = (a, t, o) => Text(Left(CastText(t[0], a[0]), o.Modifier ?? int.MaxValue).TrimEnd(' '));
        foreach (var to in IntegerKinds)
            AddIntegerCasts(table, to);
        foreach (var from in (string[])["int2", "int4", "int8", "uint2", "uint4", "oid"])
        {
            table[$"cast_{from}_to_float4"] = (a, _, _) => Datum.FromDouble((float)a[0].AsInt64);
            table[$"cast_{from}_to_float8"] = (a, _, _) => Datum.FromDouble(a[0].AsInt64);
            table[$"cast_{from}_to_numeric"] = (a, _, o) => Constrain(o, Datum.FromNumeric(Numeric.FromInt64(a[0].AsInt64)));
            table[$"cast_{from}_to_bool"] = (a, _, _) => Bool(a[0].AsInt64 != 0);
            table[$"cast_{from}_to_mz_timestamp"] = (a, _, _) => a[0].AsInt64 >= 0 ? Datum.FromUInt64((ulong)a[0].AsInt64) : throw OutOfRange($"\"{a[0].AsInt64}\" mz_timestamp");
            foreach (var oid in (string[])["oid", "regclass", "regtype", "regproc"])
            {
                table[$"cast_{from}_to_{oid}"] = (a, _, _) => a[0].AsInt64 is >= int.MinValue and <= uint.MaxValue ? Int((uint)a[0].AsInt64) : throw OutOfRange($"\"{a[0].AsInt64}\" oid");
            }
        }

        table["cast_uint8_to_float4"] = (a, _, _) => Datum.FromDouble((float)a[0].AsUInt64);
        table["cast_uint8_to_float8"] = (a, _, _) => Datum.FromDouble(a[0].AsUInt64);
        table["cast_uint8_to_numeric"] = (a, _, o) => Constrain(o, Datum.FromNumeric(Numeric.FromUInt64(a[0].AsUInt64)));
        table["cast_uint8_to_mz_timestamp"] = (a, _, _) => a[0];
        table["cast_int4_to_char"] = (a, _, _) => a[0].AsInt64 is >= sbyte.MinValue and <= sbyte.MaxValue ? Int((byte)a[0].AsInt64) : throw OutOfRange("\"char\"");
        table["cast_char_to_int4"] = (a, _, _) => Int((sbyte)a[0].AsInt64);
        table["cast_float4_to_float8"] = (a, _, _) => a[0];
        table["cast_float8_to_float4"] = (a, _, _) => ToSingle(a[0].AsDouble, "double precision");
        table["cast_float4_to_numeric"] = (a, _, o) => FromFloat(o, Numeric.FromSingle((float)a[0].AsDouble, out var n), n, a[0].AsDouble);
        table["cast_float8_to_numeric"] = (a, _, o) => FromFloat(o, Numeric.FromDouble(a[0].AsDouble, out var n), n, a[0].AsDouble);
        table["cast_numeric_to_numeric"] = (a, _, o) => Constrain(o, a[0]);
        table["cast_numeric_to_float8"] = (a, _, _) => Datum.FromDouble(a[0].AsNumeric.ToDouble());
        table["cast_numeric_to_float4"] = (a, _, _) => ToSingle(a[0].AsNumeric.ToDouble(), "numeric");
        table["cast_numeric_to_mz_timestamp"] = (a, _, _) =>
            a[0].AsNumeric.IsFinite && !a[0].AsNumeric.IsNegative && a[0].AsNumeric.TryToInt128(out var n) && n <= ulong.MaxValue && a[0].AsNumeric.Scale == 0
                ? Datum.FromUInt64((ulong)n) : throw OutOfRange($"\"{a[0].AsNumeric}\" mz_timestamp");
        table["cast_date_to_timestamp"] = table["cast_date_to_timestamptz"] = (a, _, o) => Constrain(o, Stamp((Int128)a[0].AsInt64 * Calendar.MicrosPerDay));
        table["cast_date_to_mz_timestamp"] = (a, _, _) => ToMzTimestamp(Stamp((Int128)a[0].AsInt64 * Calendar.MicrosPerDay).AsInt64);
        table["cast_time_to_interval"] = (a, _, _) => Span(new Interval(0, 0, a[0].AsInt64));
        table["cast_interval_to_time"] = (a, _, _) => Int(Calendar.FloorMod(a[0].AsInterval.Micros, Calendar.MicrosPerDay));
        table["cast_time_to_time"] = (a, _, o) => Constrain(o, a[0]);
        foreach (var from in (string[])["timestamp", "timestamptz"])
        {
            table[$"cast_{from}_to_timestamp"] = table[$"cast_{from}_to_timestamptz"] = (a, _, o) => Constrain(o, a[0]);
            table[$"cast_{from}_to_date"] = (a, _, _) => Int(Calendar.Split(a[0].AsInt64).Days);
            table[$"cast_{from}_to_time"] = (a, _, _) => Int(Calendar.Split(a[0].AsInt64).Micros);
            table[$"cast_{from}_to_mz_timestamp"] = (a, _, _) => ToMzTimestamp(a[0].AsInt64);
            table[$"cast_mz_timestamp_to_{from}"] = (a, _, o) => Constrain(o, FromMzTimestamp(a[0].AsUInt64));
        }

        foreach (var (name, type) in (ReadOnlySpan<(string, SqlType)>)[("int2", SqlType.Int16), ("int4", SqlType.Int32), ("int8", SqlType.Int64), ("float4", SqlType.Float32), ("float8", SqlType.Float64)])
            table[$"cast_jsonb_to_{name}"] = (a, _, _) => FromJson(a[0], type, n => ScalarFunctions.ById($"cast_numeric_to_{name}").Implementation!([n], [SqlType.Numeric], type));
        table["cast_jsonb_to_numeric"] = (a, _, o) => FromJson(a[0], SqlType.Numeric, n => Constrain(o, n));
        table["cast_jsonb_to_bool"] = (a, _, _) => new Jsonb(a[0].AsBytes).Kind switch
        {
            JsonbKind.True => Datum.True,
            JsonbKind.False => Datum.False,
            JsonbKind.Null => Datum.Null,
            var kind => throw BadJson(kind, "boolean"),
        };
        table["cast_aclitem_to_mz_aclitem"] = table["cast_mz_aclitem_to_aclitem"] = (_, _, _) =>
            throw Fail("0A000", "casts between aclitem and mz_aclitem are not supported outside of catalog queries");
    }

    /// <summary>A value's text where a cast makes it: as on the wire, but a bool in full.</summary>
    internal static string CastText(SqlType type, Datum value) => type.Kind switch
    {
        ScalarKind.Bool => value.AsBool ? "true" : "false",
        ScalarKind.Char => value.AsString,
        _ => DatumText.Format(type, value),
    };

    /// <summary>Applies the modifiers of a numeric, time or timestamp type.</summary>
    internal static Datum Constrain(SqlType type, Datum value)
    {
        if (type.Modifier is not { } modifier)
            return value;
        switch (type.Kind)
        {
            case ScalarKind.Numeric:
                var number = value.AsNumeric;
                var status = number.Round(modifier, out var rounded);
                // The digits before the point have only what the scale leaves of the 39.
                if (status != NumericStatus.Ok || (rounded.IsFinite && rounded.Abs().Truncate().ToString().Length > Numeric.MaxDigits - modifier && !rounded.Truncate().IsZero))
                    throw Fail("22003", "numeric field overflow");
                return Datum.FromNumeric(rounded);
            case ScalarKind.Timestamp or ScalarKind.TimestampTz or ScalarKind.Time:
                if (modifier >= 6)
                    return value;
                var unit = (long)Math.Pow(10, 6 - modifier);
                var (quotient, rest) = (Calendar.FloorDiv(value.AsInt64, unit), Calendar.FloorMod(value.AsInt64, unit));
                var result = (quotient + (rest * 2 >= unit ? 1 : 0)) * unit;
                return type.Kind == ScalarKind.Time ? Int(result % Calendar.MicrosPerDay) : Stamp(result);
            default:
                return value;
        }
    }

    private static void AddIntegerCasts(Dictionary<string, ScalarImplementation> table, IntegerKind to)
    {
        foreach (var from in IntegerKinds)
        {
            table[$"cast_{from.Name}_to_{to.Name}"] = (a, _, _) =>
            {
                var value = from.Get(a[0]);
                return to.Fits(value) ? to.Make(value) : throw OutOfRange($"\"{value}\" {to.SqlName}");
            };
        }

        table[$"cast_bool_to_{to.Name}"] = (a, _, _) => Int(a[0].AsInt64);
        table[$"cast_oid_to_{to.Name}"] = (a, _, _) =>
            to.Name == "int4" ? Int(unchecked((int)a[0].AsInt64)) : to.Fits(a[0].AsInt64) ? Int(a[0].AsInt64) : throw OutOfRange($"\"{a[0].AsInt64}\" {to.SqlName}");
        table[$"cast_numeric_to_{to.Name}"] = (a, _, _) =>
            a[0].AsNumeric.TryToInt128(out var value) && to.Fits(value) ? to.Make(value) : throw OutOfRange($"\"{a[0].AsNumeric}\" {to.SqlName}");
        foreach (var from in (string[])["float4", "float8"])
        {
            table[$"cast_{from}_to_{to.Name}"] = (a, t, _) =>
            {
                // The bounds of 64-bit types are not doubles; the comparison is against the first double beyond.
                var value = Math.Round(a[0].AsDouble, MidpointRounding.ToEven);
                var fits = value >= (double)to.Min && (to.Bits == 64 ? value < (double)to.Max : value <= (double)to.Max);
                return fits ? to.Make((Int128)value) : throw OutOfRange($"\"{Plain(t[0], value)}\" {to.SqlName}");
            };
        }
    }

    private static string Plain(SqlType type, double value) =>
        double.IsFinite(value) && Numeric.FromDouble(value, out var number) == NumericStatus.Ok
            ? (type.Kind == ScalarKind.Float32 && Numeric.FromSingle((float)value, out var single) == NumericStatus.Ok ? single : number).ToString()
            : DatumText.Format(type, Datum.FromDouble(value));

    private static Datum ToSingle(double value, string from)
    {
        var single = (float)value;
        if (float.IsInfinity(single) && double.IsFinite(value))
            throw OutOfRange($"\"{value.ToString(CultureInfo.InvariantCulture)}\" real");
        if (single == 0 && value != 0)
            throw Fail("22003", $"value out of range: underflow converting {from} to real");
        return Datum.FromDouble(single);
    }

    private static Datum FromFloat(SqlType output, NumericStatus status, Numeric value, double source)
    {
        if (status != NumericStatus.Ok || (!value.IsFinite && !value.IsNaN))
            throw OutOfRange($"\"{FloatText.Format(source)}\" numeric");
        return Constrain(output, Datum.FromNumeric(value));
    }

    private static Datum FromMzTimestamp(ulong millis)
    {
        var micros = ((Int128)millis * 1000) - ((Int128)Calendar.UnixEpochSeconds * Calendar.MicrosPerSecond);
        return Stamp(micros);
    }

    private static Datum FromJson(Datum value, SqlType type, Func<Datum, Datum> convert)
    {
        var json = new Jsonb(value.AsBytes);
        return json.Kind switch
        {
            JsonbKind.Number => convert(Datum.FromNumeric(json.Number)),
            JsonbKind.Null => Datum.Null,
            var kind => throw BadJson(kind, type.ToSql()),
        };
    }

    private static EvalException BadJson(JsonbKind kind, string type)
    {
        var name = kind switch
        {
            JsonbKind.True or JsonbKind.False => "boolean",
            JsonbKind.Number => "numeric",
            _ => kind.ToString().ToLowerInvariant(),
        };
        return InvalidParameter($"cannot cast jsonb {name} to type {type}");
    }

    private static string FitVarChar(string text, int? length)
    {
        if (length is not { } max || DatumText.CharCount(text) <= max)
            return text;
        return text.AsSpan(Index(text, max)).Trim(' ').IsEmpty ? Left(text, max) : throw Fail("22001", $"value too long for type character varying({max})");
    }

    private static string FitChar(string text, int? length)
    {
        var trimmed = text.TrimEnd(' ');
        return length is not { } max || DatumText.CharCount(trimmed) <= max ? trimmed : throw Fail("22001", $"value too long for type character({max})");
    }
}
