using Materialize.Sql.Parser.Ast;

namespace Materialize.Sql.Parser;

internal sealed partial class Parser
{
    /// <summary>Behind CREATE.</summary>
    private Statement ParseCreate(int start)
    {
        if (Accept("DATABASE"))
        {
            var unless = ParseIfNotExists();
            return new Statement.CreateDatabase(ParseIdent(), unless);
        }
        if (Accept("SCHEMA"))
        {
            var unless = ParseIfNotExists();
            return new Statement.CreateSchema(ParseObjectName(), unless);
        }
        var orReplace = Accept("OR REPLACE");
        var temporary = AcceptOneOf("TEMPORARY", "TEMP") is not null;
        if (Accept("VIEW"))
            return ParseCreateView(orReplace, temporary);
        if (!temporary && Accept("MATERIALIZED VIEW"))
            return ParseCreateMaterializedView(orReplace, false);
        if (orReplace)
            throw ExpectedOneOf(["VIEW", "MATERIALIZED VIEW"]);
        if (Accept("TABLE"))
            return ParseCreateTable(temporary);
        if (temporary)
            throw ExpectedOneOf(["VIEW", "TABLE"]);
        if (Accept("REPLACEMENT MATERIALIZED VIEW"))
            return ParseCreateMaterializedView(false, true);
        if (AcceptOneOf("INDEX", "DEFAULT INDEX") is { } index)
            return ParseCreateIndex(index != "INDEX");
        if (Accept("TYPE"))
            return ParseCreateType();
        if (Accept("SECRET"))
        {
            var unless = ParseIfNotExists();
            var name = ParseObjectName();
            Expect("AS");
            return new Statement.CreateSecret(name, unless, ParseExpr());
        }
        if (Accept("CONNECTION"))
            return ParseCreateConnection();
        if (Accept("SOURCE"))
            return ParseCreateSource();
        if (Accept("SUBSOURCE"))
            return ParseCreateSubsource();
        if (Accept("SINK"))
            return ParseCreateSink();
        if (Accept("CLUSTER REPLICA"))
        {
            var name = ParseReplicaName();
            return new Statement.CreateClusterReplica(name, ParseMaybeBareOptions(OptionNames.Replica));
        }
        if (Accept("CLUSTER"))
            return ParseCreateCluster();
        if (Accept("ROLE"))
        {
            var name = ParseIdent();
            return new Statement.CreateRole(name, ParseRoleAttributes());
        }
        if (IsWord("USER"))
            throw new ParseException(
                "CREATE USER is not supported, for more information consult the documentation at https://materialize.com/docs/sql/create-role/#details",
                SourceText.CharacterPosition(text, start));
        if (Accept("NETWORK POLICY"))
        {
            var name = ParseIdent();
            return new Statement.CreateNetworkPolicy(name, ParseOptionList(OptionNames.NetworkPolicy));
        }
        throw Expected(
            "DATABASE, SCHEMA, ROLE, TYPE, INDEX, SINK, SOURCE, [TEMPORARY] TABLE, SECRET, [OR REPLACE] [TEMPORARY] VIEW, or [OR REPLACE] MATERIALIZED VIEW after CREATE");
    }

    private Statement ParseCreateView(bool orReplace, bool temporary)
    {
        var unless = !orReplace && ParseIfNotExists();
        var name = ParseObjectName();
        var columns = ParseOptionalColumnNames();
        Expect("AS");
        return new Statement.CreateView(name, columns, ParseQuery(), unless, orReplace, temporary);
    }

    private Statement ParseCreateMaterializedView(bool orReplace, bool replacement)
    {
        var unless = !orReplace && !replacement && ParseIfNotExists();
        var name = ParseObjectName();
        var columns = ParseOptionalColumnNames();
        ObjectName? target = null;
        if (replacement)
        {
            Expect("FOR");
            target = ParseObjectName();
        }
        var cluster = ParseOptionalInCluster();
        var replica = Accept(cluster is null ? "IN REPLICA" : "REPLICA") ? ParseIdent() : null;
        var options = ParseOptionalWithOptions(OptionNames.MaterializedView);
        Expect("AS");
        var query = ParseQuery();
        ulong? asOf = Accept("AS OF") ? ParseULong() : null;
        return new Statement.CreateMaterializedView(name, columns, target, cluster, replica, query, unless, orReplace, options, asOf);
    }

    private Statement ParseCreateTable(bool temporary)
    {
        var unless = ParseIfNotExists();
        var name = ParseObjectName();
        var columns = new List<ColumnDef>();
        var names = new List<Ident>();
        var constraints = new List<TableConstraint>();
        var listed = Is(TokenKind.LParen);
        if (listed)
            ParseColumns(columns, names, constraints, true);
        if (!temporary && Accept("FROM WEBHOOK"))
            return ParseWebhook(name, unless, true, null);
        if (!temporary && Accept("FROM SOURCE"))
        {
            var source = ParseObjectName();
            ObjectName? reference = null;
            if (Accept(TokenKind.LParen))
            {
                Expect("REFERENCE");
                Accept(TokenKind.Eq);
                reference = ParseWordName();
                Expect(TokenKind.RParen);
            }
            var format = ParseOptionalFormatSpec();
            var include = ParseOptionalInclude();
            var envelope = Accept("ENVELOPE") ? ParseSourceEnvelope() : null;
            return new Statement.CreateTableFromSource(
                name, columns.ToAstList(), names.ToAstList(), constraints.ToAstList(), unless, source, reference, format, include, envelope,
                ParseOptionalWithOptions(OptionNames.TableFromSource));
        }
        if (!listed)
            throw Expected("left parenthesis");
        if (names.Count > 0)
            throw ErrorAt(names[0].Span.End, "Expected a data type name, found the end of a column");
        return new Statement.CreateTable(
            name, columns.ToAstList(), constraints.ToAstList(), unless, temporary, ParseOptionalWithOptions(OptionNames.Table));
    }

    private void ParseColumns(List<ColumnDef> columns, List<Ident> names, List<TableConstraint> constraints, bool namesAllowed)
    {
        Expect(TokenKind.LParen);
        if (Accept(TokenKind.RParen))
            return;
        do
        {
            if (TryParseTableConstraint() is { } constraint)
                constraints.Add(constraint);
            else if (namesAllowed && Current.IsName && Ahead(1).Kind is TokenKind.Comma or TokenKind.RParen && columns.Count == 0)
                names.Add(ParseIdent());
            else if (names.Count > 0)
                throw Expected("comma or right parenthesis");
            else
                columns.Add(ParseColumnDef());
        }
        while (Accept(TokenKind.Comma));
        Expect(TokenKind.RParen);
    }

    private ColumnDef ParseColumnDef()
    {
        var start = Current.Start;
        var name = ParseIdent();
        var type = ParseDataType();
        var collation = Accept("COLLATE") ? ParseObjectName() : null;
        var options = new List<ColumnOption>();
        while (TryParseColumnOption() is { } option)
            options.Add(option);
        return new ColumnDef(name, type, collation, options.ToAstList()) { Span = SpanFrom(start) };
    }

    private ColumnOption? TryParseColumnOption()
    {
        var start = Current.Start;
        var constraint = Accept("CONSTRAINT") ? ParseIdent() : null;
        ColumnOption? option = null;
        if (Accept("NULL"))
        {
            option = new ColumnOption.Null();
        }
        else if (Accept("NOT NULL"))
        {
            option = new ColumnOption.NotNull();
        }
        else if (Accept("DEFAULT"))
        {
            option = new ColumnOption.Default(ParseExpr());
        }
        else if (AcceptOneOf("PRIMARY KEY", "UNIQUE") is { } unique)
        {
            option = new ColumnOption.Unique(unique != "UNIQUE");
        }
        else if (Accept("REFERENCES"))
        {
            var table = ParseObjectName();
            option = new ColumnOption.References(table, ParseOptionalColumnNames());
        }
        else if (Accept("CHECK"))
        {
            Expect(TokenKind.LParen);
            option = new ColumnOption.Check(ParseExpr());
            Expect(TokenKind.RParen);
        }
        else if (AcceptOneOf("VERSION ADDED", "VERSION DROPPED") is { } version)
        {
            option = new ColumnOption.Version(version == "VERSION DROPPED", ParseInt());
        }
        if (option is null && constraint is not null)
            throw Expected("column option");
        return option is null ? null : option with { ConstraintName = constraint, Span = SpanFrom(start) };
    }

    private TableConstraint? TryParseTableConstraint()
    {
        var start = Current.Start;
        var name = IsWord("CONSTRAINT") && Ahead(1).IsName && (Ahead(2).Is("PRIMARY") || Ahead(2).Is("UNIQUE") || Ahead(2).Is("FOREIGN") || Ahead(2).Is("CHECK"))
            && Accept("CONSTRAINT") ? ParseIdent() : null;
        TableConstraint? constraint = null;
        if (Accept("PRIMARY KEY"))
        {
            constraint = new TableConstraint.Unique(ParseColumnNames(), true, false);
        }
        else if (IsWord("UNIQUE") && (Ahead(1).Kind == TokenKind.LParen || Ahead(1).Is("NULLS")))
        {
            at++;
            var nullsNotDistinct = Accept("NULLS NOT DISTINCT");
            constraint = new TableConstraint.Unique(ParseColumnNames(), false, nullsNotDistinct);
        }
        else if (Accept("FOREIGN KEY"))
        {
            var columns = ParseColumnNames();
            Expect("REFERENCES");
            var table = ParseObjectName();
            constraint = new TableConstraint.ForeignKey(columns, table, ParseOptionalColumnNames());
        }
        else if (IsWord("CHECK") && Ahead(1).Kind == TokenKind.LParen)
        {
            at += 2;
            constraint = new TableConstraint.Check(ParseExpr());
            Expect(TokenKind.RParen);
        }
        return constraint is null ? null : constraint with { Name = name, Span = SpanFrom(start) };
    }

    private Statement ParseCreateIndex(bool isDefault)
    {
        var unless = ParseIfNotExists();
        var name = IsWord("ON") || IsWords("IN CLUSTER") ? null : ParseIdent();
        if (unless && name is null && !isDefault)
            throw Expected("identifier");
        var cluster = ParseOptionalInCluster();
        Expect("ON");
        var on = ParseObjectName();
        AstList<Expr>? key = null;
        if (!isDefault)
        {
            if (Accept("USING"))
                Expect("ARRANGEMENT");
            // A direction is accepted as in Postgres, but an arrangement is hashed: it says nothing.
            key = ParenthesizedOrEmpty(() =>
            {
                var part = ParseExpr();
                AcceptOneOf("ASC", "DESC");
                return part;
            });
        }
        return new Statement.CreateIndex(name, cluster, on, key, unless, ParseOptionalWithOptions(OptionNames.Index));
    }

    private Statement ParseCreateType()
    {
        var name = ParseObjectName();
        Expect("AS");
        var start = Current.Start;
        TypeDefinition definition;
        if (Accept("LIST"))
        {
            definition = new TypeDefinition.List(ParseOptionList(OptionNames.ListType));
        }
        else if (Accept("MAP"))
        {
            definition = new TypeDefinition.Map(ParseOptionList(OptionNames.MapType));
        }
        else if (Is(TokenKind.LParen))
        {
            definition = new TypeDefinition.Record(Parenthesized(() =>
            {
                var from = Current.Start;
                var column = ParseIdent();
                var type = ParseDataType();
                return new ColumnDef(column, type, null, []) { Span = SpanFrom(from) };
            }));
        }
        else
        {
            throw ExpectedOneOf(["LIST", "MAP"]);
        }
        return new Statement.CreateType(name, definition with { Span = SpanFrom(start) });
    }

    private Statement ParseCreateCluster()
    {
        var name = ParseIdent();
        var options = ParseMaybeBareOptions(OptionNames.Cluster);
        var features = Accept("FEATURES") ? ParseOpenOptions() : [];
        return new Statement.CreateCluster(name, options, features);
    }

    /// <summary>Options with or without parentheses around them.</summary>
    private AstList<SqlOption> ParseMaybeBareOptions(string[] names) =>
        Is(TokenKind.LParen) ? ParseOptionList(names) : CommaSeparated(() => ParseOption(names));

    private AstList<RoleAttribute> ParseRoleAttributes()
    {
        Accept("WITH");
        var attributes = new List<RoleAttribute>();
        while (Is(TokenKind.Word))
        {
            var start = Current.Start;
            RoleAttribute attribute;
            if (Accept("PASSWORD"))
            {
                attribute = new RoleAttribute.Password(Accept("NULL") ? null : ParseString());
            }
            else
            {
                var word = Current.Text;
                var enabled = !word.StartsWith("no", StringComparison.Ordinal);
                RoleFlag flag = (enabled ? word : word[2..]) switch
                {
                    "superuser" => RoleFlag.Superuser,
                    "login" => RoleFlag.Login,
                    "inherit" => RoleFlag.Inherit,
                    "createcluster" => RoleFlag.CreateCluster,
                    "createdb" => RoleFlag.CreateDb,
                    "createrole" => RoleFlag.CreateRole,
                    _ => throw ExpectedOneOf(
                        ["SUPERUSER", "NOSUPERUSER", "LOGIN", "NOLOGIN", "INHERIT", "NOINHERIT", "CREATECLUSTER", "NOCREATECLUSTER", "CREATEDB",
                            "NOCREATEDB", "CREATEROLE", "NOCREATEROLE", "PASSWORD"]),
                };
                at++;
                attribute = new RoleAttribute.Flag(flag, enabled);
            }
            attributes.Add(attribute with { Span = SpanFrom(start) });
        }
        return attributes.ToAstList();
    }
}
