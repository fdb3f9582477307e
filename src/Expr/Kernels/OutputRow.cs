using System.Linq.Expressions;
using Materialize.Core.Rows;
using Materialize.Repr;

namespace Materialize.Expr.Kernels;

/// <summary>Generates the writing of one canonical row.</summary>
internal static class OutputRow
{
    /// <summary>Appends the row of the given columns to <paramref name="writer"/>.</summary>
    public static void Emit(
        ScalarEmitter emitter, Expression writer, RowLayout layout, int[] columns, KernelInput input, ParameterExpression[] rows)
    {
        if (WholePart(layout, columns, input) is { } part)
        {
            CopyPart(emitter, writer, input.Parts[part], rows[part]);
            return;
        }

        var values = columns.Select(emitter.Column).ToArray();
        Expression size = Expression.Constant(layout.HeaderWidth);
        var lengths = new Expression?[values.Length];
        for (var i = 0; i < values.Length; i++)
        {
            // A column that cannot hold null must not be given one; the interpreter's path states that as an invariant.
            if (layout.NullBit(i) < 0 && values[i].IsNull is { } isNull)
                emitter.Require(Expression.Not(isNull));
            if (layout.IsFixed(i))
                continue;
            lengths[i] = emitter.Stored(values[i].IsNull is null ? values[i].Length! : Expression.Condition(values[i].IsNull!, Expression.Constant(0), values[i].Length!));
            size = Expression.Add(size, lengths[i]!);
        }

        var total = layout.VariableCount == 0 ? size : emitter.Stored(size);
        var target = emitter.Stored(ScalarEmitter.Runtime(nameof(KernelRuntime.Reserve), writer, total));
        WriteNulls(emitter, layout, values, target);
        for (var i = 0; i < values.Length; i++)
        {
            if (layout.IsFixed(i))
                emitter.Body.Add(ScalarEmitter.Store(layout.Columns[i].Type, ScalarEmitter.At(target, layout.Offset(i)), values[i]));
        }

        if (layout.VariableCount > 0)
            WriteVariable(emitter, layout, values, lengths, target);
        emitter.Body.Add(Expression.Call(writer, nameof(RowWriter.Commit), null, total));
    }

    /// <summary>The part that the row is a copy of, if its columns are all of that part's, in order and of the same layout.</summary>
    private static int? WholePart(RowLayout layout, int[] columns, KernelInput input)
    {
        for (var part = 0; part < input.Parts.Count; part++)
        {
            if (input.Parts[part].Columns.Count != columns.Length || columns.Length == 0 || input.Parts[part].Columns != layout.Columns)
                continue;
            var same = true;
            for (var i = 0; i < columns.Length && same; i++)
                same = columns[i] < input.Columns.Count && input.Columns[columns[i]] == (part, i);
            if (same)
                return part;
        }

        return null;
    }

    private static void CopyPart(ScalarEmitter emitter, Expression writer, RowLayout layout, Expression row)
    {
        Expression size = layout.VariableCount == 0
            ? Expression.Constant(layout.HeaderWidth)
            : emitter.Stored(ScalarEmitter.Read(typeof(int), ScalarEmitter.At(row, layout.EndsOffset + (sizeof(uint) * (layout.VariableCount - 1)))));
        var target = emitter.Stored(ScalarEmitter.Runtime(nameof(KernelRuntime.Reserve), writer, size));
        emitter.Body.Add(ScalarEmitter.Runtime(nameof(KernelRuntime.Copy), target, row, size));
        emitter.Body.Add(Expression.Call(writer, nameof(RowWriter.Commit), null, size));
    }

    private static void WriteNulls(ScalarEmitter emitter, RowLayout layout, ScalarValue[] values, Expression target)
    {
        for (var at = 0; at < layout.NullBytes; at++)
        {
            Expression bits = Expression.Constant(0);
            for (var i = 0; i < values.Length; i++)
            {
                var bit = layout.NullBit(i);
                if (bit >> 3 == at && bit >= 0 && values[i].IsNull is { } isNull)
                    bits = Expression.Or(bits, Expression.Condition(isNull, Expression.Constant(1 << (bit & 7)), Expression.Constant(0)));
            }

            emitter.Body.Add(ScalarEmitter.Write(ScalarEmitter.At(target, at), Expression.Convert(bits, typeof(byte))));
        }
    }

    private static void WriteVariable(ScalarEmitter emitter, RowLayout layout, ScalarValue[] values, Expression?[] lengths, Expression target)
    {
        var end = emitter.Stored(Expression.Constant(layout.HeaderWidth));
        for (var i = 0; i < values.Length; i++)
        {
            if (layout.IsFixed(i))
                continue;
            emitter.Body.Add(ScalarEmitter.Runtime(
                nameof(KernelRuntime.Copy), Expression.Add(target, Expression.Convert(end, typeof(long))), values[i].Value, lengths[i]!));
            emitter.Body.Add(Expression.AddAssign(end, lengths[i]!));
            emitter.Body.Add(ScalarEmitter.Write(ScalarEmitter.At(target, layout.Offset(i)), end));
        }
    }
}
