using System.Numerics;
using Materialize.Repr;

namespace Materialize.Expr.Functions;

internal static partial class ScalarImplementations
{
    private readonly record struct IntegerKind(string Name, string SqlName, Int128 Min, Int128 Max, int Bits, bool Signed)
    {
        public Int128 Get(Datum value) => Signed ? value.AsInt64 : value.AsUInt64;

        public bool Fits(Int128 value) => value >= Min && value <= Max;

        public Datum Make(Int128 value) => Signed ? Datum.FromInt64((long)value) : Datum.FromUInt64((ulong)value);

        /// <summary>Keeps the low bits, as Postgres' shifts do.</summary>
        public Datum Wrap(Int128 value) => (Bits, Signed) switch
        {
            (16, true) => Int(unchecked((short)value)),
            (32, true) => Int(unchecked((int)value)),
            (64, true) => Int(unchecked((long)value)),
            (16, false) => Int(unchecked((ushort)value)),
            (32, false) => Int(unchecked((uint)value)),
            _ => Datum.FromUInt64(unchecked((ulong)value)),
        };
    }

    private static readonly IntegerKind[] IntegerKinds =
    [
        new("int2", "smallint", short.MinValue, short.MaxValue, 16, true),
        new("int4", "integer", int.MinValue, int.MaxValue, 32, true),
        new("int8", "bigint", long.MinValue, long.MaxValue, 64, true),
        new("uint2", "uint2", 0, ushort.MaxValue, 16, false),
        new("uint4", "uint4", 0, uint.MaxValue, 32, false),
        new("uint8", "uint8", 0, ulong.MaxValue, 64, false),
    ];

    private static void AddIntegers(Dictionary<string, ScalarImplementation> table)
    {
        table["unary_plus"] = (a, _, _) => a[0];
        foreach (var k in IntegerKinds)
        {
            Binary("add", '+', (x, y) => x + y);
            Binary("sub", '-', (x, y) => x - y);
            Binary("mul", '*', (x, y) => x * y);
            Binary("div", '/', (x, y) => y == 0 ? throw new EvalException(EvalError.DivisionByZero) : x / y);
            Binary("mod", '%', (x, y) => y == 0 ? throw new EvalException(EvalError.DivisionByZero) : x % y);
            table[$"bit_and_{k.Name}"] = (a, _, _) => Int(a[0].AsInt64 & a[1].AsInt64);
            table[$"bit_or_{k.Name}"] = (a, _, _) => Int(a[0].AsInt64 | a[1].AsInt64);
            table[$"bit_xor_{k.Name}"] = (a, _, _) => Int(a[0].AsInt64 ^ a[1].AsInt64);
            table[$"bit_not_{k.Name}"] = (a, _, _) => k.Wrap(~k.Get(a[0]));
            table[$"shift_left_{k.Name}"] = (a, _, _) => k.Wrap(k.Get(a[0]) << ShiftCount(a[1], k));
            table[$"shift_right_{k.Name}"] = (a, _, _) => k.Wrap(k.Get(a[0]) >> ShiftCount(a[1], k));
            if (!k.Signed)
                continue;
            Unary("neg", x => -x);
            Unary("abs", Int128.Abs);

            void Binary(string name, char symbol, Func<Int128, Int128, Int128> f) => table[$"{name}_{k.Name}"] = (a, _, _) =>
            {
                var (x, y) = (k.Get(a[0]), k.Get(a[1]));
                var result = f(x, y);
                // Only a quotient names its operands; sums, differences and products do not.
                return k.Fits(result) ? k.Make(result)
                    : throw (symbol is '/' or '%' ? OutOfRange($"\"{x} {symbol} {y}\" {k.SqlName}") : Fail("22003", "numeric field overflow"));
            };

            void Unary(string name, Func<Int128, Int128> f) => table[$"{name}_{k.Name}"] = (a, _, _) =>
            {
                var result = f(k.Get(a[0]));
                return k.Fits(result) ? k.Make(result) : throw OutOfRange($"\"{k.Get(a[0])}\" {k.SqlName}");
            };
        }

        table["to_hex_int4"] = (a, _, _) => Text(((int)a[0].AsInt64).ToString("x", System.Globalization.CultureInfo.InvariantCulture));
        table["to_hex_int8"] = (a, _, _) => Text(a[0].AsInt64.ToString("x", System.Globalization.CultureInfo.InvariantCulture));
    }

    /// <summary>Shift counts wrap at the width of an int4 or wider operand; an int2 is shifted as an int4.</summary>
    private static int ShiftCount(Datum count, IntegerKind kind) => (int)(count.AsInt64 & (kind.Bits == 64 ? 63 : 31));

    private static long BitCount(ReadOnlySpan<byte> bytes)
    {
        long count = 0;
        foreach (var b in bytes)
            count += BitOperations.PopCount(b);
        return count;
    }
}
