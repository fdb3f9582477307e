using System.Linq.Expressions;
using Materialize.Core;
using Materialize.Core.Collections;
using Materialize.Core.Rows;
using Materialize.Repr;

namespace Materialize.Expr.Kernels;

/// <summary>
/// Generates the batch loop of an <see cref="Mfp"/>: typed loads at constant offsets, short-circuits, three-valued logic; no datum,
/// allocation or delegate call per row where every subexpression has a generated form. What has none is interpreted in place, and
/// a row on which anything fails is done again by the interpreter, so a kernel always gives the interpreter's answer.
/// </summary>
/// <remarks>
/// Kernels are cached by their whole shape: layouts, expressions with their constants, outputs. The cache is bounded; a kernel that
/// leaves it lives on with those who run it, and its code and constants go when they do. A first compilation takes some tens of
/// milliseconds, later ones a few: what may be small is better made by <see cref="Tiered"/>.
/// </remarks>
public static class KernelCompiler
{
    /// <summary>Tiered kernels remembered: as many shapes as a large environment's dataflows have.</summary>
    internal const int TieredMax = 1024;

    /// <summary>Compiled ones remembered for others that compile the same; a tiered kernel keeps its own.</summary>
    internal const int CompiledMax = 128;

    private static readonly Lock Gate = new();   // over the two maps, for a lookup at a time
    private static readonly LruMap<Shape, Lazy<RowKernel>> Compiled = new(CompiledMax);
    private static readonly LruMap<Shape, TieredKernel> Tiers = new(TieredMax);

    private sealed record Shape(
        ValueArray<ValueArray<ColumnType>> Parts,
        ValueArray<(int, int)> Columns,
        Mfp Mfp,
        ValueArray<ValueArray<ColumnType>> OutputTypes,
        ValueArray<ValueArray<int>> OutputColumns);

    /// <summary>Kernels in the caches, for tests.</summary>
    internal static (int Compiled, int Tiered) CachedCount
    {
        get
        {
            lock (Gate)
                return (Compiled.Count, Tiers.Count);
        }
    }

    /// <summary>A kernel with one output, whose columns are the Mfp's.</summary>
    /// <exception cref="EvalException">A temporal predicate of a kind that bounds no times.</exception>
    public static RowKernel Compile(KernelInput input, Mfp mfp, RowLayout output) =>
        Compile(input, mfp, [new KernelOutput(output, ValueArray.Range(mfp.OutputArity))]);

    /// <summary>
    /// A kernel with several outputs, of which each input appends to all or none. Nullability of an output column may be wider
    /// than the value's, never narrower. With temporal predicates, <see cref="KernelIo.ValidFrom"/> and
    /// <see cref="KernelIo.ValidUntil"/> are written where they are not null.
    /// </summary>
    /// <exception cref="EvalException">A temporal predicate of a kind that bounds no times.</exception>
    public static RowKernel Compile(KernelInput input, Mfp mfp, ValueArray<KernelOutput> outputs)
    {
        TemporalFilters.Split(mfp);
        var shape = ShapeOf(input, mfp, outputs);
        Lazy<RowKernel>? kernel;
        lock (Gate)
        {
            if (!Compiled.TryGet(shape, out kernel))
                Compiled.Set(shape, kernel = new Lazy<RowKernel>(() => Generate(input, mfp, [.. outputs])));
        }

        return kernel.Value;
    }

    /// <summary>
    /// As <see cref="Compile(KernelInput, Mfp, ValueArray{KernelOutput})"/>, but the first rows are interpreted: nothing is compiled
    /// unless there is much to do.
    /// </summary>
    /// <exception cref="EvalException">A temporal predicate of a kind that bounds no times.</exception>
    public static RowKernel Tiered(KernelInput input, Mfp mfp, ValueArray<KernelOutput> outputs)
    {
        var shape = ShapeOf(input, mfp, outputs);
        lock (Gate)
        {
            if (Tiers.TryGet(shape, out var cached))
                return cached.Kernel;
        }

        // Two threads may make one each: both are right, and the later stays.
        var kernel = new TieredKernel(input, MfpProgram.Prepare(mfp, input.Types), [.. outputs], CompileAndRunOnce);
        lock (Gate)
            Tiers.Set(shape, kernel);
        return kernel.Kernel;

        unsafe RowKernel CompileAndRunOnce()
        {
            // Over no rows: machine code is made at the first call, and that must not be a worker's.
            var compiled = Compile(input, mfp, outputs);
            compiled(new KernelIo { Parts = new nint*[input.Parts.Count], Outputs = new RowWriter[outputs.Count] });
            return compiled;
        }
    }

    /// <summary>
    /// Splits the output of an Mfp into key and value rows: the key's columns are <paramref name="key"/>, over the Mfp's output;
    /// the value's are the output columns <paramref name="values"/>.
    /// </summary>
    /// <returns>The kernel, with outputs key and value, and their layouts.</returns>
    public static (RowKernel Kernel, RowLayout Key, RowLayout Value) CompileKeyValue(
        KernelInput input, Mfp mfp, ValueArray<MirScalarExpr> key, ValueArray<int> values)
    {
        var builder = MfpBuilder.From(mfp);
        builder.Map(key);
        var arity = mfp.OutputArity;
        builder.Project([.. Enumerable.Range(arity, key.Count), .. values]);
        var split = builder.Build();
        var types = MfpProgram.Prepare(split, input.Types).Output;
        var keyLayout = RowLayout.For([.. types.Take(key.Count)]);
        var valueLayout = RowLayout.For([.. types.Skip(key.Count)]);
        var kernel = Compile(input, split,
        [
            new KernelOutput(keyLayout, ValueArray.Range(key.Count)),
            new KernelOutput(valueLayout, [.. Enumerable.Range(key.Count, values.Count)]),
        ]);
        return (kernel, keyLayout, valueLayout);
    }

    private static Shape ShapeOf(KernelInput input, Mfp mfp, ValueArray<KernelOutput> outputs)
    {
        Invariant.Check(input.Columns.Count == mfp.InputArity, "a kernel's input has the columns that its Mfp expects");
        return new Shape(
            input.Parts.Select(p => p.Columns), input.Columns, mfp, outputs.Select(o => o.Layout.Columns), outputs.Select(o => o.Columns));
    }

    private static RowKernel Generate(KernelInput input, Mfp mfp, KernelOutput[] outputs)
    {
        var program = MfpProgram.Prepare(mfp, input.Types);
        var (plain, bounds) = TemporalFilters.Split(mfp);
        var io = Expression.Parameter(typeof(KernelIo), "io");
        var index = Expression.Variable(typeof(int), "i");
        var count = Expression.Variable(typeof(int), "count");
        var emitted = Expression.Variable(typeof(int), "emitted");
        var selected = Expression.Variable(typeof(long), "selected");
        var addresses = Variables("part", input.Parts.Count, typeof(long));
        var rows = Variables("row", input.Parts.Count, typeof(long));
        var writers = Variables("writer", outputs.Length, typeof(RowWriter));
        var next = Expression.Label("next");
        var emitter = new ScalarEmitter(input, program, rows, io, index);

        // The order of steps is the interpreter's: predicates as soon as their columns are known, plain ones first.
        var times = new TimeBounds(emitter, next, bounds.Count > 0);
        for (var known = mfp.InputArity; known <= program.Columns.Count; known++)
        {
            foreach (var predicate in plain.Where(p => Math.Max(p.Before, mfp.InputArity) == known))
                emitter.Filter(predicate.Expr, next);
            foreach (var bound in bounds.Where(b => Math.Max(b.Before, mfp.InputArity) == known))
                times.Narrow(bound);
            if (known < program.Columns.Count)
                emitter.Map(mfp.Maps[known - mfp.InputArity]);
        }

        times.Finish();
        for (var i = 0; i < outputs.Length; i++)
            OutputRow.Emit(emitter, writers[i], outputs[i].Layout, [.. outputs[i].Columns.Select(c => mfp.Projection[c])], input, rows);

        var slow = new SlowPath(input, program, outputs);
        var selectedSlot = Expression.Add(selected, Expression.Convert(Expression.Multiply(emitted, Expression.Constant(sizeof(int))), typeof(long)));
        var done = Expression.Label("done");
        var loop = Expression.Label("loop");
        List<Expression> body =
        [
            Expression.Assign(count, Expression.Field(io, nameof(KernelIo.Count))),
            Expression.Assign(selected, ScalarEmitter.Runtime(nameof(KernelRuntime.SelectedAddress), io)),
            Expression.Assign(Expression.Field(io, nameof(KernelIo.ErrorsEmitted)), Expression.Constant(0)),
            Expression.Assign(emitted, Expression.Constant(0)),
            Expression.Assign(index, Expression.Constant(0)),
            .. addresses.Select((a, p) => Expression.Assign(a, ScalarEmitter.Runtime(nameof(KernelRuntime.PartAddresses), io, Expression.Constant(p)))),
            .. writers.Select((w, o) => Expression.Assign(w, Expression.ArrayIndex(Expression.Field(io, nameof(KernelIo.Outputs)), Expression.Constant(o)))),
            Expression.Label(loop),
            Expression.IfThen(Expression.GreaterThanOrEqual(index, count), Expression.Goto(done)),
            .. rows.Select((r, p) => Expression.Assign(
                r, ScalarEmitter.Read(typeof(long), Expression.Add(addresses[p], Expression.Convert(Expression.Multiply(index, Expression.Constant(sizeof(long))), typeof(long)))))),
            emitter.UsesScratch ? ScalarEmitter.Runtime(nameof(KernelRuntime.NextRow)) : Expression.Empty(),
            .. emitter.Body,
            times.Write(io, emitted),
            Expression.IfThen(Expression.NotEqual(selected, Expression.Constant(0L)), ScalarEmitter.Write(selectedSlot, index)),
            Expression.PreIncrementAssign(emitted),
            Expression.Goto(next),
            Expression.Label(emitter.Slow),
            Expression.IfThen(
                Expression.Equal(Expression.Call(Expression.Constant(slow), nameof(SlowPath.Run), null, io, index, emitted), Expression.Constant(1)),
                Expression.PreIncrementAssign(emitted)),
            Expression.Label(next),
            Expression.PreIncrementAssign(index),
            Expression.Goto(loop),
            Expression.Label(done),
            Expression.Assign(Expression.Field(io, nameof(KernelIo.Emitted)), emitted),

            // The code has the literals' addresses in it: they live as long as it does.
            Expression.Call(typeof(GC), nameof(GC.KeepAlive), null, Expression.Constant(emitter.Literals, typeof(object))),
        ];
        var block = Expression.Block(typeof(void), [index, count, emitted, selected, .. addresses, .. rows, .. writers, .. emitter.Variables], body);
        return Expression.Lambda<RowKernel>(block, io).Compile();
    }

    private static ParameterExpression[] Variables(string name, int count, Type type) =>
        [.. Enumerable.Range(0, count).Select(i => Expression.Variable(type, $"{name}{i}"))];

    /// <summary>The times between which a row is present, if the Mfp bounds them.</summary>
    private sealed class TimeBounds
    {
        private readonly ScalarEmitter _emitter;
        private readonly LabelTarget _drop;
        private readonly ParameterExpression? _from;
        private readonly ParameterExpression? _until;

        public TimeBounds(ScalarEmitter emitter, LabelTarget drop, bool any)
        {
            _emitter = emitter;
            _drop = drop;
            if (!any)
                return;
            _from = emitter.Stored(Expression.Constant(0UL));
            _until = emitter.Stored(Expression.Constant(ulong.MaxValue));
        }

        public void Narrow(TemporalBound bound)
        {
            var value = _emitter.Emit(bound.Bound);
            if (value.IsNull is { } isNull)
                _emitter.Body.Add(Expression.IfThen(isNull, Expression.Goto(_drop)));
            var time = _emitter.Stored(value.Value);
            var narrow = _emitter.Nested(() =>
            {
                if (bound.PlusOne)
                    _emitter.Body.Add(Expression.PreIncrementAssign(time));
                _emitter.Body.Add(bound.IsLower
                    ? Expression.IfThen(Expression.GreaterThan(time, _from!), Expression.Assign(_from!, time))
                    : Expression.IfThen(Expression.LessThan(time, _until!), Expression.Assign(_until!, time)));
            });
            if (!bound.PlusOne)
            {
                _emitter.Body.Add(narrow);
                return;
            }

            // After the last time there is none: never, or for ever.
            _emitter.Body.Add(Expression.IfThenElse(
                Expression.Equal(time, Expression.Constant(ulong.MaxValue)), bound.IsLower ? Expression.Goto(_drop) : Expression.Empty(), narrow));
        }

        public void Finish()
        {
            if (_from is not null)
                _emitter.Body.Add(Expression.IfThen(Expression.GreaterThanOrEqual(_from, _until!), Expression.Goto(_drop)));
        }

        public Expression Write(Expression io, Expression emitted)
        {
            var offset = Expression.Convert(Expression.Multiply(emitted, Expression.Constant(sizeof(ulong))), typeof(long));
            return Expression.Block(
                typeof(void),
                Slot(nameof(KernelRuntime.ValidFromAddress), _from ?? (Expression)Expression.Constant(0UL)),
                Slot(nameof(KernelRuntime.ValidUntilAddress), _until ?? (Expression)Expression.Constant(ulong.MaxValue)));

            Expression Slot(string address, Expression value)
            {
                var start = ScalarEmitter.Runtime(address, io);
                return Expression.IfThen(Expression.NotEqual(start, Expression.Constant(0L)), ScalarEmitter.Write(Expression.Add(start, offset), value));
            }
        }
    }
}
