using System.Text;
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
            io.Outputs[0].Append(new ReadOnlySpan<byte>(at, *(int*)at));
            io.Selected[io.Emitted++] = i;
        }
    };

    /// <summary>Appends an encoded error.</summary>
    public static void Encode(EvalError error, RowWriter output) => output.Append(Encoding.UTF8.GetBytes($"{error.SqlState}\0{error.Message}"));

    public static EvalError DecodeError(ReadOnlySpan<byte> bytes)
    {
        var parts = Encoding.UTF8.GetString(bytes).Split('\0', 2);
        return new EvalError(parts[0], parts[1]);
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
