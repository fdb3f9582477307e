using System.Runtime.CompilerServices;
using Materialize.Core.Memory;
using Materialize.Core.Rows;
using Materialize.Dataflow.Runtime;

namespace Materialize.Dataflow.Operators;

/// <summary>
/// Collects what walks say of rows, some hundred at once, and has them finished into rows of the result. Rows, picked ones too, are kept by address until then: whoever frees them calls <see cref="Finish"/> first. Numbers and accumulators are copied.
/// </summary>
internal abstract unsafe class WindowOutput : IDisposable
{
    private const int Capacity = 256;
    private const int KeyPart = 0;
    private const int RowPart = 1;
    private const int NumbersPart = 2;
    private const int FixedParts = 3;
    private readonly WindowPlan _plan;
    private readonly WindowTree _tree;
    private readonly int _parts;
    private readonly byte* _memory;
    private readonly long _memoryCapacity;
    private readonly long _absentCapacity;
    private readonly byte* _absent;
    private readonly nint*[] _partsOf;
    private readonly nint* _accumulators;
    private readonly long* _numbers;
    private readonly ulong* _keys;
    private readonly long* _diffs;
    private readonly int* _pairs;      // which entries are of one row, before and after
    private readonly int* _entries;    // of the rows to be finished, where some failed
    private readonly byte* _accumulated;
    private readonly bool[] _failed = new bool[Capacity];
    private readonly RowWriter[] _results;
    private readonly RowWriter _errors = new(RowShape.Variable);
    private readonly RowWriter _rows;
    private readonly KernelIo _resultsIo = new();
    private readonly KernelIo _rowsIo = new();
    private byte* _key;
    private bool _keyLies;
    private int _count;
    private int _pair;

    protected WindowOutput(WindowPlan plan, WindowTree tree)
    {
        _plan = plan;
        _tree = tree;
        _parts = FixedParts + plan.Functions.Count(f => f.IsPick) + plan.Accumulations.Count;
        _rows = new RowWriter(plan.Shape);
        _results = [.. plan.Accumulations.Select(a => new RowWriter(a.Shape))];
        var columns = _parts + 1 + plan.Functions.Count + 2 + 3 + (tree.AccumulatorBytes / sizeof(ulong));
        _memoryCapacity = SlabPool.CapacityFor((long)columns * Capacity * sizeof(ulong));
        _memory = SlabPool.Rent(_memoryCapacity);
        var next = _memory;
        nint* Column(int columns = 1)
        {
            var column = (nint*)next;
            next += (long)columns * Capacity * sizeof(ulong);
            return column;
        }

        _partsOf = new nint*[_parts];
        for (var i = 0; i < _parts; i++)
            _partsOf[i] = Column();
        _accumulators = Column();
        _keys = (ulong*)Column();
        _diffs = (long*)Column();
        _pairs = (int*)Column();
        _entries = (int*)Column();
        var selected = (int*)Column();
        _numbers = (long*)Column(plan.Functions.Count);
        _accumulated = (byte*)Column(tree.AccumulatorBytes / sizeof(ulong));
        _absentCapacity = SlabPool.CapacityFor(Math.Max(1, plan.AbsentRow.Length));
        _absent = SlabPool.Rent(_absentCapacity);
        plan.AbsentRow.Span.CopyTo(new Span<byte>(_absent, plan.AbsentRow.Length));
        foreach (var io in (ReadOnlySpan<KernelIo>)[_resultsIo, _rowsIo])
        {
            io.Selected = selected;
            io.ErrorSelected = selected + Capacity;
            io.Errors = _errors;
        }

        _resultsIo.Parts = [_accumulators, _accumulators];
        _rowsIo.Parts = _partsOf;
        _rowsIo.Outputs = [_rows];
    }

    public void Measure(StateMeter meter)
    {
        meter.Slab(0, _memoryCapacity);
        meter.Slab(0, _absentCapacity);
        meter.Writer(_rows);
        meter.Writer(_errors);
        foreach (var results in _results)
            meter.Writer(results);
    }

    public virtual void Dispose()
    {
        SlabPool.Return(_memory, _memoryCapacity);
        SlabPool.Return(_absent, _absentCapacity);
        _rows.Dispose();
        _errors.Dispose();
        foreach (var results in _results)
            results.Dispose();
    }

    /// <summary>The partition whose rows come next.</summary>
    /// <param name="keyLies">Whether the key stays where it is until <see cref="Finish"/>; else it has at most 8 bytes.</param>
    public void SetKey(byte* key, bool keyLies)
    {
        _key = key;
        _keyLies = keyLies;
    }

    /// <summary>A row as it was (null: it was not) and as it becomes, so many copies each.</summary>
    public void AddPair(WindowSide? before, long copiesBefore, WindowSide? after, long copiesAfter)
    {
        if (_count + 2 > Capacity)
            Finish();
        if (before is not null)
            Add(before, -copiesBefore);
        if (after is not null)
            Add(after, copiesAfter);
        if (before is not null && after is not null && copiesBefore == copiesAfter && IsAlike(_count - 2, _count - 1))
            _count -= 2;
        else
            _pair++;
    }

    /// <summary>Makes rows of what was collected.</summary>
    public void Finish()
    {
        if (_count == 0)
            return;
        FinishAccumulations(out var anyFailed);
        var count = _count;
        if (anyFailed)
        {
            count = 0;
            for (var i = 0; i < _count; i++)
            {
                if (_failed[i])
                    continue;
                for (var p = 0; p < _parts; p++)
                    _partsOf[p][count] = _partsOf[p][i];
                _entries[count++] = i;
            }
        }

        _rows.Clear();
        if (count > 0)
        {
            _rowsIo.Count = count;
            _rowsIo.Emitted = 0;
            _rowsIo.ErrorsEmitted = 0;
            _plan.Finish(_rowsIo);
        }

        for (var j = 0; j < _rowsIo.Emitted && count > 0; j++)
        {
            var entry = EntryOf(j, anyFailed);
            var diff = _diffs[entry];
            var length = _rows.LengthOf(j);
            if (j + 1 < _rowsIo.Emitted && EntryOf(j + 1, anyFailed) is var other && _pairs[other] == _pairs[entry] && _rows.RowEquals(j + 1, _rows.AddressOf(j), length))
            {
                // The same row before and after.
                diff += _diffs[other];
                j++;
                if (diff == 0)
                    continue;
            }

            Emit(entry, _rows.AddressOf(j), length, diff);
        }

        _count = 0;
    }

    /// <summary>An entry was added; what belongs to it besides is to be remembered by its number.</summary>
    protected abstract void Added(int entry);

    protected abstract void Emit(int entry, byte* row, int length, long diff);

    protected abstract void EmitError(int entry, ReadOnlySpan<byte> error, long diff);

    /// <summary>Entries at most.</summary>
    protected static int EntriesMax => Capacity;

    private int EntryOf(int row, bool anyFailed) => anyFailed ? _entries[_rowsIo.Selected[row]] : _rowsIo.Selected[row];

    private void Add(WindowSide side, long diff)
    {
        var i = _count++;
        _keys[i] = _keyLies || _key == null ? 0 : *(ulong*)_key;
        _partsOf[KeyPart][i] = _keyLies ? (nint)_key : (nint)(_keys + i);
        _partsOf[RowPart][i] = (nint)WindowValue.Row(side.Row.Value, side.Row.Length);
        var numbers = _numbers + ((long)i * _plan.Functions.Count);
        _partsOf[NumbersPart][i] = (nint)numbers;
        var part = FixedParts;
        for (var f = 0; f < _plan.Functions.Count; f++)
        {
            if (!_plan.Functions[f].IsPick)
            {
                numbers[f] = side.Number(f);
                continue;
            }

            var picked = side.Pick(f, out var length);
            numbers[f] = picked == null ? 0 : 1;
            _partsOf[part++][i] = picked == null ? (nint)_absent : (nint)WindowValue.Row(picked, length);
        }

        if (_tree.AccumulatorBytes > 0)
            Unsafe.CopyBlockUnaligned(_accumulated + ((long)i * _tree.AccumulatorBytes), side.Accumulators, (uint)_tree.AccumulatorBytes);
        _diffs[i] = diff;
        _pairs[i] = _pair;
        _failed[i] = false;
        Added(i);
    }

    // Surely the same output. Those that differ here may be the same too, once finished.
    private bool IsAlike(int a, int b)
    {
        var functions = _plan.Functions.Count;
        for (var f = 0; f < functions; f++)
        {
            if (_numbers[((long)a * functions) + f] != _numbers[((long)b * functions) + f])
                return false;
        }

        for (var part = FixedParts; part < _parts - _plan.Accumulations.Count; part++)
        {
            if (_partsOf[part][a] != _partsOf[part][b])
                return false;
        }

        var bytes = _tree.AccumulatorBytes;
        return bytes == 0 || new ReadOnlySpan<byte>(_accumulated + ((long)a * bytes), bytes).SequenceEqual(new ReadOnlySpan<byte>(_accumulated + ((long)b * bytes), bytes));
    }

    private void FinishAccumulations(out bool anyFailed)
    {
        anyFailed = false;
        for (var a = 0; a < _results.Length; a++)
        {
            var results = _results[a];
            results.Clear();
            _errors.Clear();
            for (var i = 0; i < _count; i++)
                _accumulators[i] = (nint)(_accumulated + ((long)i * _tree.AccumulatorBytes) + _tree.AccumulatorOffset(a));
            _resultsIo.Outputs = [results];
            _resultsIo.Count = _count;
            _resultsIo.Emitted = 0;
            _resultsIo.ErrorsEmitted = 0;
            _plan.Accumulations[a].Finish(_resultsIo);
            var part = _partsOf[_parts - _results.Length + a];
            for (var j = 0; j < _resultsIo.Emitted; j++)
                part[_resultsIo.Selected[j]] = (nint)results.AddressOf(j);
            for (var e = 0; e < _resultsIo.ErrorsEmitted; e++)
            {
                var entry = _resultsIo.ErrorSelected[e];
                if (_failed[entry])
                    continue; // one error is enough
                EmitError(entry, _errors[e], _diffs[entry]);
                _failed[entry] = true;
                anyFailed = true;
            }
        }

        _errors.Clear();
    }
}
