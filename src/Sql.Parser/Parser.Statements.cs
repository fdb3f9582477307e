using Materialize.Sql.Parser.Ast;

namespace Materialize.Sql.Parser;

internal sealed partial class Parser
{
    public ObjectName ParseName() => ParseObjectName();

    public IReadOnlyList<ParsedStatement> ParseStatements()
    {
        var statements = new List<ParsedStatement>();
        while (true)
        {
            while (Accept(TokenKind.Semicolon))
            {
            }
            if (Is(TokenKind.End))
                return statements;
            var start = Current.Start;
            var statement = ParseStatement();
            if (!Is(TokenKind.Semicolon))
                ExpectEnd();
            statements.Add(new ParsedStatement(statement, text[start..PreviousEnd], start));
        }
    }

    /// <summary>One statement; the one switch over how they begin.</summary>
    private Statement ParseStatement()
    {
        using var nest = Enter();
        tallest = 0;
        var start = Current.Start;
        if (Is(TokenKind.LParen) || StartsQuery(0) && !IsWord("SHOW"))
            return ParseSelectStatement();
        if (!Is(TokenKind.Word))
            throw Expected("a keyword at the beginning of a statement");
        var token = Take();
        Statement? statement = token.Text switch
        {
            "insert" => ParseInsert(),
            "update" => ParseUpdate(),
            "delete" => ParseDelete(),
            "subscribe" or "tail" => ParseSubscribe(),
            "copy" => ParseCopy(),
            "declare" => ParseDeclare(),
            "fetch" => ParseFetch(),
            "close" => new Statement.Close(ParseIdent()),
            "begin" => ParseBegin(),
            "start" => ParseStart(),
            "commit" or "end" => new Statement.Commit(ParseTransactionEnd()),
            "rollback" or "abort" => new Statement.Rollback(ParseTransactionEnd()),
            "set" => ParseSet(),
            "reset" => new Statement.ResetVariable(ParseVariableName()),
            "show" => new Statement.Show(ParseShow()),
            "prepare" => ParsePrepare(),
            "execute" => new Statement.Execute(ParseIdent(), Is(TokenKind.LParen) ? ParenthesizedOrEmpty(ParseExpr) : []),
            "deallocate" => ParseDeallocate(),
            "discard" => ParseDiscard(),
            "raise" => ParseRaise(),
            "explain" => ParseExplain(),
            "create" => ParseCreate(start),
            "alter" => ParseAlter(start),
            "drop" => ParseDrop(),
            "grant" => ParseGrant(false),
            "revoke" => ParseGrant(true),
            "reassign" => ParseReassign(),
            "comment" => ParseComment(),
            "validate" => ParseValidate(),
            "inspect" => ParseInspect(),
            _ => null,
        };
        if (statement is not null)
            return statement with { Span = SpanFrom(start) };
        at--;
        throw Keywords.All.Contains(token.Text)
            ? Error($"Unexpected keyword {token.Text.ToUpperInvariant()} at the beginning of a statement")
            : Expected("a keyword at the beginning of a statement");
    }

    private Statement ParseSelectStatement()
    {
        var start = Current.Start;
        var query = ParseQuery();
        var asOf = ParseOptionalAsOf();
        return new Statement.Select(query, asOf) { Span = SpanFrom(start) };
    }

    private AsOf? ParseOptionalAsOf()
    {
        var start = Current.Start;
        if (!Accept("AS OF"))
            return null;
        var atLeast = Accept("AT LEAST");
        if (Current.Kind is TokenKind.End or TokenKind.Semicolon)
            throw Error("Expected a timestamp value after 'AS OF', found EOF");
        var time = ParseExpr();
        return new AsOf(time, atLeast) { Span = SpanFrom(start) };
    }

    // Writing.

    private Statement ParseInsert()
    {
        Expect("INTO");
        var table = ParseObjectName();
        AstList<Ident> columns = Is(TokenKind.LParen) && !StartsQuery(CountParens()) ? ParseColumnNames() : [];
        var query = Accept("DEFAULT VALUES") ? null : ParseQuery();
        var returning = Accept("RETURNING") ? CommaSeparated(ParseSelectItem) : [];
        return new Statement.Insert(table, columns, query, returning);
    }

    private Statement ParseUpdate()
    {
        var table = ParseObjectName();
        var alias = ParseOptionalTableAlias();
        Expect("SET");
        var assignments = CommaSeparated(() =>
        {
            var start = Current.Start;
            var column = ParseIdent();
            Expect(TokenKind.Eq);
            var value = ParseExpr();
            return new Assignment(column, value) { Span = SpanFrom(start) };
        });
        var where = Accept("WHERE") ? ParseExpr() : null;
        return new Statement.Update(table, alias, assignments, where);
    }

    private Statement ParseDelete()
    {
        Expect("FROM");
        var table = ParseObjectName();
        var alias = ParseOptionalTableAlias();
        var @using = Accept("USING") ? CommaSeparated(ParseTableWithJoins) : [];
        var where = Accept("WHERE") ? ParseExpr() : null;
        return new Statement.Delete(table, alias, @using, where);
    }

    // Streaming and cursors.

    private Statement.Subscribe ParseSubscribe()
    {
        var start = PreviousEnd;
        Accept("TO");
        var from = Current.Start;
        SubscribeRelation relation;
        if (Accept(TokenKind.LParen))
        {
            var query = ParseQuery();
            Expect(TokenKind.RParen);
            relation = new SubscribeRelation.Query(query) { Span = SpanFrom(from) };
        }
        else
        {
            relation = new SubscribeRelation.Name(ParseObjectName()) { Span = SpanFrom(from) };
        }
        var output = ParseOptionalSubscribeOutput();
        var options = ParseOptionalWithOptions(OptionNames.Subscribe);
        var asOf = ParseOptionalAsOf();
        var upTo = Accept("UP TO") ? ParseExpr() : null;
        output ??= ParseOptionalSubscribeOutput() ?? new SubscribeOutput.Diffs();
        return new Statement.Subscribe(relation, options, asOf, upTo, output) { Span = SpanFrom(start) };
    }

    private SubscribeOutput? ParseOptionalSubscribeOutput()
    {
        var start = Current.Start;
        if (Accept("WITHIN"))
        {
            Expect("TIMESTAMP ORDER BY");
            var orderBy = ParseOrderByList();
            return new SubscribeOutput.WithinTimestampOrderBy(orderBy) { Span = SpanFrom(start) };
        }
        if (!Accept("ENVELOPE"))
            return null;
        var kind = ExpectOneOf("UPSERT", "DEBEZIUM");
        Expect(TokenKind.LParen);
        Expect("KEY");
        var key = ParseColumnNames();
        Expect(TokenKind.RParen);
        return kind == "UPSERT"
            ? new SubscribeOutput.EnvelopeUpsert(key) { Span = SpanFrom(start) }
            : new SubscribeOutput.EnvelopeDebezium(key) { Span = SpanFrom(start) };
    }

    private Statement ParseCopy()
    {
        var start = Current.Start;
        CopyRelation relation;
        if (Accept(TokenKind.LParen))
        {
            if (Accept("SUBSCRIBE") || Accept("TAIL"))
            {
                relation = new CopyRelation.Subscribe(ParseSubscribe());
            }
            else
            {
                var query = ParseQuery();
                relation = new CopyRelation.Select(query, ParseOptionalAsOf());
            }
            Expect(TokenKind.RParen);
        }
        else
        {
            Accept("INTO");
            var name = ParseObjectName();
            relation = new CopyRelation.Named(name, ParseOptionalColumnNames());
        }
        relation = relation with { Span = SpanFrom(start) };
        var direction = ExpectOneOf("TO", "FROM") == "TO" ? CopyDirection.To : CopyDirection.From;
        var from = Current.Start;
        if (direction == CopyDirection.From && relation is not CopyRelation.Named)
            throw ErrorAt(start, "COPY FROM requires a table name, not a query");
        CopyTarget target = Accept(direction == CopyDirection.To ? "STDOUT" : "STDIN")
            ? new CopyTarget.Standard { Span = SpanFrom(from) }
            : new CopyTarget.Uri(ParseExpr()) { Span = SpanFrom(from) };
        var options = Accept("WITH") || Is(TokenKind.LParen) ? ParseOptionList(OptionNames.Copy) : [];
        return new Statement.Copy(relation, direction, target, options);
    }

    private Statement ParseDeclare()
    {
        var name = ParseIdent();
        Expect("CURSOR");
        if (IsWords("WITH HOLD"))
            Unsupported("WITH HOLD is", Current.Start);
        Accept("WITHOUT HOLD");
        Expect("FOR");
        var start = Current.Start;
        var inner = ParseStatement();
        return new Statement.Declare(name, inner) { InnerSpan = SpanFrom(start) };
    }

    private Statement ParseFetch()
    {
        Accept("FORWARD");
        var all = Accept("ALL");
        ulong? count = !all && Is(TokenKind.Number) ? ParseULong() : null;
        Accept("FROM");
        var name = ParseIdent();
        return new Statement.Fetch(name, all, count, ParseOptionalWithOptions(OptionNames.Fetch));
    }

    // Transactions.

    private Statement ParseBegin()
    {
        AcceptOneOf("TRANSACTION", "WORK");
        return new Statement.StartTransaction(ParseTransactionModes(false));
    }

    private Statement ParseStart()
    {
        Expect("TRANSACTION");
        return new Statement.StartTransaction(ParseTransactionModes(false));
    }

    private bool ParseTransactionEnd()
    {
        AcceptOneOf("TRANSACTION", "WORK");
        if (!Accept("AND"))
            return false;
        var chain = !Accept("NO");
        Expect("CHAIN");
        return chain;
    }

    private AstList<TransactionMode> ParseTransactionModes(bool required)
    {
        var modes = new List<TransactionMode>();
        while (true)
        {
            var start = Current.Start;
            if (Accept("ISOLATION LEVEL"))
            {
                var level = ExpectOneOf(
                    "READ UNCOMMITTED", "READ COMMITTED", "REPEATABLE READ", "SERIALIZABLE", "STRONG SESSION SERIALIZABLE", "STRICT SERIALIZABLE") switch
                {
                    "READ UNCOMMITTED" => IsolationLevel.ReadUncommitted,
                    "READ COMMITTED" => IsolationLevel.ReadCommitted,
                    "REPEATABLE READ" => IsolationLevel.RepeatableRead,
                    "SERIALIZABLE" => IsolationLevel.Serializable,
                    "STRONG SESSION SERIALIZABLE" => IsolationLevel.StrongSessionSerializable,
                    _ => IsolationLevel.StrictSerializable,
                };
                modes.Add(new TransactionMode.Isolation(level) { Span = SpanFrom(start) });
            }
            else if (AcceptOneOf("READ ONLY", "READ WRITE") is { } access)
            {
                modes.Add(new TransactionMode.Access(access == "READ ONLY") { Span = SpanFrom(start) });
            }
            else if (required)
            {
                throw Expected("transaction mode");
            }
            else
            {
                return modes.ToAstList();
            }
            // Postgres takes the modes with or without commas.
            required = Accept(TokenKind.Comma);
        }
    }

    // Session.

    private Ident ParseVariableName()
    {
        var start = Current.Start;
        return Accept("TIME ZONE") ? new Ident("timezone") { Span = SpanFrom(start) }
            : Accept("TRANSACTION ISOLATION LEVEL") ? new Ident("transaction_isolation") { Span = SpanFrom(start) }
            : IsWord("SCHEMA") ? Renamed("search_path")
            : IsWord("NAMES") ? Renamed("client_encoding")
            : ParseIdent();
    }

    private Ident Renamed(string name)
    {
        var token = Take();
        return new Ident(name) { Span = new SourceSpan(token.Start, token.End) };
    }

    private Statement ParseSet()
    {
        var scope = IsWord("SESSION") || IsWord("LOCAL") ? Ahead(1).Kind is TokenKind.Eq || Ahead(1).Is("TO") ? null : AcceptOneOf("SESSION", "LOCAL") : null;
        var local = scope == "LOCAL";
        if (scope == "SESSION" && Accept("CHARACTERISTICS AS TRANSACTION"))
            return new Statement.SetTransaction(false, ParseTransactionModes(true), true);
        if (IsWord("TRANSACTION") && !(Ahead(1).Kind is TokenKind.Eq || Ahead(1).Is("TO")))
        {
            at++;
            // Without SESSION, the modes are those of the current transaction.
            return new Statement.SetTransaction(scope != "SESSION", ParseTransactionModes(true), false);
        }
        var bare = IsWords("TIME ZONE") || (IsWord("SCHEMA") || IsWord("NAMES")) && Ahead(1).Kind is not TokenKind.Eq && !Ahead(1).Is("TO");
        var single = IsWord("SCHEMA");
        var name = ParseVariableName();
        if (!bare && !Accept(TokenKind.Eq) && !Accept("TO"))
            throw Expected("equals sign or TO");
        if (bare && !Accept(TokenKind.Eq))
            Accept("TO");
        return new Statement.SetVariable(local, name, ParseSetValue(single));
    }

    private SetValue ParseSetValue(bool single = false)
    {
        var start = Current.Start;
        if (Accept("DEFAULT"))
            return new SetValue.Default { Span = SpanFrom(start) };
        AstList<Expr> items = single ? [ParseSetItem()] : CommaSeparated(ParseSetItem);
        return new SetValue.Values(items) { Span = SpanFrom(start) };
    }

    private Expr ParseSetItem()
    {
        if (TryParseLiteral() is { } literal)
            return literal;
        if (!Current.IsName)
            throw Expected("variable value");
        var from = Current.Start;
        var ident = ParseAnyIdent();
        return new Expr.Identifier([ident]) { Span = SpanFrom(from) };
    }

    private Statement ParsePrepare()
    {
        var name = ParseIdent();
        Expect("AS");
        var start = Current.Start;
        var inner = ParseStatement();
        return new Statement.Prepare(name, inner) { InnerSpan = SpanFrom(start) };
    }

    private Statement ParseDeallocate()
    {
        Accept("PREPARE");
        return new Statement.Deallocate(Accept("ALL") ? null : ParseIdent());
    }

    private Statement ParseDiscard() => new Statement.Discard(ExpectOneOf("ALL", "PLANS", "SEQUENCES", "TEMP", "TEMPORARY") switch
    {
        "ALL" => DiscardTarget.All,
        "PLANS" => DiscardTarget.Plans,
        "SEQUENCES" => DiscardTarget.Sequences,
        _ => DiscardTarget.Temp,
    });

    private Statement ParseRaise() => new Statement.Raise(ExpectOneOf("DEBUG", "INFO", "LOG", "NOTICE", "WARNING") switch
    {
        "DEBUG" => NoticeSeverity.Debug,
        "INFO" => NoticeSeverity.Info,
        "LOG" => NoticeSeverity.Log,
        "NOTICE" => NoticeSeverity.Notice,
        _ => NoticeSeverity.Warning,
    });

    private Statement ParseComment()
    {
        Expect("ON");
        var start = Current.Start;
        CommentTarget target;
        if (Accept("COLUMN"))
        {
            var name = ParseObjectName();
            if (name.Parts.Count < 2)
                throw ErrorAt(start, "need to specify an object and a column");
            var relation = new ObjectName(name.Parts.Take(name.Parts.Count - 1).ToAstList()) { Span = name.Span };
            if (name.Id is not null)
                throw ErrorAt(start, "a column is named by its relation and name");
            target = new CommentTarget.Column(relation, name.Item) { Span = SpanFrom(start) };
        }
        else
        {
            var kind = ParseObjectKind();
            target = new CommentTarget.Object(kind, ParseObjectName()) { Span = SpanFrom(start) };
        }
        Expect("IS");
        return new Statement.Comment(target, Accept("NULL") ? null : ParseString());
    }

    private Statement ParseValidate()
    {
        Expect("CONNECTION");
        return new Statement.ValidateConnection(ParseObjectName());
    }

    private Statement ParseInspect()
    {
        Expect("SHARD");
        return new Statement.InspectShard(ParseString());
    }

    // Kinds of objects.

    private static readonly (string Words, ObjectKind Kind)[] Kinds =
    [
        ("TABLE", ObjectKind.Table), ("VIEW", ObjectKind.View), ("MATERIALIZED VIEW", ObjectKind.MaterializedView), ("SOURCE", ObjectKind.Source),
        ("SUBSOURCE", ObjectKind.Subsource), ("SINK", ObjectKind.Sink), ("INDEX", ObjectKind.Index), ("TYPE", ObjectKind.Type), ("ROLE", ObjectKind.Role),
        ("USER", ObjectKind.Role), ("CLUSTER REPLICA", ObjectKind.ClusterReplica), ("CLUSTER", ObjectKind.Cluster), ("SECRET", ObjectKind.Secret),
        ("CONNECTION", ObjectKind.Connection), ("DATABASE", ObjectKind.Database), ("SCHEMA", ObjectKind.Schema), ("FUNCTION", ObjectKind.Function),
        ("NETWORK POLICY", ObjectKind.NetworkPolicy), ("CONTINUAL TASK", ObjectKind.ContinualTask),
    ];

    /// <summary>The words of a kind, upper case.</summary>
    internal static string KindWords(ObjectKind kind) => Array.Find(Kinds, k => k.Kind == kind).Words ?? "USER";

    private ObjectKind? AcceptObjectKind()
    {
        foreach (var (words, kind) in Kinds)
            if (Accept(words))
                return kind;
        return null;
    }

    private ObjectKind ParseObjectKind() => AcceptObjectKind() ?? throw ExpectedOneOf(Kinds.Select(k => k.Words).ToArray());
}
