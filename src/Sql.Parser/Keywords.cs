using System.Collections.Frozen;

namespace Materialize.Sql.Parser;

/// <summary>The words with a meaning of their own. Most are only reserved where they would be ambiguous.</summary>
internal static class Keywords
{
    /// <summary>Never a name without quotes (but after AS, or after a dot).</summary>
    public static readonly FrozenSet<string> Always = Set(
        "with select where group having qualify order limit offset fetch options returning union except intersect");

    /// <summary>Not the beginning of an operand.</summary>
    public static readonly FrozenSet<string> InExpr = Set(
        "with select where group having qualify order limit offset fetch options returning union except intersect from and or as then when else asc desc");

    /// <summary>Not a column alias without AS.</summary>
    public static readonly FrozenSet<string> InColumnAlias = Set(
        "with select where group having qualify order limit offset fetch options returning union except intersect from as into");

    /// <summary>Not a table alias without AS.</summary>
    public static readonly FrozenSet<string> InTableAlias = Set(
        "with select where group having qualify order limit offset fetch options returning union except intersect " +
        "from as on join inner cross full left right natural using set outer");

    /// <summary>Words the printer puts in quotes: a keyword somewhere a name may stand.</summary>
    public static readonly FrozenSet<string> Quoted = Set(
        "with select where group having qualify order limit offset fetch options returning union except intersect from as into on join inner " +
        "cross full left right natural using set outer and or not in is like ilike between isnull notnull collate at case when then else end " +
        "cast exists extract position substring trim normalize coalesce greatest least nullif interval row array list map true false null any " +
        "all some distinct lateral rows values table show asc desc nulls operator char character string bigint smallint dec decimal double float " +
        "int integer real boolean bytes json timestamp timestamptz time varchar bpchar default current escape over filter ignore respect mutually recursive " +
        "second secret for of to only up within envelope if unique primary check constraint references cluster broken replan view index materialized " +
        "precision varying");

    /// <summary>Every keyword: how an error message tells a keyword from a name.</summary>
    public static readonly FrozenSet<string> All = Set(
        """
        access action add address addresses aggregate aligned all alter analyze and any append apply arity array as asc assert assume at auction
        authority availability avro aws batch begin between bigint body both bpchar broken broker brokers by bytes cascade case cast catalog
        certificate chain char character characteristics check close cluster clusters clock coalesce collate column columns comment commit
        committed compatibility compression confluent connection connections constraint continual copy count counter cpu create createcluster
        createdb createrole creation cross csv current cursor database databases date datums day days deallocate debezium debug debugging dec
        decimal declare decoding decorrelated default delete delimited delimiter desc direction discard disk distinct doc dot double drop
        element else enable end endpoint enforced envelope error errors escape every except exclude execute exists explain expose external
        extract factor false features fetch fields files filter first float following for foreign format forward from full fullname function
        generator grant greatest group groups having header headers hints history hold host hour hours hydration iceberg id identifiers if
        ignore ilike in include increment index indexes info inherit inline inner input insert insights inspect int integer intersect interval
        into introspection is isnull isolation join json keys key last lateral latest leading least left level like limit linear list load
        local locally log login manual map marketing matching materialize materialized max membership memory message minute minutes mode month
        months mutually mysql natural network next no noinherit nologin normalize nosuperuser not notice notnull null nullif nulls object
        objects of offset on only operator optimized optimizer option options or order ordinality outer over owned owner parquet partition
        partitions password pattern physical plan plans policies policy position postgres preceding precision prefix prepare primary privatelink
        privileges progress protobuf protocol public publication pushdown qualify quote raise range raw read ready real reassign recursion
        recursive redacted reference references refresh regex region registry rename repeatable replacement replan replica replicas replication
        reset respect restrict retain return returning revoke right role roles rollback rotate row rows rule rules sasl scale schedule schema
        schemas second seconds secret secrets security seed select sequences serializable server session set shard show sink sinks size skew
        smallint snapshot some source sources sql ssh ssl start stdin stdout strategy strict string strong subscribe subsource subsources
        substring superuser swap symmetric system table tables temp temporary text then ticks tick ties time timeout timestamp timestamptz to
        token topic tpch trace trailing transaction trim true tunnel type types unbounded uncommitted union unique unknown until up update upsert
        usage user username using validate value values varchar varying verbose version view views wait webhook when where wire with within
        without work workers write year years zone zones
        """);

    private static FrozenSet<string> Set(string words) =>
        words.Split((char[]?)null, StringSplitOptions.RemoveEmptyEntries).ToFrozenSet(StringComparer.OrdinalIgnoreCase);
}
