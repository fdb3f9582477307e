using System.Runtime.InteropServices;
using BenchmarkDotNet.Attributes;
using Materialize.Core.Collections;
using Materialize.Core.Rows;
using Materialize.Expr;
using Materialize.Expr.Kernels;
using Materialize.Repr;

namespace Materialize.Micro.Kernels;

/// <summary>
/// SELECT a + b, c WHERE b &gt; 0 AND a &lt;&gt; 7, by generated code and by the interpreter: with b that may be null and a text c, and with three numbers. Operation: a row.
/// </summary>
public class ExpressionBenchmarks : IDisposable
{
    private readonly Selection _mixed = new(SqlType.Int64.Nullable(), SqlType.String.Nullable(), i => Datum.FromString($"row {i}"));
    private readonly Selection _numbers = new(SqlType.Int64.Nullable(false), SqlType.Int64.Nullable(false), i => Datum.FromInt64(i));

    [GlobalSetup]
    public void Setup()
    {
        if (Generated() != Interpreted() || Numbers_generated() != Numbers_interpreted() || Numbers_by_hand() != Numbers_generated())
            throw new InvalidOperationException("two ways give different rows");
    }

    [Benchmark(OperationsPerInvoke = KernelIo.Capacity)]
    public int Generated() => _mixed.Run(_mixed.Kernel);

    [Benchmark(OperationsPerInvoke = KernelIo.Capacity)]
    public int Interpreted() => _mixed.Interpret();

    [Benchmark(OperationsPerInvoke = KernelIo.Capacity)]
    public int Numbers_generated() => _numbers.Run(_numbers.Kernel);

    [Benchmark(OperationsPerInvoke = KernelIo.Capacity)]
    public int Numbers_interpreted() => _numbers.Interpret();

    [Benchmark(OperationsPerInvoke = KernelIo.Capacity)]
    public int Numbers_by_hand() => _numbers.Run(ByHand);

    [GlobalCleanup]
    public void Dispose()
    {
        _mixed.Dispose();
        _numbers.Dispose();
        GC.SuppressFinalize(this);
    }

    private static unsafe void ByHand(KernelIo io)
    {
        var n = 0;
        for (var i = 0; i < io.Count; i++)
        {
            var row = (long*)io.Parts[0][i];
            if (row[1] <= 0 || row[0] == 7)
                continue;
            var to = (long*)io.Outputs[0].Reserve(16);
            to[0] = checked(row[0] + row[1]);
            to[1] = row[2];
            io.Outputs[0].Commit(16);
            io.Selected[n++] = i;
        }

        io.Emitted = n;
    }

    /// <summary>The query over a batch of rows of these types.</summary>
    private sealed unsafe class Selection : IDisposable
    {
        private readonly ValueArray<ColumnType> _columns;
        private readonly RowLayout _layout;
        private readonly RowLayout _resultLayout;
        private readonly RowWriter _rows;
        private readonly RowWriter _interpreted;
        private readonly KernelIo _io = new();
        private readonly Mfp _mfp;

        public Selection(ColumnType b, ColumnType c, Func<int, Datum> third)
        {
            _columns = [SqlType.Int64.Nullable(false), b, c];
            _layout = RowLayout.For(_columns);
            _resultLayout = RowLayout.For([b, c]);
            _rows = new RowWriter(_layout.Shape);
            _interpreted = new RowWriter(_resultLayout.Shape);
            var random = new Random(1);
            for (var i = 0; i < KernelIo.Capacity; i++)
                RowCodec.Pack(_layout, [Datum.FromInt64(i), b.IsNullable && random.Next(10) == 0 ? Datum.Null : Datum.FromInt64(random.Next(-1, 4)), third(i)], _rows);

            static MirScalarExpr.Call Call(ScalarFunc func, SqlType type, params MirScalarExpr[] args) => new(func, [.. args], type);
            static MirScalarExpr Int(long value) => new MirScalarExpr.Literal(Datum.FromInt64(value), SqlType.Int64.Nullable(false));
            var (first, second) = (new MirScalarExpr.Column(0), new MirScalarExpr.Column(1));
            _mfp = MfpBuilder.Identity(3)
                .Filter([Call(ScalarFunctions.Gt, SqlType.Bool, second, Int(0)), Call(ScalarFunctions.NotEq, SqlType.Bool, first, Int(7))])
                .Map([Call(ScalarFunctions.ById("add_int8"), SqlType.Int64, first, second)])
                .Project([3, 2]).Build();
            Kernel = KernelCompiler.Compile(KernelInput.Whole(_layout), _mfp, _resultLayout);
            _io.Parts = new nint*[1];
            _io.Parts[0] = (nint*)NativeMemory.Alloc(KernelIo.Capacity * (nuint)sizeof(nint));
            for (var i = 0; i < _rows.Count; i++)
                _io.Parts[0][i] = (nint)_rows.AddressOf(i);
            _io.Selected = (int*)NativeMemory.Alloc(KernelIo.Capacity * sizeof(int));
            _io.ErrorSelected = (int*)NativeMemory.Alloc(KernelIo.Capacity * sizeof(int));
            _io.Outputs = [new RowWriter(_resultLayout.Shape)];
            _io.Errors = new RowWriter(RowShape.Variable);
        }

        public RowKernel Kernel { get; }

        public int Run(RowKernel kernel)
        {
            _io.Outputs[0].Clear();
            _io.Count = KernelIo.Capacity;
            _io.Emitted = _io.ErrorsEmitted = 0;
            kernel(_io);
            return _io.Emitted;
        }

        public int Interpret()
        {
            _interpreted.Clear();
            var values = new Datum[4];
            var types = _columns.Add(_columns[1]);
            for (var i = 0; i < _rows.Count; i++)
            {
                RowCodec.Unpack(_layout, _rows[i], values.AsSpan(0, 3));
                if (!_mfp.Predicates.All(p => Interpreter.Eval(p.Expr, types, values) is { IsNull: false, AsBool: true }))
                    continue;
                values[3] = Interpreter.Eval(_mfp.Maps[0], types, values);
                RowCodec.Pack(_resultLayout, [values[3], values[2]], _interpreted);
            }

            return _interpreted.Count;
        }

        public void Dispose()
        {
            _rows.Dispose();
            _interpreted.Dispose();
            _io.Outputs[0].Dispose();
            _io.Errors?.Dispose();
            NativeMemory.Free(_io.Parts[0]);
            NativeMemory.Free(_io.Selected);
            NativeMemory.Free(_io.ErrorSelected);
        }
    }
}
