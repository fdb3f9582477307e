namespace Materialize.Sql;

/// <summary>What a column of a select list is called without an alias.</summary>
internal static class ColumnNames
{
    /// <summary>Null: <c>?column?</c>.</summary>
    /// <param name="ofSubquery">The name of a subquery's first column, where it is known.</param>
    public static string? Of(Ast.Expr expr, Func<Ast.Query, string?>? ofSubquery = null) => Find(expr, ofSubquery).Name;

    /// <summary>A name, and whether it says more than the kind of expression: a strong one is kept through casts and CASE.</summary>
    private static (string? Name, bool IsStrong) Find(Ast.Expr expr, Func<Ast.Query, string?>? ofSubquery)
    {
        switch (expr)
        {
            case Ast.Expr.Identifier x:
                return (x.Parts[^1].Value, true);
            case Ast.Expr.QualifiedWildcard x:
                return (x.Parts[^1].Value, true);
            case Ast.Expr.FieldAccess x:
                return (x.Field.Value, true);
            case Ast.Expr.Function x:
                return (x.Name.Item.Value, true);
            case Ast.Expr.Homogenizing x:
                return (x.Kind.ToString().ToLowerInvariant(), true);
            case Ast.Expr.NullIf:
                return ("nullif", true);
            case Ast.Expr.Cast x:
                return Find(x.Input, ofSubquery) is { IsStrong: true } inner ? inner : (TypeName(x.Type), false);
            case Ast.Expr.Collate x:
                return Find(x.Input, ofSubquery);
            case Ast.Expr.Case x:
                return x.Else is not null && Find(x.Else, ofSubquery) is { IsStrong: true } fallback ? fallback : ("case", false);
            case Ast.Expr.Array or Ast.Expr.ArraySubquery:
                return ("array", true);
            case Ast.Expr.List or Ast.Expr.ListSubquery:
                return ("list", true);
            case Ast.Expr.Map or Ast.Expr.MapSubquery:
                return ("map", true);
            case Ast.Expr.Exists:
                return ("exists", true);
            case Ast.Expr.Row:
                return ("row", true);
            case Ast.Expr.Subscript x:
                return Find(x.Input, ofSubquery);
            case Ast.Expr.Subquery x:
                return (ofSubquery?.Invoke(x.Query) ?? OfQuery(x.Query.Body), true);
            case Ast.Expr.BooleanLiteral:
                return ("bool", false);
            case Ast.Expr.IntervalLiteral:
                return ("interval", false);
            default:
                return (null, false);
        }
    }

    private static string? OfQuery(Ast.SetExpr body) => body switch
    {
        Ast.SetExpr.Select { Projection: [Ast.SelectItem.Expression item, ..] } => item.Alias?.Value ?? Of(item.Expr),
        Ast.SetExpr.Nested x => OfQuery(x.Query.Body),
        Ast.SetExpr.SetOperation x => OfQuery(x.Left),
        Ast.SetExpr.Values => "column1",
        _ => null,
    };

    private static string? TypeName(Ast.DataType type) => type switch
    {
        Ast.DataType.Named x => x.Name.Item.Value,
        Ast.DataType.List => "list",
        Ast.DataType.Map => "map",
        Ast.DataType.Array x => TypeName(x.Element),
        _ => null,
    };
}
