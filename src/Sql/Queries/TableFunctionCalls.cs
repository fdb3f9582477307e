using Materialize.Expr;

namespace Materialize.Sql;

/// <summary>Finds the calls of table functions in an expression; not those in its subqueries, which have rows of their own.</summary>
internal static class TableFunctionCalls
{
    public static void Collect(Ast.Expr expr, List<Ast.Expr.Function> into)
    {
        System.Runtime.CompilerServices.RuntimeHelpers.EnsureSufficientExecutionStack();
        if (expr is Ast.Expr.Function call && IsTableFunction(call))
        {
            List<Ast.Expr.Function> nested = [];
            foreach (var arg in Children(call))
                Collect(arg, nested);
            if (nested.Count > 0)
                throw SqlException.Unsupported("nested table functions", call.Position());
            into.Add(call);
            return;
        }

        foreach (var child in Children(expr))
            Collect(child, into);
    }

    private static bool IsTableFunction(Ast.Expr.Function call)
    {
        var overloads = FunctionTable.Functions(call.Name.Item.Value);
        return overloads.Count > 0 && overloads.All(o => o.Target is FunctionTarget.Table or FunctionTarget.Macro { Sql: "unnest($1) WITH ORDINALITY" });
    }

    private static IEnumerable<Ast.Expr> Children(Ast.Expr expr) => expr switch
    {
        Ast.Expr.FieldAccess x => [x.Input],
        Ast.Expr.WildcardAccess x => [x.Input],
        Ast.Expr.Not x => [x.Input],
        Ast.Expr.And x => [x.Left, x.Right],
        Ast.Expr.Or x => [x.Left, x.Right],
        Ast.Expr.Is x => [x.Input],
        Ast.Expr.IsDistinctFrom x => [x.Left, x.Right],
        Ast.Expr.InList x => [x.Input, .. x.Elements],
        Ast.Expr.InSubquery x => [x.Input],
        Ast.Expr.Like x => x.Escape is null ? [x.Input, x.Pattern] : [x.Input, x.Pattern, x.Escape],
        Ast.Expr.Between x => [x.Input, x.Low, x.High],
        Ast.Expr.Unary x => [x.Input],
        Ast.Expr.Binary x => [x.Left, x.Right],
        Ast.Expr.Cast x => [x.Input],
        Ast.Expr.Collate x => [x.Input],
        Ast.Expr.Function x => x.Args is Ast.FunctionArgs.List list ? list.Args : [],
        Ast.Expr.Homogenizing x => x.Args,
        Ast.Expr.NullIf x => [x.Left, x.Right],
        Ast.Expr.Case x => [.. x.Operand is null ? (Ast.Expr[])[] : [x.Operand], .. x.Arms.SelectMany(a => new[] { a.Condition, a.Result }), .. x.Else is null ? (Ast.Expr[])[] : [x.Else]],
        Ast.Expr.Quantified x => [x.Left, x.Right],
        Ast.Expr.QuantifiedSubquery x => [x.Left],
        Ast.Expr.Array x => x.Elements,
        Ast.Expr.List x => x.Elements,
        Ast.Expr.Map x => x.Entries.SelectMany(e => new[] { e.Key, e.Value }),
        Ast.Expr.Row x => x.Elements,
        Ast.Expr.Subscript x => [x.Input, .. x.Positions.SelectMany(p => new[] { p.Start, p.End }).OfType<Ast.Expr>()],
        _ => [],
    };
}
