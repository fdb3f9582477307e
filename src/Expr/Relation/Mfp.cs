using Materialize.Core.Collections;

namespace Materialize.Expr;

/// <summary>A predicate that is evaluated once the first <paramref name="Before"/> columns (inputs, then maps) are known.</summary>
public sealed record MfpPredicate(int Before, MirScalarExpr Expr);

/// <summary>
/// Map, filter and project in one: appends <see cref="Maps"/> to the input's columns, drops rows for which a predicate is not
/// true, and keeps the columns of <see cref="Projection"/>. A map is evaluated only if the predicates placed before it hold.
/// </summary>
/// <param name="InputArity">Columns of the input.</param>
/// <param name="Maps">Each may refer to the inputs and to earlier maps.</param>
/// <param name="Predicates">In ascending <see cref="MfpPredicate.Before"/>. A conjunct that compares <c>mz_now()</c> with an
/// expression is a temporal filter: it bounds the times at which the row is present.</param>
/// <param name="Projection">Columns of the output.</param>
public sealed record Mfp(
    int InputArity,
    ValueArray<MirScalarExpr> Maps,
    ValueArray<MfpPredicate> Predicates,
    ValueArray<int> Projection)
{
    public static Mfp Identity(int arity) => new(arity, [], [], ValueArray.Range(arity));

    public bool IsIdentity => Maps.IsEmpty && Predicates.IsEmpty && Projection == ValueArray.Range(InputArity);

    public int OutputArity => Projection.Count;
}
