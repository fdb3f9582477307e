namespace Materialize.Repr;

public readonly partial struct Datum
{
    /// <summary>
    /// A present value as it is kept, whatever its type: for codecs that carry datums without their type. The reference is null,
    /// a <see cref="Numeric"/>, string, byte array, list of datums, <see cref="ArrayDatum"/>, map entries or <see cref="RangeDatum"/>.
    /// </summary>
    public (long Low, long High, object? Reference) Parts => (_low, _high, _reference);

    /// <summary>The inverse of <see cref="Parts"/>; the caller answers for the combination being one that a type has.</summary>
    public static Datum FromParts(long low, long high, object? reference) => new(low, high, reference);
}
