// A shard holds rows of one relation in their layout, and errors: a materialized view over 1/0 must say so to whoever reads it, from
// whichever process. Errors are told from rows by what no row can be. With fixed layout every row has the same width; an error is
// that many zero bytes and its own bytes. With variable columns the last end offset of a row is the row's length, never 0; an
// error's is 0. So rows cost nothing for it.

using System.Buffers.Binary;
using Materialize.Repr;

namespace Materialize.Protocol;

/// <summary>How errors lie beside rows in a persist shard.</summary>
public static class ShardRows
{
    /// <summary>Whether these bytes, from a shard of rows of this layout, are an error.</summary>
    public static bool IsError(RowLayout layout, ReadOnlySpan<byte> row) => layout.VariableCount == 0
        ? row.Length != layout.HeaderWidth
        : BinaryPrimitives.ReadUInt32LittleEndian(row[(layout.HeaderWidth - sizeof(uint))..]) == 0;

    /// <summary>The encoded error within the bytes for which <see cref="IsError"/> holds.</summary>
    public static ReadOnlySpan<byte> Error(RowLayout layout, ReadOnlySpan<byte> row) => row[layout.HeaderWidth..];

    /// <summary>The bytes to store for an error.</summary>
    /// <param name="error">As <c>Expr</c> encodes it; not empty.</param>
    public static byte[] OfError(RowLayout layout, ReadOnlySpan<byte> error)
    {
        ArgumentOutOfRangeException.ThrowIfZero(error.Length);
        var row = new byte[layout.HeaderWidth + error.Length];
        error.CopyTo(row.AsSpan(layout.HeaderWidth));
        return row;
    }
}
