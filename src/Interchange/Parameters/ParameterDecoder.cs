using Materialize.Repr;

namespace Materialize.Interchange;

/// <summary>Values that a client binds to a prepared statement's parameters.</summary>
public static class ParameterDecoder
{
    /// <param name="format">0 text, 1 binary.</param>
    /// <param name="bytes">Of a value that is not null.</param>
    /// <exception cref="InterchangeException">The bytes are not a value of the type.</exception>
    public static Datum Decode(SqlType type, short format, ReadOnlySpan<byte> bytes) =>
        format == 0 ? DatumForms.ParseUtf8(type, bytes) : DatumBinary.Read(type, bytes);
}
