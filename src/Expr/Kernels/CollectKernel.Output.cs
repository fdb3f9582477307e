using System.Runtime.CompilerServices;
using Materialize.Core.Rows;
using Materialize.Repr;

namespace Materialize.Expr.Kernels;

// The result's row: a null bitmap if it may be null, the end of its only column, and the bytes of ValueCodec, written once their number is known.
internal sealed unsafe partial class CollectKernel
{
    private const int JsonbHeaderBytes = 9;

    private void Write(CollectScratch scratch, nint* rows, int count, RowWriter output, RowWriter errors)
    {
        var isAny = count > 0;
        if (IsObject || _func == AggregateFunc.StringAgg)
        {
            DropNulls(scratch.Entries, rows, ref count);
            isAny = IsObject ? isAny : count > 0;
        }

        if (!isAny)
        {
            RowCodec.Pack(_result, [Datum.Null], output);
            return;
        }

        if (IsObject)
        {
            _byName?.Sort(scratch, rows, count);
            KeepLastOfName(scratch, rows, ref count);
        }

        var header = _result.HeaderWidth + _func switch
        {
            AggregateFunc.ListAgg or AggregateFunc.MapAgg => sizeof(int),
            AggregateFunc.ArrayAgg => 4 * sizeof(int),
            AggregateFunc.JsonbAgg or AggregateFunc.JsonbObjectAgg => JsonbHeaderBytes,
            _ => 0,
        };
        var size = Size(scratch, rows, count, header, out var items);
        if (size < 0)
        {
            errors.Append(EvalErrorCodec.Encode(TooLarge));
            return;
        }

        var row = output.Reserve(size);
        if (_result.NullBytes > 0)
            *row = 0;
        WriteInt(row + _result.NullBytes, size);
        var end = WriteItems(WriteHeader(row + _result.HeaderWidth, size - _result.HeaderWidth, items), scratch, rows, count);
        System.Diagnostics.Debug.Assert(end == row + size, "what was counted is what was written");
        output.Commit(size);
    }

    private void DropNulls(GroupEntry* entries, nint* rows, ref int count)
    {
        var kept = 0;
        for (var i = 0; i < count; i++)
        {
            if (!_args[0].IsNull((byte*)rows[entries[i].Index]))
                entries[kept++] = entries[i];
        }

        count = kept;
    }

    /// <summary>Of neighbours of one name the last, once.</summary>
    private void KeepLastOfName(CollectScratch scratch, nint* rows, ref int count)
    {
        var entries = scratch.Entries;
        var kept = 0;
        for (var i = 0; i < count; i++)
        {
            if (i + 1 < count && _args[0].AreEqual((byte*)rows[entries[i].Index], (byte*)rows[entries[i + 1].Index]))
                continue;
            scratch.Diffs[entries[i].Index] = 1;
            entries[kept++] = entries[i];
        }

        count = kept;
    }

    /// <summary>Bytes of the row, or -1 if they are too many.</summary>
    private int Size(CollectScratch scratch, nint* rows, int count, int header, out int items)
    {
        var entries = scratch.Entries;
        items = 0;
        long size = header;
        var total = 0L;
        for (var i = 0; i < count; i++)
        {
            var diff = scratch.Diffs[entries[i].Index];
            var bytes = _itemBytes > 0 ? _itemBytes : ItemBytes((byte*)rows[entries[i].Index]);
            if (diff > ResultBytesMax && bytes > 0)
                return -1;
            size += bytes * diff;
            if (size > 2L * ResultBytesMax)
                return -1;
            total += diff;
        }

        if (_func == AggregateFunc.StringAgg)
            size -= DelimiterBytes((byte*)rows[entries[0].Index]);
        if (size > ResultBytesMax)
            return -1;
        items = (int)total; // of each item there is a byte, but for strings, whose number is not wanted
        return (int)size;
    }

    private long ItemBytes(byte* row) => _func switch
    {
        AggregateFunc.JsonbAgg => JsonbBytes(_args[0], row),
        AggregateFunc.JsonbObjectAgg => sizeof(int) + (long)_args[0].Span(row).Length + JsonbBytes(_args[1], row),
        AggregateFunc.MapAgg => sizeof(int) + (long)_args[0].Span(row).Length + ElementBytes(_args[1], row),
        AggregateFunc.StringAgg => (long)_args[0].Span(row).Length + DelimiterBytes(row),
        _ => ElementBytes(_args[0], row),
    };

    private static long ElementBytes(in ColumnPlace place, byte* row)
    {
        if (place.IsNull(row))
            return 1;
        return place.Width >= 0 ? 1 + place.Width : 1 + sizeof(int) + (long)place.Span(row).Length;
    }

    private static int JsonbBytes(in ColumnPlace place, byte* row) => place.IsNull(row) ? 1 : place.Span(row).Length;

    private int DelimiterBytes(byte* row) => _args[1].IsNull(row) ? 0 : _args[1].Span(row).Length;

    private byte* WriteHeader(byte* at, int bytes, int items)
    {
        switch (_func)
        {
            case AggregateFunc.ListAgg or AggregateFunc.MapAgg:
                return WriteInt(at, items);
            case AggregateFunc.ArrayAgg:
                at = WriteInt(at, 1);
                at = WriteInt(at, 1);
                at = WriteInt(at, items);
                return WriteInt(at, items);
            case AggregateFunc.JsonbAgg or AggregateFunc.JsonbObjectAgg:
                *at = (byte)(_func == AggregateFunc.JsonbAgg ? JsonbKind.Array : JsonbKind.Object);
                at = WriteInt(at + 1, bytes - 1 - sizeof(int));
                return WriteInt(at, items);
            default:
                return at;
        }
    }

    private byte* WriteItems(byte* at, CollectScratch scratch, nint* rows, int count)
    {
        var entries = scratch.Entries;
        if (_itemBytes > 0)
            return WriteAlike(at, scratch, rows, count);
        for (var i = 0; i < count; i++)
        {
            var row = (byte*)rows[entries[i].Index];
            var copies = scratch.Diffs[entries[i].Index];
            if (i == 0 && _func == AggregateFunc.StringAgg)
            {
                // The first delimiter of all is not used.
                at = WriteValue(at, _args[0], row);
                copies--;
                if (copies == 0)
                    continue;
            }

            var first = at;
            at = WriteItem(at, row);
            var bytes = (int)(at - first);
            if (bytes == 0)
                continue;
            for (; copies > 1; copies--, at += bytes)
                RowBytes.Copy(at, first, bytes);
        }

        return at;
    }

    /// <summary>Elements of fixed width none of which is null.</summary>
    private byte* WriteAlike(byte* at, CollectScratch scratch, nint* rows, int count)
    {
        var place = _args[0];
        var width = place.Width;
        for (var i = 0; i < count; i++)
        {
            var index = scratch.Entries[i].Index;
            var value = place.Fixed((byte*)rows[index]);
            for (var copies = scratch.Diffs[index]; copies > 0; copies--)
            {
                *at = 1;
                RowBytes.Copy(at + 1, value, width);
                at += 1 + width;
            }
        }

        return at;
    }

    private byte* WriteItem(byte* at, byte* row)
    {
        switch (_func)
        {
            case AggregateFunc.JsonbAgg:
                return WriteJsonb(at, _args[0], row);
            case AggregateFunc.JsonbObjectAgg:
                return WriteJsonb(WriteWithLength(at, _args[0], row), _args[1], row);
            case AggregateFunc.MapAgg:
                return WriteElement(WriteWithLength(at, _args[0], row), _args[1], row);
            case AggregateFunc.StringAgg:
                if (!_args[1].IsNull(row))
                    at = WriteValue(at, _args[1], row);
                return WriteValue(at, _args[0], row);
            default:
                return WriteElement(at, _args[0], row);
        }
    }

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static byte* WriteElement(byte* at, in ColumnPlace place, byte* row)
    {
        if (place.IsNull(row))
        {
            *at = 0;
            return at + 1;
        }

        *at++ = 1;
        if (place.Width < 0)
            return WriteWithLength(at, place, row);
        RowBytes.Copy(at, place.Fixed(row), place.Width);
        return at + place.Width;
    }

    private static byte* WriteJsonb(byte* at, in ColumnPlace place, byte* row)
    {
        if (!place.IsNull(row))
            return WriteValue(at, place, row);
        *at = (byte)JsonbKind.Null;
        return at + 1;
    }

    private static byte* WriteWithLength(byte* at, in ColumnPlace place, byte* row)
    {
        var bytes = place.Find(row, out var length);
        at = WriteInt(at, length);
        RowBytes.Copy(at, bytes, length);
        return at + length;
    }

    private static byte* WriteValue(byte* at, in ColumnPlace place, byte* row)
    {
        var bytes = place.Find(row, out var length);
        RowBytes.Copy(at, bytes, length);
        return at + length;
    }

    private static byte* WriteInt(byte* at, int value)
    {
        Unsafe.WriteUnaligned(at, value);
        return at + sizeof(int);
    }
}
