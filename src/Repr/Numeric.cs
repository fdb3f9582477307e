namespace Materialize.Repr;

/// <summary>
/// A decimal of 39 significant digits: coefficient × 10^−scale. Always trimmed (no trailing zero digit while the scale is
/// positive; zero has scale 0 and no sign), so that equal values are equal bits. 24 bytes, as it lies in a row.
/// </summary>
public readonly partial record struct Numeric
{
    /// <summary>Most significant digits.</summary>
    public const int MaxDigits = 39;

    /// <summary>Most digits after the point.</summary>
    public const int MaxScale = 39;

    /// <summary>Low 128 bits of the coefficient's magnitude.</summary>
    public UInt128 Low { get; init; }

    /// <summary>Bits of the coefficient's magnitude above 128.</summary>
    public uint High { get; init; }

    /// <summary>Digits after the decimal point, 0 to 39.</summary>
    public byte Scale { get; init; }

    public NumericKind Kind { get; init; }
}

/// <summary>Sign and special values of a <see cref="Numeric"/>.</summary>
public enum NumericKind : byte
{
    Positive = 0,
    Negative = 1,
    PositiveInfinity = 2,
    NegativeInfinity = 3,
    NaN = 4,
}
