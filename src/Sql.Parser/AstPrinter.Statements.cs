using System.Diagnostics;
using Materialize.Sql.Parser.Ast;

namespace Materialize.Sql.Parser;

internal sealed partial class SqlWriter
{
    public void Statement(Statement statement)
    {
        if (!Create(statement) && !Alter(statement) && !Explain(statement))
            Session(statement);
    }

    private void Session(Statement statement)
    {
        switch (statement)
        {
            case Statement.Select x:
                Query(x.Query);
                AsOf(x.AsOf);
                break;
            case Statement.Insert x:
                W("INSERT INTO ");
                Name(x.Table);
                OptionalColumns(x.Columns);
                W(" ");
                if (x.Source is null)
                    W("DEFAULT VALUES");
                else
                    Query(x.Source);
                Clause(x.Returning, " RETURNING ", Item);
                break;
            case Statement.Update x:
                W("UPDATE ");
                Name(x.Table);
                Alias(x.Alias);
                Clause(x.Assignments, " SET ", a =>
                {
                    Ident(a.Column);
                    Clause(" = ", a.Value);
                });
                Clause(" WHERE ", x.Where);
                break;
            case Statement.Delete x:
                W("DELETE FROM ");
                Name(x.Table);
                Alias(x.Alias);
                Clause(x.Using, " USING ", From);
                Clause(" WHERE ", x.Where);
                break;
            case Statement.Subscribe x: Subscribe(x); break;
            case Statement.Copy x: Copy(x); break;
            case Statement.Declare x:
                W("DECLARE ");
                Word(x.Name);
                W(" CURSOR FOR ");
                Statement(x.Inner);
                break;
            case Statement.Fetch x:
                W("FETCH ").If(x.All, "ALL ");
                if (x.Count is { } count)
                    W($"{count} ");
                Word(x.Name);
                With(x.Options);
                break;
            case Statement.Close x: Named("CLOSE ", x.Name); break;
            case Statement.StartTransaction x:
                W("BEGIN");
                Clause(x.Modes, " ", Mode);
                break;
            case Statement.SetTransaction x:
                W(x.SessionDefault ? "SET SESSION CHARACTERISTICS AS TRANSACTION" : x.Local ? "SET TRANSACTION" : "SET SESSION TRANSACTION");
                Clause(x.Modes, " ", Mode);
                break;
            case Statement.Commit x: W("COMMIT").If(x.Chain, " AND CHAIN"); break;
            case Statement.Rollback x: W("ROLLBACK").If(x.Chain, " AND CHAIN"); break;
            case Statement.SetVariable x:
                Named(x.Local ? "SET LOCAL " : "SET ", x.Name);
                W(" = ");
                Set(x.Value);
                break;
            case Statement.ResetVariable x: Named("RESET ", x.Name); break;
            case Statement.Show x: Show(x.Inner); break;
            case Statement.Prepare x:
                Named("PREPARE ", x.Name);
                W(" AS ");
                Statement(x.Inner);
                break;
            case Statement.Execute x:
                Named("EXECUTE ", x.Name);
                if (x.Args.Count > 0)
                {
                    W(" ");
                    Parens(x.Args, Expr);
                }
                break;
            case Statement.Deallocate { Name: null }: W("DEALLOCATE ALL"); break;
            case Statement.Deallocate x: Named("DEALLOCATE ", x.Name!); break;
            case Statement.Discard x: W("DISCARD ").W(x.Target.ToString().ToUpperInvariant()); break;
            case Statement.Raise x: W("RAISE ").W(x.Severity.ToString().ToUpperInvariant()); break;
            case Statement.Comment x:
                W("COMMENT ON ");
                switch (x.Target)
                {
                    case CommentTarget.Object o:
                        W(Parser.KindWords(o.Kind)).W(" ");
                        Name(o.Name);
                        break;
                    case CommentTarget.Column c:
                        W("COLUMN ");
                        Name(c.Relation);
                        W(".");
                        Ident(c.Name);
                        break;
                }
                W(" IS ");
                if (x.Text is null)
                    W("NULL");
                else
                    Str(x.Text);
                break;
            case Statement.ValidateConnection x:
                W("VALIDATE CONNECTION ");
                Name(x.Name);
                break;
            case Statement.InspectShard x:
                W("INSPECT SHARD ");
                Str(x.Id);
                break;
            default: throw new UnreachableException(statement.GetType().Name);
        }
    }

    private void Named(string words, Ident name)
    {
        W(words);
        Word(name);
    }

    private void AsOf(AsOf? asOf)
    {
        if (asOf is not null)
            Clause(asOf.AtLeast ? " AS OF AT LEAST " : " AS OF ", asOf.Time);
    }

    private void Set(SetValue value)
    {
        switch (value)
        {
            case SetValue.Default: W("DEFAULT"); break;
            case SetValue.Values x:
                List(x.Items, i =>
                {
                    if (i is Expr.Identifier { Parts: [var only] })
                        Word(only);
                    else
                        Expr(i);
                });
                break;
            default: throw new UnreachableException(value.GetType().Name);
        }
    }

    private void Mode(TransactionMode transactionMode) => W(transactionMode switch
    {
        TransactionMode.Access x => x.ReadOnly ? "READ ONLY" : "READ WRITE",
        TransactionMode.Isolation x => x.Level switch
        {
            IsolationLevel.ReadUncommitted => "ISOLATION LEVEL READ UNCOMMITTED",
            IsolationLevel.ReadCommitted => "ISOLATION LEVEL READ COMMITTED",
            IsolationLevel.RepeatableRead => "ISOLATION LEVEL REPEATABLE READ",
            IsolationLevel.Serializable => "ISOLATION LEVEL SERIALIZABLE",
            IsolationLevel.StrongSessionSerializable => "ISOLATION LEVEL STRONG SESSION SERIALIZABLE",
            _ => "ISOLATION LEVEL STRICT SERIALIZABLE",
        },
        _ => throw new UnreachableException(transactionMode.GetType().Name),
    });

    private void Subscribe(Statement.Subscribe x)
    {
        W("SUBSCRIBE ");
        switch (x.Relation)
        {
            case SubscribeRelation.Name r: Name(r.Value); break;
            case SubscribeRelation.Query r: Enclosed("(", r.Value); break;
        }
        With(x.Options);
        AsOf(x.AsOf);
        Clause(" UP TO ", x.UpTo);
        switch (x.Output)
        {
            case SubscribeOutput.Diffs: break;
            case SubscribeOutput.WithinTimestampOrderBy o: Clause(o.OrderBy, " WITHIN TIMESTAMP ORDER BY ", Order); break;
            case SubscribeOutput.EnvelopeUpsert o:
                W(" ENVELOPE UPSERT (KEY ");
                Columns(o.Key);
                W(")");
                break;
            case SubscribeOutput.EnvelopeDebezium o:
                W(" ENVELOPE DEBEZIUM (KEY ");
                Columns(o.Key);
                W(")");
                break;
        }
    }

    private void Copy(Statement.Copy x)
    {
        W("COPY ");
        switch (x.Relation)
        {
            case CopyRelation.Named r:
                Name(r.Name);
                OptionalColumns(r.Columns);
                break;
            case CopyRelation.Select r:
                W("(");
                Query(r.Query);
                AsOf(r.AsOf);
                W(")");
                break;
            case CopyRelation.Subscribe r:
                W("(");
                Subscribe(r.Statement);
                W(")");
                break;
        }
        W(x.Direction == CopyDirection.To ? " TO " : " FROM ");
        if (x.Target is CopyTarget.Uri uri)
            Expr(uri.Value);
        else
            W(x.Direction == CopyDirection.To ? "STDOUT" : "STDIN");
        With(x.Options);
    }

    /// <summary>True when the statement was an EXPLAIN, now written.</summary>
    private bool Explain(Statement statement)
    {
        switch (statement)
        {
            case Statement.ExplainPlan x:
                W("EXPLAIN");
                W(x.Stage switch
                {
                    ExplainStage.Raw => " RAW PLAN",
                    ExplainStage.Decorrelated => " DECORRELATED PLAN",
                    ExplainStage.LocallyOptimized => " LOCALLY OPTIMIZED PLAN",
                    ExplainStage.Optimized => " OPTIMIZED PLAN",
                    ExplainStage.Physical => " PHYSICAL PLAN",
                    ExplainStage.PlanInsights => " PLAN INSIGHTS",
                    ExplainStage.OptimizerTrace => " OPTIMIZER TRACE",
                    _ => "",
                });
                With(x.Options);
                ExplainAs(x.Format);
                If(x.Stage is not null, " FOR").W(" ");
                Explainee(x.Explainee);
                break;
            case Statement.ExplainTimestamp x:
                W("EXPLAIN TIMESTAMP");
                ExplainAs(x.Format);
                W(" FOR ");
                Query(x.Query);
                AsOf(x.AsOf);
                break;
            case Statement.ExplainPushdown x:
                W("EXPLAIN FILTER PUSHDOWN FOR ");
                Explainee(x.Explainee);
                break;
            case Statement.ExplainSinkSchema x:
                W(x.Key ? "EXPLAIN KEY SCHEMA" : "EXPLAIN VALUE SCHEMA");
                ExplainAs(x.Format);
                W(" FOR ");
                Statement(x.Sink);
                break;
            case Statement.ExplainAnalyzeObject x:
                W("EXPLAIN ANALYZE ");
                Analyzed(x.Properties);
                W(" FOR ");
                Explainee(x.Explainee);
                If(x.AsSql, " AS SQL");
                break;
            case Statement.ExplainAnalyzeCluster x:
                W("EXPLAIN ANALYZE CLUSTER ");
                Analyzed(x.Properties);
                If(x.AsSql, " AS SQL");
                break;
            default: return false;
        }
        return true;
    }

    private void ExplainAs(ExplainFormat? format) => W(format switch
    {
        ExplainFormat.Text => " AS TEXT",
        ExplainFormat.VerboseText => " AS VERBOSE TEXT",
        ExplainFormat.Json => " AS JSON",
        ExplainFormat.Dot => " AS DOT",
        _ => "",
    });

    private void Explainee(Explainee explainee)
    {
        switch (explainee)
        {
            case Ast.Explainee.Object x:
                If(x.Replan, "REPLAN ").W(Parser.KindWords(x.Kind)).W(" ");
                Name(x.Name);
                break;
            case Ast.Explainee.Of x:
                If(x.Broken, "BROKEN ");
                Statement(x.Statement);
                break;
            default: throw new UnreachableException(explainee.GetType().Name);
        }
    }

    private void Analyzed(AnalyzeProperties x)
    {
        If(x.Hints, "HINTS");
        List(x.Properties, p => W(p.ToString().ToUpperInvariant()));
        If(x.WithSkew, " WITH SKEW");
    }
}
