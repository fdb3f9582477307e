namespace Materialize.Expr.Functions;

internal static partial class PgOids
{
    private static readonly Dictionary<string, uint> FunctionOids = [];

    private static readonly Dictionary<string, uint> OperatorOids = [];
}
