using System.Diagnostics;
using System.Text;
using Materialize.Sql.Parser.Ast;

namespace Materialize.Sql.Parser;

/// <summary>How <see cref="AstPrinter"/> writes.</summary>
public enum PrintMode
{
    /// <summary>For people: names in quotes only where they need them.</summary>
    Simple,

    /// <summary>For storage: every name in quotes, so that the text reads the same when words become keywords.</summary>
    Stable,

    /// <summary>As Simple, with each literal of an expression as <c>'&lt;REDACTED&gt;'</c>; does not parse back to the same tree.</summary>
    Redacted,
}

/// <summary>
/// Writes trees as SQL. Law: for a tree the parser made, in modes Simple and Stable, parsing the text gives an equal tree
/// (so printing it again gives the same text). Parentheses stand only where the tree would otherwise read differently.
/// </summary>
public static class AstPrinter
{
    /// <summary>The SQL of a statement, query, expression, type, name or any other node, on one line, without a semicolon.</summary>
    public static string ToSql(AstNode node, PrintMode mode = PrintMode.Simple)
    {
        var writer = new SqlWriter(mode);
        switch (node)
        {
            case Statement statement: writer.Statement(statement); break;
            case Query query: writer.Query(query); break;
            case Expr expr: writer.Expr(expr); break;
            case DataType type: writer.Type(type); break;
            case ObjectName name: writer.Name(name); break;
            case Ident ident: writer.Ident(ident); break;
            case ClusterName cluster: writer.Cluster(cluster); break;
            case SetExpr body: writer.Body(body); break;
            case ShowStatement show: writer.Show(show); break;
            case SelectItem item: writer.Item(item); break;
            case TableWithJoins from: writer.From(from); break;
            case TableFactor factor: writer.Factor(factor); break;
            case OrderByExpr order: writer.Order(order); break;
            case SqlOption option: writer.Option(option); break;
            case OptionValue value: writer.Value(value); break;
            case ColumnDef column: writer.Column(column); break;
            case Format format: writer.Format(format); break;
            case FormatSpec format: writer.Format(format); break;
            case SourceEnvelope envelope: writer.Envelope(envelope); break;
            case Operator op: writer.Op(op); break;
            case IntervalValue interval: writer.Interval(interval); break;
            case FunctionArgs args: writer.Args(args, false); break;
            case WindowSpec window: writer.Window(window); break;
            default: throw new ArgumentException($"a {node.GetType().Name} is not printed on its own", nameof(node));
        }
        return writer.ToString();
    }

    /// <summary>A name as SQL reads it back, in quotes where needed.</summary>
    public static string QuoteIdent(string ident) => ToSql(new Ident(ident));

    /// <summary>A string literal.</summary>
    public static string QuoteString(string value) => $"'{value.Replace("'", "''")}'";
}

/// <summary>The writer behind <see cref="AstPrinter"/>; a file a part of the language.</summary>
internal sealed partial class SqlWriter(PrintMode mode)
{
    private static readonly string[] BareTypes = ["time", "timestamp", "timestamptz", "varchar", "bpchar", "interval"];
    private readonly StringBuilder sb = new();

    public override string ToString() => sb.ToString();

    private SqlWriter W(string text)
    {
        sb.Append(text);
        return this;
    }

    private SqlWriter If(bool condition, string text) => condition ? W(text) : this;

    private void List<T>(IReadOnlyList<T> items, Action<T> write, string separator = ", ")
    {
        for (var i = 0; i < items.Count; i++)
        {
            If(i > 0, separator);
            write(items[i]);
        }
    }

    private void Parens<T>(IReadOnlyList<T> items, Action<T> write)
    {
        W("(");
        List(items, write);
        W(")");
    }

    private void Exprs(IReadOnlyList<Expr> items) => List(items, Expr);

    /// <summary>A string literal that is part of the grammar (a schema, a pattern…).</summary>
    private void Str(string value) => W(mode == PrintMode.Redacted ? "'<REDACTED>'" : AstPrinter.QuoteString(value));

    public void Ident(Ident ident) => Ident(ident.Value, false);

    /// <summary>A name in a place where any keyword might be taken for one.</summary>
    private void Word(Ident ident) => Ident(ident.Value, true);

    private void Ident(string value, bool anyKeyword)
    {
        if (mode != PrintMode.Stable && IsBare(value) && !(anyKeyword ? Keywords.All : Keywords.Quoted).Contains(value) && !Keywords.Quoted.Contains(value))
            W(value);
        else
            W("\"").W(value.Replace("\"", "\"\"")).W("\"");
    }

    private static bool IsBare(string value)
    {
        if (value.Length == 0 || !(char.IsAsciiLetterLower(value[0]) || value[0] == '_'))
            return false;
        foreach (var c in value)
            if (!(char.IsAsciiLetterLower(c) || char.IsAsciiDigit(c) || c is '_' or '$'))
                return false;
        return true;
    }

    public void Name(ObjectName name)
    {
        if (name.Id is not null)
            W("[").W(name.Id).W(" AS ");
        List(name.Parts, Ident, ".");
        if (name.Version is { } version)
            W($" VERSION {version}");
        If(name.Id is not null, "]");
    }

    /// <summary>A function's name; <paramref name="plain"/> when nothing but arguments follows it.</summary>
    private void FunctionName(ObjectName name, bool plain)
    {
        if (mode != PrintMode.Stable && name is { Id: null, Parts: [{ Value: "extract" or "left" or "right" or "substring" } only] }
            && (plain || only.Value != "substring"))
            W(only.Value);
        else
            Name(name);
    }

    private void Columns(IReadOnlyList<Ident> columns) => Parens(columns, Word);

    private void OptionalColumns(IReadOnlyList<Ident> columns)
    {
        if (columns.Count == 0)
            return;
        W(" ");
        Columns(columns);
    }

    public void Cluster(ClusterName cluster)
    {
        if (cluster.Name is { } name)
            Ident(name);
        else
            W("[").W(cluster.Id!).W("]");
    }

    private void InCluster(ClusterName? cluster)
    {
        if (cluster is null)
            return;
        W(" IN CLUSTER ");
        Cluster(cluster);
    }

    private void Role(RoleName role)
    {
        if (role.Name is { } name)
            Word(name);   // a role named public is not PUBLIC
        else
            W("PUBLIC");
    }

    public void Type(DataType type)
    {
        switch (type)
        {
            case DataType.Named x:
                if (mode != PrintMode.Stable && x.Name is { Id: null, Parts: [var only] } && Array.IndexOf(BareTypes, only.Value) >= 0)
                    W(only.Value);
                else
                    Name(x.Name);
                if (x.Modifiers.Count > 0)
                    Parens(x.Modifiers, m => W(m.ToString()));
                break;
            case DataType.Array x:
                Type(x.Element);
                W("[]");
                break;
            case DataType.List x:
                Type(x.Element);
                W(" list");
                break;
            case DataType.Map x:
                W("map[");
                Type(x.Key);
                W(" => ");
                Type(x.Value);
                W("]");
                break;
            default: throw new UnreachableException(type.GetType().Name);
        }
    }

    public void Op(Operator op)
    {
        if (op.Schema.Count == 0)
        {
            W(op.Name);
            return;
        }
        W("OPERATOR(");
        foreach (var part in op.Schema)
        {
            Ident(part);
            W(".");
        }
        W(op.Name).W(")");
    }
}
