using System.Buffers.Binary;
using Materialize.Core.Collections;
using Materialize.Core.Rows;
using Materialize.Expr;
using Materialize.Expr.Kernels;
using Materialize.Repr;

namespace Materialize.Micro.Operators;

/// <summary>Rows of a key and a value, and kernels over them: generated as for SQL where a kernel computes, else by hand.</summary>
internal static unsafe class OperatorRows
{
    /// <summary>One 8-byte number.</summary>
    public static readonly RowShape Number = new(8);

    /// <summary>Two.</summary>
    public static readonly RowShape Pair = new(16);

    public static readonly ColumnType Int64 = SqlType.Int64.Nullable(false);

    public static void WritePair(RowWriter rows, ulong key, ulong value)
    {
        var row = (ulong*)rows.Reserve(16);
        (row[0], row[1]) = (key, value);
        rows.Commit(16);
    }

    /// <summary>Writes (int8, numeric of two places).</summary>
    public static void WriteNumeric(RowWriter rows, ulong key, ulong value)
    {
        var row = rows.Reserve(8 + Numeric.Width);
        *(ulong*)row = key;
        Numeric.FromScaled((long)value, 2).Write(new Span<byte>(row + 8, Numeric.Width));
        rows.Commit(8 + Numeric.Width);
    }

    /// <summary>Writes (int8, bool).</summary>
    public static void WriteBool(RowWriter rows, ulong key, ulong value)
    {
        var row = rows.Reserve(9);
        *(ulong*)row = key;
        row[8] = (byte)value;
        rows.Commit(9);
    }

    /// <summary>A kernel that writes rows of 8-byte numbers, one for each input.</summary>
    /// <param name="columns">For each column, the part and the number in it.</param>
    public static RowKernel Columns(params (int Part, int Column)[] columns) => io =>
    {
        var row = (ulong*)io.Outputs[0].AppendFixed(io.Count);
        for (var i = 0; i < io.Count; i++)
        {
            foreach (var (part, column) in columns)
                *row++ = ((ulong*)io.Parts[part][i])[column];
            io.Selected[i] = i;
        }

        io.Emitted = io.Count;
    };

    /// <summary>Splits rows into a key (or several columns of it) and the rest, by generated code.</summary>
    public static RowKernel Split(ValueArray<ColumnType> columns, int keys) =>
        KernelCompiler.Compile(
            KernelInput.Whole(RowLayout.For(columns)),
            Mfp.Identity(columns.Count),
            [
                new KernelOutput(RowLayout.For([.. columns.Take(keys)]), ValueArray.Range(keys)),
                new KernelOutput(RowLayout.For([.. columns.Skip(keys)]), [.. Enumerable.Range(keys, columns.Count - keys)]),
            ]);

    /// <summary>Columns of value rows: a number, itself as text, a comma.</summary>
    public static readonly ValueArray<ColumnType> TextColumns = [Int64, SqlType.String.Nullable(false), SqlType.String.Nullable(false)];

    /// <summary>Writes (int8, int8, the second as text).</summary>
    public static void WriteText(RowWriter rows, ulong key, ulong value)
    {
        const int header = (2 * sizeof(ulong)) + sizeof(uint), digitsMax = 20;
        var row = rows.Reserve(header + digitsMax);
        ((ulong*)row)[0] = key;
        ((ulong*)row)[1] = value;
        value.TryFormat(new Span<byte>(row + header, digitsMax), out var digits, default, System.Globalization.CultureInfo.InvariantCulture);
        ((uint*)row)[4] = (uint)(header + digits);
        rows.Commit(header + digits);
    }

    /// <summary>Splits those into the key and <see cref="TextColumns"/>.</summary>
    public static RowKernel SplitText() => KernelCompiler.Compile(
        KernelInput.Whole(RowLayout.For([Int64, Int64, TextColumns[1]])),
        new Mfp(3, [new MirScalarExpr.Literal(Datum.FromString(","), TextColumns[2])], [], ValueArray.Range(4)),
        [new KernelOutput(RowLayout.For([Int64]), [0]), new KernelOutput(RowLayout.For(TextColumns), [1, 2, 3])]);

    public static AggregateExpr Aggregate(AggregateFunc func, ColumnType output) => new(func, [new MirScalarExpr.Column(0)], false, output, [], []);

    /// <summary>Reads (int8, result), of the result's bytes one number.</summary>
    public static ReadColumns Result(ColumnType type, Func<ReadOnlySpan<byte>, ulong> number)
    {
        var layout = RowLayout.For([Int64, type]);
        return (row, columns) =>
        {
            var reader = new RowReader(layout, row);
            columns[0] = (ulong)reader.Int64(0);
            columns[1] = number(reader.Bytes(1));
            return 2;
        };
    }

    /// <summary>The bytes of an eight-byte number.</summary>
    public static ulong Word(ReadOnlySpan<byte> value) => BinaryPrimitives.ReadUInt64LittleEndian(value);

    /// <summary>Of the bytes of a numeric: it times 10 to the <paramref name="places"/>, which must be whole.</summary>
    public static ulong Whole(ReadOnlySpan<byte> value, int places)
    {
        var number = Numeric.Read(value);
        var magnitude = (ulong)number.Low;
        for (var i = number.Scale; i < places; i++)
            magnitude *= 10;
        return number.IsNegative ? 0 - magnitude : magnitude;
    }

    /// <summary>A number of moderate size and 24 binary digits, of 64 random bits.</summary>
    public static (long Mantissa, int Exponent) FloatParts(ulong random) => ((long)(random & 0xFFFFFF) - 0x800000, (int)((random >> 24) % 120) - 60);

    public static ulong Float(ulong random)
    {
        var (mantissa, exponent) = FloatParts(random);
        return (ulong)BitConverter.DoubleToInt64Bits(Math.ScaleB(mantissa, exponent));
    }

    /// <summary>The double nearest to a sum of them, ties to even.</summary>
    public static double FloatSum(IEnumerable<double> numbers)
    {
        const int shift = 1100; // below the least bit of any double
        var sum = System.Numerics.BigInteger.Zero;
        foreach (var number in numbers)
        {
            var bits = BitConverter.DoubleToInt64Bits(number);
            var exponent = (int)((bits >> 52) & 0x7FF);
            var mantissa = (bits & 0xFFFFFFFFFFFFF) | (exponent == 0 ? 0 : 1L << 52);
            sum += new System.Numerics.BigInteger(bits < 0 ? -mantissa : mantissa) << (Math.Max(exponent, 1) - 1075 + shift);
        }

        var size = System.Numerics.BigInteger.Abs(sum);
        var extra = (int)Math.Max(0, (long)size.GetBitLength() - 53);
        var rounded = size >> extra;
        var rest = size - (rounded << extra);
        var half = extra == 0 ? System.Numerics.BigInteger.One : System.Numerics.BigInteger.One << (extra - 1);
        if (rest > half || (rest == half && extra > 0 && !rounded.IsEven))
            rounded += 1;
        var result = Math.ScaleB((double)(ulong)rounded, extra - shift);
        return sum.Sign < 0 ? -result : result;
    }

    /// <summary>The 8 bytes whose order is that of the numbers.</summary>
    public static ulong Ordered(ulong number) => BinaryPrimitives.ReverseEndianness(number);
}
