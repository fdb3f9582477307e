using System.Numerics;
using System.Text;
using Materialize.Core.Collections;
using Materialize.Expr.Functions;
using Materialize.Expr.Kernels;
using Materialize.Repr;

namespace Materialize.Expr;

/// <summary>Aggregates from all their inputs at once, as plainly as possible: the meaning that incremental ones are held to.</summary>
public static class AggregateInterpreter
{
    /// <summary>One input: the arguments, the values of the order keys, and how often it occurs.</summary>
    public readonly record struct Input(Datum[] Args, Datum[] OrderKeys, long Diff);

    /// <summary>The value of <paramref name="aggregate"/> over rows of a relation.</summary>
    /// <exception cref="EvalException">An argument fails, the result does not fit, or a row occurs a negative number of times.</exception>
    public static Datum Eval(AggregateExpr aggregate, ValueArray<ColumnType> columns, IEnumerable<(Datum[] Row, long Diff)> rows)
    {
        var args = aggregate.Args.Select(a => Interpreter.Prepare(a, columns));
        var keys = aggregate.OrderKeys.Select(a => Interpreter.Prepare(a, columns));
        return Eval(
            aggregate,
            [.. aggregate.Args.Select(a => a.TypeOf(columns).Type)],
            [.. aggregate.OrderKeys.Select(a => a.TypeOf(columns).Type)],
            rows.Select(r => new Input([.. args.Select(a => a.Eval(r.Row))], [.. keys.Select(k => k.Eval(r.Row))], r.Diff)));
    }

    /// <summary>As above, with arguments and order keys evaluated.</summary>
    /// <exception cref="EvalException">The result does not fit, or a row occurs a negative number of times.</exception>
    public static Datum Eval(AggregateExpr aggregate, SqlType[] argTypes, SqlType[] keyTypes, IEnumerable<Input> inputs)
    {
        var present = new List<Input>();
        var merged = new Dictionary<RowKey, long>();
        foreach (var input in inputs)
        {
            var key = new RowKey([.. input.Args, .. input.OrderKeys]);
            merged[key] = merged.GetValueOrDefault(key) + input.Diff;
        }

        foreach (var (key, diff) in merged)
        {
            if (diff < 0)
                throw new EvalException(new EvalError("XX000", "Invalid data in source, saw negative accumulation for a row"));
            if (diff > 0)
                present.Add(new Input(key.Values[..argTypes.Length], key.Values[argTypes.Length..], diff));
        }

        if (aggregate.Func is AggregateFunc.ArrayAgg or AggregateFunc.ListAgg or AggregateFunc.JsonbAgg && aggregate.Args.Count == 2)
            present.RemoveAll(i => i.Args[1].IsNull || !i.Args[1].AsBool);
        if (aggregate.Distinct)
            present = Distinct(present);
        present.Sort((a, b) => Compare(aggregate, argTypes, keyTypes, a, b));
        return Fold(aggregate, argTypes, present);
    }

    /// <summary>Equal arguments once; of several order keys the one that comes with the first.</summary>
    private static List<Input> Distinct(List<Input> inputs)
    {
        var seen = new HashSet<RowKey>();
        return [.. inputs.Where(i => seen.Add(new RowKey(i.Args))).Select(i => i with { Diff = 1 })];
    }

    private static int Compare(AggregateExpr aggregate, SqlType[] argTypes, SqlType[] keyTypes, Input a, Input b)
    {
        foreach (var order in aggregate.OrderBy)
        {
            var (x, y) = (a.OrderKeys[order.Column], b.OrderKeys[order.Column]);
            int result;
            if (x.IsNull || y.IsNull)
                result = x.IsNull.CompareTo(y.IsNull) * (order.NullsLast ? 1 : -1);
            else
                result = DatumOrder.Compare(keyTypes[order.Column], x, y) * (order.Descending ? -1 : 1);
            if (result != 0)
                return result;
        }

        // Without an order, or for ties, by value: the answer must not depend on how rows are stored.
        for (var i = 0; i < argTypes.Length; i++)
        {
            var result = DatumOrder.Compare(argTypes[i], a.Args[i], b.Args[i]);
            if (result != 0)
                return result;
        }

        return 0;
    }

    private static Datum Fold(AggregateExpr aggregate, SqlType[] types, List<Input> inputs)
    {
        var values = inputs.Where(i => i.Args.Length > 0 && !i.Args[0].IsNull).ToList();
        switch (aggregate.Func)
        {
            case AggregateFunc.Count:
                return Datum.FromInt64(values.Sum(v => v.Diff));
            case AggregateFunc.Any:
                return values.Any(v => v.Args[0].AsBool) ? Datum.True : inputs.Count > values.Count ? Datum.Null : Datum.False;
            case AggregateFunc.All:
                return values.Any(v => !v.Args[0].AsBool) ? Datum.False : inputs.Count > values.Count ? Datum.Null : Datum.True;
            case AggregateFunc.SingleValue:
                return inputs.Sum(i => i.Diff) switch
                {
                    0 => Datum.Null,
                    1 => inputs[0].Args[0],
                    _ => throw new EvalException(new EvalError("21000", "more than one record produced in subquery")),
                };
            case AggregateFunc.ArrayAgg or AggregateFunc.ListAgg or AggregateFunc.JsonbAgg when inputs.Count > 0:
                return Collect(aggregate, types[0], Repeated(inputs).Select(i => i.Args[0]).ToArray());
            case AggregateFunc.JsonbObjectAgg when inputs.Count > 0:
                return Datum.FromBytes(JsonbBuilder.FromObject(values.Select(v => new KeyValuePair<string, byte[]>(
                    v.Args[0].AsString, v.Args[1].IsNull ? JsonbBuilder.Null : v.Args[1].AsBytes))));
            case AggregateFunc.MapAgg when inputs.Count > 0:
                return ScalarImplementations.MakeMap(values.Select(v => (v.Args[0].AsString, v.Args[1])));
        }

        if (values.Count == 0)
            return Datum.Null;
        switch (aggregate.Func)
        {
            case AggregateFunc.Min:
                return values.Select(v => v.Args[0]).Aggregate((a, b) => DatumOrder.Compare(types[0], b, a) < 0 ? b : a);
            case AggregateFunc.Max:
                return values.Select(v => v.Args[0]).Aggregate((a, b) => DatumOrder.Compare(types[0], b, a) > 0 ? b : a);
            case AggregateFunc.StringAgg:
                return Concatenate(types[0], Repeated(values));
            case AggregateFunc.SumInt16 or AggregateFunc.SumInt32 or AggregateFunc.SumInt64:
                return AggregateResults.Integer(aggregate.Func, values.Aggregate(BigInteger.Zero, (sum, v) => sum + ((BigInteger)v.Args[0].AsInt64 * v.Diff)));
            case AggregateFunc.SumUInt16 or AggregateFunc.SumUInt32 or AggregateFunc.SumUInt64:
                return AggregateResults.Integer(aggregate.Func, values.Aggregate(BigInteger.Zero, (sum, v) => sum + ((BigInteger)v.Args[0].AsUInt64 * v.Diff)));
            case AggregateFunc.SumInterval:
                return Datum.FromInterval(AggregateResults.Interval(
                    values.Aggregate(BigInteger.Zero, (sum, v) => sum + ((BigInteger)v.Args[0].AsInterval.Months * v.Diff)),
                    values.Aggregate(BigInteger.Zero, (sum, v) => sum + ((BigInteger)v.Args[0].AsInterval.Days * v.Diff)),
                    values.Aggregate(BigInteger.Zero, (sum, v) => sum + ((BigInteger)v.Args[0].AsInterval.Micros * v.Diff))));
            case AggregateFunc.SumNumeric:
                var finite = values.Where(v => v.Args[0].AsNumeric.IsFinite);
                return Datum.FromNumeric(AggregateResults.Numeric(
                    values.Where(v => v.Args[0].AsNumeric.IsNaN).Sum(v => v.Diff),
                    values.Where(v => v.Args[0].AsNumeric.Kind == NumericKind.PositiveInfinity).Sum(v => v.Diff),
                    values.Where(v => v.Args[0].AsNumeric.Kind == NumericKind.NegativeInfinity).Sum(v => v.Diff),
                    finite.Aggregate(BigInteger.Zero, (sum, v) => sum + (v.Args[0].AsNumeric.Coefficient * BigInteger.Pow(10, Numeric.MaxScale - v.Args[0].AsNumeric.Scale) * v.Diff))));
            case AggregateFunc.SumFloat32 or AggregateFunc.SumFloat64:
                return SumFloats(aggregate.Func, values);
            default:
                throw new System.Diagnostics.UnreachableException(aggregate.Func.ToString());
        }
    }

    private static IEnumerable<Input> Repeated(List<Input> inputs)
    {
        foreach (var input in inputs)
        {
            for (long i = 0; i < input.Diff; i++)
                yield return input;
        }
    }

    private static Datum Collect(AggregateExpr aggregate, SqlType type, Datum[] values)
    {
        switch (aggregate.Func)
        {
            case AggregateFunc.ListAgg:
                return Datum.FromList(values.ToValueArray());
            case AggregateFunc.JsonbAgg:
                return Datum.FromBytes(JsonbBuilder.FromArray([.. values.Select(v => v.IsNull ? JsonbBuilder.Null : v.AsBytes)]));
            default:
                var types = new SqlType[values.Length];
                Array.Fill(types, type);
                return ScalarFunctions.ArrayCreate.Implementation!(values, types, aggregate.Output.Type);
        }
    }

    private static Datum Concatenate(SqlType type, IEnumerable<Input> inputs)
    {
        // The delimiter of a value stands before it; the first one's is not used.
        if (type.Kind == ScalarKind.Bytes)
        {
            var bytes = new List<byte>();
            var begun = false;
            foreach (var input in inputs)
            {
                if (begun && !input.Args[1].IsNull)
                    bytes.AddRange(input.Args[1].AsBytes);
                bytes.AddRange(input.Args[0].AsBytes);
                begun = true;
            }

            return Datum.FromBytes([.. bytes]);
        }

        var text = new StringBuilder();
        var first = true;
        foreach (var input in inputs)
        {
            if (!first && !input.Args[1].IsNull)
                text.Append(input.Args[1].AsString);
            text.Append(input.Args[0].AsString);
            first = false;
        }

        return Datum.FromString(text.ToString());
    }

    private static Datum SumFloats(AggregateFunc func, List<Input> values)
    {
        long nan = 0, positive = 0, negative = 0;
        var sum = BigInteger.Zero;
        Span<ulong> words = stackalloc ulong[FixedFloat.Words];
        foreach (var (args, _, diff) in values)
        {
            var value = args[0].AsDouble;
            if (double.IsNaN(value))
                nan += diff;
            else if (FixedFloat.TryConvert(value, words))
                sum += new BigInteger(System.Runtime.InteropServices.MemoryMarshal.AsBytes(words), isUnsigned: true) * (value < 0 ? -diff : diff);
            else if (value > 0)
                positive += diff;
            else
                negative += diff;
        }

        var total = AggregateResults.Float(nan, positive, negative, WideInteger.ToDouble(sum, FixedFloat.FractionBits));
        return Datum.FromDouble(func == AggregateFunc.SumFloat32 ? (float)total : total);
    }

    /// <summary>Datums by value, as a key.</summary>
    private readonly struct RowKey(Datum[] values) : IEquatable<RowKey>
    {
        public Datum[] Values { get; } = values;

        public bool Equals(RowKey other) => Values.AsSpan().SequenceEqual(other.Values);

        public override bool Equals(object? obj) => obj is RowKey other && Equals(other);

        public override int GetHashCode()
        {
            var hash = new HashCode();
            foreach (var value in Values)
                hash.Add(value);
            return hash.ToHashCode();
        }
    }
}

/// <summary>Exact sums to the values that SQL shows, alike for the interpreter and for accumulators.</summary>
internal static class AggregateResults
{
    /// <exception cref="EvalException">The sum is beyond the result's type.</exception>
    public static Datum Integer(AggregateFunc func, BigInteger sum)
    {
        switch (func)
        {
            case AggregateFunc.SumInt16 or AggregateFunc.SumInt32:
                return sum >= long.MinValue && sum <= long.MaxValue ? Datum.FromInt64((long)sum) : throw new EvalException(OutOfRange(func, sum));
            case AggregateFunc.SumUInt16 or AggregateFunc.SumUInt32:
                return sum >= 0 && sum <= ulong.MaxValue ? Datum.FromUInt64((ulong)sum) : throw new EvalException(OutOfRange(func, sum));
            default:
                Repr.Numeric.FromBigInteger(sum, 0, out var number);
                return Datum.FromNumeric(number);
        }
    }

    /// <summary>That a sum of integers is beyond its type.</summary>
    public static EvalError OutOfRange(AggregateFunc func, BigInteger sum) =>
        EvalError.OutOfRange($"\"{sum}\" {(func is AggregateFunc.SumInt16 or AggregateFunc.SumInt32 ? "bigint" : "uint8")}");

    /// <param name="sum">In units of 10^−39.</param>
    public static Numeric Numeric(long nan, long positive, long negative, BigInteger sum)
    {
        if (nan > 0 || (positive > 0 && negative > 0))
            return Repr.Numeric.NaN;
        if (positive > 0)
            return Repr.Numeric.PositiveInfinity;
        if (negative > 0)
            return Repr.Numeric.NegativeInfinity;
        // A sum too large shows as infinite rather than as an error: what made it so may still be retracted.
        var status = Repr.Numeric.FromBigInteger(sum, Repr.Numeric.MaxScale, out var result);
        return status == NumericStatus.Ok ? result : sum.Sign > 0 ? Repr.Numeric.PositiveInfinity : Repr.Numeric.NegativeInfinity;
    }

    /// <param name="sum">Of those that are finite.</param>
    public static double Float(long nan, long positive, long negative, double sum)
    {
        if (nan > 0 || (positive > 0 && negative > 0))
            return double.NaN;
        return positive > 0 ? double.PositiveInfinity : negative > 0 ? double.NegativeInfinity : sum;
    }

    /// <exception cref="EvalException">A part is out of range.</exception>
    public static Interval Interval(BigInteger months, BigInteger days, BigInteger micros)
    {
        if (months < int.MinValue || months > int.MaxValue || days < int.MinValue || days > int.MaxValue || micros < long.MinValue || micros > long.MaxValue)
            throw new EvalException(new EvalError("22008", "interval out of range"));
        return new Interval((int)months, (int)days, (long)micros);
    }
}
