using Materialize.Core.Rows;
using Materialize.Repr;

namespace Materialize.Expr.Kernels;

/// <summary>
/// A subexpression without generated form: unpacks the columns it needs, recomputes the maps it needs, interprets. Immutable but
/// for the thread's buffer.
/// </summary>
public sealed class InterpretedSite
{
    [ThreadStatic]
    private static Datum[]? _buffer;

    private readonly KernelInput _input;
    private readonly int[] _inputs;
    private readonly (int Column, ScalarProgram Program)[] _maps;
    private readonly ScalarProgram _program;
    private readonly SqlType _type;
    private readonly int _arity;

    internal InterpretedSite(KernelInput input, MfpProgram mfp, MirScalarExpr expr)
    {
        _input = input;
        _arity = mfp.Columns.Count;
        _type = expr.TypeOf(mfp.Columns).Type;
        _program = Interpreter.Prepare(expr, mfp.Columns);
        var needed = new SortedSet<int>();
        Collect(expr);
        _inputs = [.. needed.Where(c => c < mfp.Mfp.InputArity)];
        _maps = [.. needed.Where(c => c >= mfp.Mfp.InputArity).Select(c => (c, Interpreter.Prepare(mfp.Mfp.Maps[c - mfp.Mfp.InputArity], mfp.Columns)))];

        void Collect(MirScalarExpr e)
        {
            if (e is MirScalarExpr.Column column && needed.Add(column.Index) && column.Index >= mfp.Mfp.InputArity)
                Collect(mfp.Mfp.Maps[column.Index - mfp.Mfp.InputArity]);
            foreach (var child in e.Children)
                Collect(child);
        }
    }

    /// <summary>Evaluates over input <paramref name="index"/> of a call; false if it fails.</summary>
    public unsafe bool TryRun(KernelIo io, int index, out Datum value)
    {
        if (_buffer is null || _buffer.Length < _arity)
            _buffer = new Datum[_arity];
        var row = _buffer.AsSpan(0, _arity);
        foreach (var column in _inputs)
        {
            var (part, at) = _input.Columns[column];
            var layout = _input.Parts[part];
            row[column] = new RowReader(layout, RowLengths.Row(layout, io.Parts[part][index])).Datum(at);
        }

        foreach (var (column, program) in _maps)
        {
            if (program.TryEval(row, out row[column]) is not null)
            {
                value = default;
                return false;
            }
        }

        return _program.TryEval(row, out value) is null;
    }

    /// <summary>For a variable-width result: its bytes, kept until the next row.</summary>
    public long Bytes(Datum value, out int length)
    {
        length = 0;
        if (value.IsNull)
            return 0;
        var buffer = new System.Buffers.ArrayBufferWriter<byte>();
        ValueCodec.Write(_type, value, buffer);
        length = buffer.WrittenCount;
        return KernelRuntime.Keep(buffer.WrittenSpan);
    }

    public static bool IsNull(Datum value) => value.IsNull;

    public static bool AsBool(Datum value) => value.AsBool;

    public static long AsInt64(Datum value) => value.AsInt64;

    public static ulong AsUInt64(Datum value) => value.AsUInt64;

    public static double AsDouble(Datum value) => value.AsDouble;

    public static Numeric AsNumeric(Datum value) => value.IsNull ? default : value.AsNumeric;

    public static Interval AsInterval(Datum value) => value.AsInterval;

    public static UInt128 AsUuid(Datum value) => value.AsUuid;
}

/// <summary>Runs one whole row through the interpreter: for rows on which generated code met a failure.</summary>
public sealed class SlowPath
{
    private readonly KernelInput _input;
    private readonly MfpProgram _program;
    private readonly KernelOutput[] _outputs;

    internal SlowPath(KernelInput input, MfpProgram program, KernelOutput[] outputs)
    {
        _input = input;
        _program = program;
        _outputs = outputs;
    }

    /// <summary>Appends the row or error of input <paramref name="index"/>; the kernel counts.</summary>
    /// <returns>0 for neither, 1 for a row, 2 for an error.</returns>
    public unsafe int Run(KernelIo io, int index, int emitted)
    {
        var row = new Datum[_program.Columns.Count];
        for (var column = 0; column < _input.Columns.Count; column++)
        {
            var (part, at) = _input.Columns[column];
            var layout = _input.Parts[part];
            row[column] = new RowReader(layout, RowLengths.Row(layout, io.Parts[part][index])).Datum(at);
        }

        switch (_program.Run(row, out var from, out var until, out var error))
        {
            case MfpOutcome.Failed:
                io.Errors!.Append(EvalErrorCodec.Encode(error!));
                if (io.ErrorSelected is not null)
                    io.ErrorSelected[io.ErrorsEmitted] = index;
                io.ErrorsEmitted++;
                return 2;
            case MfpOutcome.Dropped:
                return 0;
        }

        for (var i = 0; i < _outputs.Length; i++)
        {
            var values = new Datum[_outputs[i].Columns.Count];
            for (var c = 0; c < values.Length; c++)
                values[c] = row[_program.Mfp.Projection[_outputs[i].Columns[c]]];
            RowCodec.Pack(_outputs[i].Layout, values, io.Outputs[i]);
        }

        if (io.Selected is not null)
            io.Selected[emitted] = index;
        if (io.ValidFrom is not null)
            io.ValidFrom[emitted] = from;
        if (io.ValidUntil is not null)
            io.ValidUntil[emitted] = until;
        return 1;
    }
}
