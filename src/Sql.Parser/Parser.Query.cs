using Materialize.Sql.Parser.Ast;

namespace Materialize.Sql.Parser;

internal sealed partial class Parser
{
    /// <summary>True when a query, not an expression or a name, starts <paramref name="ahead"/> tokens from here.</summary>
    private bool StartsQuery(int ahead)
    {
        var token = Ahead(ahead);
        if (token.Kind != TokenKind.Word)
            return false;
        return token.Text switch
        {
            "select" or "with" => true,
            "values" => Ahead(ahead + 1).Kind == TokenKind.LParen,
            "table" => Ahead(ahead + 1).IsName || Ahead(ahead + 1).Kind == TokenKind.LBracket,
            "show" => Ahead(ahead + 1).IsName,
            _ => false,
        };
    }

    /// <summary>True when what follows shows that the parenthesis just closed was (part of) a query's body.</summary>
    private bool EndsQueryBody() => Is(TokenKind.RParen) || IsWord("UNION") || IsWord("EXCEPT") || IsWord("INTERSECT")
        || IsWord("ORDER") || IsWord("LIMIT") || IsWord("OFFSET") || IsWord("FETCH");

    public Query ParseQuery()
    {
        using var nest = Enter();
        var outer = tallest;
        tallest = 0;
        var start = Current.Start;
        var with = ParseOptionalWith();
        var body = ParseSetExpr(ParseSetOperand(), 0, start);
        var query = ParseQueryTail(with, body, start);
        tallest = Math.Max(outer, tallest + 1);
        return query;
    }

    /// <summary>Goes on from <c>( query )</c>, already read.</summary>
    private Query ParseQueryAfterParenthesis(Query query, int start)
    {
        SetExpr nested = new SetExpr.Nested(query) { Span = SpanFrom(start) };
        return ParseQueryTail(null, ParseSetExpr(nested, 0, start), start);
    }

    private Query ParseQueryTail(WithClause? with, SetExpr body, int start)
    {
        var orderBy = ParseOptionalOrderBy();
        Limit? limit = null;
        Expr? offset = null;
        var limited = false;
        while (true)
        {
            var from = Current.Start;
            if (IsWord("LIMIT") || IsWord("FETCH") ? limited : IsWord("OFFSET") && offset is not null)
                throw Error($"multiple {(IsWord("OFFSET") ? "OFFSET" : "LIMIT/FETCH")} clauses not allowed");
            if (Accept("LIMIT"))
            {
                limited = true;
                if (!Accept("ALL"))
                {
                    var quantity = ParseExpr();
                    limit = new Limit(quantity, false) { Span = SpanFrom(from) };
                }
            }
            else if (Accept("OFFSET"))
            {
                offset = ParseExpr();
                AcceptOneOf("ROW", "ROWS");
            }
            else if (Accept("FETCH"))
            {
                limited = true;
                ExpectOneOf("FIRST", "NEXT");
                var quantity = (IsWord("ROW") && Ahead(1).Kind != TokenKind.LParen) || IsWord("ROWS") ? new Expr.NumberLiteral("1") : ParseExpr();
                ExpectOneOf("ROW", "ROWS");
                var ties = ExpectOneOf("ONLY", "WITH TIES") == "WITH TIES";
                limit = new Limit(quantity, ties) { Span = SpanFrom(from) };
            }
            else
            {
                break;
            }
        }
        // Parentheses around a whole query say nothing.
        if (with is null && orderBy.Count == 0 && limit is null && offset is null && body is SetExpr.Nested nested)
            return nested.Query;
        return new Query(with, body, orderBy, limit, offset) { Span = SpanFrom(start) };
    }

    private WithClause? ParseOptionalWith()
    {
        var start = Current.Start;
        if (!Accept("WITH"))
            return null;
        if (IsWord("RECURSIVE") && !Ahead(1).Is("AS"))
            throw new ParseException(
                "WITH RECURSIVE is not supported", SourceText.CharacterPosition(text, Current.Start), ParseException.FeatureNotSupported)
            {
                Hint = "Use WITH MUTUALLY RECURSIVE instead.",
            };
        if (Accept("MUTUALLY RECURSIVE"))
        {
            var options = Is(TokenKind.LParen) ? Parenthesized(() => ParseOption(OptionNames.Recursion)) : [];
            var bindings = CommaSeparated(ParseRecursiveCte);
            return new WithClause.MutuallyRecursive(options, bindings) { Span = SpanFrom(start) };
        }
        var ctes = CommaSeparated(() =>
        {
            var from = Current.Start;
            var name = ParseIdent();
            var columns = ParseOptionalColumnNames();
            Expect("AS");
            Expect(TokenKind.LParen);
            var query = ParseQuery();
            Expect(TokenKind.RParen);
            return new Cte(name, columns, query) { Span = SpanFrom(from) };
        });
        return new WithClause.Simple(ctes) { Span = SpanFrom(start) };
    }

    private RecursiveCte ParseRecursiveCte()
    {
        var start = Current.Start;
        var name = ParseIdent();
        var columns = Parenthesized(() =>
        {
            var from = Current.Start;
            var column = ParseIdent();
            var type = ParseDataType();
            return new TypedColumn(column, type) { Span = SpanFrom(from) };
        });
        Expect("AS");
        Expect(TokenKind.LParen);
        var query = ParseQuery();
        Expect(TokenKind.RParen);
        return new RecursiveCte(name, columns, query) { Span = SpanFrom(start) };
    }

    // Set operations: INTERSECT binds tighter than UNION and EXCEPT; all are left-associative.

    private SetExpr ParseSetExpr(SetExpr left, int above, int start)
    {
        while (true)
        {
            var (op, precedence) = Current.Text switch
            {
                "union" when IsWord("UNION") => (SetOperator.Union, 1),
                "except" when IsWord("EXCEPT") => (SetOperator.Except, 1),
                "intersect" when IsWord("INTERSECT") => (SetOperator.Intersect, 2),
                _ => (default, 0),
            };
            if (precedence <= above)
                return left;
            at++;
            var all = Accept("ALL");
            if (!all)
                Accept("DISTINCT");
            var from = Current.Start;
            var right = ParseSetExpr(ParseSetOperand(), precedence, from);
            left = new SetExpr.SetOperation(op, all, left, right) { Span = SpanFrom(start) };
            if (++tallest > MaxHeight)
                throw TooDeep();
        }
    }

    private SetExpr ParseSetOperand()
    {
        var start = Current.Start;
        if (Accept("SELECT"))
            return ParseSelect(start);
        if (Accept("VALUES"))
            return new SetExpr.Values(CommaSeparated(() => Parenthesized(ParseExpr))) { Span = SpanFrom(start) };
        if (IsWord("TABLE"))
        {
            at++;
            return new SetExpr.Table(ParseObjectName()) { Span = SpanFrom(start) };
        }
        if (IsWord("SHOW"))
        {
            at++;
            var show = ParseShow();
            return new SetExpr.Show(show) { Span = SpanFrom(start) };
        }
        if (Accept(TokenKind.LParen))
        {
            var query = ParseQuery();
            Expect(TokenKind.RParen);
            return new SetExpr.Nested(query) { Span = SpanFrom(start) };
        }
        throw Expected("SELECT, VALUES, or a subquery in the query body");
    }

    private SetExpr ParseSelect(int start)
    {
        Distinct? distinct = null;
        var from = Current.Start;
        if (Accept("DISTINCT"))
            distinct = Accept("ON") ? new Distinct.On(Parenthesized(ParseExpr)) { Span = SpanFrom(from) } : new Distinct.EntireRow { Span = SpanFrom(from) };
        else
            Accept("ALL");
        if (distinct is not null && IsWord("ALL"))
            throw Error("Cannot specify both ALL and DISTINCT in SELECT");
        var projection = EndsProjection() ? [] : CommaSeparated(ParseSelectItem);
        var relations = Accept("FROM") ? CommaSeparated(ParseTableWithJoins) : [];
        var where = Accept("WHERE") ? ParseExpr() : null;
        var groupBy = Accept("GROUP BY") ? CommaSeparated(ParseExpr) : [];
        var having = Accept("HAVING") ? ParseExpr() : null;
        var qualify = Accept("QUALIFY") ? ParseExpr() : null;
        var options = Accept("OPTIONS") ? ParseOptionList(OptionNames.SelectHints) : [];
        return new SetExpr.Select(distinct, projection, relations, where, groupBy, having, qualify, options) { Span = SpanFrom(start) };
    }

    private bool EndsProjection() =>
        Current.Kind is TokenKind.End or TokenKind.Semicolon or TokenKind.RParen
        || (IsWord("AS") && Ahead(1).Is("OF"))
        || AnyWord("FROM", "WHERE", "GROUP", "HAVING", "QUALIFY", "ORDER", "LIMIT", "OFFSET", "UNION", "EXCEPT", "INTERSECT", "OPTIONS", "FETCH", "RETURNING");

    private bool AnyWord(params ReadOnlySpan<string> words)
    {
        foreach (var word in words)
            if (IsWord(word))
                return true;
        return false;
    }

    private SelectItem ParseSelectItem()
    {
        var start = Current.Start;
        if (Accept(TokenKind.Star))
            return new SelectItem.Wildcard { Span = SpanFrom(start) };
        var expr = ParseExpr();
        var alias = ParseOptionalAlias(Keywords.InColumnAlias);
        return new SelectItem.Expression(expr, alias) { Span = SpanFrom(start) };
    }

    private Ident? ParseOptionalAlias(System.Collections.Frozen.FrozenSet<string> reserved)
    {
        if (IsWord("AS") && !Ahead(1).Is("OF"))
        {
            at++;
            return ParseAnyIdent();
        }
        return Is(TokenKind.QuotedIdent) || (Is(TokenKind.Word) && !reserved.Contains(Current.Text)) ? TakeIdent() : null;
    }

    private AstList<OrderByExpr> ParseOptionalOrderBy() => Accept("ORDER BY") ? ParseOrderByList() : [];

    private AstList<OrderByExpr> ParseOrderByList() => CommaSeparated(() =>
    {
        var start = Current.Start;
        var expr = ParseExpr();
        bool? ascending = AcceptOneOf("ASC", "DESC") switch { "ASC" => true, "DESC" => false, _ => null };
        bool? nullsLast = AcceptOneOf("NULLS FIRST", "NULLS LAST") switch { "NULLS FIRST" => false, "NULLS LAST" => true, _ => null };
        return new OrderByExpr(expr, ascending, nullsLast) { Span = SpanFrom(start) };
    });

    // FROM.

    private TableWithJoins ParseTableWithJoins()
    {
        var start = Current.Start;
        return ParseJoins(ParseTableFactor(), start);
    }

    private TableWithJoins ParseJoins(TableFactor relation, int start)
    {
        var joins = new List<Join>();
        while (TryParseJoin() is { } join)
            joins.Add(join);
        return new TableWithJoins(relation, joins.ToAstList()) { Span = SpanFrom(start) };
    }

    private Join? TryParseJoin()
    {
        var start = Current.Start;
        if (Accept("CROSS"))
        {
            Expect("JOIN");
            var crossed = ParseTableFactor();
            return new Join(JoinKind.Cross, crossed, null) { Span = SpanFrom(start) };
        }
        var natural = Accept("NATURAL");
        JoinKind kind;
        if (Accept("JOIN"))
        {
            kind = JoinKind.Inner;
        }
        else if (Accept("INNER"))
        {
            Expect("JOIN");
            kind = JoinKind.Inner;
        }
        else if (AcceptOneOf("LEFT", "RIGHT", "FULL") is { } outer)
        {
            Accept("OUTER");
            Expect("JOIN");
            kind = outer switch { "LEFT" => JoinKind.Left, "RIGHT" => JoinKind.Right, _ => JoinKind.Full };
        }
        else if (natural)
        {
            throw Expected("a join type after NATURAL");
        }
        else if (IsWord("OUTER"))
        {
            throw Error("Expected LEFT, RIGHT, or FULL, found OUTER");
        }
        else
        {
            return null;
        }
        var relation = ParseTableFactor();
        var from = Current.Start;
        JoinConstraint constraint;
        if (natural)
        {
            constraint = new JoinConstraint.Natural();
        }
        else if (Accept("ON"))
        {
            var condition = ParseExpr();
            constraint = new JoinConstraint.On(condition) { Span = SpanFrom(from) };
        }
        else if (Accept("USING"))
        {
            var columns = ParseColumnNames();
            var alias = !IsWords("AS OF") && Accept("AS") ? ParseAnyIdent() : null;
            constraint = new JoinConstraint.Using(columns, alias) { Span = SpanFrom(from) };
        }
        else
        {
            throw Expected("ON, or USING after JOIN");
        }
        return new Join(kind, relation, constraint) { Span = SpanFrom(start) };
    }

    private TableFactor ParseTableFactor()
    {
        using var nest = Enter();
        var start = Current.Start;
        if (IsWord("LATERAL") && (Ahead(1).Kind == TokenKind.LParen || (Ahead(1).IsName && !Ahead(1).Is("ON") && !Ahead(1).Is("JOIN"))))
        {
            at++;
            if (Accept(TokenKind.LParen))
            {
                var query = ParseQuery();
                Expect(TokenKind.RParen);
                var alias = ParseOptionalTableAlias();
                return new TableFactor.Derived(true, query, alias) { Span = SpanFrom(start) };
            }
            return IsWords("ROWS FROM") ? ParseRowsFrom() : ParseTableFunction(ParseObjectName(), start);
        }
        if (IsWords("ROWS FROM") && Ahead(2).Kind == TokenKind.LParen)
            return ParseRowsFrom();
        if (Is(TokenKind.LParen))
        {
            at++;
            var (query, join) = ParseQueryOrJoin();
            Expect(TokenKind.RParen);
            return Parenthesis(query, join, start);
        }
        var name = ParseObjectName();
        if (Is(TokenKind.LParen))
            return ParseTableFunction(name, start);
        var tableAlias = ParseOptionalTableAlias();
        return new TableFactor.Table(name, tableAlias) { Span = SpanFrom(start) };
    }

    private TableFactor Parenthesis(Query? query, TableWithJoins? join, int start)
    {
        var alias = ParseOptionalTableAlias();
        return query is not null
            ? new TableFactor.Derived(false, query, alias) { Span = SpanFrom(start) }
            : new TableFactor.NestedJoin(join!, alias) { Span = SpanFrom(start) };
    }

    /// <summary>What stands behind a parenthesis in FROM: told apart as in <see cref="ParseQueryOrList"/>.</summary>
    private (Query? Query, TableWithJoins? Join) ParseQueryOrJoin()
    {
        using var nest = Enter();
        if (StartsQuery(0))
            return (ParseQuery(), null);
        if (!Is(TokenKind.LParen) || !StartsQuery(CountParens()))
            return (null, ParseTableWithJoins());
        var start = Current.Start;
        at++;
        var (query, join) = ParseQueryOrJoin();
        Expect(TokenKind.RParen);
        if (query is not null && EndsQueryBody())
            return (ParseQueryAfterParenthesis(query, start), null);
        return (null, ParseJoins(Parenthesis(query, join, start), start));
    }

    private TableFactor ParseRowsFrom()
    {
        var start = Current.Start;
        Expect("ROWS FROM");
        var calls = Parenthesized(() =>
        {
            var from = Current.Start;
            var name = ParseObjectName();
            var args = ParseTableFunctionArgs();
            return new TableFunction(name, args) { Span = SpanFrom(from) };
        });
        var (alias, ordinality) = ParseAliasAndOrdinality();
        return new TableFactor.RowsFrom(calls, alias, ordinality) { Span = SpanFrom(start) };
    }

    private TableFactor ParseTableFunction(ObjectName name, int start)
    {
        var args = ParseTableFunctionArgs();
        var call = new TableFunction(name, args) { Span = SpanFrom(start) };
        var (alias, ordinality) = ParseAliasAndOrdinality();
        return new TableFactor.Function(call, alias, ordinality) { Span = SpanFrom(start) };
    }

    private FunctionArgs ParseTableFunctionArgs()
    {
        var start = Current.Start;
        Expect(TokenKind.LParen);
        if (Accept(TokenKind.Star))
        {
            Expect(TokenKind.RParen);
            return new FunctionArgs.Star { Span = SpanFrom(start) };
        }
        var args = Is(TokenKind.RParen) ? [] : CommaSeparated(ParseExpr);
        Expect(TokenKind.RParen);
        return new FunctionArgs.List(args, []) { Span = SpanFrom(start) };
    }

    private (TableAlias? Alias, bool Ordinality) ParseAliasAndOrdinality()
    {
        var ordinality = Accept("WITH ORDINALITY");
        var alias = ParseOptionalTableAlias();
        if (!ordinality)
            ordinality = Accept("WITH ORDINALITY");
        return (alias, ordinality);
    }

    private TableAlias? ParseOptionalTableAlias()
    {
        var start = Current.Start;
        if (ParseOptionalAlias(Keywords.InTableAlias) is not { } name)
            return null;
        var columns = Is(TokenKind.LParen) ? Parenthesized(ParseAnyIdent) : [];
        return new TableAlias(name, columns) { Span = SpanFrom(start) };
    }
}
