namespace Materialize.Expr.Functions;

internal static partial class SignatureTables
{
    /// <summary>In a macro, a DISTINCT or FILTER of the call belongs to every aggregate of the text.</summary>
    public const string Aggregates = """
        count() int8 = agg:Count
        count(any) int8 = agg:Count
        sum(int2) int8 = agg:SumInt16
        sum(int4) int8 = agg:SumInt32
        sum(int8) numeric = agg:SumInt64
        sum(uint2) uint8 = agg:SumUInt16
        sum(uint4) uint8 = agg:SumUInt32
        sum(uint8) numeric = agg:SumUInt64
        sum(float4) float4 = agg:SumFloat32
        sum(float8) float8 = agg:SumFloat64
        sum(numeric) numeric = agg:SumNumeric
        sum(interval) interval = agg:SumInterval
        for bool int2 int4 int8 uint2 uint4 uint8 mz_timestamp float4 float8 text char varchar name date time timestamp timestamptz numeric interval bytea uuid oid: max(@) arg0 = agg:Max
        for bool int2 int4 int8 uint2 uint4 uint8 mz_timestamp float4 float8 text char varchar name date time timestamp timestamptz numeric interval bytea uuid oid: min(@) arg0 = agg:Min
        max(anyrecord) arg0 = agg:Max
        min(anyrecord) arg0 = agg:Min
        max(anyarray) arg0 = agg:Max
        min(anyarray) arg0 = agg:Min
        max(jsonb) arg0 = agg:Max
        min(jsonb) arg0 = agg:Min
        for int2 int4 int8 uint2 uint4 uint8 numeric: avg(@) numeric = sql: sum($1)::numeric / nullif(count($1), 0)::numeric
        for float4 float8: avg(@) float8 = sql: sum($1::float8) / nullif(count($1), 0)::float8
        avg(interval) interval = sql: sum($1) / nullif(count($1), 0)::float8
        bool_and(bool) bool = sql: CASE WHEN count($1) = 0 THEN NULL ELSE count(nullif($1, true)) = 0 END
        bool_or(bool) bool = sql: CASE WHEN count($1) = 0 THEN NULL ELSE count(nullif($1, false)) > 0 END
        for int2 int4 int8 uint2 uint4 uint8 numeric: var_pop(@) numeric = sql: CASE WHEN count($1) = 0 THEN NULL ELSE greatest((sum($1::numeric * $1::numeric) - sum($1::numeric) * sum($1::numeric) / nullif(count($1), 0)::numeric) / nullif(count($1), 0)::numeric, 0::numeric) END
        for int2 int4 int8 uint2 uint4 uint8 numeric: var_samp(@) numeric = sql: CASE WHEN count($1) <= 1 THEN NULL ELSE greatest((sum($1::numeric * $1::numeric) - sum($1::numeric) * sum($1::numeric) / nullif(count($1), 0)::numeric) / nullif(count($1) - 1, 0)::numeric, 0::numeric) END
        for int2 int4 int8 uint2 uint4 uint8 numeric: variance(@) numeric = sql: CASE WHEN count($1) <= 1 THEN NULL ELSE greatest((sum($1::numeric * $1::numeric) - sum($1::numeric) * sum($1::numeric) / nullif(count($1), 0)::numeric) / nullif(count($1) - 1, 0)::numeric, 0::numeric) END
        for int2 int4 int8 uint2 uint4 uint8 numeric: stddev_pop(@) numeric = sql: sqrt(CASE WHEN count($1) = 0 THEN NULL ELSE greatest((sum($1::numeric * $1::numeric) - sum($1::numeric) * sum($1::numeric) / nullif(count($1), 0)::numeric) / nullif(count($1), 0)::numeric, 0::numeric) END)
        for int2 int4 int8 uint2 uint4 uint8 numeric: stddev_samp(@) numeric = sql: sqrt(CASE WHEN count($1) <= 1 THEN NULL ELSE greatest((sum($1::numeric * $1::numeric) - sum($1::numeric) * sum($1::numeric) / nullif(count($1), 0)::numeric) / nullif(count($1) - 1, 0)::numeric, 0::numeric) END)
        for int2 int4 int8 uint2 uint4 uint8 numeric: stddev(@) numeric = sql: sqrt(CASE WHEN count($1) <= 1 THEN NULL ELSE greatest((sum($1::numeric * $1::numeric) - sum($1::numeric) * sum($1::numeric) / nullif(count($1), 0)::numeric) / nullif(count($1) - 1, 0)::numeric, 0::numeric) END)
        for float4 float8: var_pop(@) float8 = sql: CASE WHEN count($1) = 0 THEN NULL ELSE greatest((sum($1::float8 * $1::float8) - sum($1::float8) * sum($1::float8) / nullif(count($1), 0)::float8) / nullif(count($1), 0)::float8, 0::float8) END
        for float4 float8: var_samp(@) float8 = sql: CASE WHEN count($1) <= 1 THEN NULL ELSE greatest((sum($1::float8 * $1::float8) - sum($1::float8) * sum($1::float8) / nullif(count($1), 0)::float8) / nullif(count($1) - 1, 0)::float8, 0::float8) END
        for float4 float8: variance(@) float8 = sql: CASE WHEN count($1) <= 1 THEN NULL ELSE greatest((sum($1::float8 * $1::float8) - sum($1::float8) * sum($1::float8) / nullif(count($1), 0)::float8) / nullif(count($1) - 1, 0)::float8, 0::float8) END
        for float4 float8: stddev_pop(@) float8 = sql: sqrt(CASE WHEN count($1) = 0 THEN NULL ELSE greatest((sum($1::float8 * $1::float8) - sum($1::float8) * sum($1::float8) / nullif(count($1), 0)::float8) / nullif(count($1), 0)::float8, 0::float8) END)
        for float4 float8: stddev_samp(@) float8 = sql: sqrt(CASE WHEN count($1) <= 1 THEN NULL ELSE greatest((sum($1::float8 * $1::float8) - sum($1::float8) * sum($1::float8) / nullif(count($1), 0)::float8) / nullif(count($1) - 1, 0)::float8, 0::float8) END)
        for float4 float8: stddev(@) float8 = sql: sqrt(CASE WHEN count($1) <= 1 THEN NULL ELSE greatest((sum($1::float8 * $1::float8) - sum($1::float8) * sum($1::float8) / nullif(count($1), 0)::float8) / nullif(count($1) - 1, 0)::float8, 0::float8) END)
        array_agg(anynonarray) anyarray = agg:ArrayAgg
        array_agg(anyarray) arg0 = agg:ArrayAgg
        string_agg(text, text) text = agg:StringAgg
        string_agg(bytea, bytea) bytea = agg:StringAgg
        jsonb_agg(any) jsonb = sql: jsonb_agg(to_jsonb($1))
        jsonb_agg(jsonb) jsonb = agg:JsonbAgg
        jsonb_object_agg(text, jsonb) jsonb = agg:JsonbObjectAgg
        jsonb_object_agg(any, any) jsonb = sql: jsonb_object_agg($1::text, to_jsonb($2))
        schema mz_catalog
        list_agg(any) anylist = agg:ListAgg
        map_agg(text, any) map_of_arg1 = agg:MapAgg
        schema mz_unsafe
        mz_all(bool) bool = agg:All
        mz_any(bool) bool = agg:Any
        """;

    public const string TableFunctions = """
        generate_series(int4, int4, int4) setof int4 = table:GenerateSeriesInt32 generate_series
        generate_series(int4, int4) setof int4 = table:GenerateSeriesInt32 generate_series
        generate_series(int8, int8, int8) setof int8 = table:GenerateSeriesInt64 generate_series
        generate_series(int8, int8) setof int8 = table:GenerateSeriesInt64 generate_series
        generate_series(timestamp, timestamp, interval) setof timestamp = table:GenerateSeriesTimestamp generate_series
        generate_series(timestamptz, timestamptz, interval) setof timestamptz = table:GenerateSeriesTimestampTz generate_series
        generate_subscripts(anyarray, int4) setof int4 = table:GenerateSubscripts generate_subscripts
        unnest(anyarray) setof elem = table:UnnestArray unnest
        unnest(anylist) setof elem = table:UnnestList unnest
        unnest(anymap) setof map_entry = table:UnnestMap key value
        jsonb_each(jsonb) setof record(key text, value jsonb) = table:JsonbEach key value
        jsonb_each_text(jsonb) setof record(key text, value text) = table:JsonbEachText key value
        jsonb_object_keys(jsonb) setof text = table:JsonbObjectKeys jsonb_object_keys
        jsonb_array_elements(jsonb) setof jsonb = table:JsonbArrayElements value
        jsonb_array_elements_text(jsonb) setof text = table:JsonbArrayElementsText value
        regexp_matches(text, text) setof text[] = table:RegexpMatches regexp_matches
        regexp_matches(text, text, text) setof text[] = table:RegexpMatches regexp_matches
        regexp_split_to_table(text, text) setof text = table:RegexpSplitToTable regexp_split_to_table
        regexp_split_to_table(text, text, text) setof text = table:RegexpSplitToTable regexp_split_to_table
        aclexplode(aclitem[]) setof record(grantor oid, grantee oid, privilege_type text, is_grantable bool) = table:AclExplode grantor grantee privilege_type is_grantable
        schema mz_catalog
        -- The columns of these two depend on a literal argument: TableFunctions.Columns gives them.
        regexp_extract(text, text) setof nothing = table:RegexpExtract
        csv_extract(int8, text) setof nothing = table:CsvExtract
        repeat_row(int8) setof nothing = table:RepeatRow
        schema mz_internal
        mz_aclexplode(mz_aclitem[]) setof record(grantor text, grantee text, privilege_type text, is_grantable bool) = table:AclExplode grantor grantee privilege_type is_grantable
        """;
}
