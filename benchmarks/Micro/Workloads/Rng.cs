using System.Runtime.CompilerServices;

namespace Materialize.Micro;

/// <summary>xorshift64*, as the shared workloads define it.</summary>
internal struct Rng(ulong seed)
{
    private ulong _x = seed;

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public ulong Next()
    {
        var x = _x;
        x ^= x >> 12;
        x ^= x << 25;
        x ^= x >> 27;
        _x = x;
        return x * 0x2545F4914F6CDD1D;
    }

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public ulong Below(ulong n) => (Next() >> 32) % n;

    /// <summary>Passes over numbers that nobody wants: those of another worker's rows.</summary>
    public void Skip(int numbers)
    {
        while (numbers-- > 0)
            Next();
    }
}

/// <summary>The order-independent check of a view: how many rows, and a sum over them.</summary>
internal struct Check
{
    public long Rows { get; private set; }

    public ulong Sum { get; private set; }

    /// <param name="count">How often the row is there; negative takes it back.</param>
    public void Add(long count, params ReadOnlySpan<ulong> columns)
    {
        var h = 0UL;
        foreach (var c in columns)
        {
            h = (h ^ c) * 0x9E3779B97F4A7C15;
            h ^= h >> 32;
        }

        Rows += count;
        Sum += (ulong)count * h;
    }

    /// <summary>A part that another worker has.</summary>
    public void Add(Check other)
    {
        Rows += other.Rows;
        Sum += other.Sum;
    }

    public override readonly string ToString() => $"{Rows} {Sum:x16}";
}
