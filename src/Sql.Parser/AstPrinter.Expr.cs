using System.Diagnostics;
using Materialize.Sql.Parser.Ast;

namespace Materialize.Sql.Parser;

internal sealed partial class SqlWriter
{
    public void Expr(Expr expr) => Expr(expr, Precedence.None);

    /// <summary>An operand of something that takes operands binding at least as tightly as <paramref name="least"/>.</summary>
    private void Expr(Expr expr, Precedence least)
    {
        if (PrecedenceOf(expr) >= least)
        {
            Bare(expr);
            return;
        }
        W("(");
        Bare(expr);
        W(")");
    }

    private const Precedence Operand = Precedence.Postfix + 1;

    private static Precedence PrecedenceOf(Expr expr) => expr switch
    {
        Ast.Expr.Or => Precedence.Or,
        Ast.Expr.And => Precedence.And,
        Ast.Expr.Not => Precedence.Not,
        Ast.Expr.Is or Ast.Expr.IsDistinctFrom => Precedence.Is,
        Ast.Expr.InList or Ast.Expr.InSubquery or Ast.Expr.Like or Ast.Expr.Between => Precedence.Like,
        Ast.Expr.Binary x => Of(x.Op),
        Ast.Expr.Quantified x => Of(x.Op),
        Ast.Expr.QuantifiedSubquery x => Of(x.Op),
        Ast.Expr.Unary x => x.Op.Name is "+" or "-" ? Precedence.Sign : Precedence.Other,
        Ast.Expr.Collate => Precedence.CollateAt,
        Ast.Expr.Cast or Ast.Expr.Subscript or Ast.Expr.FieldAccess or Ast.Expr.WildcardAccess => Precedence.Postfix,
        _ => Operand,
    };

    private static Precedence Of(Operator op) => op.Schema.Count > 0 ? Precedence.Other : Parser.OperatorPrecedence(op.Name);

    private static Precedence Above(Precedence precedence) => precedence + 1;

    private void Literal(string sql) => W(mode == PrintMode.Redacted ? "'<REDACTED>'" : sql);

    private void Bare(Expr expr)
    {
        switch (expr)
        {
            case Ast.Expr.Identifier x: List(x.Parts, Ident, "."); break;
            case Ast.Expr.QualifiedWildcard x:
                List(x.Parts, Ident, ".");
                W(".*");
                break;
            case Ast.Expr.FieldAccess x:
                Base(x.Input, x.Input is Ast.Expr.FieldAccess);
                W(".");
                Ident(x.Field);
                break;
            case Ast.Expr.WildcardAccess x:
                Base(x.Input, false);
                W(".*");
                break;
            case Ast.Expr.Parameter x: W($"${x.Index}"); break;
            case Ast.Expr.NumberLiteral x: Literal(x.Text); break;
            case Ast.Expr.StringLiteral x: Literal(AstPrinter.QuoteString(x.Value)); break;
            case Ast.Expr.HexLiteral x: Literal($"X{AstPrinter.QuoteString(x.Digits)}"); break;
            case Ast.Expr.BooleanLiteral x: Literal(x.Value ? "true" : "false"); break;
            case Ast.Expr.NullLiteral: W("NULL"); break;
            case Ast.Expr.IntervalLiteral x:
                W("INTERVAL ");
                Interval(x.Value);
                break;
            case Ast.Expr.Not x:
                W("NOT ");
                Expr(x.Input, Precedence.Not);
                break;
            case Ast.Expr.And x: Infix(x.Left, " AND ", x.Right, Precedence.And); break;
            case Ast.Expr.Or x: Infix(x.Left, " OR ", x.Right, Precedence.Or); break;
            case Ast.Expr.Is x:
                Expr(x.Input, Precedence.Is);
                W(" IS ").If(x.Negated, "NOT ").W(x.Test.ToString().ToUpperInvariant());
                break;
            case Ast.Expr.IsDistinctFrom x: Infix(x.Left, x.Negated ? " IS NOT DISTINCT FROM " : " IS DISTINCT FROM ", x.Right, Precedence.Is); break;
            case Ast.Expr.InList x:
                Expr(x.Input, Precedence.Like);
                If(x.Negated, " NOT").W(" IN (");
                Exprs(x.Elements);
                W(")");
                break;
            case Ast.Expr.InSubquery x:
                Expr(x.Input, Precedence.Like);
                If(x.Negated, " NOT").W(" IN (");
                Query(x.Query);
                W(")");
                break;
            case Ast.Expr.Like x:
                Infix(x.Input, $" {(x.Negated ? "NOT " : "")}{(x.CaseInsensitive ? "ILIKE" : "LIKE")} ", x.Pattern, Precedence.Like);
                if (x.Escape is not null)
                {
                    W(" ESCAPE ");
                    Expr(x.Escape, Above(Precedence.Like));
                }
                break;
            case Ast.Expr.Between x:
                Infix(x.Input, $" {(x.Negated ? "NOT " : "")}BETWEEN {(x.Symmetric ? "SYMMETRIC " : "")}", x.Low, Precedence.Like);
                W(" AND ");
                Expr(x.High, Above(Precedence.Like));
                break;
            case Ast.Expr.Unary x: Unary(x); break;
            case Ast.Expr.Binary x:
                Expr(x.Left, Of(x.Op));
                W(" ");
                Op(x.Op);
                W(" ");
                Expr(x.Right, Above(Of(x.Op)));
                break;
            case Ast.Expr.Cast x:
                Expr(x.Input, Precedence.Postfix);
                W("::");
                Type(x.Type);
                break;
            case Ast.Expr.Collate x:
                Expr(x.Input, Precedence.CollateAt);
                W(" COLLATE ");
                Name(x.Collation);
                break;
            case Ast.Expr.Function x: Function(x); break;
            case Ast.Expr.Homogenizing x: Call(x.Kind.ToString().ToUpperInvariant(), x.Args); break;
            case Ast.Expr.NullIf x: Call("NULLIF", [x.Left, x.Right]); break;
            case Ast.Expr.Case x: Case(x); break;
            case Ast.Expr.Exists x: Enclosed("EXISTS (", x.Query); break;
            case Ast.Expr.Subquery x: Enclosed("(", x.Query); break;
            case Ast.Expr.Quantified x:
                Quantified(x.Left, x.Op, x.Quantifier);
                Expr(x.Right);
                W(")");
                break;
            case Ast.Expr.QuantifiedSubquery x:
                Quantified(x.Left, x.Op, x.Quantifier);
                Query(x.Query);
                W(")");
                break;
            case Ast.Expr.Array x: Bracketed("ARRAY", x.Elements); break;
            case Ast.Expr.ArraySubquery x: Enclosed("ARRAY(", x.Query); break;
            case Ast.Expr.List x: Bracketed("LIST", x.Elements); break;
            case Ast.Expr.ListSubquery x: Enclosed("LIST(", x.Query); break;
            case Ast.Expr.Map x:
                W("MAP[");
                List(x.Entries, e =>
                {
                    Expr(e.Key);
                    W(" => ");
                    Expr(e.Value);
                });
                W("]");
                break;
            case Ast.Expr.MapSubquery x: Enclosed("MAP(", x.Query); break;
            case Ast.Expr.Row x: Call("ROW", x.Elements); break;
            case Ast.Expr.Subscript x: Subscript(x); break;
            default: throw new UnreachableException(expr.GetType().Name);
        }
    }

    private void Infix(Expr left, string op, Expr right, Precedence precedence)
    {
        Expr(left, precedence);
        W(op);
        Expr(right, Above(precedence));
    }

    private void Enclosed(string open, Query query)
    {
        W(open);
        Query(query);
        W(")");
    }

    private void Call(string name, IReadOnlyList<Expr> args)
    {
        W(name).W("(");
        Exprs(args);
        W(")");
    }

    private void Bracketed(string name, IReadOnlyList<Expr> elements)
    {
        W(name).W("[");
        Exprs(elements);
        W("]");
    }

    /// <summary>What a dot follows: in parentheses, or it would be read as part of a name.</summary>
    private void Base(Expr input, bool bare)
    {
        If(!bare, "(");
        Expr(input);
        If(!bare, ")");
    }

    private void Unary(Expr.Unary x)
    {
        Op(x.Op);
        if (x.Op is not { Schema.Count: 0, Name: "+" or "-" })
        {
            W(" ");
            // A prefix operator that is not a sign takes all that binds tighter than other operators do.
            Expr(x.Input, Above(x.Op.Name is "+" or "-" ? Precedence.Sign : Precedence.Other));
            return;
        }
        // -1 is a literal, and -- a comment: neither may come about.
        var at = sb.Length;
        Expr(x.Input, Precedence.Postfix);
        if (char.IsAsciiDigit(sb[at]) || sb[at] is '.' or '-' or '+')
        {
            sb.Insert(at, '(');
            W(")");
        }
    }

    private void Quantified(Expr left, Operator op, Quantifier quantifier)
    {
        Expr(left, Of(op));
        W(" ");
        Op(op);
        W(quantifier == Quantifier.Any ? " ANY (" : " ALL (");
    }

    private void Case(Expr.Case x)
    {
        W("CASE");
        if (x.Operand is not null)
        {
            W(" ");
            Expr(x.Operand);
        }
        foreach (var arm in x.Arms)
        {
            W(" WHEN ");
            Expr(arm.Condition);
            W(" THEN ");
            Expr(arm.Result);
        }
        if (x.Else is not null)
        {
            W(" ELSE ");
            Expr(x.Else);
        }
        W(" END");
    }

    private void Subscript(Expr.Subscript x)
    {
        var bare = x.Input is Ast.Expr.Identifier or Ast.Expr.Parameter or Ast.Expr.Function or Ast.Expr.Array or Ast.Expr.List or Ast.Expr.FieldAccess;
        Base(x.Input, bare);
        foreach (var position in x.Positions)
        {
            W("[");
            if (position.Start is not null)
                Expr(position.Start);
            If(position.IsSlice, ":");
            if (position.End is not null)
                Expr(position.End);
            W("]");
        }
    }

    private void Function(Expr.Function x)
    {
        FunctionName(x.Name, x is { Distinct: false, Filter: null, Over: null, Args: FunctionArgs.List { OrderBy.Count: 0, Args.Count: > 0 } });
        Args(x.Args, x.Distinct);
        if (x.Filter is not null)
        {
            W(" FILTER (WHERE ");
            Expr(x.Filter);
            W(")");
        }
        if (x.Over is not null)
        {
            W(" ");
            Window(x.Over);
        }
    }

    public void Args(FunctionArgs args, bool distinct)
    {
        W("(");
        switch (args)
        {
            case FunctionArgs.Star: W("*"); break;
            case FunctionArgs.List x:
                If(distinct, "DISTINCT ");
                Exprs(x.Args);
                OrderBy(x.OrderBy);
                break;
            default: throw new UnreachableException(args.GetType().Name);
        }
        W(")");
    }

    public void Window(WindowSpec over)
    {
        If(over.IgnoreNulls, "IGNORE NULLS ").If(over.RespectNulls, "RESPECT NULLS ").W("OVER (");
        var at = sb.Length;
        if (over.PartitionBy.Count > 0)
        {
            W("PARTITION BY ");
            Exprs(over.PartitionBy);
        }
        if (over.OrderBy.Count > 0)
        {
            W(sb.Length > at ? " ORDER BY " : "ORDER BY ");
            List(over.OrderBy, Order);
        }
        if (over.Frame is { } frame)
        {
            If(sb.Length > at, " ").W(frame.Units.ToString().ToUpperInvariant()).W(" ");
            if (frame.End is null)
            {
                Bound(frame.Start);
            }
            else
            {
                W("BETWEEN ");
                Bound(frame.Start);
                W(" AND ");
                Bound(frame.End);
            }
        }
        W(")");
    }

    private void Bound(WindowFrameBound bound) => W(bound switch
    {
        WindowFrameBound.CurrentRow => "CURRENT ROW",
        WindowFrameBound.Preceding { Rows: null } => "UNBOUNDED PRECEDING",
        WindowFrameBound.Preceding x => $"{x.Rows} PRECEDING",
        WindowFrameBound.Following { Rows: null } => "UNBOUNDED FOLLOWING",
        WindowFrameBound.Following x => $"{x.Rows} FOLLOWING",
        _ => throw new UnreachableException(bound.GetType().Name),
    });

    /// <summary>An interval behind its keyword.</summary>
    public void Interval(IntervalValue value)
    {
        Str(value.Text);
        if (value is { High: DateTimeField.Year, Low: DateTimeField.Second, Precision: null })
            return;
        W(" ");
        if (value.High != DateTimeField.Year)
            W(Parser.FieldName(value.High)).W(" TO ");
        W(Parser.FieldName(value.Low));
        if (value.Precision is { } precision)
            W($"({precision})");
    }
}
