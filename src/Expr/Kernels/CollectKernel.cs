using Materialize.Core.Collections;
using Materialize.Core.Rows;
using Materialize.Repr;

namespace Materialize.Expr.Kernels;

/// <summary>
/// Aggregates that collect their values (list_agg, array_agg, jsonb_agg, string_agg, jsonb_object_agg, map_agg), from row bytes to row bytes. Rows are
/// put in order by keys that compare as bytes, equal ones become neighbours and are added up, and the values are copied behind one another into the output.
/// Once a thread's scratch has grown, a call makes no garbage. Immutable; any thread.
/// </summary>
internal sealed unsafe partial class CollectKernel
{
    /// <summary>Bytes of a result. Whatever the value then goes through adds to it, and no row may pass 2 GiB.</summary>
    public const int ResultBytesMax = 1 << 30;

    private static readonly EvalError Negative = new("XX000", "Invalid data in source, saw negative accumulation for a row");
    private static readonly EvalError TooLarge = new("54000", $"aggregate result exceeds the maximum allowed size ({ResultBytesMax} bytes)");

    private readonly AggregateFunc _func;
    private readonly bool _distinct;
    private readonly bool _isFiltered;
    private readonly ColumnPlace[] _args;
    private readonly int _itemBytes; // of each item, or 0 if they differ
    private readonly RowLayout _result;
    private readonly GroupOrder _first;   // alike only if equal in all arguments and order keys
    private readonly GroupOrder? _then;   // of what is left then, if that is not yet the aggregate's order
    private readonly GroupOrder? _byName; // of an object's entries, if the aggregate's order is not by name

    private CollectKernel(AggregateExpr aggregate, ValueArray<int> args, ValueArray<int> orderKeys, ValueArray<ColumnType> values)
    {
        var layout = RowLayout.For(values);
        _func = aggregate.Func;
        _distinct = aggregate.Distinct;
        _isFiltered = !IsObject && aggregate.Func != AggregateFunc.StringAgg && args.Count == 2;
        _args = [.. args.Select(a => new ColumnPlace(layout, a))];
        _itemBytes = aggregate.Func is AggregateFunc.ListAgg or AggregateFunc.ArrayAgg && _args[0] is { IsNullable: false, Width: >= 0 } ? 1 + _args[0].Width : 0;
        _result = RowLayout.For([aggregate.Output]);
        var ordered = aggregate.OrderBy.Select(o => o with { Column = orderKeys[o.Column] });
        var byArgs = args.Select(a => new ColumnOrder(a, Descending: false, NullsLast: true));
        var byKeys = orderKeys.Select(k => new ColumnOrder(k, Descending: false, NullsLast: true));
        var order = new GroupOrder(layout, [.. ordered, .. byArgs, .. byKeys]);

        // Of rows with equal arguments the one that came first stands for all: that is seen when they are neighbours.
        var needsFirst = aggregate.Distinct && orderKeys.Any(k => !args.Contains(k));
        _first = needsFirst ? new GroupOrder(layout, [.. byArgs, .. byKeys]) : order;
        _then = needsFirst ? order : null;
        var isByName = ordered.IsEmpty || (ordered[0].Column == args[0] && !ordered[0].Descending);
        _byName = IsObject && !isByName ? new GroupOrder(layout, [byArgs[0]]) : null;
    }

    private bool IsObject => _func is AggregateFunc.JsonbObjectAgg or AggregateFunc.MapAgg;

    /// <summary>The kernel of an aggregate, or null if it is none of these, or one that needs more than copying: arrays into an array of one more dimension.</summary>
    /// <remarks>Parameters as of <see cref="AggregateCompiler.Group"/>.</remarks>
    public static CollectKernel? Compile(AggregateExpr aggregate, ValueArray<int> args, ValueArray<int> orderKeys, ValueArray<ColumnType> values)
    {
        SqlType[] types = [.. args.Select(a => values[a].Type)];
        var output = aggregate.Output.Type;
        var isFilter = types.Length == 1 || (types.Length == 2 && types[1].Kind == ScalarKind.Bool);
        var isKnown = aggregate.Func switch
        {
            AggregateFunc.ListAgg => isFilter && output.Kind == ScalarKind.List && HaveSameBytes(types[0], output.Element!),
            AggregateFunc.ArrayAgg => isFilter && output.Kind == ScalarKind.Array && types[0].Kind != ScalarKind.Array && HaveSameBytes(types[0], output.Element!),
            AggregateFunc.JsonbAgg => isFilter && output.Kind == ScalarKind.Jsonb && types[0].Kind == ScalarKind.Jsonb,
            AggregateFunc.StringAgg => types.Length == 2 && ((IsText(types[0]) && IsText(types[1]) && IsText(output))
                || (types[0].Kind == ScalarKind.Bytes && types[1].Kind == ScalarKind.Bytes && output.Kind == ScalarKind.Bytes)),
            AggregateFunc.JsonbObjectAgg => types.Length == 2 && IsText(types[0]) && types[1].Kind == ScalarKind.Jsonb && output.Kind == ScalarKind.Jsonb,
            AggregateFunc.MapAgg => types.Length == 2 && IsText(types[0]) && output.Kind == ScalarKind.Map && HaveSameBytes(types[1], output.Element!),
            _ => false,
        };
        return isKnown ? new CollectKernel(aggregate, args, orderKeys, values) : null;
    }

    /// <summary>A <see cref="GroupKernel"/>.</summary>
    public void Run(nint key, nint* rows, long* diffs, int count, RowWriter output, RowWriter errors)
    {
        var scratch = CollectScratch.Current;
        scratch.Start(count);
        _first.Sort(scratch, rows, count);
        if (Sum(scratch, diffs, ref count))
        {
            if (_isFiltered)
                Filter(scratch.Entries, rows, ref count);
            if (_distinct)
                Distinct(scratch, rows, ref count);
            _then?.Sort(scratch, rows, count);
            Write(scratch, rows, count, output, errors);
        }
        else
        {
            errors.Append(EvalErrorCodec.Encode(Negative));
        }

        scratch.End();
    }

    /// <summary>Adds up neighbours that are alike and forgets what is not there. False if something is there a negative number of times.</summary>
    private static bool Sum(CollectScratch scratch, long* diffs, ref int count)
    {
        var entries = scratch.Entries;
        var keys = scratch.Keys.Data;
        var kept = 0;
        for (var i = 0; i < count;)
        {
            var first = i;
            var diff = diffs[entries[i++].Index];
            while (i < count && GroupOrder.AreAlike(entries[first], entries[i], keys))
                diff += diffs[entries[i++].Index];
            if (diff < 0)
                return false;
            if (diff == 0)
                continue;
            scratch.Diffs[entries[first].Index] = diff;
            if (kept != first)
                entries[kept] = entries[first];
            kept++;
        }

        count = kept;
        return true;
    }

    private void Filter(GroupEntry* entries, nint* rows, ref int count)
    {
        var kept = 0;
        for (var i = 0; i < count; i++)
        {
            var row = (byte*)rows[entries[i].Index];
            if (!_args[1].IsNull(row) && *_args[1].Fixed(row) != 0)
                entries[kept++] = entries[i];
        }

        count = kept;
    }

    /// <summary>Of neighbours with equal arguments keeps the one that came first, once.</summary>
    private void Distinct(CollectScratch scratch, nint* rows, ref int count)
    {
        var entries = scratch.Entries;
        var kept = 0;
        for (var i = 0; i < count;)
        {
            var first = entries[i++];
            for (; i < count && AreEqual((byte*)rows[first.Index], (byte*)rows[entries[i].Index]); i++)
            {
                if (entries[i].Index < first.Index)
                    first = entries[i];
            }

            scratch.Diffs[first.Index] = 1;
            entries[kept++] = first;
        }

        count = kept;
    }

    private bool AreEqual(byte* a, byte* b)
    {
        foreach (ref readonly var arg in _args.AsSpan())
        {
            if (!arg.AreEqual(a, b))
                return false;
        }

        return true;
    }

    private static bool IsText(SqlType type) =>
        type.Kind is ScalarKind.String or ScalarKind.Char or ScalarKind.VarChar or ScalarKind.PgLegacyName or ScalarKind.AclItem or ScalarKind.MzAclItem;

    /// <summary>Whether values of the two lie in rows in the same way: modifiers and names of fields do not matter.</summary>
    private static bool HaveSameBytes(SqlType a, SqlType b)
    {
        if (a.Kind != b.Kind || a.Fields.Count != b.Fields.Count || (a.Element is null) != (b.Element is null))
            return false;
        for (var i = 0; i < a.Fields.Count; i++)
        {
            if (!HaveSameBytes(a.Fields[i].Type.Type, b.Fields[i].Type.Type))
                return false;
        }

        return a.Element is null || HaveSameBytes(a.Element, b.Element!);
    }
}
