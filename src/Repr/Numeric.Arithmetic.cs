using System.Buffers.Binary;
using System.Numerics;
using System.Runtime.CompilerServices;

namespace Materialize.Repr;

/// <summary>Whether an operation on numerics has a result.</summary>
public enum NumericStatus
{
    Ok,

    /// <summary>The magnitude would be 1e39 or more.</summary>
    Overflow,

    /// <summary>The magnitude would be below 1e-40, though not zero.</summary>
    Underflow,
    DivisionByZero,
}

/// <content>
/// Arithmetic. Results are exact, then rounded half away from zero to 39 digits and 39 decimal places. Coefficients below
/// 2^64, which is nearly all there are in practice, stay in machine words; the rest goes through <see cref="BigInteger"/>.
/// </content>
public readonly partial record struct Numeric : IComparable<Numeric>
{
    private static readonly ulong[] SmallPowers = [.. Enumerable.Range(0, 20).Select(i => (ulong)BigInteger.Pow(10, i))];
    private static readonly BigInteger[] Powers = [.. Enumerable.Range(0, 200).Select(i => BigInteger.Pow(10, i))];

    /// <summary>Bytes of a numeric in a row.</summary>
    public const int Width = 24;

    public static Numeric Zero => default;

    public static Numeric One => FromInt64(1);

    public static Numeric NaN => new() { Kind = NumericKind.NaN };

    public static Numeric PositiveInfinity => new() { Kind = NumericKind.PositiveInfinity };

    public static Numeric NegativeInfinity => new() { Kind = NumericKind.NegativeInfinity };

    public bool IsNaN => Kind == NumericKind.NaN;

    public bool IsFinite => Kind <= NumericKind.Negative;

    public bool IsNegative => Kind is NumericKind.Negative or NumericKind.NegativeInfinity;

    public bool IsZero => Kind == NumericKind.Positive && Low == 0 && High == 0;

    /// <summary>The coefficient with its sign; 0 for special values.</summary>
    public BigInteger Coefficient
    {
        get
        {
            if (!IsFinite)
                return BigInteger.Zero;
            var magnitude = High == 0 ? (BigInteger)Low : ((BigInteger)High << 128) | Low;
            return Kind == NumericKind.Negative ? -magnitude : magnitude;
        }
    }

    private bool IsSmall
    {
        [MethodImpl(MethodImplOptions.AggressiveInlining)]
        get => High == 0 && (ulong)(Low >> 64) == 0 && IsFinite;
    }

    public static Numeric FromInt64(long value) => new()
    {
        Low = value < 0 ? (ulong)-value : (ulong)value,
        Kind = value < 0 ? NumericKind.Negative : NumericKind.Positive,
    };

    public static Numeric FromInt128(Int128 value) => new()
    {
        Low = value < 0 ? (UInt128)(-value) : (UInt128)value,
        Kind = value < 0 ? NumericKind.Negative : NumericKind.Positive,
    };

    public static Numeric FromUInt64(ulong value) => new() { Low = value };

    /// <summary><paramref name="coefficient"/> × 10^−<paramref name="scale"/>, where both are small.</summary>
    public static Numeric FromScaled(long coefficient, int scale)
    {
        var magnitude = coefficient < 0 ? (ulong)-coefficient : (ulong)coefficient;
        return Small(magnitude, scale, coefficient < 0);
    }

    /// <summary><paramref name="coefficient"/> × 10^−<paramref name="scale"/>, rounded; scale may be negative.</summary>
    public static NumericStatus FromBigInteger(BigInteger coefficient, int scale, out Numeric result)
    {
        result = default;
        if (coefficient.IsZero)
            return NumericStatus.Ok;
        var negative = coefficient.Sign < 0;
        var magnitude = BigInteger.Abs(coefficient);
        var digits = Digits(magnitude);
        if (digits - scale > MaxDigits)
            return NumericStatus.Overflow;
        if (digits - scale <= -40)
            return NumericStatus.Underflow;
        var drop = Math.Max(digits - MaxDigits, scale - MaxScale);
        if (drop > 0)
        {
            var divisor = Power(drop);
            magnitude = BigInteger.DivRem(magnitude, divisor, out var rest);
            if (rest + rest >= divisor)
                magnitude += BigInteger.One;
            scale -= drop;
        }

        if (scale < 0)
        {
            magnitude *= Power(-scale);
            scale = 0;
        }

        while (scale > 0)
        {
            var quotient = BigInteger.DivRem(magnitude, 10, out var rest);
            if (!rest.IsZero)
                break;
            magnitude = quotient;
            scale--;
        }

        if (scale == 0 && magnitude >= Powers[MaxDigits])
            return NumericStatus.Overflow;
        if (magnitude.IsZero)
            return NumericStatus.Ok;
        result = new Numeric
        {
            Low = (UInt128)(magnitude & (BigInteger)UInt128.MaxValue),
            High = (uint)(magnitude >> 128),
            Scale = (byte)scale,
            Kind = negative ? NumericKind.Negative : NumericKind.Positive,
        };
        return NumericStatus.Ok;
    }

    public static NumericStatus Add(Numeric a, Numeric b, out Numeric result)
    {
        if (a.IsSmall && b.IsSmall && Math.Abs(a.Scale - b.Scale) <= 18)
        {
            var scale = Math.Max(a.Scale, b.Scale);
            var x = (Int128)((UInt128)(ulong)a.Low * SmallPowers[scale - a.Scale]);
            var y = (Int128)((UInt128)(ulong)b.Low * SmallPowers[scale - b.Scale]);
            var sum = (a.Kind == NumericKind.Negative ? -x : x) + (b.Kind == NumericKind.Negative ? -y : y);
            var magnitude = sum < 0 ? (UInt128)(-sum) : (UInt128)sum;
            if ((ulong)(magnitude >> 64) == 0)
            {
                result = Small((ulong)magnitude, scale, sum < 0);
                return NumericStatus.Ok;
            }
        }

        if (!a.IsFinite || !b.IsFinite)
        {
            result = a.IsNaN || b.IsNaN ? NaN
                : a.IsFinite ? b
                : b.IsFinite || a.Kind == b.Kind ? a
                : NaN;
            return NumericStatus.Ok;
        }

        var common = Math.Max(a.Scale, b.Scale);
        return FromBigInteger((a.Coefficient * Powers[common - a.Scale]) + (b.Coefficient * Powers[common - b.Scale]), common, out result);
    }

    public static NumericStatus Subtract(Numeric a, Numeric b, out Numeric result) => Add(a, -b, out result);

    public static NumericStatus Multiply(Numeric a, Numeric b, out Numeric result)
    {
        if (a.IsSmall && b.IsSmall && a.Scale + b.Scale <= MaxScale)
        {
            var high = Math.BigMul((ulong)a.Low, (ulong)b.Low, out var low);
            if (high == 0)
            {
                result = Small(low, a.Scale + b.Scale, a.Kind != b.Kind);
                return NumericStatus.Ok;
            }
        }

        if (!a.IsFinite || !b.IsFinite)
        {
            result = a.IsNaN || b.IsNaN || a.IsZero || b.IsZero ? NaN : a.IsNegative != b.IsNegative ? NegativeInfinity : PositiveInfinity;
            return NumericStatus.Ok;
        }

        return FromBigInteger(a.Coefficient * b.Coefficient, a.Scale + b.Scale, out result);
    }

    public static NumericStatus Divide(Numeric a, Numeric b, out Numeric result)
    {
        result = default;
        if (b.IsZero)
            return NumericStatus.DivisionByZero;
        if (a.IsSmall && b.IsSmall && a.Scale >= b.Scale && (ulong)a.Low % (ulong)b.Low == 0)
        {
            result = Small((ulong)a.Low / (ulong)b.Low, a.Scale - b.Scale, a.Kind != b.Kind);
            return NumericStatus.Ok;
        }

        if (!a.IsFinite || !b.IsFinite)
        {
            result = a.IsNaN || b.IsNaN || (!a.IsFinite && !b.IsFinite) ? NaN
                : !b.IsFinite ? Zero
                : a.IsNegative != b.IsNegative ? NegativeInfinity : PositiveInfinity;
            return NumericStatus.Ok;
        }

        // Forty digits and more decide the rounding of the thirty-ninth; what is cut off behind them cannot change it.
        var x = a.Coefficient;
        var y = b.Coefficient;
        var shift = Math.Max(0, MaxDigits + 2 + Digits(BigInteger.Abs(y)) - Digits(BigInteger.Abs(x)));
        return FromBigInteger(x * Power(shift) / y, a.Scale - b.Scale + shift, out result);
    }

    /// <summary>The remainder with the sign of <paramref name="a"/>.</summary>
    public static NumericStatus Remainder(Numeric a, Numeric b, out Numeric result)
    {
        result = default;
        if (b.IsZero)
            return NumericStatus.DivisionByZero;
        if (!a.IsFinite || b.IsNaN)
        {
            result = NaN;
            return NumericStatus.Ok;
        }

        if (!b.IsFinite)
        {
            result = a;
            return NumericStatus.Ok;
        }

        var common = Math.Max(a.Scale, b.Scale);
        return FromBigInteger(
            BigInteger.Remainder(a.Coefficient * Powers[common - a.Scale], b.Coefficient * Powers[common - b.Scale]), common, out result);
    }

    public static Numeric operator -(in Numeric value) => value.Kind switch
    {
        NumericKind.Positive => value.IsZero ? value : value with { Kind = NumericKind.Negative },
        NumericKind.Negative => value with { Kind = NumericKind.Positive },
        NumericKind.PositiveInfinity => NegativeInfinity,
        NumericKind.NegativeInfinity => PositiveInfinity,
        _ => value,
    };

    public Numeric Abs() => IsNegative ? -this : this;

    /// <summary>Rounded half away from zero to <paramref name="scale"/> decimal places; a negative scale rounds to tens, hundreds….</summary>
    public NumericStatus Round(int scale, out Numeric result) => Rescale(scale, Rounding.HalfAwayFromZero, out result);

    public Numeric Floor()
    {
        Rescale(0, Rounding.Down, out var result);
        return result;
    }

    public Numeric Ceiling()
    {
        Rescale(0, Rounding.Up, out var result);
        return result;
    }

    public Numeric Truncate()
    {
        Rescale(0, Rounding.TowardZero, out var result);
        return result;
    }

    /// <summary>Total order: NaN is equal to itself and above everything.</summary>
    public int CompareTo(Numeric other)
    {
        var rank = Rank(Kind).CompareTo(Rank(other.Kind));
        if (rank != 0 || !IsFinite)
            return rank;
        var negative = Kind == NumericKind.Negative;
        int result;
        if (Scale == other.Scale)
        {
            result = High != other.High ? High.CompareTo(other.High) : Low.CompareTo(other.Low);
        }
        else if (IsSmall && other.IsSmall && Math.Abs(Scale - other.Scale) <= 19)
        {
            var scale = Math.Max(Scale, other.Scale);
            result = ((UInt128)(ulong)Low * SmallPowers[scale - Scale]).CompareTo((UInt128)(ulong)other.Low * SmallPowers[scale - other.Scale]);
        }
        else
        {
            var common = Math.Max(Scale, other.Scale);
            return (Coefficient * Powers[common - Scale]).CompareTo(other.Coefficient * Powers[common - other.Scale]);
        }

        return negative ? -result : result;
    }

    /// <summary>The nearest double.</summary>
    public double ToDouble() => Kind switch
    {
        NumericKind.NaN => double.NaN,
        NumericKind.PositiveInfinity => double.PositiveInfinity,
        NumericKind.NegativeInfinity => double.NegativeInfinity,
        _ when Scale == 0 && IsSmall => Kind == NumericKind.Negative ? -(double)(ulong)Low : (ulong)Low,
        _ => double.Parse(ToString(), System.Globalization.CultureInfo.InvariantCulture),
    };

    /// <summary>The value, rounded half away from zero, if it is finite and fits.</summary>
    public bool TryToInt128(out Int128 value)
    {
        value = 0;
        if (!IsFinite)
            return false;
        if (Round(0, out var whole) != NumericStatus.Ok || whole.High != 0 || whole.Low > (UInt128)Int128.MaxValue)
            return false;
        value = whole.Kind == NumericKind.Negative ? -(Int128)whole.Low : (Int128)whole.Low;
        return true;
    }

    /// <summary>The numeric that prints as the shortest decimal of <paramref name="value"/>.</summary>
    public static NumericStatus FromDouble(double value, out Numeric result)
    {
        result = double.IsNaN(value) ? NaN : double.IsPositiveInfinity(value) ? PositiveInfinity : double.IsNegativeInfinity(value) ? NegativeInfinity : default;
        return double.IsFinite(value) ? ParseDigits(value.ToString("R", System.Globalization.CultureInfo.InvariantCulture), out result) : NumericStatus.Ok;
    }

    /// <summary>As <see cref="FromDouble"/>, with the shortest decimal of a single.</summary>
    public static NumericStatus FromSingle(float value, out Numeric result)
    {
        if (!float.IsFinite(value))
            return FromDouble(value, out result);
        return ParseDigits(value.ToString("R", System.Globalization.CultureInfo.InvariantCulture), out result);
    }

    /// <summary>Writes the <see cref="Width"/> bytes of a row slot.</summary>
    public void Write(Span<byte> destination)
    {
        BinaryPrimitives.WriteUInt128LittleEndian(destination, Low);
        BinaryPrimitives.WriteUInt32LittleEndian(destination[16..], High);
        BinaryPrimitives.WriteUInt32LittleEndian(destination[20..], Scale | ((uint)Kind << 8));
    }

    /// <summary>Reads what <see cref="Write"/> wrote.</summary>
    public static Numeric Read(ReadOnlySpan<byte> source)
    {
        var tail = BinaryPrimitives.ReadUInt32LittleEndian(source[20..]);
        return new Numeric
        {
            Low = BinaryPrimitives.ReadUInt128LittleEndian(source),
            High = BinaryPrimitives.ReadUInt32LittleEndian(source[16..]),
            Scale = (byte)tail,
            Kind = (NumericKind)(byte)(tail >> 8),
        };
    }

    /// <summary>10^<paramref name="exponent"/>.</summary>
    internal static BigInteger Power(int exponent) => exponent < Powers.Length ? Powers[exponent] : BigInteger.Pow(10, exponent);

    /// <summary>Decimal digits of a positive number.</summary>
    internal static int Digits(BigInteger magnitude)
    {
        var bits = (int)magnitude.GetBitLength();
        var guess = (int)(bits * 0.30102999566398);
        return magnitude >= Power(guess) ? guess + 1 : Math.Max(1, guess);
    }

    private enum Rounding
    {
        HalfAwayFromZero,
        Down,
        Up,
        TowardZero,
    }

    private NumericStatus Rescale(int scale, Rounding rounding, out Numeric result)
    {
        result = this;
        if (!IsFinite || Scale <= scale)
            return NumericStatus.Ok;
        var negative = Kind == NumericKind.Negative;
        if (IsSmall && Scale - scale <= 18)
        {
            var unit = SmallPowers[Scale - scale];
            var (whole, part) = Math.DivRem((ulong)Low, unit);
            var up = RoundsUp(rounding, negative, part != 0, part >= unit - part);
            whole += up ? 1UL : 0;
            if (scale >= 0)
            {
                result = Small(whole, scale, negative);
                return NumericStatus.Ok;
            }
        }

        var divisor = Power(Scale - scale);
        var quotient = BigInteger.DivRem(BigInteger.Abs(Coefficient), divisor, out var rest);
        if (RoundsUp(rounding, negative, !rest.IsZero, rest + rest >= divisor))
            quotient += BigInteger.One;
        return FromBigInteger(negative ? -quotient : quotient, scale, out result);
    }

    private static bool RoundsUp(Rounding rounding, bool negative, bool inexact, bool atLeastHalf) => rounding switch
    {
        Rounding.HalfAwayFromZero => atLeastHalf,
        Rounding.Down => negative && inexact,
        Rounding.Up => !negative && inexact,
        _ => false,
    };

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static Numeric Small(ulong magnitude, int scale, bool negative)
    {
        if (magnitude == 0)
            return default;
        while (scale > 0)
        {
            var tenth = magnitude / 10;
            if (tenth * 10 != magnitude)
                break;
            magnitude = tenth;
            scale--;
        }

        return new Numeric { Low = magnitude, Scale = (byte)scale, Kind = negative ? NumericKind.Negative : NumericKind.Positive };
    }

    private static int Rank(NumericKind kind) => kind switch
    {
        NumericKind.NegativeInfinity => 0,
        NumericKind.Negative => 1,
        NumericKind.Positive => 2,
        NumericKind.PositiveInfinity => 3,
        _ => 4,
    };
}
