using System.Buffers;
using System.Runtime.CompilerServices;
using System.Runtime.InteropServices;

namespace Materialize.Expr.Kernels;

/// <summary>Sort keys in native memory that grows and is kept; addresses move when it grows. A key that is kept is its length and its bytes.</summary>
internal sealed unsafe class SortKeyBuffer : IBufferWriter<byte>
{
    private const int Unit = 8; // keys begin at multiples of it: a number of 32 bits finds them in 32 GiB
    private long _capacity;
    private long _length;
    private long _start;

    ~SortKeyBuffer() => NativeMemory.Free(Data);

    public byte* Data { get; private set; }

    /// <summary>The bytes of the key that is being written: valid until more are written.</summary>
    public Span<byte> Open => new(Data + _start + sizeof(int), (int)(_length - _start - sizeof(int)));

    /// <summary>Address and length of a key that is kept.</summary>
    public static ReadOnlySpan<byte> At(byte* data, uint key)
    {
        var at = data + ((long)key * Unit);
        return new ReadOnlySpan<byte>(at + sizeof(int), Unsafe.ReadUnaligned<int>(at));
    }

    /// <summary>Begins a key.</summary>
    public void Begin()
    {
        _start = _length;
        Reserve(sizeof(int));
        _length += sizeof(int);
    }

    /// <summary>Keeps the key that was begun, which is not empty; returns where it is, never 0.</summary>
    public uint Keep()
    {
        Unsafe.WriteUnaligned(Data + _start, (int)(_length - _start - sizeof(int)));
        var key = checked((uint)(_start / Unit));
        Reserve(Unit);
        _length = (_length + Unit - 1) & ~(Unit - 1L);
        return key;
    }

    /// <summary>Forgets the key that was begun.</summary>
    public void Drop() => _length = _start;

    /// <summary>Room for so many bytes more at the end.</summary>
    public byte* Reserve(int bytes)
    {
        if (_capacity - _length < bytes)
        {
            _capacity = Math.Max(Math.Max(1024, _capacity * 2), _length + bytes);
            Data = (byte*)NativeMemory.Realloc(Data, (nuint)_capacity);
        }

        return Data + _length;
    }

    public void Advance(int count) => _length += count;

    public Span<byte> GetSpan(int sizeHint = 0)
    {
        var bytes = Math.Max(1, sizeHint);
        return new Span<byte>(Reserve(bytes), bytes);
    }

    public Memory<byte> GetMemory(int sizeHint = 0) => throw new NotSupportedException("native bytes are written as spans");

    public void Clear() => _length = Unit;

    /// <summary>Gives the memory back if it is more than so much.</summary>
    public void Trim(long bytesMax)
    {
        if (_capacity <= bytesMax)
            return;
        NativeMemory.Free(Data);
        Data = null;
        _capacity = 0;
    }
}
