using Materialize.Expr.Functions;

namespace Materialize.Expr;

/// <summary>All built-in functions and operators by the name SQL gives them.</summary>
public static class FunctionTable
{
    /// <summary>The overloads of the function <paramref name="name"/> (lower case), in every schema; empty if there is none.</summary>
    public static IReadOnlyList<FunctionSignature> Functions(string name) =>
        FunctionCatalog.Instance.FunctionsByName.TryGetValue(name, out var found) ? found : [];

    /// <summary>The overloads of an operator by its symbol: one parameter for a prefix operator, two for an infix one.</summary>
    public static IReadOnlyList<FunctionSignature> Operators(string symbol) =>
        FunctionCatalog.Instance.OperatorsByName.TryGetValue(symbol, out var found) ? found : [];

    /// <summary>Every function, without operators; in a stable order, each with its own oid.</summary>
    public static IReadOnlyList<FunctionSignature> All => FunctionCatalog.Instance.Functions;

    /// <summary>Every operator.</summary>
    public static IReadOnlyList<FunctionSignature> AllOperators => FunctionCatalog.Instance.Operators;
}
