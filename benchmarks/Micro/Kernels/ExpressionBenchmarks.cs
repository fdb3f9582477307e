using System.Runtime.InteropServices;
using BenchmarkDotNet.Attributes;
using Materialize.Core.Collections;
using Materialize.Core.Rows;
using Materialize.Expr;
using Materialize.Expr.Kernels;
using Materialize.Repr;

namespace Materialize.Micro.Kernels;

/// <summary>SELECT a + b, c WHERE b &gt; 0 AND a &lt;&gt; 7, by generated code and by the interpreter. Operation: a row.</summary>
public unsafe class ExpressionBenchmarks
{
    private static readonly ValueArray<ColumnType> Columns = [SqlType.Int64.Nullable(false), SqlType.Int64.Nullable(), SqlType.String.Nullable()];
    private static readonly ValueArray<ColumnType> Results = [SqlType.Int64.Nullable(), SqlType.String.Nullable()];
    private static readonly RowLayout Layout = RowLayout.For(Columns);
    private static readonly RowLayout ResultLayout = RowLayout.For(Results);

    private readonly RowWriter _rows = new(Layout.Shape);
    private readonly KernelIo _io = new();
    private readonly RowWriter _interpreted = new(ResultLayout.Shape);
    private RowKernel _kernel = null!;
    private Mfp _mfp = null!;

    [GlobalSetup]
    public void Setup()
    {
        var random = new Random(1);
        for (var i = 0; i < KernelIo.Capacity; i++)
        {
            Datum b = random.Next(10) == 0 ? Datum.Null : Datum.FromInt64(random.Next(-1, 4));
            RowCodec.Pack(Layout, [Datum.FromInt64(i), b, Datum.FromString($"row {i}")], _rows);
        }

        static MirScalarExpr.Call Call(ScalarFunc func, SqlType type, params MirScalarExpr[] args) => new(func, [.. args], type);
        static MirScalarExpr Int(long value) => new MirScalarExpr.Literal(Datum.FromInt64(value), SqlType.Int64.Nullable(false));
        var (a, b1) = (new MirScalarExpr.Column(0), new MirScalarExpr.Column(1));
        _mfp = MfpBuilder.Identity(3)
            .Filter([Call(ScalarFunctions.Gt, SqlType.Bool, b1, Int(0)), Call(ScalarFunctions.NotEq, SqlType.Bool, a, Int(7))])
            .Map([Call(ScalarFunctions.ById("add_int8"), SqlType.Int64, a, b1)])
            .Project([3, 2]).Build();
        _kernel = KernelCompiler.Compile(KernelInput.Whole(Layout), _mfp, ResultLayout);
        _io.Parts = new nint*[1];
        _io.Parts[0] = (nint*)NativeMemory.Alloc(KernelIo.Capacity * (nuint)sizeof(nint));
        for (var i = 0; i < _rows.Count; i++)
            _io.Parts[0][i] = (nint)_rows.AddressOf(i);
        _io.Selected = (int*)NativeMemory.Alloc(KernelIo.Capacity * sizeof(int));
        _io.ErrorSelected = (int*)NativeMemory.Alloc(KernelIo.Capacity * sizeof(int));
        _io.Outputs = [new RowWriter(ResultLayout.Shape)];
        _io.Errors = new RowWriter(RowShape.Variable);
        if (Generated() != Interpreted())
            throw new InvalidOperationException("the two differ");
    }

    [Benchmark(OperationsPerInvoke = KernelIo.Capacity)]
    public int Generated()
    {
        _io.Outputs[0].Clear();
        _io.Count = KernelIo.Capacity;
        _io.Emitted = _io.ErrorsEmitted = 0;
        _kernel(_io);
        return _io.Emitted;
    }

    [Benchmark(Baseline = true, OperationsPerInvoke = KernelIo.Capacity)]
    public int Interpreted()
    {
        _interpreted.Clear();
        var values = new Datum[4];
        var types = Columns.Add(SqlType.Int64.Nullable());
        for (var i = 0; i < _rows.Count; i++)
        {
            RowCodec.Unpack(Layout, _rows[i], values.AsSpan(0, 3));
            if (!_mfp.Predicates.All(p => Interpreter.Eval(p.Expr, types, values) is { IsNull: false, AsBool: true }))
                continue;
            values[3] = Interpreter.Eval(_mfp.Maps[0], types, values);
            RowCodec.Pack(ResultLayout, [values[3], values[2]], _interpreted);
        }

        return _interpreted.Count;
    }
}
