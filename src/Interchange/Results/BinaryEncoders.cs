using System.Buffers.Binary;
using Materialize.Repr;

namespace Materialize.Interchange;

/// <summary>Binary forms straight from row bytes: what each type's send function gives in Postgres.</summary>
internal static class BinaryEncoders
{
    public static ValueEncoder For(SqlType type) => type.Kind switch
    {
        ScalarKind.Bool or ScalarKind.PgLegacyChar => RawEncoder.Instance,
        ScalarKind.String or ScalarKind.VarChar or ScalarKind.PgLegacyName or ScalarKind.Char => TextEncoders.For(type),
        ScalarKind.Bytes or ScalarKind.Uuid => RawEncoder.Instance,
        ScalarKind.Int16 or ScalarKind.UInt16 => new Reversed2(),
        ScalarKind.Int32 or ScalarKind.UInt32 or ScalarKind.Float32 or ScalarKind.Date => new Reversed4(),
        ScalarKind.Oid or ScalarKind.RegProc or ScalarKind.RegType or ScalarKind.RegClass => new Reversed4(),
        ScalarKind.Int64 or ScalarKind.UInt64 or ScalarKind.Float64 => new Reversed8(),
        ScalarKind.Time or ScalarKind.Timestamp or ScalarKind.TimestampTz => new Reversed8(),
        // Materialize's own type has no send function of Postgres's: its text serves as both.
        ScalarKind.MzTimestamp => TextEncoders.For(type),
        ScalarKind.Numeric => new NumericBinary(),
        _ => new DatumBinaryEncoder(type),
    };

    private sealed class Reversed2 : ValueEncoder
    {
        public override void Write(ReadOnlySpan<byte> value, WireBuffer output) => output.WriteInt16(BinaryPrimitives.ReadInt16LittleEndian(value));
    }

    private sealed class Reversed4 : ValueEncoder
    {
        public override void Write(ReadOnlySpan<byte> value, WireBuffer output) => output.WriteInt32(BinaryPrimitives.ReadInt32LittleEndian(value));
    }

    private sealed class Reversed8 : ValueEncoder
    {
        public override void Write(ReadOnlySpan<byte> value, WireBuffer output) => output.WriteInt64(BinaryPrimitives.ReadInt64LittleEndian(value));
    }

    private sealed class NumericBinary : ValueEncoder
    {
        public override void Write(ReadOnlySpan<byte> value, WireBuffer output) => NumericForm.WriteBinary(Numeric.Read(value), output);
    }
}
