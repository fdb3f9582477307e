namespace Materialize.Catalog;

/// <summary>
/// The functions by which Postgres reads values of each type. No query can call them; clients look at typreceive to tell arrays from
/// other types. Oids and names are those of Postgres.
/// </summary>
internal static class TypeFunctions
{
    private static readonly (string Type, uint Input, string InputName, uint Receive, string ReceiveName)[] All =
    [
        ("bool", 1242, "boolin", 2436, "boolrecv"),
        ("bytea", 1244, "byteain", 2412, "bytearecv"),
        ("char", 1245, "charin", 2434, "charrecv"),
        ("name", 34, "namein", 2422, "namerecv"),
        ("int8", 460, "int8in", 2408, "int8recv"),
        ("int2", 38, "int2in", 2404, "int2recv"),
        ("int2vector", 40, "int2vectorin", 2410, "int2vectorrecv"),
        ("int4", 42, "int4in", 2406, "int4recv"),
        ("regproc", 44, "regprocin", 2444, "regprocrecv"),
        ("text", 46, "textin", 2414, "textrecv"),
        ("oid", 1798, "oidin", 2418, "oidrecv"),
        ("float4", 200, "float4in", 2424, "float4recv"),
        ("float8", 214, "float8in", 2426, "float8recv"),
        ("bpchar", 1044, "bpcharin", 2430, "bpcharrecv"),
        ("varchar", 1046, "varcharin", 2432, "varcharrecv"),
        ("date", 1084, "date_in", 2468, "date_recv"),
        ("time", 1143, "time_in", 2470, "time_recv"),
        ("timestamp", 1312, "timestamp_in", 2474, "timestamp_recv"),
        ("timestamptz", 1150, "timestamptz_in", 2476, "timestamptz_recv"),
        ("interval", 1160, "interval_in", 2478, "interval_recv"),
        ("numeric", 1701, "numeric_in", 2460, "numeric_recv"),
        ("regclass", 2218, "regclassin", 2452, "regclassrecv"),
        ("regtype", 2220, "regtypein", 2454, "regtyperecv"),
        ("record", 2290, "record_in", 2402, "record_recv"),
        ("uuid", 2952, "uuid_in", 2961, "uuid_recv"),
        ("jsonb", 3806, "jsonb_in", 3805, "jsonb_recv"),
        ("int4range", 3834, "range_in", 3836, "range_recv"),
        ("int8range", 3834, "range_in", 3836, "range_recv"),
        ("numrange", 3834, "range_in", 3836, "range_recv"),
        ("daterange", 3834, "range_in", 3836, "range_recv"),
        ("tsrange", 3834, "range_in", 3836, "range_recv"),
        ("tstzrange", 3834, "range_in", 3836, "range_recv"),
    ];

    private const uint ArrayIn = 750, ArrayReceive = 2400;

    /// <summary>Per type its id and the oids of its two functions, as rows of VALUES.</summary>
    public static IEnumerable<string> Metadata()
    {
        foreach (var type in BuiltinTypes.All)
        {
            if (type.Element is not null)
                yield return $"('{type.Id}', {ArrayIn}, {ArrayReceive})";
            else if (All.FirstOrDefault(f => f.Type == type.Name) is { Type: not null } f)
                yield return $"('{type.Id}', {f.Input}, {f.Receive})";
        }
    }

    /// <summary>Oid and name of each function, as rows of VALUES.</summary>
    public static IEnumerable<string> Rows() =>
        All
            .SelectMany(f => new[] { (f.Input, f.InputName), (f.Receive, f.ReceiveName) })
            .Append((ArrayIn, "array_in"))
            .Append((ArrayReceive, "array_recv"))
            .Distinct()
            .Select(f => $"({f.Item1}, '{f.Item2}')");
}
