using System.Buffers.Binary;
using Materialize.Core.Rows;

namespace Materialize.Micro;

/// <summary>
/// Numbers as texts of 12 letters, for workloads over rows of variable width. A row of k texts is k end offsets of 2 bytes and then the letters, much as a canonical row of a SQL engine is; letters carry 6 bits each, so
/// that checks are those of the numbers.
/// </summary>
internal static unsafe class TextRow
{
    public const int Letters = 12;

    public static int Bytes(int texts) => texts * (sizeof(ushort) + Letters);

    /// <summary>Writes the offsets of a row of <paramref name="texts"/> texts; each is then <see cref="Write"/>n.</summary>
    public static byte* Begin(RowWriter rows, int texts)
    {
        var row = rows.Reserve(Bytes(texts));
        for (var t = 0; t < texts; t++)
            ((ushort*)row)[t] = (ushort)(Bytes(texts) - ((texts - 1 - t) * Letters));
        return row;
    }

    public static void End(RowWriter rows, int texts) => rows.Commit(Bytes(texts));

    public static void Write(byte* row, int texts, int text, ulong number)
    {
        var to = At(row, texts, text);
        for (var i = 0; i < Letters; i++)
            to[i] = (byte)('0' + ((number >> (6 * i)) & 63));
    }

    public static byte* At(byte* row, int texts, int text) => row + (text == 0 ? texts * sizeof(ushort) : ((ushort*)row)[text - 1]);

    public static void Copy(byte* to, int toTexts, int toText, byte* from, int fromTexts, int fromText)
    {
        var a = At(to, toTexts, toText);
        var b = At(from, fromTexts, fromText);
        *(ulong*)a = *(ulong*)b;
        *(uint*)(a + 8) = *(uint*)(b + 8);
    }

    public static ulong Number(byte* row, int texts, int text)
    {
        var from = At(row, texts, text);
        var number = 0UL;
        for (var i = 0; i < Letters; i++)
            number |= (ulong)(from[i] - '0') << (6 * i);
        return number;
    }

    public static ulong Number(ReadOnlySpan<byte> row, int texts, int text)
    {
        fixed (byte* p = row)
            return Number(p, texts, text);
    }

    /// <summary>What the letters keep of a number.</summary>
    public static ulong Kept(ulong number)
    {
        var row = stackalloc byte[Bytes(1)];
        Write(row, 1, 0, number);
        return Number(row, 1, 0);
    }

    /// <summary>A number after the texts of a row.</summary>
    public static ulong Tail(ReadOnlySpan<byte> row, int texts) => BinaryPrimitives.ReadUInt64LittleEndian(row[Bytes(texts)..]);
}
