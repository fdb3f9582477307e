using System.Buffers;
using System.Runtime.InteropServices;

namespace Materialize.Expr.Kernels;

/// <summary>A row of a group while the group is put in order.</summary>
internal struct GroupEntry
{
    /// <summary>The first bytes of its key, so that they order as a number; zeros after a shorter key.</summary>
    public ulong Prefix;

    /// <summary>Where its key begins among <see cref="CollectScratch.Keys"/>.</summary>
    public long Key;

    /// <summary>Bytes of the key that is kept; none if the prefix is all of it.</summary>
    public int KeyLength;

    /// <summary>Which of the group's rows.</summary>
    public int Index;

    /// <summary>How often it occurs, once equal ones are added up.</summary>
    public long Diff;
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

    /// <summary>Keys, one after the other.</summary>
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
        Entries = null;
        Spare = null;
        _capacity = 0;
    }
}

/// <summary>Bytes of sort keys in native memory that grows and is kept; addresses move when it grows.</summary>
internal sealed unsafe class SortKeyBuffer : IBufferWriter<byte>
{
    private long _capacity;

    ~SortKeyBuffer() => NativeMemory.Free(Data);

    public byte* Data { get; private set; }

    public long Length { get; private set; }

    /// <summary>Room for so many bytes more at the end.</summary>
    public byte* Reserve(int bytes)
    {
        if (_capacity - Length < bytes)
        {
            _capacity = Math.Max(Math.Max(1024, _capacity * 2), Length + bytes);
            Data = (byte*)NativeMemory.Realloc(Data, (nuint)_capacity);
        }

        return Data + Length;
    }

    public void Advance(int count) => Length += count;

    public Span<byte> GetSpan(int sizeHint = 0)
    {
        var bytes = Math.Max(1, sizeHint);
        return new Span<byte>(Reserve(bytes), bytes);
    }

    public Memory<byte> GetMemory(int sizeHint = 0) => throw new NotSupportedException("native bytes are written as spans");

    public void Clear() => Length = 0;

    /// <summary>Gives the memory back if it is more than so much.</summary>
    public void Trim(long bytesMax)
    {
        if (_capacity <= bytesMax)
            return;
        NativeMemory.Free(Data);
        Data = null;
        _capacity = 0;
        Length = 0;
    }
}
