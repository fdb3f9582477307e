using Materialize.Repr;

namespace Materialize.Sql;

/// <summary>Computing what is constant while planning.</summary>
internal static class Constants
{
    /// <summary>A literal's cast as the literal it gives; the call itself where it fails or cannot be computed now.</summary>
    public static HirScalarExpr FoldLiteral(HirScalarExpr call) => call;
}
