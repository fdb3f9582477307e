using Materialize.Repr;

namespace Materialize.Interchange;

/// <summary>
/// Turns one column value's canonical bytes into its wire form. Stateless, so one instance serves all connections, except where
/// a type's modifier matters.
/// </summary>
public abstract class ValueEncoder
{
    /// <summary>Appends the value's form; <paramref name="value"/> is the column's bytes of a row, which is not null there.</summary>
    public abstract void Write(ReadOnlySpan<byte> value, WireBuffer output);

    /// <summary>The encoder for values of <paramref name="type"/>.</summary>
    /// <exception cref="InterchangeException">The type has no binary form.</exception>
    public static ValueEncoder For(SqlType type, bool binary) => binary ? BinaryEncoders.For(type) : TextEncoders.For(type);
}

/// <summary>Bytes that are already the form: text, bytea in binary, uuid in binary.</summary>
internal sealed class RawEncoder : ValueEncoder
{
    public static readonly RawEncoder Instance = new();

    public override void Write(ReadOnlySpan<byte> value, WireBuffer output) => output.Write(value);
}
