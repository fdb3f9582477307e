using Materialize.Core;
using Materialize.Core.Memory;
using Materialize.Core.Rows;
using Materialize.Dataflow.Operators;
using Materialize.Dataflow.Traces;

namespace Materialize.Dataflow.Runtime;

/// <summary>Memory that is empty between runs of operators.</summary>
internal interface IScratch : IDisposable
{
    void Measure(StateMeter meter);
}

/// <summary>A worker's memory for what lives within one run of one operator: addresses and selections of kernel calls, sorting windows.</summary>
internal sealed unsafe class WorkerScratch : IDisposable
{
    /// <summary>One value of up to 8 bytes for each input of a kernel call.</summary>
    public const int ColumnBytes = KernelIo.Capacity * sizeof(ulong);

    private const int SlotColumns = 8;
    private readonly nint[] _slots = new nint[6];
    private readonly Dictionary<(Type Time, RowShape Keys, RowShape Values), IScratch> _tools = [];
    private readonly Dictionary<(Type Time, RowShape Keys, RowShape Values, RowShape? SortKeys), IScratch> _keyings = [];
    private readonly Dictionary<Type, IScratch> _errors = [];
    private readonly List<RowWriter> _errorRows = []; // theirs

    /// <summary>The window shared by all sorting and merging at this worker; used up within each call.</summary>
    public SortWindow Window { get; } = new();

    /// <summary>Eight columns. Different uses within one run take different slots, see the constants.</summary>
    public byte* Slot(int slot)
    {
        if (_slots[slot] == 0)
            _slots[slot] = (nint)SlabPool.Rent(SlabPool.CapacityFor(SlotColumns * ColumnBytes));
        return (byte*)_slots[slot];
    }

    /// <summary>What sorts and merges rows of these shapes.</summary>
    public MergeTools<TTime> Tools<TTime>(RowShape keyShape, RowShape valueShape) where TTime : unmanaged, ITime<TTime>
    {
        var shapes = (typeof(TTime), keyShape, valueShape);
        if (!_tools.TryGetValue(shapes, out var tools))
            _tools.Add(shapes, tools = new MergeTools<TTime>(this, keyShape, valueShape));
        return (MergeTools<TTime>)tools;
    }

    /// <summary>What splits rows into keys and values of these shapes: empty when a run begins and when it ends.</summary>
    public Keying<TTime> Keying<TTime>(int workers, RowShape keyShape, RowShape valueShape, RowShape? sortKeyShape) where TTime : unmanaged, ITime<TTime>
    {
        var shapes = (typeof(TTime), keyShape, valueShape, sortKeyShape);
        if (!_keyings.TryGetValue(shapes, out var keying))
            _keyings.Add(shapes, keying = new Keying<TTime>(this, workers, keyShape, valueShape, sortKeyShape));
        return (Keying<TTime>)keying;
    }

    /// <summary>Where kernels write errors: empty when a run begins, and sent by the operator before its run ends.</summary>
    public BatchBuilder<TTime> Errors<TTime>() where TTime : unmanaged, ITime<TTime>
    {
        if (_errors.TryGetValue(typeof(TTime), out var known))
            return (BatchBuilder<TTime>)known;
        var errors = new BatchBuilder<TTime>(RowShape.Variable);
        _errors.Add(typeof(TTime), errors);
        _errorRows.Add(errors.Rows);
        return errors;
    }

    /// <summary>An operator's run has ended: errors that it left would be sent as the next one's.</summary>
    public void CheckErrorsSent(string name)
    {
        foreach (var rows in _errorRows)
        {
            if (rows.Count != 0)
                Invariant.Check(false, $"{name} left {rows.Count} errors unsent");
        }
    }

    /// <summary>A kernel call's arrays.</summary>
    public const int KernelSlot = 0;

    /// <summary>Those of a second kernel call in use at the same time.</summary>
    public const int SecondKernelSlot = 1;

    /// <summary>Folding into accumulators.</summary>
    public const int FoldSlot = 2;

    /// <summary>Keys made from hashes for a kernel call.</summary>
    public const int KeySlot = 3;

    /// <summary>Which key each row is of that a reduction makes: a column for before the time, one for after it.</summary>
    public const int IndexSlot = 4;

    /// <summary>Times and diffs of matches: up to 24 bytes a time.</summary>
    public const int MatchSlot = 5;

    public void Measure(StateMeter meter)
    {
        foreach (var slot in _slots)
            meter.Slab(0, slot == 0 ? 0 : SlabPool.CapacityFor(SlotColumns * ColumnBytes));
        foreach (var scratch in _tools.Values.Concat(_keyings.Values).Concat(_errors.Values))
            scratch.Measure(meter);
        Window.Measure(meter);
    }

    public void Dispose()
    {
        for (var i = 0; i < _slots.Length; i++)
        {
            SlabPool.Return((void*)_slots[i], SlabPool.CapacityFor(SlotColumns * ColumnBytes));
            _slots[i] = 0;
        }

        foreach (var scratch in _tools.Values.Concat(_keyings.Values).Concat(_errors.Values))
            scratch.Dispose();
        Window.Dispose();
    }
}
