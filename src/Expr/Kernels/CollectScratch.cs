using System.Runtime.InteropServices;

namespace Materialize.Expr.Kernels;

/// <summary>A row of a group while the group is put in order.</summary>
internal struct GroupEntry
{
    /// <summary>The first bytes of its key, so that they order as a number; zeros after a shorter key.</summary>
    public ulong Prefix;

    /// <summary>Which of the group's rows.</summary>
    public int Index;

    /// <summary>Where its key is among <see cref="CollectScratch.Keys"/>, or 0 if the prefix is all of it.</summary>
    public uint Key;
}

/// <summary>
/// A thread's memory for collecting one group after another: a call may come on any thread, and one plan has several workers.
/// What a large group needed is given back when it is done, the rest stays with the thread.
/// </summary>
internal sealed unsafe class CollectScratch
{
    private const int KeptBytesMax = 1 << 20;

    [ThreadStatic]
    private static CollectScratch? _current;

    private int _capacity;

    private CollectScratch()
    {
    }

    ~CollectScratch() => Release();

    public static CollectScratch Current => _current ??= new CollectScratch();

    /// <summary>The group's rows.</summary>
    public GroupEntry* Entries { get; private set; }

    /// <summary>Room for as many, for sorting.</summary>
    public GroupEntry* Spare { get; private set; }

    /// <summary>How often a row occurs with all that are equal to it, by its index; of those of entries that are left once that is known.</summary>
    public long* Diffs { get; private set; }

    /// <summary>Keys that are longer than a prefix.</summary>
    public SortKeyBuffer Keys { get; } = new();

    /// <summary>Rows 0 to <paramref name="count"/>, in the order in which they came.</summary>
    public void Start(int count)
    {
        if (count > _capacity)
        {
            var capacity = Math.Max(64, (int)Math.Min(int.MaxValue, count + ((long)count / 2)));
            Release();
            Entries = (GroupEntry*)NativeMemory.Alloc((nuint)capacity, (nuint)sizeof(GroupEntry));
            Spare = (GroupEntry*)NativeMemory.Alloc((nuint)capacity, (nuint)sizeof(GroupEntry));
            Diffs = (long*)NativeMemory.Alloc((nuint)capacity, sizeof(long));
            _capacity = capacity;
        }

        for (var i = 0; i < count; i++)
            Entries[i].Index = i;
    }

    /// <summary>Makes the spare entries the entries, and the other way round.</summary>
    public void Swap()
    {
        var entries = Entries;
        Entries = Spare;
        Spare = entries;
    }

    /// <summary>The group is done.</summary>
    public void End()
    {
        if ((long)_capacity * sizeof(GroupEntry) > KeptBytesMax)
            Release();
        Keys.Trim(KeptBytesMax);
    }

    private void Release()
    {
        NativeMemory.Free(Entries);
        NativeMemory.Free(Spare);
        NativeMemory.Free(Diffs);
        Entries = null;
        Spare = null;
        Diffs = null;
        _capacity = 0;
    }
}
