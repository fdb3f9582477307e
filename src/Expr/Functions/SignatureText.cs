using Materialize.Core.Collections;
using Materialize.Repr;

namespace Materialize.Expr.Functions;

/// <summary>Reads <c>(text, any...) text</c>: the parameters and the result of a signature.</summary>
internal static class SignatureText
{
    private static readonly Dictionary<string, SqlType> Types = new()
    {
        ["bool"] = SqlType.Bool,
        ["int2"] = SqlType.Int16,
        ["int4"] = SqlType.Int32,
        ["int8"] = SqlType.Int64,
        ["uint2"] = SqlType.UInt16,
        ["uint4"] = SqlType.UInt32,
        ["uint8"] = SqlType.UInt64,
        ["float4"] = SqlType.Float32,
        ["float8"] = SqlType.Float64,
        ["numeric"] = SqlType.Numeric,
        ["text"] = SqlType.String,
        ["bytea"] = SqlType.Bytes,
        ["char"] = SqlType.CharOf(null),
        ["varchar"] = SqlType.VarCharOf(null),
        ["pgchar"] = SqlType.PgLegacyChar,
        ["name"] = SqlType.PgLegacyName,
        ["date"] = SqlType.Date,
        ["time"] = SqlType.Time,
        ["timestamp"] = SqlType.Timestamp,
        ["timestamptz"] = SqlType.TimestampTz,
        ["interval"] = SqlType.Interval,
        ["jsonb"] = SqlType.Jsonb,
        ["uuid"] = SqlType.Uuid,
        ["oid"] = SqlType.Oid,
        ["regclass"] = SqlType.RegClass,
        ["regtype"] = SqlType.RegType,
        ["regproc"] = SqlType.RegProc,
        ["int2vector"] = SqlType.Int2Vector,
        ["mz_timestamp"] = SqlType.MzTimestamp,
        ["aclitem"] = SqlType.AclItem,
        ["mz_aclitem"] = SqlType.MzAclItem,
        ["int4range"] = SqlType.RangeOf(SqlType.Int32),
        ["int8range"] = SqlType.RangeOf(SqlType.Int64),
        ["numrange"] = SqlType.RangeOf(SqlType.Numeric),
        ["daterange"] = SqlType.RangeOf(SqlType.Date),
        ["tsrange"] = SqlType.RangeOf(SqlType.Timestamp),
        ["tstzrange"] = SqlType.RangeOf(SqlType.TimestampTz),
    };

    public static (ValueArray<ParamType> Params, ParamType? Variadic, Func<IReadOnlyList<SqlType>, SqlType> Return) Parse(string text)
    {
        var close = Close(text, 0);
        List<ParamType> parameters = [];
        ParamType? variadic = null;
        foreach (var part in Split(text[1..close]))
        {
            if (part.EndsWith("...", StringComparison.Ordinal))
                variadic = Param(part[..^3]);
            else
                parameters.Add(Param(part));
        }

        var result = text[(close + 1)..].Trim();
        if (result.StartsWith("setof ", StringComparison.Ordinal))
            result = result["setof ".Length..];
        ParamType[] array = [.. parameters];
        return (array.ToValueArray(), variadic, Result(result, array));
    }

    private static ParamType Param(string text) => text switch
    {
        "any" => new ParamType.Any(),
        "anyelement" => new ParamType.AnyElement(),
        "anynonarray" => new ParamType.AnyNonArray(),
        "anyarray" => new ParamType.AnyArray(),
        "anylist" => new ParamType.AnyList(),
        "anymap" => new ParamType.AnyMap(),
        "anyrange" => new ParamType.AnyRange(),
        "anyrecord" => new ParamType.AnyRecord(),
        "anycompatible" => new ParamType.AnyCompatible(),
        "anycompatiblearray" => new ParamType.AnyCompatibleArray(),
        "anycompatiblelist" => new ParamType.AnyCompatibleList(),
        "anycompatiblemap" => new ParamType.AnyCompatibleMap(),
        _ => Type(text),
    };

    private static SqlType Type(string text)
    {
        if (text.EndsWith("[]", StringComparison.Ordinal))
            return SqlType.ArrayOf(Type(text[..^2]));
        if (text.EndsWith(" list", StringComparison.Ordinal))
            return SqlType.ListOf(Type(text[..^5]));
        if (text.StartsWith("map[", StringComparison.Ordinal))
            return SqlType.MapOf(Type(text[4..^1]));
        if (text.StartsWith("record(", StringComparison.Ordinal))
            return SqlType.RecordOf([.. Split(text[7..^1]).Select(Field)]);
        return Types[text];
    }

    private static RecordField Field(string text)
    {
        var space = text.IndexOf(' ');
        return new RecordField(text[..space], Type(text[(space + 1)..]).Nullable());
    }

    private static Func<IReadOnlyList<SqlType>, SqlType> Result(string text, ParamType[] parameters)
    {
        switch (text)
        {
            case "anyelement" or "anycompatible" or "anynonarray" or "elem":
                return Element(parameters);
            case "anyarray" or "anycompatiblearray":
                var element = Element(parameters);
                return args => SqlType.ArrayOf(element(args));
            case "arg0":
                return args => args[0];
            case "arg1":
                return args => args[1];
            case "anylist" or "anycompatiblelist":
                var listAt = Array.FindIndex(parameters, p => p is ParamType.AnyList or ParamType.AnyCompatibleList);
                if (listAt >= 0)
                    return args => args[listAt];
                var listElement = Element(parameters);
                return args => SqlType.ListOf(listElement(args));
            case "anymap":
                var mapAt = Array.FindIndex(parameters, p => p is ParamType.AnyMap or ParamType.AnyCompatibleMap);
                return args => args[mapAt];
            case "map_of_arg1":
                return args => SqlType.MapOf(args[1]);
            case "map_of_records":
                return args => SqlType.MapOf(args[0].Element!.Fields[1].Type.Type);
            case "map_entry":
                return args => SqlType.RecordOf(
                    new RecordField("key", SqlType.String.Nullable(false)), new RecordField("value", args[0].Element!.Nullable()));
            case "expandarray":
                return args => SqlType.RecordOf(
                    new RecordField("x", (args[0].Element ?? SqlType.Int16).Nullable()), new RecordField("n", SqlType.Int32.Nullable(false)));
            case "nothing":
                var nothing = SqlType.RecordOf();
                return _ => nothing;
            default:
                var type = Type(text);
                return _ => type;
        }
    }

    /// <summary>The type that the first polymorphic parameter stands for: a container's element, or the argument itself.</summary>
    private static Func<IReadOnlyList<SqlType>, SqlType> Element(ParamType[] parameters)
    {
        var container = Array.FindIndex(parameters, p => p is ParamType.AnyArray or ParamType.AnyList or ParamType.AnyMap
            or ParamType.AnyRange or ParamType.AnyCompatibleArray or ParamType.AnyCompatibleList or ParamType.AnyCompatibleMap);
        if (container >= 0)
            return args => args[container].Element ?? (args[container].Kind == ScalarKind.Int2Vector ? SqlType.Int16 : args[container]);
        var plain = Array.FindIndex(parameters, p => p is not ParamType.Exact);
        return args => args[plain];
    }

    private static int Close(string text, int open)
    {
        var depth = 0;
        for (var i = open; ; i++)
        {
            if (text[i] == '(')
                depth++;
            else if (text[i] == ')' && --depth == 0)
                return i;
        }
    }

    private static IEnumerable<string> Split(string text)
    {
        var depth = 0;
        var start = 0;
        for (var i = 0; i < text.Length; i++)
        {
            if (text[i] == '(')
                depth++;
            else if (text[i] == ')')
                depth--;
            else if (text[i] == ',' && depth == 0)
            {
                yield return text[start..i].Trim();
                start = i + 1;
            }
        }

        if (text[start..].Trim() is { Length: > 0 } last)
            yield return last;
    }
}
