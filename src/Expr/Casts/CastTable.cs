using System.Collections.Frozen;
using Materialize.Repr;

namespace Materialize.Expr.Functions;

/// <summary>Which casts exist between types that are not containers, as in the reference's cast matrix.</summary>
internal static class CastTable
{
    // from: implicit; assignment; explicit. "str" is char varchar text name as one kind of thing; "=" after a target: same bits.
    private const string Matrix = """
        bool: ; text; int4 int8
        int2: int4 int8 float4 float8 numeric oid regclass regtype regproc; uint2 uint4 uint8 text;
        int4: int8 float4 float8 numeric oid regclass regtype regproc mz_timestamp; int2 uint2 uint4 uint8 text; bool char
        int8: float4 float8 numeric oid regclass regtype regproc mz_timestamp; int2 int4 uint2 uint4 uint8 text; bool
        uint2: uint4 uint8 int4 int8 numeric float4 float8; int2 text;
        uint4: uint8 int8 numeric float4 float8 mz_timestamp; uint2 int2 int4 text;
        uint8: numeric float4 float8 mz_timestamp; uint2 uint4 int2 int4 int8 text;
        float4: float8; int2 int4 int8 uint2 uint4 uint8 numeric text;
        float8: ; float4 int2 int4 int8 uint2 uint4 uint8 numeric text;
        numeric: float4 float8 mz_timestamp; numeric int2 int4 int8 uint2 uint4 uint8 text;
        oid: regclass= regproc= regtype=; int4 int8; text
        regclass: oid=; ; text
        regtype: oid=; ; text
        regproc: oid=; ; text
        text: bpchar varchar name; char mz_timestamp; bool int2 int4 int8 uint2 uint4 uint8 float4 float8 numeric oid regclass regtype regproc date time timestamp timestamptz interval bytea jsonb uuid int2vector aclitem mz_aclitem
        bpchar: text bpchar varchar name; char;
        varchar: text bpchar varchar name; char;
        char: text; bpchar varchar; int4
        name: text; bpchar varchar;
        date: timestamp timestamptz mz_timestamp; text;
        time: interval; time text;
        timestamp: timestamptz mz_timestamp; timestamp date time text;
        timestamptz: mz_timestamp; timestamp timestamptz date time text;
        interval: ; time text;
        bytea: ; text;
        jsonb: ; text; bool int2 int4 int8 float4 float8 numeric
        uuid: ; text;
        mz_timestamp: ; text timestamp timestamptz;
        int2vector: ; ; text
        aclitem: ; ; mz_aclitem text
        mz_aclitem: ; ; aclitem text
        """;

    private static readonly FrozenDictionary<(ScalarKind From, ScalarKind To), (CastContext Context, bool SameBits)> Entries = Read();

    /// <summary>Casts of containers, by id.</summary>
    private static readonly string[] Containers =
    [
        "cast_text_to_array", "cast_text_to_list", "cast_text_to_map", "cast_text_to_range", "cast_text_to_record",
        "cast_array_to_text", "cast_list_to_text", "cast_map_to_text", "cast_range_to_text", "cast_record_to_text",
        "cast_array_to_array", "cast_array_to_list", "cast_list_to_list", "cast_map_to_map", "cast_record_to_record",
        "cast_int2vector_to_array", "cast_array_to_jsonb", "cast_list_to_jsonb",
    ];

    public static (CastContext Context, bool SameBits)? Find(ScalarKind from, ScalarKind to) =>
        Entries.TryGetValue((from, to), out var entry) ? entry : null;

    /// <summary>Every cast function, and whether it may fail.</summary>
    public static IEnumerable<(string Id, bool CouldError)> FunctionIds()
    {
        foreach (var ((from, to), (_, same)) in Entries)
        {
            if (!same)
                yield return (Id(from, to), !CannotFail(from, to));
        }

        // Any text form may also go to the constrained string types; an explicit cast to these truncates.
        foreach (var kind in Enum.GetValues<ScalarKind>())
        {
            yield return (Id(kind, ScalarKind.VarChar), true);
            yield return (Id(kind, ScalarKind.Char), true);
        }

        foreach (var id in Containers)
            yield return (id, true);
        yield return ("truncate_varchar", false);
        yield return ("truncate_char", false);
    }

    public static bool IntroducesNulls(string id) => id.StartsWith("cast_jsonb_to_", StringComparison.Ordinal);

    public static string Id(ScalarKind from, ScalarKind to) => $"cast_{Name(from)}_to_{Name(to)}";

    public static string Name(ScalarKind kind) => kind switch
    {
        ScalarKind.Char => "bpchar",
        ScalarKind.PgLegacyChar => "char",
        ScalarKind.Array => "array",
        ScalarKind.Range => "range",
        _ => PgType.Of(new SqlType(kind)).Name,
    };

    private static bool CannotFail(ScalarKind from, ScalarKind to) => to switch
    {
        ScalarKind.String => from is not (ScalarKind.RegClass or ScalarKind.RegProc or ScalarKind.RegType),
        ScalarKind.Int32 => from is ScalarKind.Int16 or ScalarKind.UInt16 or ScalarKind.Bool or ScalarKind.PgLegacyChar,
        ScalarKind.Int64 => from is ScalarKind.Int16 or ScalarKind.Int32 or ScalarKind.UInt16 or ScalarKind.UInt32 or ScalarKind.Oid or ScalarKind.Bool,
        ScalarKind.UInt32 => from is ScalarKind.UInt16,
        ScalarKind.UInt64 => from is ScalarKind.UInt16 or ScalarKind.UInt32,
        ScalarKind.Float64 => from is not (ScalarKind.String or ScalarKind.Jsonb),
        ScalarKind.Float32 => from is ScalarKind.Int16 or ScalarKind.Int32 or ScalarKind.Int64 or ScalarKind.UInt16 or ScalarKind.UInt32 or ScalarKind.UInt64,
        ScalarKind.Bool => from is not (ScalarKind.String or ScalarKind.Jsonb),
        ScalarKind.Interval or ScalarKind.Time => from is not ScalarKind.String,
        _ => false,
    };

    private static FrozenDictionary<(ScalarKind, ScalarKind), (CastContext, bool)> Read()
    {
        var kinds = Enum.GetValues<ScalarKind>().Where(k => k is not ScalarKind.Array and not ScalarKind.Range).ToDictionary(Name);
        var entries = new Dictionary<(ScalarKind, ScalarKind), (CastContext, bool)>();
        foreach (var line in Matrix.Split('\n', StringSplitOptions.TrimEntries))
        {
            var colon = line.IndexOf(':');
            var from = kinds[line[..colon]];
            var columns = line[(colon + 1)..].Split(';');
            for (var context = CastContext.Implicit; context <= CastContext.Explicit; context++)
            {
                foreach (var word in columns[(int)context].Split(' ', StringSplitOptions.RemoveEmptyEntries | StringSplitOptions.TrimEntries))
                    entries.Add((from, kinds[word.TrimEnd('=')]), (context, word.EndsWith('=')));
            }
        }

        return entries.ToFrozenDictionary();
    }
}
