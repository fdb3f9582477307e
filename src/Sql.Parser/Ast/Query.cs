namespace Materialize.Sql.Parser.Ast;

/// <summary>A query with everything that may surround its body. <c>FETCH FIRST n ROWS</c> arrives as <see cref="Limit"/>.</summary>
public sealed record Query(
    WithClause? With, SetExpr Body, AstList<OrderByExpr> OrderBy, Limit? Limit = null, Expr? Offset = null) : AstNode;

/// <summary><c>LIMIT n</c> or <c>FETCH {FIRST|NEXT} n ROWS {ONLY|WITH TIES}</c>. <c>LIMIT ALL</c> is no limit.</summary>
public sealed record Limit(Expr Quantity, bool WithTies) : AstNode;

/// <summary>WITH.</summary>
public abstract record WithClause : AstNode
{
    private WithClause() { }   // closed

    /// <summary><c>WITH a AS (…), …</c>: each sees those before it.</summary>
    public sealed record Simple(AstList<Cte> Ctes) : WithClause;

    /// <summary><c>WITH MUTUALLY RECURSIVE [(options)] a (x int) AS (…), …</c>. Option names: RECURSION LIMIT, RETURN AT RECURSION LIMIT, ERROR AT RECURSION LIMIT.</summary>
    public sealed record MutuallyRecursive(AstList<SqlOption> Options, AstList<RecursiveCte> Ctes) : WithClause;
}

/// <summary>A common table expression.</summary>
public sealed record Cte(Ident Name, AstList<Ident> Columns, Query Query) : AstNode;

/// <summary>A binding of WITH MUTUALLY RECURSIVE; its columns' types are part of the syntax.</summary>
public sealed record RecursiveCte(Ident Name, AstList<TypedColumn> Columns, Query Query) : AstNode;

/// <summary><c>name type</c>.</summary>
public sealed record TypedColumn(Ident Name, DataType Type) : AstNode;

/// <summary>The body of a query.</summary>
public abstract record SetExpr : AstNode
{
    private SetExpr() { }   // closed

    /// <summary><c>SELECT …</c>.</summary>
    public sealed record Select(
        Distinct? Distinct, AstList<SelectItem> Projection, AstList<TableWithJoins> From, Expr? Where,
        AstList<Expr> GroupBy, Expr? Having, Expr? Qualify, AstList<SqlOption> Options) : SetExpr;

    /// <summary><c>( query )</c> as an operand or body.</summary>
    public sealed record Nested(Query Query) : SetExpr;

    /// <summary><c>l {UNION|EXCEPT|INTERSECT} [ALL] r</c>.</summary>
    public sealed record SetOperation(SetOperator Op, bool All, SetExpr Left, SetExpr Right) : SetExpr;

    /// <summary><c>VALUES (…), …</c>: at least one row; arity unchecked.</summary>
    public sealed record Values(AstList<AstList<Expr>> Rows) : SetExpr;

    /// <summary><c>TABLE name</c>.</summary>
    public sealed record Table(ObjectName Name) : SetExpr;

    /// <summary>A SHOW statement as a query.</summary>
    public sealed record Show(ShowStatement Statement) : SetExpr;
}

/// <summary>The set operations.</summary>
public enum SetOperator { Union, Except, Intersect }

/// <summary>DISTINCT of a SELECT.</summary>
public abstract record Distinct : AstNode
{
    private Distinct() { }   // closed

    /// <summary>DISTINCT.</summary>
    public sealed record EntireRow : Distinct;

    /// <summary>DISTINCT ON (…).</summary>
    public sealed record On(AstList<Expr> Exprs) : Distinct;
}

/// <summary>One item of a select list or RETURNING.</summary>
public abstract record SelectItem : AstNode
{
    private SelectItem() { }   // closed

    /// <summary><c>*</c>.</summary>
    public sealed record Wildcard : SelectItem;

    /// <summary><c>e [AS alias]</c>; <c>t.*</c> is an expression here too.</summary>
    public sealed record Expression(Expr Expr, Ident? Alias) : SelectItem;
}

/// <summary><c>e [ASC|DESC] [NULLS {FIRST|LAST}]</c>; null = not written: ascending, and nulls last when ascending, first when descending.</summary>
public sealed record OrderByExpr(Expr Expr, bool? Ascending = null, bool? NullsLast = null) : AstNode;

/// <summary>One item of FROM.</summary>
public sealed record TableWithJoins(TableFactor Relation, AstList<Join> Joins) : AstNode;

/// <summary><c>a</c> or <c>a (c, …)</c>.</summary>
public sealed record TableAlias(Ident Name, AstList<Ident> Columns) : AstNode;

/// <summary>A call in FROM; its arguments may not be filtered, ordered or windowed.</summary>
public sealed record TableFunction(ObjectName Name, FunctionArgs Args) : AstNode;

/// <summary>An operand of FROM.</summary>
public abstract record TableFactor : AstNode
{
    private TableFactor() { }   // closed

    /// <summary>A relation by name.</summary>
    public sealed record Table(ObjectName Name, TableAlias? Alias) : TableFactor;

    /// <summary><c>f(args) [WITH ORDINALITY] [alias]</c>; laterally visible whether or not LATERAL is written.</summary>
    public sealed record Function(TableFunction Call, TableAlias? Alias, bool WithOrdinality) : TableFactor;

    /// <summary><c>ROWS FROM (f(), g()) [WITH ORDINALITY] [alias]</c>.</summary>
    public sealed record RowsFrom(AstList<TableFunction> Calls, TableAlias? Alias, bool WithOrdinality) : TableFactor;

    /// <summary><c>[LATERAL] ( query ) [alias]</c>.</summary>
    public sealed record Derived(bool Lateral, Query Query, TableAlias? Alias) : TableFactor;

    /// <summary><c>( a JOIN b … ) [alias]</c>.</summary>
    public sealed record NestedJoin(TableWithJoins Join, TableAlias? Alias) : TableFactor;
}

/// <summary>A join with what stands to its left.</summary>
/// <param name="Constraint">Null exactly for CROSS.</param>
public sealed record Join(JoinKind Kind, TableFactor Relation, JoinConstraint? Constraint) : AstNode;

/// <summary>The joins.</summary>
public enum JoinKind { Inner, Left, Right, Full, Cross }

/// <summary>What a join matches on.</summary>
public abstract record JoinConstraint : AstNode
{
    private JoinConstraint() { }   // closed

    /// <summary>ON e.</summary>
    public sealed record On(Expr Condition) : JoinConstraint;

    /// <summary>USING (c, …) [AS alias].</summary>
    public sealed record Using(AstList<Ident> Columns, Ident? Alias) : JoinConstraint;

    /// <summary>NATURAL.</summary>
    public sealed record Natural : JoinConstraint;
}
