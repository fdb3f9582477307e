using Materialize.Sql.Parser.Ast;

namespace Materialize.Sql.Parser;

internal sealed partial class Parser
{
    private Statement ParseExplain()
    {
        if (Accept("TIMESTAMP"))
        {
            var format = ParseExplainFormat();
            Expect("FOR");
            var query = ParseQuery();
            return new Statement.ExplainTimestamp(format, query, ParseOptionalAsOf());
        }
        if (Accept("FILTER PUSHDOWN"))
        {
            Expect("FOR");
            return new Statement.ExplainPushdown(ParseExplainee());
        }
        if (AcceptOneOf("KEY SCHEMA", "VALUE SCHEMA") is { } part)
        {
            var format = ParseExplainFormat();
            Expect("FOR");
            var start = Current.Start;
            Expect("CREATE");
            var sink = ParseCreate(start);
            if (sink is not Statement.CreateSink)
                throw ErrorAt(start, "EXPLAIN SCHEMA is only supported for CREATE SINK");
            return new Statement.ExplainSinkSchema(part == "KEY SCHEMA", format, sink with { Span = SpanFrom(start) });
        }
        if (Accept("ANALYZE"))
            return ParseExplainAnalyze();

        var named = AcceptOneOf(
            "RAW PLAN", "DECORRELATED PLAN", "LOCALLY OPTIMIZED PLAN", "OPTIMIZED PLAN", "PHYSICAL PLAN", "PLAN INSIGHTS", "PLAN", "OPTIMIZER TRACE");
        ExplainStage? stage = named switch
        {
            "RAW PLAN" => ExplainStage.Raw,
            "DECORRELATED PLAN" => ExplainStage.Decorrelated,
            "LOCALLY OPTIMIZED PLAN" => ExplainStage.LocallyOptimized,
            "OPTIMIZED PLAN" => ExplainStage.Optimized,
            "PHYSICAL PLAN" => ExplainStage.Physical,
            "PLAN INSIGHTS" => ExplainStage.PlanInsights,
            "OPTIMIZER TRACE" => ExplainStage.OptimizerTrace,
            _ => null,
        };
        AstList<SqlOption> options = IsWord("WITH") && Ahead(1).Kind == TokenKind.LParen && Accept("WITH") ? ParseOpenOptions() : [];
        var planFormat = ParseExplainFormat();
        if (named is null)
            Accept("FOR");
        else
            Expect("FOR");
        return new Statement.ExplainPlan(stage, options, planFormat, ParseExplainee());
    }

    private ExplainFormat? ParseExplainFormat() => Accept("AS")
        ? ExpectOneOf("TEXT", "VERBOSE TEXT", "JSON", "DOT") switch
        {
            "TEXT" => ExplainFormat.Text,
            "VERBOSE TEXT" => ExplainFormat.VerboseText,
            "JSON" => ExplainFormat.Json,
            _ => ExplainFormat.Dot,
        }
        : null;

    private Explainee ParseExplainee()
    {
        var start = Current.Start;
        var replan = Accept("REPLAN");
        ObjectKind? kind = AcceptOneOf("VIEW", "MATERIALIZED VIEW", "INDEX") switch
        {
            "VIEW" => ObjectKind.View,
            "MATERIALIZED VIEW" => ObjectKind.MaterializedView,
            "INDEX" => ObjectKind.Index,
            _ => null,
        };
        if (kind is { } k)
        {
            var name = ParseObjectName();
            return new Explainee.Object(k, name, replan) { Span = SpanFrom(start) };
        }
        if (replan)
            throw ExpectedOneOf(["VIEW", "MATERIALIZED VIEW", "INDEX"]);
        var broken = Accept("BROKEN");
        var from = Current.Start;
        var statement = ParseStatement();
        if (statement is not (Statement.Select or Statement.CreateView or Statement.CreateMaterializedView or Statement.CreateIndex or Statement.Subscribe
            or Statement.Show))
            throw ErrorAt(from, "Expected SELECT, CREATE VIEW, CREATE MATERIALIZED VIEW, CREATE INDEX, or SUBSCRIBE as the statement to explain");
        return new Explainee.Of(statement, broken) { Span = SpanFrom(start) };
    }

    private Statement ParseExplainAnalyze()
    {
        var start = Current.Start;
        var cluster = Accept("CLUSTER");
        var hints = !cluster && Accept("HINTS");
        var properties = hints ? [] : CommaSeparated(() => ExpectOneOf("CPU", "MEMORY") == "CPU" ? AnalyzeProperty.Cpu : AnalyzeProperty.Memory);
        var skew = !hints && Accept("WITH SKEW");
        var analyzed = new AnalyzeProperties(hints, properties, skew) { Span = SpanFrom(start) };
        if (cluster)
            return new Statement.ExplainAnalyzeCluster(analyzed, Accept("AS SQL"));
        Expect("FOR");
        var from = Current.Start;
        var kind = ExpectOneOf("INDEX", "MATERIALIZED VIEW") == "INDEX" ? ObjectKind.Index : ObjectKind.MaterializedView;
        var name = ParseObjectName();
        var explainee = new Explainee.Object(kind, name, false) { Span = SpanFrom(from) };
        return new Statement.ExplainAnalyzeObject(analyzed, explainee, Accept("AS SQL"));
    }
}
