namespace Materialize.Sql;

/// <summary>SHOW as the query over the system catalog that it stands for.</summary>
internal static class ShowRewriter
{
    public static Ast.Query Rewrite(ISqlCatalog catalog, Ast.ShowStatement show) => throw SqlException.Unsupported("SHOW", show.Position());
}
