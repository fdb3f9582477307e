using System.Runtime.InteropServices;
using Materialize.Core;
using Materialize.Core.Collections;
using Materialize.Core.Rows;
using Materialize.Repr;

namespace Materialize.Expr.Kernels;

/// <summary>Accumulable aggregates ready to run.</summary>
/// <param name="Width">Bytes of an accumulator; its first eight count the records in it.</param>
/// <param name="Accumulate">Folds value rows.</param>
/// <param name="Combine">Adds the accumulator at the second address to the one at the first.</param>
/// <param name="Finish">Parts: key row, accumulator. Writes the output row, or an error if a result does not fit its type.</param>
public sealed record AccumulatePlan(int Width, AccumulateKernel Accumulate, Action<nint, nint> Combine, RowKernel Finish);

/// <summary>Aggregates as kernels: those with accumulators of fixed size, and those that look at a whole group.</summary>
public static unsafe partial class AggregateCompiler
{
    /// <summary>Whether an aggregate has an accumulator of fixed size.</summary>
    public static bool IsAccumulable(AggregateFunc func) => func is AggregateFunc.Count or AggregateFunc.Any or AggregateFunc.All
        or (>= AggregateFunc.SumInt16 and <= AggregateFunc.SumInterval);

    /// <summary>Aggregates that can be folded and unfolded, none of them DISTINCT.</summary>
    /// <param name="aggregates">Each with its argument's column among <paramref name="values"/>.</param>
    /// <param name="keys">Columns of the group key row.</param>
    /// <param name="values">Columns of the value row.</param>
    /// <param name="output">Columns of the result: the keys, then the aggregates.</param>
    public static AccumulatePlan Accumulate(
        ValueArray<(AggregateExpr Expr, ValueArray<int> Args)> aggregates,
        ValueArray<ColumnType> keys,
        ValueArray<ColumnType> values,
        ValueArray<ColumnType> output)
    {
        var layout = RowLayout.For(values);
        var slots = aggregates.Select(a => AccumulatorSlot.For(a.Expr.Func, layout, a.Args[0])).ToArray();
        var width = sizeof(long);
        foreach (var slot in slots)
        {
            slot.Offset = width;
            width += slot.Width;
        }

        // Results are laid out as a row of their own; generated code then joins them to the keys.
        var results = RowLayout.For([.. output.Skip(keys.Count)]);
        var input = KernelInput.Concatenated(RowLayout.For(keys), results);
        var join = KernelCompiler.Tiered(input, Mfp.Identity(output.Count), [new KernelOutput(RowLayout.For(output), ValueArray.Range(output.Count))]);
        return new AccumulatePlan(
            width,
            (_, rows, diffs, accumulators, count) =>
            {
                for (var i = 0; i < count; i++)
                    *(long*)accumulators[i] += diffs[i];
                foreach (var slot in slots)
                    slot.Add(rows, diffs, accumulators, count);
            },
            (into, from) =>
            {
                *(long*)into += *(long*)from;
                foreach (var slot in slots)
                    slot.Combine((byte*)into, (byte*)from);
            },
            new Finisher(slots, results, join).Run);
    }

    /// <summary>Turns accumulators into rows of results, and has them joined to the keys.</summary>
    private sealed class Finisher(AccumulatorSlot[] slots, RowLayout results, RowKernel join)
    {
        [ThreadStatic]
        private static Scratch? _scratch;

        public void Run(KernelIo io)
        {
            var scratch = _scratch ??= new Scratch();
            scratch.Reserve(results.HeaderWidth);
            var kept = 0;
            var failed = 0;
            for (var i = 0; i < io.Count; i++)
            {
                var row = scratch.Rows + (kept * results.HeaderWidth);
                if (Finish((byte*)io.Parts[1][i], row) is { } error)
                {
                    io.Errors!.Append(EvalErrorCodec.Encode(error));
                    if (io.ErrorSelected is not null)
                        io.ErrorSelected[failed] = i;
                    failed++;
                    continue;
                }

                scratch.Keys[kept] = io.Parts[0][i];
                scratch.Results[kept] = (nint)row;
                scratch.Inputs[kept] = i;
                kept++;
            }

            var inner = scratch.Io;
            inner.Count = kept;
            inner.Outputs = io.Outputs;
            inner.Errors = io.Errors;
            join(inner);
            io.Emitted = kept;
            io.ErrorsEmitted = failed;
            for (var j = 0; j < kept; j++)
            {
                if (io.Selected is not null)
                    io.Selected[j] = scratch.Inputs[j];
            }
        }

        private EvalError? Finish(byte* accumulator, byte* row)
        {
            new Span<byte>(row, results.HeaderWidth).Clear();
            try
            {
                for (var s = 0; s < slots.Length; s++)
                {
                    var target = row + results.Offset(s);
                    if (slots[s].Finish(accumulator, target))
                        continue;
                    new Span<byte>(target, RowLayout.FixedWidth(results.Columns[s].Type)).Clear();
                    var bit = results.NullBit(s);
                    Invariant.Check(bit >= 0, "a null in a column that cannot hold one");
                    row[bit >> 3] |= (byte)(1 << (bit & 7));
                }

                return null;
            }
            catch (EvalException e)
            {
                return e.Error;
            }
        }
    }

    /// <summary>A thread's memory for one batch of results.</summary>
    private sealed class Scratch
    {
        private int _bytes;

        public Scratch()
        {
            Keys = (nint*)NativeMemory.Alloc(KernelIo.Capacity, (nuint)sizeof(nint));
            Results = (nint*)NativeMemory.Alloc(KernelIo.Capacity, (nuint)sizeof(nint));
            Inputs = (int*)NativeMemory.Alloc(KernelIo.Capacity, sizeof(int));
            Io = new KernelIo { Parts = new nint*[2] };
            Io.Parts[0] = Keys;
            Io.Parts[1] = Results;
        }

        public byte* Rows { get; private set; }

        public nint* Keys { get; }

        public nint* Results { get; }

        public int* Inputs { get; }

        public KernelIo Io { get; }

        /// <summary>Room for a full batch of rows of this width.</summary>
        public void Reserve(int width)
        {
            var bytes = Math.Max(1, width) * KernelIo.Capacity;
            if (bytes <= _bytes)
                return;
            Rows = (byte*)NativeMemory.Realloc(Rows, (nuint)bytes);
            _bytes = bytes;
        }
    }
}
