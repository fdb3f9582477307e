using System.Runtime.CompilerServices;
using Materialize.Core.Memory;
using Materialize.Core.Rows;
using Materialize.Dataflow.Runtime;
using Materialize.Dataflow.Traces;

namespace Materialize.Dataflow.Operators;

// Min, max and small top-k with deletes. For each group the operator remembers the beginning of it: all values (with multiplicities) up to some value, the last remembered one, or the whole group
// when that is short. A change of what is remembered is a merge of two short sorted lists; a change behind it cannot be seen and costs one comparison. Only when deletes have left fewer rows than
// are wanted is the arrangement read, from the last remembered value on; and then some more are remembered, so that a group whose greatest values are deleted one after another is read once for
// several of them. Reading begins after the last remembered value by binary search, so that values deleted before and not yet merged away are not walked over again.
//
// A group without a record is empty: the operator has seen all updates of its (private) arrangement.

/// <summary>
/// The first rows of each group, few of them. Shape: rows, sealed and consolidated. Time: of the change. Work: O(changes + rows wanted) for a group, and a seek in each batch when deletes have used up what is remembered.
/// State: an arrangement of all rows, and a record for each group.
/// </summary>
internal sealed unsafe class CachedTopKOperator<TTime> : GroupChangeOperator<TTime> where TTime : unmanaged, ITime<TTime>
{
    /// <summary>Most rows (offset + limit) for which it is worth while to remember them apart.</summary>
    public const long RowsMax = 32;

    private const int Spare = 15; // rows remembered beyond those wanted, once deletes have reached the end of what was
    private const int EntryHeader = 2 * sizeof(long);
    private const int Ahead = 24;
    private const int KeysPerRun = 8192; // rewritten at a time, when they need to be
    private readonly AccumulatorTable _groups;
    private readonly SmallBlocks _blocks = new();
    private readonly GroupReader<TTime> _reader = new();
    private readonly TopKOutput<TTime> _output;
    private readonly long _wanted;
    private List<Entry> _old = [];
    private List<Entry> _new = [];
    private int[] _order = new int[64]; // rows of the running key by time, when there are several
    private byte* _scratch;
    private long _scratchCapacity;

    public CachedTopKOperator(Arranged<TTime> source, string name, RowShape sortKeyShape, RowShape rowShape, RowKernel? finish, RowShape shape, long limit, long offset)
        : base(source, name)
    {
        _groups = new AccumulatorTable(source.KeyShape, sizeof(Group));
        _wanted = offset + limit;
        _output = new TopKOutput<TTime>(this, source, sortKeyShape, rowShape, finish, shape, limit, offset);
    }

    public OutputPort<UpdateBatch<TTime>> Output => _output.Port;

    public override void Dispose()
    {
        base.Dispose();
        _reader.Dispose();
        _output.Dispose();
        _groups.ForEach(group => _blocks.Return(((Group*)group)->Block, ((Group*)group)->Capacity));

        _groups.Dispose();
        _blocks.Dispose();
        SlabPool.Return(_scratch, _scratchCapacity);
        _scratch = null;
    }

    protected override void MeasureState(StateMeter meter)
    {
        base.MeasureState(meter);
        _groups.Measure(meter);
        _blocks.Measure(meter);
        _output.Measure(meter);
        meter.Slab(0, _scratchCapacity);
    }

    protected override void Flush()
    {
        _output.Flush();
        _groups.CollectKeys(KeysPerRun);
    }

    protected override void Prefetch(Batch<TTime> delta, Snapshot<TTime> before, int row)
    {
        if (row + (2 * Ahead) >= delta.Count)
            return;
        _groups.Prefetch(delta.Hashes[row + (2 * Ahead)]);
        _groups.PrefetchKey(delta.Hashes[row + Ahead]);
    }

    protected override long Change(Batch<TTime> delta, Snapshot<TTime> before, int from, int to, byte* key, int keyLength)
    {
        var record = _groups.FindOrAdd(delta.Hashes[from], key, keyLength);
        ref var group = ref *(Group*)_groups.Accumulator(record);
        var work = 1L;
        if (delta.Times == null)
        {
            work += ChangeAt(ref group, delta, before, from, to, null, from, to, key, keyLength, TTime.Join(delta.UniformTime, Floor));
        }
        else
        {
            SortByTime(delta, from, to);
            var count = to - from;
            fixed (int* order = _order)
            {
                for (var first = 0; first < count;)
                {
                    var time = TTime.Join(delta.Times[order[first]], Floor);
                    var end = first + 1;
                    while (end < count && TTime.Join(delta.Times[order[end]], Floor).Equals(time))
                        end++;
                    work += ChangeAt(ref group, delta, before, from, to, order, first, end, key, keyLength, time);
                    first = end;
                }
            }
        }

        if (group.Entries == 0)
            _groups.Remove(delta.Hashes[from], record);
        return work;
    }

    // The rows [first, end) of the delta (or of its order) are the key's at one time, in value order; [from, to) are the key's at all times.
    private long ChangeAt(ref Group group, Batch<TTime> delta, Snapshot<TTime> before, int from, int to, int* order, int first, int end, byte* key, int keyLength, TTime time)
    {
        var isWhole = group.IsTruncated == 0;
        if (!isWhole)
        {
            // Nothing that comes after the last remembered value can be seen.
            var row = order == null ? first : order[first];
            if (Compare(delta.Values.Address(row), delta.Values.Length(row), group.Last, group.LastLength) > 0)
                return 1;
        }

        Load(ref group);
        _new.Clear();
        var keep = _wanted + group.Spare;
        var rows = 0L;
        var i = 0;
        var at = first;
        var truncated = !isWhole;
        while (true)
        {
            if (rows >= keep && _new.Count > 0)
            {
                truncated |= i < _old.Count || at < end;
                break;
            }

            Entry next;
            if (at < end)
            {
                var row = order == null ? at : order[at];
                next = new Entry((nint)delta.Values.Address(row), delta.Values.Length(row), delta.DiffAt(row));
                var versus = i < _old.Count ? Compare(_old[i], next) : 1;
                if (versus > 0 && i >= _old.Count && !isWhole && Compare((byte*)next.Value, next.Length, group.Last, group.LastLength) > 0)
                    break; // behind what is remembered
                if (versus < 0)
                {
                    next = _old[i++];
                }
                else
                {
                    if (versus == 0)
                        next = next with { Value = _old[i].Value, Diff = next.Diff + _old[i++].Diff };
                    at++;
                }
            }
            else if (i < _old.Count)
            {
                next = _old[i++];
            }
            else
            {
                break;
            }

            if (next.Diff == 0)
                continue;
            _new.Add(next);
            rows += Math.Max(0, next.Diff);
        }

        var work = (long)(end - first);
        if (truncated && rows < _wanted) // never a group that was whole: one is cut short only when it has enough
        {
            group.Spare = Spare;
            work += ReadOn(ref group, delta, before, from, to, key, keyLength, time, order == null, rows, out truncated);
        }

        _output.EmitDifference(_old, _new, key, keyLength, time);
        Store(ref group, truncated);
        return work;
    }

    // Remembers more of the group, from behind the last remembered value.
    private long ReadOn(
        ref Group group, Batch<TTime> delta, Snapshot<TTime> before, int from, int to, byte* key, int keyLength, TTime time, bool uniform, long rows, out bool truncated)
    {
        _reader.Start();
        _reader.After(group.Last, group.LastLength);
        _reader.Add(before, delta.Hashes[from], key, keyLength, filtered: false);
        if (!uniform)
            _reader.Limit(time, strict: false, Floor);
        _reader.Add(delta, from, to, filtered: !uniform);
        var read = 0L;
        truncated = false;
        while (_reader.Next(out var value, out var length, out var diff))
        {
            read++;
            if (rows >= _wanted + Spare)
            {
                truncated = true;
                break;
            }

            _new.Add(new Entry((nint)value, length, diff));
            rows += Math.Max(0, diff);
        }

        return read + 16;
    }

    private void Load(ref Group group)
    {
        _old.Clear();
        var at = group.Block;
        for (var i = 0; i < group.Entries; i++)
        {
            var length = *(int*)(at + sizeof(long));
            _old.Add(new Entry((nint)(at + EntryHeader), length, *(long*)at));
            at += EntryHeader + ((length + 7) & ~7);
        }
    }

    // What is remembered now; its values may lie in the group's own block, so that they are copied apart first.
    private void Store(ref Group group, bool truncated)
    {
        var bytes = 0L;
        foreach (var entry in _new)
            bytes += EntryHeader + ((entry.Length + 7) & ~7);
        if (bytes > _scratchCapacity)
            _scratch = SlabPool.Resize(_scratch, ref _scratchCapacity, 0, bytes);
        var at = _scratch;
        var last = 0L;
        foreach (var entry in _new)
        {
            last = at + EntryHeader - _scratch;
            *(long*)at = entry.Diff;
            *(int*)(at + sizeof(long)) = entry.Length;
            Unsafe.CopyBlockUnaligned(at + EntryHeader, (byte*)entry.Value, (uint)entry.Length);
            at += EntryHeader + ((entry.Length + 7) & ~7);
        }

        var capacity = _new.Count == 0 ? 0 : (int)SmallBlocks.CapacityFor(bytes);
        if (capacity != group.Capacity)
        {
            _blocks.Return(group.Block, group.Capacity);
            group.Block = capacity == 0 ? null : _blocks.Rent(capacity);
            group.Capacity = capacity;
        }

        if (capacity > 0)
            Unsafe.CopyBlockUnaligned(group.Block, _scratch, (uint)bytes);
        group.Entries = _new.Count;
        group.LastOffset = (int)last;
        group.IsTruncated = (byte)(truncated ? 1 : 0);
    }

    private void SortByTime(Batch<TTime> delta, int from, int to)
    {
        var count = to - from;
        if (_order.Length < count)
            _order = new int[Math.Max(count, _order.Length * 2)];
        for (var i = 0; i < count; i++)
            _order[i] = from + i;
        if (count == 1)
            return;
        var times = delta.Times;
        _order.AsSpan(0, count).Sort((a, b) =>
        {
            var order = times[a].CompareTo(times[b]);
            return order != 0 ? order : a.CompareTo(b);
        });

        // Times before the floor are all the floor: of those, values must come in order.
        var floored = 0;
        while (floored < count && times[_order[floored]].CompareTo(Floor) <= 0)
            floored++;
        _order.AsSpan(0, floored).Sort();
    }

    private static int Compare(Entry a, Entry b) => Compare((byte*)a.Value, a.Length, (byte*)b.Value, b.Length);

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static int Compare(byte* a, int aLength, byte* b, int bLength)
    {
        var x = BytesVariable.Word(a, aLength);
        var y = BytesVariable.Word(b, bLength);
        return x != y ? (x < y ? -1 : 1) : BytesVariable.Compare(a, aLength, b, bLength);
    }

    // What is remembered of a group: entries (diff, length, value) back to back in a block.
    private struct Group
    {
        public byte* Block;
        public int Capacity;
        public int Entries;
        public int LastOffset;
        public byte IsTruncated; // whether the group goes on after the last entry
        public byte Spare;

        public readonly byte* Last => Block + LastOffset;

        public readonly int LastLength => *(int*)(Block + LastOffset - sizeof(long));
    }
}

/// <summary>A value of a group and its multiplicity, where it lies.</summary>
internal readonly record struct Entry(nint Value, int Length, long Diff);

/// <summary>
/// What top-k operators emit: the difference of two beginnings of a group, within offset and limit, finished into rows.
/// </summary>
internal sealed unsafe class TopKOutput<TTime> : IDisposable where TTime : unmanaged, ITime<TTime>
{
    private const int FlushRows = 8192;
    private readonly RowShape _stored;
    private readonly RowShape _sortKey;
    private readonly long _limit;
    private readonly long _offset;
    private readonly BatchBuilder<TTime> _rows;
    private readonly KernelCall? _finish;
    private readonly RowWriter? _keys;      // what waits to be finished
    private readonly RowWriter? _values;
    private readonly List<(TTime Time, long Diff)> _waiting = [];

    public TopKOutput(Operator op, Arranged<TTime> source, RowShape sortKeyShape, RowShape rowShape, RowKernel? finish, RowShape shape, long limit, long offset)
    {
        Port = new OutputPort<UpdateBatch<TTime>>(op);
        _stored = source.ValueShape;
        _sortKey = sortKeyShape;
        _limit = limit;
        _offset = offset;
        _rows = new BatchBuilder<TTime>(finish is null ? rowShape : shape);
        if (finish is null)
            return;
        _finish = new KernelCall(op.Graph.Worker.Scratch, finish, 3, [_rows.Rows], null);
        _keys = new RowWriter(source.KeyShape);
        _values = new RowWriter(_stored);
    }

    public OutputPort<UpdateBatch<TTime>> Port { get; }

    /// <summary>Both lists are in value order. Rows are copied at once.</summary>
    public void EmitDifference(List<Entry> before, List<Entry> after, byte* key, int keyLength, TTime time)
    {
        var beforeWindow = new Window(_offset, _limit);
        var afterWindow = new Window(_offset, _limit);
        int b = 0, a = 0;
        while (b < before.Count || a < after.Count)
        {
            var order = b == before.Count ? 1 : a == after.Count ? -1
                : BytesVariable.Compare((byte*)before[b].Value, before[b].Length, (byte*)after[a].Value, after[a].Length);
            var entry = order <= 0 ? before[b] : after[a];
            var diff = 0L;
            if (order <= 0)
                diff -= beforeWindow.Take(before[b++].Diff);
            if (order >= 0)
                diff += afterWindow.Take(after[a++].Diff);
            if (diff != 0)
                Emit(key, keyLength, entry, diff, time);
            if (beforeWindow.IsFull && afterWindow.IsFull)
                return;
        }
    }

    public void Flush()
    {
        if (_finish is not null)
            FinishWaiting();
        Port.Send(_rows.Build());
    }

    public void Measure(StateMeter meter)
    {
        _rows.Measure(meter);
        meter.Writer(_keys);
        meter.Writer(_values);
    }

    public void Dispose()
    {
        _rows.Dispose();
        _keys?.Dispose();
        _values?.Dispose();
    }

    private void Emit(byte* key, int keyLength, Entry entry, long diff, TTime time)
    {
        if (_finish is null)
        {
            _rows.Rows.Append(SortedRow.RowOf((byte*)entry.Value, entry.Length, _stored, _sortKey));
            _rows.Add(time, diff);
        }
        else
        {
            _keys!.Append(key, keyLength);
            _values!.Append((byte*)entry.Value, entry.Length);
            _waiting.Add((time, diff));
            if (_waiting.Count == KernelIo.Capacity)
                FinishWaiting();
        }

        if (_rows.Count >= FlushRows)
            Port.Send(_rows.Build());
    }

    private void FinishWaiting()
    {
        var count = _waiting.Count;
        if (count == 0)
            return;
        var io = _finish!.Io;
        _keys!.Peek().CopyAddresses(0, count, io.Parts[0]);
        _values!.Peek().CopyAddresses(0, count, io.Parts[2]);
        for (var i = 0; i < count; i++)
            io.Parts[1][i] = SortedRow.RowAddress((byte*)io.Parts[2][i], _values.LengthOf(i), _stored, _sortKey);
        _finish.Invoke(count);
        for (var j = 0; j < io.Emitted; j++)
        {
            var (time, diff) = _waiting[io.Selected[j]];
            _rows.Add(time, diff);
        }

        _keys.Clear();
        _values.Clear();
        _waiting.Clear();
    }

    // Copies of rows between offset and limit.
    private struct Window(long skip, long left)
    {
        private long _skip = skip;
        private long _left = left;

        public readonly bool IsFull => _left == 0;

        public long Take(long copies)
        {
            if (copies <= 0)
                return 0;
            var skipped = Math.Min(_skip, copies);
            _skip -= skipped;
            var taken = Math.Min(_left, copies - skipped);
            _left -= taken;
            return taken;
        }
    }
}
