using System.Diagnostics;
using Materialize.Sql.Parser.Ast;

namespace Materialize.Sql.Parser;

internal sealed partial class SqlWriter
{
    public void Query(Query query)
    {
        With(query.With);
        Body(query.Body);
        OrderBy(query.OrderBy);
        if (query.Limit is { WithTies: false } limit)
        {
            W(" LIMIT ");
            Expr(limit.Quantity);
        }
        if (query.Offset is not null)
        {
            W(" OFFSET ");
            Expr(query.Offset);
        }
        if (query.Limit is { WithTies: true } ties)
        {
            W(" FETCH FIRST ");
            Expr(ties.Quantity);
            W(" ROWS WITH TIES");
        }
    }

    private void With(WithClause? with)
    {
        switch (with)
        {
            case null: return;
            case WithClause.Simple x:
                W("WITH ");
                List(x.Ctes, c =>
                {
                    Ident(c.Name);
                    OptionalColumns(c.Columns);
                    Enclosed(" AS (", c.Query);
                });
                break;
            case WithClause.MutuallyRecursive x:
                W("WITH MUTUALLY RECURSIVE ");
                if (x.Options.Count > 0)
                {
                    Options(x.Options);
                    W(" ");
                }
                List(x.Ctes, c =>
                {
                    Ident(c.Name);
                    W(" ");
                    Parens(c.Columns, p =>
                    {
                        Ident(p.Name);
                        W(" ");
                        Type(p.Type);
                    });
                    Enclosed(" AS (", c.Query);
                });
                break;
            default: throw new UnreachableException(with.GetType().Name);
        }
        W(" ");
    }

    public void Body(SetExpr body)
    {
        switch (body)
        {
            case SetExpr.Select x: Select(x); break;
            case SetExpr.Nested x: Enclosed("(", x.Query); break;
            case SetExpr.SetOperation x:
                Body(x.Left);
                W(" ").W(x.Op.ToString().ToUpperInvariant()).If(x.All, " ALL").W(" ");
                Body(x.Right);
                break;
            case SetExpr.Values x:
                W("VALUES ");
                List(x.Rows, r => Parens(r, Expr));
                break;
            case SetExpr.Table x:
                W("TABLE ");
                Name(x.Name);
                break;
            case SetExpr.Show x: Show(x.Statement); break;
            default: throw new UnreachableException(body.GetType().Name);
        }
    }

    private void Select(SetExpr.Select x)
    {
        W("SELECT");
        switch (x.Distinct)
        {
            case Distinct.EntireRow: W(" DISTINCT"); break;
            case Distinct.On on:
                W(" DISTINCT ON ");
                Parens(on.Exprs, Expr);
                break;
        }
        Clause(x.Projection, " ", Item);
        Clause(x.From, " FROM ", From);
        Clause(" WHERE ", x.Where);
        Clause(x.GroupBy, " GROUP BY ", Expr);
        Clause(" HAVING ", x.Having);
        Clause(" QUALIFY ", x.Qualify);
        if (x.Options.Count > 0)
        {
            W(" OPTIONS ");
            Options(x.Options);
        }
    }

    private void Clause<T>(IReadOnlyList<T> items, string words, Action<T> write)
    {
        if (items.Count == 0)
            return;
        W(words);
        List(items, write);
    }

    private void Clause(string words, Expr? expr)
    {
        if (expr is null)
            return;
        W(words);
        Expr(expr);
    }

    public void Item(SelectItem item)
    {
        switch (item)
        {
            case SelectItem.Wildcard: W("*"); break;
            case SelectItem.Expression x:
                Expr(x.Expr);
                if (x.Alias is not null)
                {
                    W(" AS ");
                    Ident(x.Alias);
                }
                break;
            default: throw new UnreachableException(item.GetType().Name);
        }
    }

    private void OrderBy(IReadOnlyList<OrderByExpr> orderBy) => Clause(orderBy, " ORDER BY ", Order);

    public void Order(OrderByExpr x)
    {
        Expr(x.Expr);
        If(x.Ascending == true, " ASC").If(x.Ascending == false, " DESC").If(x.NullsLast == true, " NULLS LAST").If(x.NullsLast == false, " NULLS FIRST");
    }

    public void From(TableWithJoins from)
    {
        Factor(from.Relation);
        foreach (var join in from.Joins)
        {
            If(join.Constraint is JoinConstraint.Natural, " NATURAL");
            W(join.Kind switch
            {
                JoinKind.Inner => " JOIN ",
                JoinKind.Left => " LEFT JOIN ",
                JoinKind.Right => " RIGHT JOIN ",
                JoinKind.Full => " FULL JOIN ",
                JoinKind.Cross => " CROSS JOIN ",
                _ => throw new UnreachableException(join.Kind.ToString()),
            });
            Factor(join.Relation);
            switch (join.Constraint)
            {
                case JoinConstraint.On x: Clause(" ON ", x.Condition); break;
                case JoinConstraint.Using x:
                    W(" USING ");
                    Columns(x.Columns);
                    if (x.Alias is not null)
                    {
                        W(" AS ");
                        Ident(x.Alias);
                    }
                    break;
            }
        }
    }

    public void Factor(TableFactor factor)
    {
        switch (factor)
        {
            case TableFactor.Table x:
                Name(x.Name);
                Alias(x.Alias);
                break;
            case TableFactor.Function x:
                TableCall(x.Call);
                If(x.WithOrdinality, " WITH ORDINALITY");
                Alias(x.Alias);
                break;
            case TableFactor.RowsFrom x:
                W("ROWS FROM ");
                Parens(x.Calls, TableCall);
                If(x.WithOrdinality, " WITH ORDINALITY");
                Alias(x.Alias);
                break;
            case TableFactor.Derived x:
                Enclosed(x.Lateral ? "LATERAL (" : "(", x.Query);
                Alias(x.Alias);
                break;
            case TableFactor.NestedJoin x:
                W("(");
                From(x.Join);
                W(")");
                Alias(x.Alias);
                break;
            default: throw new UnreachableException(factor.GetType().Name);
        }
    }

    private void TableCall(TableFunction call)
    {
        FunctionName(call.Name, true);
        Args(call.Args, false);
    }

    private void Alias(TableAlias? alias)
    {
        if (alias is null)
            return;
        W(" AS ");
        Ident(alias.Name);
        OptionalColumns(alias.Columns);
    }

    public void Show(ShowStatement show)
    {
        W("SHOW ");
        switch (show)
        {
            case ShowStatement.AllVariables: W("ALL"); break;
            case ShowStatement.Variable x: Word(x.Name); break;
            case ShowStatement.Create x:
                If(x.Redacted, "REDACTED ").W("CREATE ").W(Parser.KindWords(x.Kind)).W(" ");
                Name(x.Name);
                break;
            case ShowStatement.Columns x:
                W("COLUMNS FROM ");
                Name(x.Relation);
                Filter(x.Filter);
                break;
            case ShowStatement.Privileges x:
                W("PRIVILEGES").If(x.OnSystem, " ON SYSTEM");
                PrivilegeFilter(x.On, x.For, x.Filter);
                break;
            case ShowStatement.DefaultPrivileges x:
                W("DEFAULT PRIVILEGES");
                PrivilegeFilter(x.On, x.For, x.Filter);
                break;
            case ShowStatement.RoleMembership x:
                W("ROLE MEMBERSHIP");
                PrivilegeFilter(null, x.For, x.Filter);
                break;
            case ShowStatement.Objects x:
                W(Parser.ShowWords(x.Kind));
                if (x.From is not null)
                {
                    W(" FROM ");
                    Name(x.From);
                }
                if (x.On is not null)
                {
                    W(" ON ");
                    Name(x.On);
                }
                InCluster(x.InCluster);
                Filter(x.Filter);
                break;
            default: throw new UnreachableException(show.GetType().Name);
        }
    }

    private void PrivilegeFilter(GrantObjectKind? on, RoleName? role, ShowFilter? filter)
    {
        if (on is { } kind)
            W(" ON ").W(Parser.GrantWords(kind));
        if (role is not null)
        {
            W(" FOR ");
            Role(role);
        }
        Filter(filter);
    }

    private void Filter(ShowFilter? filter)
    {
        switch (filter)
        {
            case ShowFilter.Like x:
                W(" LIKE ");
                Str(x.Pattern);
                break;
            case ShowFilter.Where x: Clause(" WHERE ", x.Condition); break;
        }
    }
}
