using System.Numerics;
using System.Runtime.CompilerServices;
using Materialize.Repr;

namespace Materialize.Expr.Kernels;

/// <summary>
/// The part of an accumulator that one aggregate has. It folds a batch of rows in one call, so that what varies (type, place,
/// function) is decided once a batch, not once a row. All states are exact sums: a retraction leaves no trace.
/// </summary>
internal abstract unsafe class AccumulatorSlot
{
    /// <summary>Bytes of the slot.</summary>
    public abstract int Width { get; }

    /// <summary>Where it begins in the accumulator.</summary>
    public int Offset { get; set; }

    /// <summary>Folds value i, <c>diffs[i]</c> times, into accumulator i.</summary>
    public abstract void Add(nint* rows, long* diffs, nint* accumulators, int count);

    /// <summary>Adds what one accumulator holds to another.</summary>
    public abstract void Combine(byte* into, byte* from);

    /// <summary>Writes the result, as it lies in a row, to <paramref name="target"/>; false if it is null.</summary>
    /// <exception cref="EvalException">The result does not fit its type.</exception>
    public abstract bool Finish(byte* accumulator, byte* target);

    /// <summary>The slot of an aggregate whose argument is a column of <paramref name="layout"/>.</summary>
    public static AccumulatorSlot For(AggregateFunc func, RowLayout layout, int column)
    {
        var at = new ColumnPlace(layout, column);
        return func switch
        {
            AggregateFunc.Count => new CountSlot(at),
            AggregateFunc.Any or AggregateFunc.All => new BoolSlot(at, func),
            AggregateFunc.SumInt16 => new IntegerSlot<short>(at, func),
            AggregateFunc.SumInt32 => new IntegerSlot<int>(at, func),
            AggregateFunc.SumInt64 => new IntegerSlot<long>(at, func),
            AggregateFunc.SumUInt16 => new IntegerSlot<ushort>(at, func),
            AggregateFunc.SumUInt32 => new IntegerSlot<uint>(at, func),
            AggregateFunc.SumUInt64 => new IntegerSlot<ulong>(at, func),
            AggregateFunc.SumFloat32 => new FloatSlot<float>(at, func),
            AggregateFunc.SumFloat64 => new FloatSlot<double>(at, func),
            AggregateFunc.SumNumeric => new NumericSlot(at),
            AggregateFunc.SumInterval => new IntervalSlot(at),
            _ => throw new ArgumentException($"{func} has no fixed-size accumulator", nameof(func)),
        };
    }

    /// <summary>Adds the slot's first words, each by itself.</summary>
    protected void AddWords(byte* into, byte* from, int words)
    {
        for (var i = 0; i < words; i++)
            ((long*)(into + Offset))[i] += ((long*)(from + Offset))[i];
    }

    /// <summary>Adds one number of several words, at <paramref name="at"/> in the slot.</summary>
    protected void AddWide(byte* into, byte* from, int at, int words)
    {
        var to = (ulong*)(into + Offset + at);
        var more = (ulong*)(from + Offset + at);
        var carry = 0UL;
        for (var i = 0; i < words; i++)
        {
            var sum = to[i] + more[i];
            var overflow = sum < more[i] ? 1UL : 0;
            to[i] = sum + carry;
            carry = overflow + (to[i] < carry ? 1UL : 0);
        }
    }

    private static bool Write<T>(byte* target, T value) where T : unmanaged
    {
        Unsafe.WriteUnaligned(target, value);
        return true;
    }

    private static bool Write(byte* target, in Numeric value)
    {
        value.Write(new Span<byte>(target, Numeric.Width));
        return true;
    }

    /// <summary>How many are not null.</summary>
    private sealed class CountSlot(ColumnPlace at) : AccumulatorSlot
    {
        public override int Width => 8;

        public override void Add(nint* rows, long* diffs, nint* accumulators, int count)
        {
            for (var i = 0; i < count; i++)
            {
                if (!at.IsNull((byte*)rows[i]))
                    *(long*)((byte*)accumulators[i] + Offset) += diffs[i];
            }
        }

        public override void Combine(byte* into, byte* from) => AddWords(into, from, 1);

        public override bool Finish(byte* accumulator, byte* target) => Write(target, *(long*)(accumulator + Offset));
    }

    /// <summary>Trues, falses, nulls.</summary>
    private sealed class BoolSlot(ColumnPlace at, AggregateFunc func) : AccumulatorSlot
    {
        public override int Width => 24;

        public override void Add(nint* rows, long* diffs, nint* accumulators, int count)
        {
            for (var i = 0; i < count; i++)
            {
                var counter = at.IsNull((byte*)rows[i]) ? 2 : *at.Fixed((byte*)rows[i]) != 0 ? 0 : 1;
                ((long*)((byte*)accumulators[i] + Offset))[counter] += diffs[i];
            }
        }

        public override void Combine(byte* into, byte* from) => AddWords(into, from, 3);

        public override bool Finish(byte* accumulator, byte* target)
        {
            var counts = (long*)(accumulator + Offset);
            var decided = func == AggregateFunc.Any ? counts[0] : counts[1];
            *target = (func == AggregateFunc.Any) == (decided > 0) ? (byte)1 : (byte)0;
            return decided > 0 || counts[2] <= 0;
        }
    }

    /// <summary>How many are not null, and their sum in 128 bits.</summary>
    private sealed class IntegerSlot<T>(ColumnPlace at, AggregateFunc func) : AccumulatorSlot where T : unmanaged, IBinaryInteger<T>
    {
        public override int Width => 24;

        public override void Add(nint* rows, long* diffs, nint* accumulators, int count)
        {
            for (var i = 0; i < count; i++)
            {
                if (at.IsNull((byte*)rows[i]))
                    continue;
                var value = Unsafe.ReadUnaligned<T>(at.Fixed((byte*)rows[i]));
                var slot = (ulong*)((byte*)accumulators[i] + Offset);
                var diff = diffs[i];
                slot[0] += (ulong)diff;
                Int128 product;
                if (typeof(T) == typeof(ulong))
                {
                    product = (Int128)ulong.CreateTruncating(value) * diff;
                }
                else
                {
                    var high = Math.BigMul(long.CreateTruncating(value), diff, out var low);
                    product = new Int128((ulong)high, (ulong)low);
                }

                Unsafe.WriteUnaligned(slot + 1, Unsafe.ReadUnaligned<Int128>(slot + 1) + product);
            }
        }

        public override void Combine(byte* into, byte* from)
        {
            AddWords(into, from, 1);
            AddWide(into, from, 8, 2);
        }

        public override bool Finish(byte* accumulator, byte* target)
        {
            if (*(long*)(accumulator + Offset) == 0)
                return false;
            var sum = Unsafe.ReadUnaligned<Int128>(accumulator + Offset + 8);
            return func switch
            {
                AggregateFunc.SumInt16 or AggregateFunc.SumInt32 when sum >= long.MinValue && sum <= long.MaxValue => Write(target, (long)sum),
                AggregateFunc.SumUInt16 or AggregateFunc.SumUInt32 when sum >= 0 && sum <= ulong.MaxValue => Write(target, (ulong)sum),
                AggregateFunc.SumInt64 or AggregateFunc.SumUInt64 => Write(target, Numeric.FromInt128(sum)),
                _ => throw new EvalException(AggregateResults.OutOfRange(func, sum)),
            };
        }
    }

    /// <summary>How many are not null, NaN, infinite upwards, downwards; the sum of the others in units of 2^−96.</summary>
    private sealed class FloatSlot<T>(ColumnPlace at, AggregateFunc func) : AccumulatorSlot where T : unmanaged, IBinaryFloatingPointIeee754<T>
    {
        public override int Width => 32 + (8 * FixedFloat.Words);

        public override void Add(nint* rows, long* diffs, nint* accumulators, int count)
        {
            Span<ulong> words = stackalloc ulong[FixedFloat.Words];
            for (var i = 0; i < count; i++)
            {
                if (at.IsNull((byte*)rows[i]))
                    continue;
                var value = double.CreateTruncating(Unsafe.ReadUnaligned<T>(at.Fixed((byte*)rows[i])));
                var slot = (long*)((byte*)accumulators[i] + Offset);
                slot[0] += diffs[i];
                if (FixedFloat.TryConvert(value, words))
                    WideInteger.AddProduct((ulong*)(slot + 4), FixedFloat.Words, words, value < 0, diffs[i]);
                else
                    slot[double.IsNaN(value) ? 1 : value > 0 ? 2 : 3] += diffs[i];
            }
        }

        public override void Combine(byte* into, byte* from)
        {
            AddWords(into, from, 4);
            AddWide(into, from, 32, FixedFloat.Words);
        }

        public override bool Finish(byte* accumulator, byte* target)
        {
            var slot = (long*)(accumulator + Offset);
            if (slot[0] == 0)
                return false;
            var sum = AggregateResults.Float(slot[1], slot[2], slot[3], WideInteger.ToDouble((ulong*)(slot + 4), FixedFloat.Words, FixedFloat.FractionBits));
            return func == AggregateFunc.SumFloat32 ? Write(target, (float)sum) : Write(target, sum);
        }
    }

    /// <summary>As for floats, in units of 10^−39: 384 bits hold 2^62 times the largest numeric.</summary>
    private sealed class NumericSlot(ColumnPlace at) : AccumulatorSlot
    {
        private const int Words = 6;

        private static readonly ulong[][] Powers = [.. Enumerable.Range(0, Numeric.MaxScale + 1).Select(i => ToWords(BigInteger.Pow(10, i)))];

        public override int Width => 32 + (8 * Words);

        public override void Add(nint* rows, long* diffs, nint* accumulators, int count)
        {
            Span<ulong> product = stackalloc ulong[Words];
            for (var i = 0; i < count; i++)
            {
                if (at.IsNull((byte*)rows[i]))
                    continue;
                var value = Numeric.Read(new ReadOnlySpan<byte>(at.Fixed((byte*)rows[i]), Numeric.Width));
                var slot = (long*)((byte*)accumulators[i] + Offset);
                slot[0] += diffs[i];
                if (!value.IsFinite)
                {
                    slot[value.IsNaN ? 1 : value.IsNegative ? 3 : 2] += diffs[i];
                    continue;
                }

                Scaled(value, product);
                WideInteger.AddProduct((ulong*)(slot + 4), Words, product, value.IsNegative, diffs[i]);
            }
        }

        public override void Combine(byte* into, byte* from)
        {
            AddWords(into, from, 4);
            AddWide(into, from, 32, Words);
        }

        public override bool Finish(byte* accumulator, byte* target)
        {
            var slot = (long*)(accumulator + Offset);
            if (slot[0] == 0)
                return false;
            if ((slot[1] | slot[2] | slot[3]) != 0 || !WideInteger.TryToNumeric((ulong*)(slot + 4), Words, out var sum))
                sum = AggregateResults.Numeric(slot[1], slot[2], slot[3], WideInteger.ToBigInteger((ulong*)(slot + 4), Words));
            return Write(target, sum);
        }

        /// <summary>The magnitude in units of 10^−39.</summary>
        private static void Scaled(in Numeric value, Span<ulong> product)
        {
            product.Clear();
            var power = Powers[Numeric.MaxScale - value.Scale];
            ReadOnlySpan<ulong> coefficient = [(ulong)value.Low, (ulong)(value.Low >> 64), value.High];
            for (var i = 0; i < coefficient.Length; i++)
            {
                if (coefficient[i] == 0)
                    continue;
                ulong carry = 0;
                for (var j = 0; j < power.Length; j++)
                {
                    var high = Math.BigMul(coefficient[i], power[j], out var low);
                    low += carry;
                    high += low < carry ? 1UL : 0;
                    product[i + j] += low;
                    carry = high + (product[i + j] < low ? 1UL : 0);
                }

                if (i + power.Length < product.Length)
                    product[i + power.Length] += carry;
            }
        }

        private static ulong[] ToWords(BigInteger value)
        {
            var words = new ulong[3];
            for (var i = 0; i < words.Length; i++)
                words[i] = (ulong)((value >> (64 * i)) & ulong.MaxValue);
            return words;
        }
    }

    /// <summary>How many are not null; sums of months, days, microseconds in 128 bits each.</summary>
    private sealed class IntervalSlot(ColumnPlace at) : AccumulatorSlot
    {
        public override int Width => 56;

        public override void Add(nint* rows, long* diffs, nint* accumulators, int count)
        {
            for (var i = 0; i < count; i++)
            {
                if (at.IsNull((byte*)rows[i]))
                    continue;
                var value = ValueCodec.ReadInterval(new ReadOnlySpan<byte>(at.Fixed((byte*)rows[i]), 16));
                var slot = (byte*)accumulators[i] + Offset;
                *(long*)slot += diffs[i];
                Fold(slot + 8, value.Months, diffs[i]);
                Fold(slot + 24, value.Days, diffs[i]);
                Fold(slot + 40, value.Micros, diffs[i]);
            }

            static void Fold(byte* sum, long value, long diff) =>
                Unsafe.WriteUnaligned(sum, Unsafe.ReadUnaligned<Int128>(sum) + ((Int128)value * diff));
        }

        public override void Combine(byte* into, byte* from)
        {
            AddWords(into, from, 1);
            for (var sum = 8; sum < Width; sum += 16)
                AddWide(into, from, sum, 2);
        }

        public override bool Finish(byte* accumulator, byte* target)
        {
            var slot = accumulator + Offset;
            if (*(long*)slot == 0)
                return false;
            ValueCodec.WriteInterval(
                AggregateResults.Interval(Unsafe.ReadUnaligned<Int128>(slot + 8), Unsafe.ReadUnaligned<Int128>(slot + 24), Unsafe.ReadUnaligned<Int128>(slot + 40)),
                new Span<byte>(target, 16));
            return true;
        }
    }
}
