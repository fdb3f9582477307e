using Materialize.Core.Rows;

namespace Materialize.Core.Tests;

/// <summary>Copies and comparisons of short rows, and writers that know what comes.</summary>
public sealed unsafe class RowsTests
{
    [Fact]
    public void A_copy_is_all_of_the_row_and_nothing_else()
    {
        var random = new Random(1);
        for (var length = 0; length <= 80; length++)
        {
            var from = new byte[length];
            random.NextBytes(from);
            var to = new byte[length + 2];
            fixed (byte* source = from, target = to)
                RowBytes.Copy(target + 1, source, length);
            Assert.Equal([0, .. from, 0], to);
        }
    }

    [Fact]
    public void Rows_are_equal_if_every_byte_is()
    {
        var random = new Random(2);
        for (var length = 0; length <= 80; length++)
        {
            // What lies around them differs.
            var bytes = new byte[length];
            random.NextBytes(bytes);
            byte[] a = [1, .. bytes, 1], b = [2, .. bytes, 2];
            Assert.True(AreEqual(a, b, length), $"{length} bytes");
            for (var i = 1; i <= length; i++)
            {
                b[i] ^= (byte)(1 << random.Next(8));
                Assert.False(AreEqual(a, b, length), $"byte {i} of {length}");
                b[i] = a[i];
            }
        }

        static bool AreEqual(byte[] a, byte[] b, int length)
        {
            fixed (byte* p = a, q = b)
                return RowBytes.AreEqual(p + 1, q + 1, length);
        }
    }

    [Theory, InlineData(8), InlineData(-1)]
    public void A_writer_has_room_at_once_for_as_many_rows_as_the_last_ones_had(int width)
    {
        const int many = 10_000;
        using var writer = new RowWriter(new RowShape(width));
        foreach (var rows in (int[])[1, many, 1, many, many])
            Assert.True(CapacityAfter(rows) < many, "neither one large batch nor large and small ones by turns let expect another");
        Assert.True(CapacityAfter(many) >= many * sizeof(long));

        // How much there is room for after the first of so many rows.
        long CapacityAfter(int rows)
        {
            var capacity = 0L;
            for (var i = 0; i < rows; i++)
            {
                writer.Append(BitConverter.GetBytes((long)i));
                if (i == 0)
                    capacity = writer.Peek().Capacity;
            }

            writer.Detach().Free();
            return capacity;
        }
    }
}
