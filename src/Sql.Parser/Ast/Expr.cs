namespace Materialize.Sql.Parser.Ast;

/// <summary>
/// A scalar expression. Parentheses are not kept. Forms that are only another spelling of a call arrive as the call, with a one-part name:
/// <c>x AT TIME ZONE z</c> = <c>timezone(z, x)</c>, <c>EXTRACT(f FROM v)</c> = <c>extract('f', v)</c>, <c>POSITION(a IN b)</c> = <c>position(a, b)</c>,
/// <c>SUBSTRING(s FROM a FOR b)</c> = <c>substring(s, a, b)</c>, <c>TRIM(LEADING c FROM s)</c> = <c>ltrim(s, c)</c> (BOTH <c>btrim</c>, TRAILING
/// <c>rtrim</c>), <c>NORMALIZE(s, NFC)</c> = <c>normalize(s, 'NFC')</c>; and <c>DATE '…'</c>, <c>type '…'</c>, <c>x::t</c> arrive as <see cref="Cast"/>.
/// </summary>
public abstract record Expr : AstNode
{
    private Expr() { }   // closed

    /// <summary>A column or parameter-free name: <c>a</c>, <c>t.a</c>, <c>s.t.a</c>.</summary>
    public sealed record Identifier(AstList<Ident> Parts) : Expr;

    /// <summary><c>t.*</c> (in a select list, <c>count(t.*)</c>, <c>row(t.*)</c>); never without parts: a bare <c>*</c> is <see cref="SelectItem.Wildcard"/>.</summary>
    public sealed record QualifiedWildcard(AstList<Ident> Parts) : Expr;

    /// <summary><c>(e).f</c>.</summary>
    public sealed record FieldAccess(Expr Input, Ident Field) : Expr;

    /// <summary><c>(e).*</c>.</summary>
    public sealed record WildcardAccess(Expr Input) : Expr;

    /// <summary><c>$n</c>, n in 1..65535.</summary>
    public sealed record Parameter(int Index) : Expr;

    /// <summary>A number as written, unsigned: digits, dot, exponent.</summary>
    public sealed record NumberLiteral(string Text) : Expr;

    /// <summary>A string, escapes already resolved.</summary>
    public sealed record StringLiteral(string Value) : Expr;

    /// <summary><c>x'1f'</c>: the digits.</summary>
    public sealed record HexLiteral(string Digits) : Expr;

    /// <summary><c>true</c>, <c>false</c>.</summary>
    public sealed record BooleanLiteral(bool Value) : Expr;

    /// <summary><c>NULL</c>.</summary>
    public sealed record NullLiteral : Expr;

    /// <summary><c>INTERVAL '…' [head [TO tail]]</c>.</summary>
    public sealed record IntervalLiteral(IntervalValue Value) : Expr;

    /// <summary><c>NOT e</c>.</summary>
    public sealed record Not(Expr Input) : Expr;

    /// <summary><c>l AND r</c>; left-associative.</summary>
    public sealed record And(Expr Left, Expr Right) : Expr;

    /// <summary><c>l OR r</c>; left-associative.</summary>
    public sealed record Or(Expr Left, Expr Right) : Expr;

    /// <summary><c>e IS [NOT] {NULL|TRUE|FALSE|UNKNOWN}</c> (and ISNULL, NOTNULL).</summary>
    public sealed record Is(Expr Input, IsTest Test, bool Negated) : Expr;

    /// <summary><c>l IS [NOT] DISTINCT FROM r</c>.</summary>
    public sealed record IsDistinctFrom(Expr Left, Expr Right, bool Negated) : Expr;

    /// <summary><c>e [NOT] IN (a, b, …)</c>; at least one element.</summary>
    public sealed record InList(Expr Input, AstList<Expr> Elements, bool Negated) : Expr;

    /// <summary><c>e [NOT] IN (query)</c>.</summary>
    public sealed record InSubquery(Expr Input, Query Query, bool Negated) : Expr;

    /// <summary><c>e [NOT] {LIKE|ILIKE} pattern [ESCAPE c]</c>.</summary>
    public sealed record Like(Expr Input, Expr Pattern, Expr? Escape, bool CaseInsensitive, bool Negated) : Expr;

    /// <summary><c>e [NOT] BETWEEN [SYMMETRIC] low AND high</c>.</summary>
    public sealed record Between(Expr Input, Expr Low, Expr High, bool Symmetric, bool Negated) : Expr;

    /// <summary><c>op e</c>; also <c>+</c>, <c>-</c>, <c>~</c>.</summary>
    public sealed record Unary(Operator Op, Expr Input) : Expr;

    /// <summary><c>l op r</c>, comparisons included (<c>!=</c> arrives as <c>&lt;&gt;</c>).</summary>
    public sealed record Binary(Operator Op, Expr Left, Expr Right) : Expr;

    /// <summary><c>CAST(e AS t)</c>, <c>e::t</c>, <c>t 'literal'</c>.</summary>
    public sealed record Cast(Expr Input, DataType Type) : Expr;

    /// <summary><c>e COLLATE c</c>.</summary>
    public sealed record Collate(Expr Input, ObjectName Collation) : Expr;

    /// <summary>A call, with its aggregate and window parts.</summary>
    public sealed record Function(
        ObjectName Name, FunctionArgs Args, bool Distinct = false, Expr? Filter = null, WindowSpec? Over = null) : Expr;

    /// <summary><c>COALESCE</c>, <c>GREATEST</c>, <c>LEAST</c>: their arguments share one type, and they are lazy or skip NULL.</summary>
    public sealed record Homogenizing(HomogenizingFunction Kind, AstList<Expr> Args) : Expr;

    /// <summary><c>NULLIF(l, r)</c>.</summary>
    public sealed record NullIf(Expr Left, Expr Right) : Expr;

    /// <summary><c>CASE [operand] WHEN … THEN … [ELSE …] END</c>; at least one arm.</summary>
    public sealed record Case(Expr? Operand, AstList<CaseArm> Arms, Expr? Else) : Expr;

    /// <summary><c>EXISTS (query)</c>.</summary>
    public sealed record Exists(Query Query) : Expr;

    /// <summary><c>(query)</c> as a value.</summary>
    public sealed record Subquery(Query Query) : Expr;

    /// <summary><c>l op {ANY|ALL} (e)</c>, e an array or list; SOME arrives as ANY.</summary>
    public sealed record Quantified(Expr Left, Operator Op, Quantifier Quantifier, Expr Right) : Expr;

    /// <summary><c>l op {ANY|ALL} (query)</c>.</summary>
    public sealed record QuantifiedSubquery(Expr Left, Operator Op, Quantifier Quantifier, Query Query) : Expr;

    /// <summary><c>ARRAY[…]</c>; an inner <c>[…]</c> is a node of this kind too.</summary>
    public sealed record Array(AstList<Expr> Elements) : Expr;

    /// <summary><c>ARRAY(query)</c>.</summary>
    public sealed record ArraySubquery(Query Query) : Expr;

    /// <summary><c>LIST[…]</c>; an inner <c>[…]</c> is a node of this kind too.</summary>
    public sealed record List(AstList<Expr> Elements) : Expr;

    /// <summary><c>LIST(query)</c>.</summary>
    public sealed record ListSubquery(Query Query) : Expr;

    /// <summary><c>MAP[k => v, …]</c>; an inner <c>[…]</c> is a node of this kind too.</summary>
    public sealed record Map(AstList<MapEntry> Entries) : Expr;

    /// <summary><c>MAP(query)</c>.</summary>
    public sealed record MapSubquery(Query Query) : Expr;

    /// <summary><c>ROW(…)</c> or <c>(a, b, …)</c>.</summary>
    public sealed record Row(AstList<Expr> Elements) : Expr;

    /// <summary><c>e[i]</c>, <c>e[i:j]</c>, <c>e[i][j]</c>: consecutive subscripts are one node.</summary>
    public sealed record Subscript(Expr Input, AstList<SubscriptPosition> Positions) : Expr;
}

/// <summary>What <see cref="Expr.Is"/> asks.</summary>
public enum IsTest { Null, True, False, Unknown }

/// <summary>Which lazy function.</summary>
public enum HomogenizingFunction { Coalesce, Greatest, Least }

/// <summary>ANY (SOME) or ALL.</summary>
public enum Quantifier { Any, All }

/// <summary>One arm of CASE.</summary>
public sealed record CaseArm(Expr Condition, Expr Result) : AstNode;

/// <summary>One entry of a MAP constructor.</summary>
public sealed record MapEntry(Expr Key, Expr Value) : AstNode;

/// <summary><c>[i]</c> (<see cref="IsSlice"/> false, <see cref="Start"/> set) or <c>[i:j]</c>, either bound absent.</summary>
public sealed record SubscriptPosition(Expr? Start, Expr? End, bool IsSlice) : AstNode;

/// <summary>What stands between a call's parentheses.</summary>
public abstract record FunctionArgs : AstNode
{
    private FunctionArgs() { }   // closed

    /// <summary><c>f(*)</c>.</summary>
    public sealed record Star : FunctionArgs;

    /// <summary><c>f(a, b ORDER BY c)</c>.</summary>
    public sealed record List(AstList<Expr> Args, AstList<OrderByExpr> OrderBy) : FunctionArgs;
}

/// <summary><c>[IGNORE NULLS | RESPECT NULLS] OVER ( … )</c>.</summary>
public sealed record WindowSpec(
    AstList<Expr> PartitionBy, AstList<OrderByExpr> OrderBy, WindowFrame? Frame, bool IgnoreNulls, bool RespectNulls) : AstNode;

/// <summary><c>{ROWS|RANGE|GROUPS} BETWEEN start AND end</c>; a frame written without BETWEEN has no end (meaning CURRENT ROW).</summary>
public sealed record WindowFrame(WindowFrameUnits Units, WindowFrameBound Start, WindowFrameBound? End) : AstNode;

/// <summary>What a frame counts.</summary>
public enum WindowFrameUnits { Rows, Range, Groups }

/// <summary>One end of a frame.</summary>
public abstract record WindowFrameBound : AstNode
{
    private WindowFrameBound() { }   // closed

    /// <summary>CURRENT ROW.</summary>
    public sealed record CurrentRow : WindowFrameBound;

    /// <summary>n PRECEDING; UNBOUNDED when null.</summary>
    public sealed record Preceding(ulong? Rows) : WindowFrameBound;

    /// <summary>n FOLLOWING; UNBOUNDED when null.</summary>
    public sealed record Following(ulong? Rows) : WindowFrameBound;
}

/// <summary>The parts of an interval literal. Without qualification <paramref name="High"/> is Year and <paramref name="Low"/> is Second.</summary>
/// <param name="Text">The string, unparsed.</param>
/// <param name="High">The most significant field allowed.</param>
/// <param name="Low">The least significant field; a bare number counts in it.</param>
/// <param name="Precision">Fractional digits of SECOND(p).</param>
public sealed record IntervalValue(
    string Text, DateTimeField High = DateTimeField.Year, DateTimeField Low = DateTimeField.Second, int? Precision = null) : AstNode;

/// <summary>Fields of an interval, most significant first.</summary>
public enum DateTimeField
{
    Millennium, Century, Decade, Year, Month, Day, Hour, Minute, Second, Milliseconds, Microseconds,
}
