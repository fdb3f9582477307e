namespace Materialize.Sql;

/// <summary>What a column of a select list is called without an alias.</summary>
internal static class ColumnNames
{
    /// <summary>Null: <c>?column?</c>.</summary>
    public static string? Of(Ast.Expr expr) => expr switch
    {
        Ast.Expr.Identifier x => x.Parts[^1].Value,
        Ast.Expr.FieldAccess x => x.Field.Value,
        Ast.Expr.Function x => x.Name.Item.Value,
        Ast.Expr.Homogenizing x => x.Kind.ToString().ToLowerInvariant(),
        Ast.Expr.NullIf => "nullif",
        Ast.Expr.Cast x => Of(x.Input) ?? TypeName(x.Type),
        Ast.Expr.Collate x => Of(x.Input),
        Ast.Expr.Case x => (x.Else is null ? null : Of(x.Else)) ?? "case",
        Ast.Expr.Array or Ast.Expr.ArraySubquery => "array",
        Ast.Expr.List or Ast.Expr.ListSubquery => "list",
        Ast.Expr.Map or Ast.Expr.MapSubquery => "map",
        Ast.Expr.Exists => "exists",
        Ast.Expr.Row => "row",
        Ast.Expr.Subscript x => Of(x.Input),
        Ast.Expr.Subquery x => OfQuery(x.Query.Body),
        Ast.Expr.BooleanLiteral => "bool",
        Ast.Expr.IntervalLiteral => "interval",
        _ => null,
    };

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
        _ => null,
    };
}
