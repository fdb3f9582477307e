using System.Collections.Frozen;

namespace Materialize.Repr;

/// <summary>How Postgres clients know a type: its oid, catalog name, length and category.</summary>
/// <param name="Kind">The kind it describes; for a range, <see cref="ScalarKind.Range"/>.</param>
/// <param name="Oid">As in pg_type.</param>
/// <param name="ArrayOid">The oid of arrays of it, or 0.</param>
/// <param name="Name">As in pg_type: <c>int4</c>.</param>
/// <param name="SqlName">As <c>format_type</c> writes it: <c>integer</c>.</param>
/// <param name="Length">typlen: bytes, or −1 for varying.</param>
/// <param name="Category">typcategory: B, N, S, D, T, A, U, R, C, P.</param>
/// <param name="Schema">pg_catalog or mz_catalog.</param>
public sealed record PgType(ScalarKind Kind, uint Oid, uint ArrayOid, string Name, string SqlName, short Length, char Category, string Schema = "pg_catalog")
{
    /// <summary>The oid of anonymous lists and of anonymous maps.</summary>
    public const uint ListOid = 16384, MapOid = 16385;

    /// <summary>An untyped literal or parameter.</summary>
    public const uint UnknownOid = 705;

    private static readonly FrozenDictionary<ScalarKind, PgType> ByKind;
    private static readonly FrozenDictionary<uint, SqlType> TypesByOid;
    private static readonly FrozenDictionary<string, SqlType> TypesByName;

    /// <summary>Every type that is not made of others, and the six range types.</summary>
    public static IReadOnlyList<PgType> All { get; } =
    [
        new(ScalarKind.Bool, 16, 1000, "bool", "boolean", 1, 'B'),
        new(ScalarKind.Bytes, 17, 1001, "bytea", "bytea", -1, 'U'),
        new(ScalarKind.PgLegacyChar, 18, 1002, "char", "\"char\"", 1, 'S'),
        new(ScalarKind.PgLegacyName, 19, 1003, "name", "name", 64, 'S'),
        new(ScalarKind.Int64, 20, 1016, "int8", "bigint", 8, 'N'),
        new(ScalarKind.Int16, 21, 1005, "int2", "smallint", 2, 'N'),
        new(ScalarKind.Int2Vector, 22, 1006, "int2vector", "int2vector", -1, 'A'),
        new(ScalarKind.Int32, 23, 1007, "int4", "integer", 4, 'N'),
        new(ScalarKind.RegProc, 24, 1008, "regproc", "regproc", 4, 'N'),
        new(ScalarKind.String, 25, 1009, "text", "text", -1, 'S'),
        new(ScalarKind.Oid, 26, 1028, "oid", "oid", 4, 'N'),
        new(ScalarKind.Float32, 700, 1021, "float4", "real", 4, 'N'),
        new(ScalarKind.Float64, 701, 1022, "float8", "double precision", 8, 'N'),
        new(ScalarKind.Char, 1042, 1014, "bpchar", "character", -1, 'S'),
        new(ScalarKind.VarChar, 1043, 1015, "varchar", "character varying", -1, 'S'),
        new(ScalarKind.Date, 1082, 1182, "date", "date", 4, 'D'),
        new(ScalarKind.Time, 1083, 1183, "time", "time", 8, 'D'),
        new(ScalarKind.Timestamp, 1114, 1115, "timestamp", "timestamp without time zone", 8, 'D'),
        new(ScalarKind.TimestampTz, 1184, 1185, "timestamptz", "timestamp with time zone", 8, 'D'),
        new(ScalarKind.Interval, 1186, 1187, "interval", "interval", 16, 'T'),
        new(ScalarKind.Numeric, 1700, 1231, "numeric", "numeric", -1, 'N'),
        new(ScalarKind.RegClass, 2205, 2210, "regclass", "regclass", 4, 'N'),
        new(ScalarKind.RegType, 2206, 2211, "regtype", "regtype", 4, 'N'),
        new(ScalarKind.Record, 2249, 2287, "record", "record", -1, 'P'),
        new(ScalarKind.Uuid, 2950, 2951, "uuid", "uuid", 16, 'U'),
        new(ScalarKind.Jsonb, 3802, 3807, "jsonb", "jsonb", -1, 'U'),
        new(ScalarKind.AclItem, 1033, 1034, "aclitem", "aclitem", 12, 'U'),
        new(ScalarKind.MzAclItem, 16566, 16567, "mz_aclitem", "mz_aclitem", -1, 'U', "mz_catalog"),
        new(ScalarKind.MzTimestamp, 16552, 16553, "mz_timestamp", "mz_timestamp", 8, 'U', "mz_catalog"),
        new(ScalarKind.UInt16, 16460, 16461, "uint2", "uint2", 2, 'N', "mz_catalog"),
        new(ScalarKind.UInt32, 16462, 16463, "uint4", "uint4", 4, 'N', "mz_catalog"),
        new(ScalarKind.UInt64, 16464, 16465, "uint8", "uint8", 8, 'N', "mz_catalog"),
        new(ScalarKind.Range, 3904, 3905, "int4range", "int4range", -1, 'R'),
        new(ScalarKind.Range, 3926, 3927, "int8range", "int8range", -1, 'R'),
        new(ScalarKind.Range, 3906, 3907, "numrange", "numrange", -1, 'R'),
        new(ScalarKind.Range, 3912, 3913, "daterange", "daterange", -1, 'R'),
        new(ScalarKind.Range, 3908, 3909, "tsrange", "tsrange", -1, 'R'),
        new(ScalarKind.Range, 3910, 3911, "tstzrange", "tstzrange", -1, 'R'),
        new(ScalarKind.List, ListOid, 0, "list", "list", -1, 'U', "mz_catalog"),
        new(ScalarKind.Map, MapOid, 0, "map", "map", -1, 'U', "mz_catalog"),
    ];

    static PgType()
    {
        ByKind = All.Where(t => t.Kind != ScalarKind.Range).ToFrozenDictionary(t => t.Kind);
        var oids = new Dictionary<uint, SqlType>();
        var names = new Dictionary<string, SqlType>();
        foreach (var type in All)
        {
            if (type.Kind is ScalarKind.List or ScalarKind.Map)
                continue;
            var sql = type.Kind == ScalarKind.Range ? SqlType.RangeOf(RangeElement(type.Oid)) : new SqlType(type.Kind);
            oids[type.Oid] = sql;
            names[type.Name] = sql;
            oids[type.ArrayOid] = SqlType.ArrayOf(sql);
            names["_" + type.Name] = SqlType.ArrayOf(sql);
        }

        TypesByOid = oids.ToFrozenDictionary();
        TypesByName = names.ToFrozenDictionary();
    }

    /// <summary>The entry of a type; for an array that of its element (see <see cref="OidOf"/> for the array's own oid).</summary>
    public static PgType Of(SqlType type) => type.Kind switch
    {
        ScalarKind.Array => Of(type.Element!),
        ScalarKind.Range => All.First(t => t.Oid == RangeOid(type.Element!.Kind)),
        _ => ByKind[type.Kind],
    };

    /// <summary>The oid a client sees for values of <paramref name="type"/>. Custom types have oids of their own, which the catalog knows.</summary>
    public static uint OidOf(SqlType type) => type.Kind == ScalarKind.Array ? Of(type.Element!).ArrayOid : Of(type).Oid;

    /// <summary>typlen.</summary>
    public static short LengthOf(SqlType type) => type.Kind == ScalarKind.Array ? (short)-1 : Of(type).Length;

    /// <summary>atttypmod, −1 if there is none.</summary>
    public static int TypmodOf(SqlType type) => type switch
    {
        { Kind: ScalarKind.Numeric, Modifier: { } scale } => ((Repr.Numeric.MaxDigits << 16) | scale) + 4,
        { Kind: ScalarKind.Char or ScalarKind.VarChar, Modifier: { } length } => length + 4,
        { Kind: ScalarKind.Timestamp or ScalarKind.TimestampTz or ScalarKind.Time, Modifier: { } digits } => digits,
        _ => -1,
    };

    /// <summary>The type with this oid, array types included; null if unknown.</summary>
    public static SqlType? ByOid(uint oid) => TypesByOid.GetValueOrDefault(oid);

    /// <summary>The type with this name in pg_type, array types (<c>_int4</c>) included; null if unknown.</summary>
    public static SqlType? ByName(string name) => TypesByName.GetValueOrDefault(name);

    private static uint RangeOid(ScalarKind element) => element switch
    {
        ScalarKind.Int32 => 3904,
        ScalarKind.Int64 => 3926,
        ScalarKind.Numeric => 3906,
        ScalarKind.Date => 3912,
        ScalarKind.Timestamp => 3908,
        _ => 3910,
    };

    private static SqlType RangeElement(uint oid) => oid switch
    {
        3904 => SqlType.Int32,
        3926 => SqlType.Int64,
        3906 => SqlType.Numeric,
        3912 => SqlType.Date,
        3908 => SqlType.Timestamp,
        _ => SqlType.TimestampTz,
    };
}

/// <summary>How types are written in SQL and in messages.</summary>
public static class TypeNames
{
    /// <summary>As <c>format_type</c> writes it, modifiers included: <c>character varying(3)</c>, <c>integer[]</c>, <c>text list</c>.</summary>
    public static string ToSql(this SqlType type) => type.Kind switch
    {
        ScalarKind.Array => type.Element!.ToSql() + "[]",
        ScalarKind.List => type.Element!.ToSql() + " list",
        ScalarKind.Map => $"map[text=>{type.Element!.ToSql()}]",
        ScalarKind.Record when type.Fields.Count > 0 =>
            $"record({string.Join(",", type.Fields.Select(f => $"{f.Name}: {f.Type.Type.ToSql()}{(f.Type.IsNullable ? "?" : "")}"))})",
        ScalarKind.Numeric when type.Modifier is { } scale => $"numeric({Numeric.MaxDigits},{scale})",
        ScalarKind.Char or ScalarKind.VarChar when type.Modifier is { } length => $"{PgType.Of(type).SqlName}({length})",
        ScalarKind.Timestamp when type.Modifier is { } digits => $"timestamp({digits}) without time zone",
        ScalarKind.TimestampTz when type.Modifier is { } digits => $"timestamp({digits}) with time zone",
        _ => PgType.Of(type).SqlName,
    };

    /// <summary>The short catalog name used in column lists and EXPLAIN: <c>int4</c>, <c>_text</c>, <c>list</c>.</summary>
    public static string CatalogName(this SqlType type) => type.Kind == ScalarKind.Array ? "_" + PgType.Of(type.Element!).Name : PgType.Of(type).Name;
}
