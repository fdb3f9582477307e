using Materialize.Core.Memory;

namespace Materialize.Core.Tests;

public sealed unsafe class SlabPoolTrimTests
{
    private const long SlabBytes = 4 << 20;

    [Fact]
    public void Slabs_that_stay_free_lose_their_pages_and_can_be_used_again()
    {
        Assert.SkipUnless(OperatingSystem.IsLinux(), "pages are given back on Linux only");
        var slabs = new nint[16];
        RentAll(slabs);
        foreach (var slab in slabs)
            new Span<byte>((void*)slab, (int)SlabBytes).Fill(0xAB);
        ReturnAll(slabs);

        // The first call sees what is free, the second what still is.
        SlabPool.Trim();
        var held = SlabPool.BytesHeld;
        Assert.True(SlabPool.Trim() >= slabs.Length * (SlabBytes - 4096), "all of them");
        Assert.True(SlabPool.BytesHeld < held, "the pool holds less");

        RentAll(slabs);
        foreach (var slab in slabs)
        {
            var bytes = new Span<byte>((void*)slab, (int)SlabBytes);
            Assert.False(bytes[4096..^4096].ContainsAnyExcept((byte)0), "its pages are new");
            bytes.Fill(0xCD);
        }

        ReturnAll(slabs);
        SlabPool.Trim();
        RentAll(slabs);
        foreach (var slab in slabs)
            Assert.Equal(0xCD, *(byte*)(slab + (SlabBytes / 2)));   // used since the last call: kept
        ReturnAll(slabs);
    }

    private static void RentAll(nint[] slabs)
    {
        for (var i = 0; i < slabs.Length; i++)
            slabs[i] = (nint)SlabPool.Rent(SlabBytes);
    }

    private static void ReturnAll(nint[] slabs)
    {
        foreach (var slab in slabs)
            SlabPool.Return((void*)slab, SlabBytes);
    }
}
