using System.Buffers.Binary;
using System.Text;

namespace Materialize.Expr;

/// <summary>
/// Evaluation errors as rows of an error collection: four texts, SQLSTATE, message, detail and hint, each a u32 length (all ones:
/// absent) and UTF-8. Equal errors are equal bytes.
/// </summary>
public static class EvalErrorCodec
{
    private const uint Absent = uint.MaxValue;

    public static byte[] Encode(EvalError error)
    {
        var bytes = new List<byte>();
        Span<byte> length = stackalloc byte[4];
        foreach (var part in (string?[])[error.SqlState, error.Message, error.Detail, error.Hint])
        {
            BinaryPrimitives.WriteUInt32LittleEndian(length, part is null ? Absent : (uint)Encoding.UTF8.GetByteCount(part));
            bytes.AddRange(length);
            if (part is not null)
                bytes.AddRange(Encoding.UTF8.GetBytes(part));
        }

        return [.. bytes];
    }

    public static EvalError Decode(ReadOnlySpan<byte> row)
    {
        var state = Next(ref row);
        var message = Next(ref row);
        var detail = Next(ref row);
        return new EvalError(state!, message!) { Detail = detail, Hint = Next(ref row) };
    }

    private static string? Next(ref ReadOnlySpan<byte> row)
    {
        var length = BinaryPrimitives.ReadUInt32LittleEndian(row);
        row = row[4..];
        if (length == Absent)
            return null;
        var text = Encoding.UTF8.GetString(row[..(int)length]);
        row = row[(int)length..];
        return text;
    }
}
