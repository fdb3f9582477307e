using Materialize.Core.Collections;
using Materialize.Expr;

namespace Materialize.Optimizer;

/// <summary>Expressions of an <see cref="Mfp"/> written over its input's columns alone.</summary>
internal static class Inlining
{
    /// <summary>Larger expressions stay where they are: substitution can square their size.</summary>
    private const int SizeMax = 200;

    /// <summary>Each output column as an expression over the input; null if one would be too large.</summary>
    public static ValueArray<MirScalarExpr>? Outputs(Mfp mfp) => Columns(mfp) is { } all ? mfp.Projection.Select(c => all[c]) : null;

    /// <summary>The predicates over the input; null if one would be too large.</summary>
    public static ValueArray<MirScalarExpr>? Predicates(Mfp mfp) =>
        Columns(mfp) is { } all ? mfp.Predicates.Select(p => p.Expr.MapColumns(c => all[c])) : null;

    private static List<MirScalarExpr>? Columns(Mfp mfp)
    {
        var all = Enumerable.Range(0, mfp.InputArity).Select(ScalarExprs.Column).ToList();
        foreach (var map in mfp.Maps)
        {
            var expr = map.MapColumns(c => all[c]);
            if (expr.Size() > SizeMax)
                return null;
            all.Add(expr);
        }

        return all;
    }
}
