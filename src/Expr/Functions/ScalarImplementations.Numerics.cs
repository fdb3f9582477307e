using System.Numerics;
using Materialize.Repr;

namespace Materialize.Expr.Functions;

internal static partial class ScalarImplementations
{
    private delegate NumericStatus NumericOperation(Numeric a, Numeric b, out Numeric result);

    private static void AddNumerics(Dictionary<string, ScalarImplementation> table)
    {
        Binary("add", Numeric.Add);
        Binary("sub", Numeric.Subtract);
        Binary("mul", Numeric.Multiply);
        Binary("div", Numeric.Divide);
        Binary("mod", Numeric.Remainder);
        table["neg_numeric"] = (a, _, _) => Datum.FromNumeric(-a[0].AsNumeric);
        table["abs_numeric"] = (a, _, _) => Datum.FromNumeric(a[0].AsNumeric.Abs());
        table["ceil_numeric"] = (a, _, _) => Datum.FromNumeric(a[0].AsNumeric.Ceiling());
        table["floor_numeric"] = (a, _, _) => Datum.FromNumeric(a[0].AsNumeric.Floor());
        table["trunc_numeric"] = (a, _, _) => Datum.FromNumeric(a[0].AsNumeric.Truncate());
        table["round_numeric"] = (a, _, _) => Rounded(a[0].AsNumeric, 0);
        table["round_numeric_digits"] = (a, _, _) => Rounded(a[0].AsNumeric, (int)Math.Clamp(a[1].AsInt64, -Numeric.MaxDigits - 1, Numeric.MaxScale));
        table["sqrt_numeric"] = (a, _, _) => Number(NumericMath.Sqrt(a[0].AsNumeric));
        table["exp_numeric"] = (a, _, _) => Number(NumericMath.Exp(a[0].AsNumeric));
        table["ln_numeric"] = (a, _, _) => Number(NumericMath.Ln(a[0].AsNumeric, "ln"));
        table["log10_numeric"] = (a, _, _) => Number(NumericMath.Log(Numeric.FromInt64(10), a[0].AsNumeric, "log10"));
        table["log_base_numeric"] = (a, _, _) => Number(NumericMath.Log(a[0].AsNumeric, a[1].AsNumeric, "log"));
        table["power_numeric"] = (a, _, _) => Number(NumericMath.Power(a[0].AsNumeric, a[1].AsNumeric));
        table["pg_size_pretty"] = (a, _, _) => Text(PrettySize(a[0].AsNumeric));
        table["numeric_sum_to_int8"] = (a, _, _) =>
            a[0].AsNumeric.TryToInt128(out var value) && value >= long.MinValue && value <= long.MaxValue ? Int((long)value) : throw OutOfRange("bigint");

        void Binary(string name, NumericOperation operation) => table[$"{name}_numeric"] = (a, _, _) =>
        {
            var status = operation(a[0].AsNumeric, a[1].AsNumeric, out var result);
            return status == NumericStatus.Ok ? Datum.FromNumeric(result) : throw new EvalException(NumericError(status));
        };
    }

    /// <summary>The error of a failed operation.</summary>
    internal static EvalError NumericError(NumericStatus status) => status switch
    {
        NumericStatus.DivisionByZero => EvalError.DivisionByZero,
        NumericStatus.Underflow => new EvalError("22003", "value out of range: underflow"),
        _ => new EvalError("22003", "value out of range: overflow"),
    };

    private static Datum Number(Numeric value) => Datum.FromNumeric(value);

    private static Datum Rounded(Numeric value, int scale)
    {
        var status = value.Round(scale, out var result);
        return status == NumericStatus.Ok ? Datum.FromNumeric(result) : throw new EvalException(NumericError(status));
    }

    private static string PrettySize(Numeric bytes)
    {
        // As Postgres: a unit is used once the number before it would reach 10240, halves rounded away from zero.
        string[] units = ["bytes", "kB", "MB", "GB", "TB", "PB"];
        var unit = 0;
        var value = bytes;
        while (unit < units.Length - 1 && value.Abs().CompareTo(Numeric.FromInt64(10_240)) >= 0)
        {
            Numeric.Divide(value, Numeric.FromInt64(1024), out value);
            unit++;
        }

        if (unit > 0)
            value.Round(0, out value);
        return $"{value} {units[unit]}";
    }
}

/// <summary>Roots, logarithms and powers of numerics, to 39 digits: fixed-point series with thirty digits to spare.</summary>
internal static class NumericMath
{
    private const int Digits = 80;
    private static readonly BigInteger Unit = BigInteger.Pow(10, Digits);
    private static readonly BigInteger Ln10 = LnFixed(10 * Unit);

    public static Numeric Sqrt(Numeric x)
    {
        if (x.IsNegative)
            throw new EvalException(new EvalError("2201F", "cannot take square root of a negative number"));
        if (!x.IsFinite || x.IsZero)
            return x;
        // √(c·10^−s) with s made even and forty digits and more kept.
        var extra = 80 + (x.Scale & 1);
        return Make(SquareRoot(x.Coefficient * BigInteger.Pow(10, extra)), (x.Scale + extra) / 2);
    }

    public static Numeric Exp(Numeric x)
    {
        if (!x.IsFinite)
            return x.Kind == NumericKind.NegativeInfinity ? Numeric.Zero : x;
        if (x.CompareTo(Numeric.FromInt64(100)) > 0)
            throw Failed(NumericStatus.Overflow);
        if (x.CompareTo(Numeric.FromInt64(-100)) < 0)
            throw Failed(NumericStatus.Underflow);
        return Make(ExpFixed(Fixed(x)), Digits);
    }

    public static Numeric Ln(Numeric x, string name)
    {
        Check(x, name);
        return x.IsFinite ? Make(LnOf(x), Digits) : x;
    }

    public static Numeric Log(Numeric b, Numeric x, string name)
    {
        Check(b, name);
        Check(x, name);
        if (!x.IsFinite || !b.IsFinite)
            return x;
        var divisor = LnOf(b);
        if (divisor.IsZero)
            throw new EvalException(EvalError.DivisionByZero);
        return Make(LnOf(x) * Unit / divisor, Digits);
    }

    public static Numeric Power(Numeric x, Numeric y)
    {
        if (x.IsZero && y.IsNegative)
            throw new EvalException(new EvalError("2201F", "zero raised to a negative power is undefined"));
        var integral = y.IsFinite && y.Scale == 0;
        if (x.IsNegative && !integral)
            throw new EvalException(new EvalError("2201F", "function pow cannot return complex numbers"));
        if (x.IsNaN || y.IsNaN)
            return Numeric.NaN;
        if (y.IsZero || x == Numeric.One)
            return Numeric.One;
        if (x.IsZero)
            return Numeric.Zero;
        if (integral && y.TryToInt128(out var n) && Int128.Abs(n) <= 1000)
            return IntegerPower(x, (int)n);
        var negate = x.IsNegative && integral && !y.Coefficient.IsEven;
        var log = LnOf(x.Abs()) * y.Coefficient / BigInteger.Pow(10, y.Scale);
        if (BigInteger.Abs(log) > 100 * Unit)
            throw Failed(log.Sign > 0 ? NumericStatus.Overflow : NumericStatus.Underflow);
        var result = Make(ExpFixed(log), Digits);
        return negate ? -result : result;
    }

    private static Numeric IntegerPower(Numeric x, int n)
    {
        var c = BigInteger.Pow(x.Coefficient, Math.Abs(n));
        var scale = x.Scale * Math.Abs(n);
        if (n > 0)
            return Make(c, scale);
        // The reciprocal: 10^(scale + k) / c, with digits enough that 39 of them are right.
        var k = (int)(BigInteger.Abs(c).GetBitLength() * 0.302) + 45;
        return Make(BigInteger.Pow(10, k) / c, k - scale);
    }

    private static void Check(Numeric x, string name)
    {
        if (x.IsZero)
            throw new EvalException(new EvalError("2201E", $"function {name} is not defined for zero"));
        if (x.IsNegative)
            throw new EvalException(new EvalError("2201E", $"function {name} is not defined for negative numbers"));
    }

    private static Numeric Make(BigInteger coefficient, int scale)
    {
        var status = Numeric.FromBigInteger(coefficient, scale, out var result);
        return status == NumericStatus.Ok ? result : throw Failed(status);
    }

    private static EvalException Failed(NumericStatus status) => new(ScalarImplementations.NumericError(status));

    private static BigInteger Fixed(Numeric x) => x.Coefficient * BigInteger.Pow(10, Digits - x.Scale);

    /// <summary>ln of a positive number as its decimal exponent's logarithm plus that of its digits, between 1 and 10.</summary>
    private static BigInteger LnOf(Numeric x)
    {
        var c = x.Coefficient;
        var digits = c.ToString(System.Globalization.CultureInfo.InvariantCulture).Length;
        return LnFixed(c * BigInteger.Pow(10, Digits - digits + 1)) + (Ln10 * (digits - 1 - x.Scale));
    }

    /// <summary>Four square roots bring x near 1, where 2·artanh((x−1)/(x+1)) converges fast.</summary>
    private static BigInteger LnFixed(BigInteger x)
    {
        const int Roots = 6;
        for (var i = 0; i < Roots; i++)
            x = SquareRoot(x * Unit);
        var t = (x - Unit) * Unit / (x + Unit);
        var square = t * t / Unit;
        var sum = BigInteger.Zero;
        for (var n = 1; !t.IsZero; n += 2)
        {
            sum += t / n;
            t = t * square / Unit;
        }

        return sum << (1 + Roots);
    }

    /// <summary>The series at x/2^16, squared sixteen times.</summary>
    private static BigInteger ExpFixed(BigInteger x)
    {
        const int Halvings = 16;
        const int Guard = 60;
        var unit = Unit * BigInteger.Pow(10, Guard);
        var t = x * BigInteger.Pow(10, Guard) >> Halvings;
        var term = unit;
        var sum = unit;
        for (var n = 1; !term.IsZero; n++)
        {
            term = BigInteger.Divide(term * t, unit * n);
            sum += term;
        }

        for (var i = 0; i < Halvings; i++)
            sum = sum * sum / unit;
        return sum / BigInteger.Pow(10, Guard);
    }

    private static BigInteger SquareRoot(BigInteger n)
    {
        if (n.IsZero)
            return n;
        var x = BigInteger.One << (((int)n.GetBitLength() + 1) / 2);
        while (true)
        {
            var y = (x + (n / x)) >> 1;
            if (y >= x)
                return x;
            x = y;
        }
    }
}
