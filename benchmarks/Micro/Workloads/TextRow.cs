using System.Buffers.Binary;
using Materialize.Core.Rows;

namespace Materialize.Micro;

/// <summary>
/// Numbers as texts of 12 letters, for workloads over rows of variable width. A row of k texts is k end offsets of 2 bytes and then the letters, much as a canonical row of a SQL engine is; letters carry 6 bits each, so
/// that a text keeps its number.
/// </summary>
internal static unsafe class TextRow
{
    public const int Letters = 12;
    private const uint ZeroLetter = '0';

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
        // Eight letters at once and four: bits are moved apart in halves. The last letter repeats bits 2 to 7, for want of more.
        var to = At(row, texts, text);
        var eight = number & 0xFFFF_FFFF_FFFF;
        eight = (eight & 0xFF_FFFF) | ((eight & ~0xFF_FFFFUL) << 8);
        eight = (eight & 0x0000_0FFF_0000_0FFF) | ((eight & 0x00FF_F000_00FF_F000) << 4);
        eight = (eight & 0x003F_003F_003F_003F) | ((eight & 0x0FC0_0FC0_0FC0_0FC0) << 2);
        var four = (uint)(number >> 48) | (((uint)(number >> 2) & 63) << 18);
        four = (four & 0xFFF) | ((four & 0xFF_F000) << 4);
        four = (four & 0x003F_003F) | ((four & 0x0FC0_0FC0) << 2);
        *(ulong*)to = eight + (ZeroLetter * 0x0101_0101_0101_0101UL);
        *(uint*)(to + 8) = four + (ZeroLetter * 0x0101_0101U);
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
        var eight = *(ulong*)from - (ZeroLetter * 0x0101_0101_0101_0101UL);
        eight = (eight & 0x003F_003F_003F_003F) | ((eight >> 2) & 0x0FC0_0FC0_0FC0_0FC0);
        eight = (eight & 0x0000_0FFF_0000_0FFF) | ((eight >> 4) & 0x00FF_F000_00FF_F000);
        eight = (eight & 0xFF_FFFF) | ((eight >> 8) & 0xFFFF_FF00_0000);
        var four = *(uint*)(from + 8) - (ZeroLetter * 0x0101_0101U);
        four = (four & 0x003F_003F) | ((four >> 2) & 0x0FC0_0FC0);
        four = (four & 0xFFF) | ((four >> 4) & 0xF000);
        return eight | ((ulong)four << 48);
    }

    public static ulong Number(ReadOnlySpan<byte> row, int texts, int text)
    {
        fixed (byte* p = row)
            return Number(p, texts, text);
    }

    /// <summary>A number after the texts of a row.</summary>
    public static ulong Tail(ReadOnlySpan<byte> row, int texts) => BinaryPrimitives.ReadUInt64LittleEndian(row[Bytes(texts)..]);
}
