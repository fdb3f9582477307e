using System.Runtime.CompilerServices;
using Materialize.Core.Memory;
using Materialize.Core.Rows;
using Materialize.Dataflow.Runtime;

namespace Materialize.Dataflow.Operators;

/// <summary>
/// Collects what walks say of rows, some hundred at once, and has them finished into rows of the result. Rows, picked ones too, are kept by address until then: whoever frees them calls <see cref="Finish"/> first.
/// </summary>
internal abstract unsafe class WindowOutput : IDisposable
{
    private const int KeyPart = 0;
    private const int RowPart = 1;
    private const int NumbersPart = 2;
    private const int FixedParts = 3;
    private readonly WindowPlan _plan;
    private readonly WindowTree _tree;
    private readonly int _functions;
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
    private readonly int* _paired;     // 1: the entry and the next are of one row, before and after
    private readonly int* _entries;    // of the rows to be finished, where some failed
    private readonly int* _finished;   // entries of finished rows
    private readonly long* _finishedDiffs;
    private readonly byte* _accumulated;
    private readonly bool[] _failed = new bool[EntriesMax];
    private readonly RowWriter[] _results;
    private readonly RowWriter _errors = new(RowShape.Variable);
    private readonly RowWriter _rows;
    private readonly KernelIo _resultsIo = new();
    private readonly KernelIo _rowsIo = new();
    private byte* _key;
    private ulong _keyWord;
    private bool _keyLies;
    private int _count;

    protected WindowOutput(WindowPlan plan, WindowTree tree)
    {
        _plan = plan;
        _tree = tree;
        _functions = plan.Functions.Count;
        _parts = FixedParts + plan.Functions.Count(f => f.IsPick) + plan.Accumulations.Count;
        _rows = new RowWriter(plan.Shape);
        _results = [.. plan.Accumulations.Select(a => new RowWriter(a.Shape))];
        var columns = _parts + 1 + plan.Functions.Count + 3 + 4 + (tree.AccumulatorBytes / sizeof(ulong));
        _memoryCapacity = SlabPool.CapacityFor((long)columns * EntriesMax * sizeof(ulong));
        _memory = SlabPool.Rent(_memoryCapacity);
        var next = _memory;
        nint* Column(int columns = 1)
        {
            var column = (nint*)next;
            next += (long)columns * EntriesMax * sizeof(ulong);
            return column;
        }

        _partsOf = new nint*[_parts];
        for (var i = 0; i < _parts; i++)
            _partsOf[i] = Column();
        _accumulators = Column();
        _keys = (ulong*)Column();
        _diffs = (long*)Column();
        _finishedDiffs = (long*)Column();
        _paired = (int*)Column();
        _finished = (int*)Column();
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
            io.ErrorSelected = selected + EntriesMax;
            io.Errors = _errors;
        }

        _resultsIo.Parts = [_accumulators, _accumulators];
        _rowsIo.Parts = _partsOf;
        _rowsIo.Outputs = [_rows];
        SetNumberParts();
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

    /// <summary>Where the rows of entries are to be put, by address.</summary>
    public nint* RowParts => _partsOf[RowPart];

    /// <summary>The numbers of functions, all of an entry's together.</summary>
    public long* Numbers => _numbers;

    /// <summary>The accumulators of an entry's frames, all together.</summary>
    public byte* Accumulated => _accumulated;

    /// <summary>What stands for a picked row that does not exist.</summary>
    public nint Absent => (nint)_absent;

    /// <summary>The rows that a function picks, by address.</summary>
    /// <param name="pick">Which of those that pick.</param>
    public nint* Picked(int pick) => _partsOf[FixedParts + pick];

    /// <summary>The partition whose rows come next.</summary>
    /// <param name="keyLies">Whether the key stays where it is until <see cref="Finish"/>; else it has at most 8 bytes.</param>
    public void SetKey(byte* key, bool keyLies)
    {
        _key = key;
        _keyWord = keyLies || key == null ? 0 : *(ulong*)key;
        _keyLies = keyLies;
    }

    /// <summary>The next rows of one side, so many copies each.</summary>
    public void Add(WindowSide side, int rows, long copies)
    {
        if (_count + rows > EntriesMax)
            Finish();
        var first = _count;
        _count += rows;
        side.Say(this, first, 1, rows);
        AddSingles(first, copies);
    }

    /// <summary>All rows of a partition, see <see cref="WindowSide.SayLeaf"/>.</summary>
    public void AddLeaf(WindowSide side, byte* leaf)
    {
        var rows = WindowLeaf.CountOf(leaf);
        if (_count + rows > EntriesMax)
            Finish();
        var first = _count;
        _count += rows;
        side.SayLeaf(this, first, leaf, rows);
        AddSingles(first, 1);
    }

    /// <summary>The next rows, alike on both sides: as they were and as they become, so many copies each.</summary>
    public void AddPairs(WindowSide before, WindowSide after, int rows, long copiesBefore, long copiesAfter)
    {
        if (_count + (2 * rows) > EntriesMax)
            Finish();
        var first = _count;
        before.Say(this, first, 2, rows);
        after.Say(this, first + 1, 2, rows);
        for (var i = first; i < first + (2 * rows); i += 2)
        {
            if (copiesBefore == copiesAfter && IsAlike(i, i + 1))
                continue;
            if (i != _count)
            {
                Move(i, _count);
                Move(i + 1, _count + 1);
            }

            _diffs[_count] = -copiesBefore;
            _diffs[_count + 1] = copiesAfter;
            _paired[_count] = 1;
            _paired[_count + 1] = 0;
            _count += 2;
        }

        AddKeys(first);
    }

    /// <summary>Makes rows of what was collected.</summary>
    public void Finish()
    {
        if (_count == 0)
            return;
        var anyFailed = false;
        if (_results.Length > 0)
            FinishAccumulations(out anyFailed);
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
            EmitFinished(anyFailed);
        }

        if (anyFailed)
            SetNumberParts();
        _count = 0;
    }

    /// <summary>Entries at most.</summary>
    public const int EntriesMax = 256;

    /// <summary>Entries [<paramref name="first"/>, <paramref name="end"/>) were added; what belongs to them besides is to be remembered by their numbers.</summary>
    protected abstract void Added(int first, int end);

    /// <summary>Finished rows.</summary>
    /// <param name="entries">Of which entries.</param>
    /// <param name="diffs">0: not to be emitted after all.</param>
    /// <param name="allCount">No diff is 0.</param>
    protected abstract void Emit(in RowColumn rows, int* entries, long* diffs, bool allCount);

    protected abstract void EmitError(int entry, ReadOnlySpan<byte> error, long diff);

    private void EmitFinished(bool anyFailed)
    {
        var emitted = _rowsIo.Emitted;
        var allCount = true;
        for (var j = 0; j < emitted; j++)
        {
            var entry = anyFailed ? _entries[_rowsIo.Selected[j]] : _rowsIo.Selected[j];
            _finished[j] = entry;
            _finishedDiffs[j] = _diffs[entry];
            if (j == 0 || _paired[_finished[j - 1]] == 0 || _finished[j - 1] + 1 != entry || !_rows.RowEquals(j, _rows.AddressOf(j - 1), _rows.LengthOf(j - 1)))
                continue;

            // The same row before and after.
            _finishedDiffs[j] += _finishedDiffs[j - 1];
            _finishedDiffs[j - 1] = 0;
            allCount = false;
        }

        Emit(_rows.Peek(), _finished, _finishedDiffs, allCount);
    }

    private void AddSingles(int first, long copies)
    {
        for (var i = first; i < _count; i++)
        {
            _diffs[i] = copies;
            _paired[i] = 0;
        }

        AddKeys(first);
    }

    private void AddKeys(int first)
    {
        var keys = _partsOf[KeyPart];
        for (var i = first; i < _count; i++)
        {
            _keys[i] = _keyWord;
            keys[i] = _keyLies ? (nint)_key : (nint)(_keys + i);
        }

        Added(first, _count);
    }

    private void SetNumberParts()
    {
        for (var i = 0; i < EntriesMax; i++)
            _partsOf[NumbersPart][i] = (nint)(_numbers + ((long)i * _functions));
    }

    // Surely the same output. Those that differ here may be the same too, once finished.
    private bool IsAlike(int a, int b)
    {
        var functions = _functions;
        for (var f = 0; f < functions; f++)
        {
            if (_numbers[((long)a * functions) + f] != _numbers[((long)b * functions) + f])
                return false;
        }

        for (var part = FixedParts; part < _parts - _results.Length; part++)
        {
            if (_partsOf[part][a] != _partsOf[part][b])
                return false;
        }

        var bytes = _tree.AccumulatorBytes;
        return bytes == 0 || new ReadOnlySpan<byte>(_accumulated + ((long)a * bytes), bytes).SequenceEqual(new ReadOnlySpan<byte>(_accumulated + ((long)b * bytes), bytes));
    }

    private void Move(int from, int to)
    {
        _partsOf[RowPart][to] = _partsOf[RowPart][from];
        for (var part = FixedParts; part < _parts - _results.Length; part++)
            _partsOf[part][to] = _partsOf[part][from];
        var functions = _functions;
        for (var f = 0; f < functions; f++)
            _numbers[((long)to * functions) + f] = _numbers[((long)from * functions) + f];
        var bytes = _tree.AccumulatorBytes;
        if (bytes > 0)
            Unsafe.CopyBlockUnaligned(_accumulated + ((long)to * bytes), _accumulated + ((long)from * bytes), (uint)bytes);
    }

    private void FinishAccumulations(out bool anyFailed)
    {
        anyFailed = false;
        Array.Clear(_failed);
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
