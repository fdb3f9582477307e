using System.Buffers.Binary;
using System.Buffers.Text;
using System.Runtime.InteropServices;
using System.Text;
using Materialize.Repr;

namespace Materialize.Interchange;

/// <summary>Text forms straight from row bytes, as Postgres writes them with DateStyle ISO and time zone UTC.</summary>
internal static class TextEncoders
{
    public static ValueEncoder For(SqlType type) => type.Kind switch
    {
        ScalarKind.Bool => new BoolText(),
        ScalarKind.Int16 => new Int16Text(),
        ScalarKind.Int32 => new Int32Text(),
        ScalarKind.Int64 => new Int64Text(),
        ScalarKind.UInt16 => new UInt16Text(),
        ScalarKind.UInt32 or ScalarKind.Oid => new UInt32Text(),
        ScalarKind.UInt64 or ScalarKind.MzTimestamp => new UInt64Text(),
        ScalarKind.Float32 => new Float32Text(),
        ScalarKind.Float64 => new Float64Text(),
        ScalarKind.Numeric => new NumericText(),
        ScalarKind.Date => new DateText(),
        ScalarKind.Time => new TimeText(),
        ScalarKind.Timestamp => new TimestampText(""),
        ScalarKind.TimestampTz => new TimestampText("+00"),
        ScalarKind.String or ScalarKind.VarChar or ScalarKind.PgLegacyName or ScalarKind.PgLegacyChar => RawEncoder.Instance,
        ScalarKind.Char => type.Modifier is { } length ? new PaddedText(length) : RawEncoder.Instance,
        ScalarKind.Bytes => new ByteaText(),
        ScalarKind.Uuid => new UuidText(),
        _ => new DatumTextEncoder(type),
    };

    private sealed class BoolText : ValueEncoder
    {
        public override void Write(ReadOnlySpan<byte> value, WireBuffer output) => output.WriteByte(value[0] != 0 ? (byte)'t' : (byte)'f');
    }

    private sealed class Int16Text : ValueEncoder
    {
        public override void Write(ReadOnlySpan<byte> value, WireBuffer output)
        {
            Utf8Formatter.TryFormat(BinaryPrimitives.ReadInt16LittleEndian(value), output.GetSpan(8), out var written);
            output.Advance(written);
        }
    }

    private sealed class Int32Text : ValueEncoder
    {
        public override void Write(ReadOnlySpan<byte> value, WireBuffer output)
        {
            Utf8Formatter.TryFormat(BinaryPrimitives.ReadInt32LittleEndian(value), output.GetSpan(16), out var written);
            output.Advance(written);
        }
    }

    private sealed class Int64Text : ValueEncoder
    {
        public override void Write(ReadOnlySpan<byte> value, WireBuffer output)
        {
            Utf8Formatter.TryFormat(BinaryPrimitives.ReadInt64LittleEndian(value), output.GetSpan(24), out var written);
            output.Advance(written);
        }
    }

    private sealed class UInt16Text : ValueEncoder
    {
        public override void Write(ReadOnlySpan<byte> value, WireBuffer output)
        {
            Utf8Formatter.TryFormat(BinaryPrimitives.ReadUInt16LittleEndian(value), output.GetSpan(8), out var written);
            output.Advance(written);
        }
    }

    private sealed class UInt32Text : ValueEncoder
    {
        public override void Write(ReadOnlySpan<byte> value, WireBuffer output)
        {
            Utf8Formatter.TryFormat(BinaryPrimitives.ReadUInt32LittleEndian(value), output.GetSpan(16), out var written);
            output.Advance(written);
        }
    }

    private sealed class UInt64Text : ValueEncoder
    {
        public override void Write(ReadOnlySpan<byte> value, WireBuffer output)
        {
            Utf8Formatter.TryFormat(BinaryPrimitives.ReadUInt64LittleEndian(value), output.GetSpan(24), out var written);
            output.Advance(written);
        }
    }

    private sealed class Float32Text : ValueEncoder
    {
        public override void Write(ReadOnlySpan<byte> value, WireBuffer output) =>
            output.Advance(FloatForm.Write(BinaryPrimitives.ReadSingleLittleEndian(value), output.GetSpan(FloatForm.BytesMax)));
    }

    private sealed class Float64Text : ValueEncoder
    {
        public override void Write(ReadOnlySpan<byte> value, WireBuffer output) =>
            output.Advance(FloatForm.Write(BinaryPrimitives.ReadDoubleLittleEndian(value), output.GetSpan(FloatForm.BytesMax)));
    }

    private sealed class NumericText : ValueEncoder
    {
        public override void Write(ReadOnlySpan<byte> value, WireBuffer output) =>
            output.Advance(NumericForm.WriteText(Numeric.Read(value), output.GetSpan(NumericForm.TextBytesMax)));
    }

    private sealed class DateText : ValueEncoder
    {
        public override void Write(ReadOnlySpan<byte> value, WireBuffer output) =>
            output.Advance(CalendarForm.WriteDate(BinaryPrimitives.ReadInt32LittleEndian(value), output.GetSpan(CalendarForm.BytesMax)));
    }

    private sealed class TimeText : ValueEncoder
    {
        public override void Write(ReadOnlySpan<byte> value, WireBuffer output) =>
            output.Advance(CalendarForm.WriteTime(BinaryPrimitives.ReadInt64LittleEndian(value), output.GetSpan(CalendarForm.BytesMax)));
    }

    private sealed class TimestampText(string zone) : ValueEncoder
    {
        private readonly byte[] _zone = Encoding.UTF8.GetBytes(zone);

        public override void Write(ReadOnlySpan<byte> value, WireBuffer output) =>
            output.Advance(CalendarForm.WriteTimestamp(BinaryPrimitives.ReadInt64LittleEndian(value), _zone, output.GetSpan(CalendarForm.BytesMax)));
    }

    /// <summary>char(n): the padding is not part of the value, but it is of its form.</summary>
    private sealed class PaddedText(int length) : ValueEncoder
    {
        public override void Write(ReadOnlySpan<byte> value, WireBuffer output)
        {
            output.Write(value);
            // Characters: every byte but those that continue one.
            var missing = length;
            foreach (var b in value)
                missing -= (b & 0xC0) != 0x80 ? 1 : 0;
            if (missing <= 0)
                return;
            output.GetSpan(missing)[..missing].Fill((byte)' ');
            output.Advance(missing);
        }
    }

    private sealed class ByteaText : ValueEncoder
    {
        public override void Write(ReadOnlySpan<byte> value, WireBuffer output)
        {
            var target = output.GetSpan(2 + 2 * value.Length);
            target[0] = (byte)'\\';
            target[1] = (byte)'x';
            Convert.TryToHexStringLower(value, target[2..], out var written);
            output.Advance(2 + written);
        }
    }

    private sealed class UuidText : ValueEncoder
    {
        public override void Write(ReadOnlySpan<byte> value, WireBuffer output)
        {
            var guid = new Guid(value, bigEndian: true);
            guid.TryFormat(output.GetSpan(36), out var written, "D");
            output.Advance(written);
        }
    }
}
