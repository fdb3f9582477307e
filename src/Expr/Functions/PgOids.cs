namespace Materialize.Expr.Functions;

/// <summary>Object ids that PostgreSQL fixes for its own functions and operators; clients look a few of them up.</summary>
internal static partial class PgOids
{
    /// <summary>The oid of a function or operator by name and signature text, or 0 if PostgreSQL has none.</summary>
    public static uint Find(string name, string signature, bool isOperator)
    {
        var key = name + signature[..(signature.IndexOf(')') + 1)].Replace(" ", "", StringComparison.Ordinal);
        return (isOperator ? OperatorOids : FunctionOids).GetValueOrDefault(key);
    }
}
