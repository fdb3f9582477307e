using Materialize.Repr;

namespace Materialize.Expr.Functions;

internal static partial class ScalarImplementations
{
    private static void AddFloats(Dictionary<string, ScalarImplementation> table)
    {
        table["neg_float4"] = table["neg_float8"] = (a, _, _) => Datum.FromDouble(-a[0].AsDouble);
        table["abs_float4"] = table["abs_float8"] = (a, _, _) => Datum.FromDouble(Math.Abs(a[0].AsDouble));
        Arithmetic("add", (x, y) => x + y, (x, y) => x + y);
        Arithmetic("sub", (x, y) => x - y, (x, y) => x - y);
        table["mul_float4"] = (a, _, _) => Product((float)a[0].AsDouble * (float)a[1].AsDouble, a);
        table["mul_float8"] = (a, _, _) => Product(a[0].AsDouble * a[1].AsDouble, a);
        table["div_float4"] = (a, _, _) => a[1].AsDouble == 0 ? DivideByZero() : Quotient((float)a[0].AsDouble / (float)a[1].AsDouble, a);
        table["div_float8"] = (a, _, _) => a[1].AsDouble == 0 ? DivideByZero() : Quotient(a[0].AsDouble / a[1].AsDouble, a);
        table["mod_float4"] = (a, _, _) => a[1].AsDouble == 0 ? DivideByZero() : Datum.FromDouble((float)a[0].AsDouble % (float)a[1].AsDouble);
        table["mod_float8"] = (a, _, _) => a[1].AsDouble == 0 ? DivideByZero() : Datum.FromDouble(a[0].AsDouble % a[1].AsDouble);
        foreach (var type in (string[])["float4", "float8"])
        {
            table[$"ceil_{type}"] = (a, _, _) => Datum.FromDouble(Math.Ceiling(a[0].AsDouble));
            table[$"floor_{type}"] = (a, _, _) => Datum.FromDouble(Math.Floor(a[0].AsDouble));
            table[$"trunc_{type}"] = (a, _, _) => Datum.FromDouble(Math.Truncate(a[0].AsDouble));
            table[$"round_{type}"] = (a, _, _) => Datum.FromDouble(Math.Round(a[0].AsDouble, MidpointRounding.ToEven));
        }

        Function("cbrt", Math.Cbrt);
        Finite("cos", Math.Cos);
        Finite("sin", Math.Sin);
        Finite("tan", Math.Tan);
        Finite("cot", x => 1 / Math.Tan(x));
        Function("cosh", Math.Cosh);
        Function("sinh", Math.Sinh);
        Function("tanh", Math.Tanh);
        Function("asinh", Math.Asinh);
        Function("atan", Math.Atan);
        Domain("acos", Math.Acos, x => x is >= -1 and <= 1 || double.IsNaN(x), "is defined for numbers between -1 and 1 inclusive");
        Domain("asin", Math.Asin, x => x is >= -1 and <= 1 || double.IsNaN(x), "is defined for numbers between -1 and 1 inclusive");
        Domain("atanh", Math.Atanh, x => x is >= -1 and <= 1 || double.IsNaN(x), "is defined for numbers between -1 and 1 inclusive");
        Domain("acosh", Math.Acosh, x => x >= 1 || double.IsNaN(x), "is defined for numbers greater than or equal to 1");
        Function("radians", x => x * (Math.PI / 180));
        Function("degrees", x => x * (180 / Math.PI));
        table["exp_float8"] = (a, _, _) => Checked(Math.Exp(a[0].AsDouble), a[0].AsDouble);
        table["ln_float8"] = (a, _, _) => Datum.FromDouble(Math.Log(LogArgument(a[0].AsDouble, "ln")));
        table["log10_float8"] = (a, _, _) => Datum.FromDouble(Math.Log10(LogArgument(a[0].AsDouble, "log10")));
        table["sqrt_float8"] = (a, _, _) => a[0].AsDouble < 0 ? throw Fail("2201F", "cannot take square root of a negative number") : Datum.FromDouble(Math.Sqrt(a[0].AsDouble));
        table["power_float8"] = (a, _, _) => Power(a[0].AsDouble, a[1].AsDouble);

        void Arithmetic(string name, Func<float, float, float> single, Func<double, double, double> wide)
        {
            table[$"{name}_float4"] = (a, _, _) => Sum(single((float)a[0].AsDouble, (float)a[1].AsDouble), a);
            table[$"{name}_float8"] = (a, _, _) => Sum(wide(a[0].AsDouble, a[1].AsDouble), a);
        }

        void Function(string id, Func<double, double> f) => table[id] = (a, _, _) => Datum.FromDouble(f(a[0].AsDouble));

        void Finite(string id, Func<double, double> f) => table[id] = (a, _, _) =>
            double.IsInfinity(a[0].AsDouble) ? throw Fail("22003", $"function {id} is only defined for finite arguments") : Datum.FromDouble(f(a[0].AsDouble));

        void Domain(string id, Func<double, double> f, Func<double, bool> domain, string rule) => table[id] = (a, _, _) =>
            domain(a[0].AsDouble) ? Datum.FromDouble(f(a[0].AsDouble)) : throw Fail("22003", $"function {id} {rule}");
    }

    private static EvalException FloatOverflow() => Fail("22003", "value out of range: overflow");

    private static EvalException FloatUnderflow() => Fail("22003", "value out of range: underflow");

    private static bool BothFinite(ReadOnlySpan<Datum> args) => double.IsFinite(args[0].AsDouble) && double.IsFinite(args[1].AsDouble);

    private static Datum Sum(double result, ReadOnlySpan<Datum> args) =>
        double.IsInfinity(result) && BothFinite(args) ? throw FloatOverflow() : Datum.FromDouble(result);

    private static Datum Product(double result, ReadOnlySpan<Datum> args)
    {
        if (double.IsInfinity(result) && BothFinite(args))
            throw FloatOverflow();
        if (result == 0 && args[0].AsDouble != 0 && args[1].AsDouble != 0)
            throw FloatUnderflow();
        return Datum.FromDouble(result);
    }

    private static Datum Quotient(double result, ReadOnlySpan<Datum> args)
    {
        if (double.IsInfinity(result) && double.IsFinite(args[0].AsDouble))
            throw FloatOverflow();
        if (result == 0 && args[0].AsDouble != 0 && !double.IsInfinity(args[1].AsDouble))
            throw FloatUnderflow();
        return Datum.FromDouble(result);
    }

    private static Datum Checked(double result, double argument)
    {
        if (double.IsInfinity(result) && double.IsFinite(argument))
            throw FloatOverflow();
        if (result == 0 && double.IsFinite(argument))
            throw FloatUnderflow();
        return Datum.FromDouble(result);
    }

    private static double LogArgument(double x, string name) =>
        x == 0 ? throw Fail("2201E", $"function {name} is not defined for zero")
        : x < 0 ? throw Fail("2201E", $"function {name} is not defined for negative numbers")
        : x;

    private static Datum Power(double x, double y)
    {
        if (x == 0 && y < 0)
            throw Fail("2201F", "zero raised to a negative power is undefined");
        if (x < 0 && double.IsFinite(y) && y != Math.Truncate(y))
            throw Fail("2201F", "function pow cannot return complex numbers");
        var result = Math.Pow(x, y);
        if (double.IsInfinity(result) && double.IsFinite(x) && double.IsFinite(y))
            throw FloatOverflow();
        if (result == 0 && x != 0 && double.IsFinite(x) && double.IsFinite(y))
            throw FloatUnderflow();
        return Datum.FromDouble(result);
    }
}
