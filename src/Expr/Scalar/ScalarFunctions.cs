namespace Materialize.Expr;

/// <summary>All scalar functions by id. The tables that fill it are in <c>Expr/Functions</c>.</summary>
public static partial class ScalarFunctions
{
}
