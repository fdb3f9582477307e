using System.Globalization;
using Materialize.Repr;

namespace Materialize.Expr.Functions;

internal static partial class ScalarImplementations
{
    private static void AddJson(Dictionary<string, ScalarImplementation> table)
    {
        table["jsonb_get_int8"] = (a, _, _) => new Jsonb(a[0].AsBytes).TryGet(a[1].AsInt64, out var v) ? Json(v) : Datum.Null;
        table["jsonb_get_text"] = (a, _, _) => new Jsonb(a[0].AsBytes).TryGet(Utf8(a[1]), out var v) ? Json(v) : Datum.Null;
        table["jsonb_get_int8_text"] = (a, _, _) => new Jsonb(a[0].AsBytes).TryGet(a[1].AsInt64, out var v) ? JsonText(v) : Datum.Null;
        table["jsonb_get_text_text"] = (a, _, _) => new Jsonb(a[0].AsBytes).TryGet(Utf8(a[1]), out var v) ? JsonText(v) : Datum.Null;
        table["jsonb_get_path"] = (a, _, _) => TryPath(a, out var v) ? Json(v) : Datum.Null;
        table["jsonb_get_path_text"] = (a, _, _) => TryPath(a, out var v) ? JsonText(v) : Datum.Null;
        table["jsonb_concat"] = (a, _, _) => ConcatJson(a[0].AsBytes, a[1].AsBytes);
        table["jsonb_delete_int8"] = (a, _, _) => DeleteJson(a[0], a[1].AsInt64);
        table["jsonb_delete_text"] = (a, _, _) => DeleteJson(a[0], a[1].AsString);
        table["jsonb_contains"] = (a, _, _) => Bool(JsonContains(new Jsonb(a[0].AsBytes), new Jsonb(a[1].AsBytes), top: true));
        table["jsonb_contained_in"] = (a, _, _) => Bool(JsonContains(new Jsonb(a[1].AsBytes), new Jsonb(a[0].AsBytes), top: true));
        table["jsonb_contains_text"] = (a, _, _) => Bool(JsonContains(new Jsonb(a[0].AsBytes), new Jsonb(JsonbText.Parse(a[1].AsString)), top: true));
        table["jsonb_contained_in_text"] = (a, _, _) => Bool(JsonContains(new Jsonb(a[1].AsBytes), new Jsonb(JsonbText.Parse(a[0].AsString)), top: true));
        table["jsonb_contains_key"] = (a, _, _) => Bool(HasKey(new Jsonb(a[0].AsBytes), Utf8(a[1])));
        table["jsonb_array_length"] = (a, _, _) => new Jsonb(a[0].AsBytes) is { Kind: JsonbKind.Array } array ? Int(array.Count) : Datum.Null;
        table["jsonb_build_array"] = (a, t, _) =>
        {
            var items = new List<byte[]>();
            for (var i = 0; i < a.Length; i++)
                items.Add(ToJson(t[i], a[i]));
            return Datum.FromBytes(JsonbBuilder.FromArray(items));
        };
        table["jsonb_build_object"] = (a, t, _) => BuildObject(a, t);
        table["jsonb_pretty"] = (a, _, _) => Text(JsonbText.FormatPretty(a[0].AsBytes));
        table["jsonb_strip_nulls"] = (a, _, _) => Datum.FromBytes(StripNulls(new Jsonb(a[0].AsBytes)));
        table["jsonb_typeof"] = (a, _, _) => Text(new Jsonb(a[0].AsBytes).Kind switch
        {
            JsonbKind.True or JsonbKind.False => "boolean",
            JsonbKind.Array => "array",
            JsonbKind.Object => "object",
            JsonbKind.Number => "number",
            JsonbKind.String => "string",
            _ => "null",
        });
        table["to_jsonb"] = (a, t, _) => Datum.FromBytes(ToJson(t[0], a[0]));
    }

    /// <summary>A value of any type as JSON: numbers, bools, arrays, records and maps as such, all else as text.</summary>
    internal static byte[] ToJson(SqlType type, Datum value)
    {
        if (value.IsNull)
            return JsonbBuilder.Null;
        switch (type.Kind)
        {
            case ScalarKind.Jsonb:
                return value.AsBytes;
            case ScalarKind.Bool:
                return JsonbBuilder.FromBool(value.AsBool);
            case ScalarKind.Int16 or ScalarKind.Int32 or ScalarKind.Int64 or ScalarKind.UInt16 or ScalarKind.UInt32:
                return JsonbBuilder.FromNumber(Numeric.FromInt64(value.AsInt64));
            case ScalarKind.UInt64:
                return JsonbBuilder.FromNumber(Numeric.FromUInt64(value.AsUInt64));
            case ScalarKind.Float32 or ScalarKind.Float64 when double.IsFinite(value.AsDouble):
                var status = type.Kind == ScalarKind.Float32
                    ? Numeric.FromSingle((float)value.AsDouble, out var number)
                    : Numeric.FromDouble(value.AsDouble, out number);
                return status == NumericStatus.Ok ? JsonbBuilder.FromNumber(number) : JsonbBuilder.FromString(DatumText.Format(type, value));
            case ScalarKind.Numeric when value.AsNumeric.IsFinite:
                return JsonbBuilder.FromNumber(value.AsNumeric);
            case ScalarKind.List:
                return JsonbBuilder.FromArray([.. value.AsList.Select(e => ToJson(type.Element!, e))]);
            case ScalarKind.Int2Vector:
                return JsonbBuilder.FromArray([.. value.AsList.Select(e => ToJson(SqlType.Int16, e))]);
            case ScalarKind.Array:
                return ArrayToJson(type.Element!, value.AsArray, 0, 0, value.AsArray.Elements.Count);
            case ScalarKind.Map:
                return JsonbBuilder.FromObject(value.AsMap.Select(e => new KeyValuePair<string, byte[]>(e.Key, ToJson(type.Element!, e.Value))));
            case ScalarKind.Record:
                return JsonbBuilder.FromObject(value.AsList.Select((f, i) => new KeyValuePair<string, byte[]>(type.Fields[i].Name, ToJson(type.Fields[i].Type.Type, f))));
            default:
                return JsonbBuilder.FromString(DatumText.Format(type, value));
        }
    }

    private static byte[] ArrayToJson(SqlType element, ArrayDatum array, int depth, int from, int count)
    {
        if (array.Dimensions.Count == 0)
            return JsonbBuilder.FromArray([]);
        var length = array.Dimensions[depth].Length;
        var each = length == 0 ? 0 : count / length;
        var last = depth == array.Dimensions.Count - 1;
        return JsonbBuilder.FromArray(
            [.. Enumerable.Range(0, length).Select(i => last ? ToJson(element, array.Elements[from + i]) : ArrayToJson(element, array, depth + 1, from + (i * each), each))]);
    }

    private static Datum Json(Jsonb value) => Datum.FromBytes(value.Bytes.ToArray());

    /// <summary>A string without its quotes, null for JSON's null, else JSON text.</summary>
    internal static Datum JsonText(Jsonb value) => value.Kind switch
    {
        JsonbKind.String => Text(value.StringValue),
        JsonbKind.Null => Datum.Null,
        _ => Text(JsonbText.Format(value.Bytes)),
    };

    private static bool TryPath(ReadOnlySpan<Datum> args, out Jsonb value)
    {
        value = new Jsonb(args[0].AsBytes);
        foreach (var step in args[1].AsArray.Elements)
        {
            if (step.IsNull)
                return false;
            if (value.Kind == JsonbKind.Object)
            {
                if (!value.TryGet(Utf8(step), out var next))
                    return false;
                value = next;
            }
            else
            {
                if (!long.TryParse(step.AsString, NumberStyles.AllowLeadingSign, CultureInfo.InvariantCulture, out var index) || !value.TryGet(index, out var next))
                    return false;
                value = next;
            }
        }

        return true;
    }

    private static Datum ConcatJson(byte[] left, byte[] right)
    {
        var (a, b) = (new Jsonb(left).Kind, new Jsonb(right).Kind);
        if (a == JsonbKind.Object && b == JsonbKind.Object)
            return Datum.FromBytes(JsonbBuilder.FromObject([.. Entries(left), .. Entries(right)]));

        // Postgres makes an array of two values; Materialize has no answer.
        if (a != JsonbKind.Array && b != JsonbKind.Array)
            return Datum.Null;
        return Datum.FromBytes(JsonbBuilder.FromArray([.. Items(left), .. Items(right)]));

        static List<byte[]> Items(byte[] value) => new Jsonb(value).Kind == JsonbKind.Array ? Values(value) : [value];
    }

    private static List<KeyValuePair<string, byte[]>> Entries(byte[] value)
    {
        var entries = new List<KeyValuePair<string, byte[]>>();
        foreach (var entry in new Jsonb(value))
            entries.Add(new(entry.KeyText, entry.Value.Bytes.ToArray()));
        return entries;
    }

    private static List<byte[]> Values(byte[] value)
    {
        var items = new List<byte[]>();
        foreach (var entry in new Jsonb(value))
            items.Add(entry.Value.Bytes.ToArray());
        return items;
    }

    private static Datum DeleteJson(Datum value, long index)
    {
        if (new Jsonb(value.AsBytes).Kind != JsonbKind.Array)
            return Datum.Null;
        var items = Values(value.AsBytes);
        var at = index < 0 ? items.Count + index : index;
        if (at >= 0 && at < items.Count)
            items.RemoveAt((int)at);
        return Datum.FromBytes(JsonbBuilder.FromArray(items));
    }

    private static Datum DeleteJson(Datum value, string key)
    {
        switch (new Jsonb(value.AsBytes).Kind)
        {
            case JsonbKind.Object:
                return Datum.FromBytes(JsonbBuilder.FromObject(Entries(value.AsBytes).Where(e => e.Key != key)));
            case JsonbKind.Array:
                var unwanted = JsonbBuilder.FromString(key);
                return Datum.FromBytes(JsonbBuilder.FromArray(Values(value.AsBytes).FindAll(i => !i.AsSpan().SequenceEqual(unwanted))));
            default:
                return Datum.Null;
        }
    }

    private static bool HasKey(Jsonb value, ReadOnlySpan<byte> key)
    {
        if (value.Kind == JsonbKind.Object)
            return value.TryGet(key, out _);
        if (value.Kind == JsonbKind.String)
            return value.StringBytes.SequenceEqual(key);
        if (value.Kind != JsonbKind.Array)
            return false;
        foreach (var item in value)
        {
            if (item.Value.Kind == JsonbKind.String && item.Value.StringBytes.SequenceEqual(key))
                return true;
        }

        return false;
    }

    /// <summary>Each part of b is in a part of a; at the top, an array contains a scalar that is one of its items.</summary>
    private static bool JsonContains(Jsonb a, Jsonb b, bool top)
    {
        switch (a.Kind, b.Kind)
        {
            case (JsonbKind.Object, JsonbKind.Object):
                foreach (var entry in b)
                {
                    if (!a.TryGet(entry.Key, out var mine) || !JsonContains(mine, entry.Value, top: false))
                        return false;
                }

                return true;
            case (JsonbKind.Array, JsonbKind.Array):
                foreach (var wanted in b)
                {
                    if (!AnyContains(a, wanted.Value))
                        return false;
                }

                return true;
            case (JsonbKind.Array, _) when top && b.IsScalar:
                return AnyContains(a, b);
            default:
                return a.Kind == b.Kind && a.Bytes.SequenceEqual(b.Bytes);
        }
    }

    private static bool AnyContains(Jsonb array, Jsonb wanted)
    {
        foreach (var item in array)
        {
            if (item.Value.Kind == wanted.Kind && JsonContains(item.Value, wanted, top: false))
                return true;
        }

        return false;
    }

    private static Datum BuildObject(ReadOnlySpan<Datum> args, ReadOnlySpan<SqlType> types)
    {
        if (args.Length % 2 != 0)
            throw InvalidParameter("argument list must have even number of elements");
        var entries = new List<KeyValuePair<string, byte[]>>();
        for (var i = 0; i < args.Length; i += 2)
        {
            if (args[i].IsNull)
                throw Fail("22004", "key cannot be null");
            entries.Add(new(CastText(types[i], args[i]), ToJson(types[i + 1], args[i + 1])));
        }

        return Datum.FromBytes(JsonbBuilder.FromObject(entries));
    }

    private static byte[] StripNulls(Jsonb value)
    {
        switch (value.Kind)
        {
            case JsonbKind.Array:
                var items = new List<byte[]>();
                foreach (var item in value)
                    items.Add(StripNulls(item.Value));
                return JsonbBuilder.FromArray(items);
            case JsonbKind.Object:
                var entries = new List<KeyValuePair<string, byte[]>>();
                foreach (var entry in value)
                {
                    if (entry.Value.Kind != JsonbKind.Null)
                        entries.Add(new(entry.KeyText, StripNulls(entry.Value)));
                }

                return JsonbBuilder.FromObject(entries);
            default:
                return value.Bytes.ToArray();
        }
    }
}
