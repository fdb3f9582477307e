using System.Buffers.Binary;
using Materialize.Core.Collections;
using Materialize.Core.Rows;
using Materialize.Expr;
using Materialize.Repr;

namespace Materialize.Compute.Kernels;

internal static unsafe partial class RowKernels
{
    /// <summary>The key of an arrangement of errors is the error.</summary>
    public static RowKernel CopyKey { get; } = io =>
    {
        for (var i = 0; i < io.Count; i++)
        {
            var at = (byte*)io.Parts[0][i];
            io.Outputs[0].Append(new ReadOnlySpan<byte>(at, ErrorLength(at)));
            io.Selected[io.Emitted++] = i;
        }
    };

    /// <summary>This error for each row.</summary>
    public static RowKernel Always(EvalError error)
    {
        var bytes = EvalErrorCodec.Encode(error);
        return io =>
        {
            for (var i = 0; i < io.Count; i++)
            {
                io.Outputs[0].Append(bytes);
                io.Selected[io.Emitted++] = i;
            }
        };
    }

    /// <summary>Appends an encoded error.</summary>
    public static void Encode(EvalError error, RowWriter output) => output.Append(EvalErrorCodec.Encode(error));

    public static EvalError DecodeError(ReadOnlySpan<byte> bytes) => EvalErrorCodec.Decode(bytes);

    /// <summary>An encoded error is four texts, each behind its length (all ones: absent).</summary>
    private static int ErrorLength(byte* error)
    {
        var at = error;
        for (var text = 0; text < 4; text++)
        {
            var length = BinaryPrimitives.ReadUInt32LittleEndian(new ReadOnlySpan<byte>(at, sizeof(uint)));
            at += sizeof(uint) + (length == uint.MaxValue ? 0 : length);
        }

        return (int)(at - error);
    }

    /// <summary>Whether a key cannot be written in this layout: it then matches nothing.</summary>
    public static bool HasNullWhereNoneFits(ValueArray<ColumnType> columns, ValueArray<Datum> values)
    {
        for (var i = 0; i < columns.Count; i++)
        {
            if (values[i].IsNull && !columns[i].IsNullable)
                return true;
        }

        return false;
    }
}
