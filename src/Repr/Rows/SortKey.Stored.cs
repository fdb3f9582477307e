using System.Buffers;
using System.Buffers.Binary;

namespace Materialize.Repr;

// Keys of values as they lie in rows: nothing is allocated but what the output needs.
public static partial class SortKey
{
    /// <summary>
    /// Appends what follows the marker byte in the key of a present, ascending value. A descending one is this with all bits
    /// inverted, which is for the caller to do.
    /// </summary>
    /// <param name="bytes">The value in the form of <see cref="ValueCodec"/>.</param>
    public static void WriteStored(SqlType type, ReadOnlySpan<byte> bytes, IBufferWriter<byte> output)
    {
        switch (type.Kind)
        {
            case ScalarKind.Numeric:
                Number(Numeric.Read(bytes), output);
                break;
            case ScalarKind.String or ScalarKind.Char or ScalarKind.VarChar or ScalarKind.PgLegacyName or ScalarKind.AclItem or ScalarKind.MzAclItem or ScalarKind.Bytes:
                Escaped(bytes, output);
                break;
            case ScalarKind.Jsonb:
                Json(new Jsonb(bytes), output);
                break;
            case ScalarKind.List:
                Elements(type.Element!, ref bytes, output);
                break;
            case ScalarKind.Int2Vector:
                Elements(SqlType.Int16, ref bytes, output);
                break;
            case ScalarKind.Array:
                // Elements count before dimensions.
                var dimensions = ReadInt(ref bytes);
                var bounds = bytes[..(2 * sizeof(int) * dimensions)];
                bytes = bytes[bounds.Length..];
                Elements(type.Element!, ref bytes, output);
                while (!bounds.IsEmpty)
                {
                    Put(output, Present);
                    Put(output, (uint)ReadInt(ref bounds) ^ 0x8000_0000);
                    Put(output, (uint)ReadInt(ref bounds));
                }

                Put(output, End);
                break;
            case ScalarKind.Map:
                for (var left = ReadInt(ref bytes); left > 0; left--)
                {
                    Put(output, Present);
                    Escaped(Take(ReadInt(ref bytes), ref bytes), output);
                    Element(type.Element!, ref bytes, output);
                }

                Put(output, End);
                break;
            case ScalarKind.Record:
                for (var i = 0; i < type.Fields.Count; i++)
                    Element(type.Fields[i].Type.Type, ref bytes, output);
                break;
            case ScalarKind.Range:
                Range(type.Element!, (ValueCodec.RangeFlags)bytes[0], bytes[1..], output);
                break;
            default:
                Payload(type, ValueCodec.Read(type, bytes), output);
                break;
        }
    }

    private static void Elements(SqlType element, ref ReadOnlySpan<byte> bytes, IBufferWriter<byte> output)
    {
        for (var left = ReadInt(ref bytes); left > 0; left--)
            Element(element, ref bytes, output);
        Put(output, End);
    }

    private static void Element(SqlType type, ref ReadOnlySpan<byte> bytes, IBufferWriter<byte> output)
    {
        var present = Take(1, ref bytes)[0] != 0;
        Put(output, present ? Present : NullLast);
        if (!present)
            return;
        var width = RowLayout.FixedWidth(type);
        WriteStored(type, Take(width >= 0 ? width : ReadInt(ref bytes), ref bytes), output);
    }

    private static void Range(SqlType element, ValueCodec.RangeFlags flags, ReadOnlySpan<byte> bytes, IBufferWriter<byte> output)
    {
        var isEmpty = (flags & ValueCodec.RangeFlags.Empty) != 0;
        Put(output, (byte)(isEmpty ? 0 : 1));
        if (isEmpty)
            return;
        var width = RowLayout.FixedWidth(element);
        var hasLower = (flags & ValueCodec.RangeFlags.HasLower) != 0;
        Put(output, (byte)(hasLower ? 1 : 0));
        if (hasLower)
        {
            WriteStored(element, Take(width, ref bytes), output);
            Put(output, (byte)((flags & ValueCodec.RangeFlags.LowerInclusive) != 0 ? 0 : 1));
        }

        var hasUpper = (flags & ValueCodec.RangeFlags.HasUpper) != 0;
        Put(output, (byte)(hasUpper ? 1 : 2));
        if (hasUpper)
        {
            WriteStored(element, Take(width, ref bytes), output);
            Put(output, (byte)((flags & ValueCodec.RangeFlags.UpperInclusive) != 0 ? 1 : 0));
        }
    }

    private static int ReadInt(ref ReadOnlySpan<byte> bytes) => BinaryPrimitives.ReadInt32LittleEndian(Take(sizeof(int), ref bytes));

    private static ReadOnlySpan<byte> Take(int count, ref ReadOnlySpan<byte> bytes)
    {
        var taken = bytes[..count];
        bytes = bytes[count..];
        return taken;
    }
}
