using System.Diagnostics;
using System.Runtime.CompilerServices;
using Materialize.Core.Collections;
using Materialize.Repr;

namespace Materialize.Expr;

/// <summary>
/// Evaluates expressions over datums, as plainly as possible: the meaning that generated code is held to. Serves constant
/// folding, one-off evaluation, and those parts of an expression that have no generated form.
/// </summary>
/// <remarks>
/// Arguments are evaluated in order, all of them: the first that fails decides. Of AND and OR, an argument that decides the
/// result (false, true) wins over failures and nulls of the others, so that their order does not matter. IF and COALESCE
/// evaluate only what they need.
/// </remarks>
public static class Interpreter
{
    /// <summary>The value of <paramref name="expr"/> over <paramref name="row"/>, a value for each of <paramref name="columns"/>.</summary>
    /// <exception cref="EvalException">It fails on this row.</exception>
    public static Datum Eval(MirScalarExpr expr, ValueArray<ColumnType> columns, ReadOnlySpan<Datum> row) => Prepare(expr, columns).Eval(row);

    /// <summary>The value of an expression without columns.</summary>
    /// <exception cref="EvalException">It fails.</exception>
    public static Datum Eval(MirScalarExpr expr) => Eval(expr, [], []);

    /// <summary>As <see cref="Eval(MirScalarExpr, ValueArray{ColumnType}, ReadOnlySpan{Datum})"/>, with the error as data.</summary>
    /// <returns>Null if <paramref name="value"/> is the value.</returns>
    public static EvalError? TryEval(MirScalarExpr expr, ValueArray<ColumnType> columns, ReadOnlySpan<Datum> row, out Datum value) =>
        Prepare(expr, columns).TryEval(row, out value);

    /// <summary>Resolves types once, to evaluate over many rows.</summary>
    public static ScalarProgram Prepare(MirScalarExpr expr, ValueArray<ColumnType> columns)
    {
        RuntimeHelpers.EnsureSufficientExecutionStack();
        switch (expr)
        {
            case MirScalarExpr.Column x:
                return new ScalarProgram.ColumnNode(x.Index);
            case MirScalarExpr.Literal x:
                return new ScalarProgram.LiteralNode(x.Value);
            case MirScalarExpr.LiteralError x:
                return new ScalarProgram.ErrorNode(x.Error);
            case MirScalarExpr.If x:
                return new ScalarProgram.IfNode(Prepare(x.Condition, columns), Prepare(x.Then, columns), Prepare(x.Else, columns));
            case MirScalarExpr.CallUnmaterializable x:
                return new ScalarProgram.ErrorNode(new EvalError("XX000", $"{x.Func} cannot be evaluated here"));
            case MirScalarExpr.Call x:
                var args = new ScalarProgram[x.Args.Count];
                for (var i = 0; i < args.Length; i++)
                    args[i] = Prepare(x.Args[i], columns);
                if (x.Func == ScalarFunctions.And || x.Func == ScalarFunctions.Or)
                    return new ScalarProgram.AndOrNode(args, decides: x.Func == ScalarFunctions.Or);
                if (x.Func == ScalarFunctions.Coalesce)
                    return new ScalarProgram.CoalesceNode(args);
                var types = new SqlType[args.Length];
                for (var i = 0; i < args.Length; i++)
                    types[i] = x.Args[i].TypeOf(columns).Type;
                return new ScalarProgram.CallNode(x.Func, args, types, x.Output);
            default:
                // A parameter has no value here: whoever evaluates has bound it before.
                throw new UnreachableException(expr.GetType().Name);
        }
    }
}

/// <summary>An expression with its types resolved. Immutable; evaluates on any thread.</summary>
public abstract class ScalarProgram
{
    private ScalarProgram()
    {
    }

    /// <exception cref="EvalException">It fails on this row.</exception>
    public abstract Datum Eval(ReadOnlySpan<Datum> row);

    /// <returns>Null if <paramref name="value"/> is the value, else why there is none.</returns>
    public EvalError? TryEval(ReadOnlySpan<Datum> row, out Datum value)
    {
        try
        {
            value = Eval(row);
            return null;
        }
        catch (EvalException e)
        {
            value = default;
            return e.Error;
        }
    }

    internal sealed class ColumnNode(int index) : ScalarProgram
    {
        public override Datum Eval(ReadOnlySpan<Datum> row) => row[index];
    }

    internal sealed class LiteralNode(Datum value) : ScalarProgram
    {
        public override Datum Eval(ReadOnlySpan<Datum> row) => value;
    }

    internal sealed class ErrorNode(EvalError error) : ScalarProgram
    {
        public override Datum Eval(ReadOnlySpan<Datum> row) => throw new EvalException(error);
    }

    internal sealed class IfNode(ScalarProgram condition, ScalarProgram then, ScalarProgram otherwise) : ScalarProgram
    {
        public override Datum Eval(ReadOnlySpan<Datum> row)
        {
            var value = condition.Eval(row);
            return !value.IsNull && value.AsBool ? then.Eval(row) : otherwise.Eval(row);
        }
    }

    /// <summary>AND is decided by false, OR by true.</summary>
    internal sealed class AndOrNode(ScalarProgram[] args, bool decides) : ScalarProgram
    {
        public override Datum Eval(ReadOnlySpan<Datum> row)
        {
            EvalException? failure = null;
            var anyNull = false;
            foreach (var arg in args)
            {
                try
                {
                    var value = arg.Eval(row);
                    if (value.IsNull)
                        anyNull = true;
                    else if (value.AsBool == decides)
                        return value;
                }
                catch (EvalException e)
                {
                    failure ??= e;
                }
            }

            if (failure is not null)
                throw failure;
            return anyNull ? Datum.Null : Datum.FromBool(!decides);
        }
    }

    internal sealed class CoalesceNode(ScalarProgram[] args) : ScalarProgram
    {
        public override Datum Eval(ReadOnlySpan<Datum> row)
        {
            foreach (var arg in args)
            {
                var value = arg.Eval(row);
                if (!value.IsNull)
                    return value;
            }

            return Datum.Null;
        }
    }

    internal sealed class CallNode : ScalarProgram
    {
        private readonly ScalarFunc _func;
        private readonly ScalarImplementation _implementation;
        private readonly ScalarProgram[] _args;
        private readonly SqlType[] _types;
        private readonly SqlType _output;

        public CallNode(ScalarFunc func, ScalarProgram[] args, SqlType[] types, SqlType output)
        {
            _func = func;
            _implementation = func.Implementation ?? throw new UnreachableException($"{func.Id} has no implementation");
            _args = args;
            _types = types;
            _output = output;
        }

        public override Datum Eval(ReadOnlySpan<Datum> row)
        {
            RuntimeHelpers.EnsureSufficientExecutionStack();
            var buffer = default(Arguments);
            var values = _args.Length <= Arguments.Length ? ((Span<Datum>)buffer)[.._args.Length] : new Datum[_args.Length];
            var anyNull = false;
            for (var i = 0; i < values.Length; i++)
            {
                values[i] = _args[i].Eval(row);
                anyNull |= values[i].IsNull;
            }

            if (anyNull && _func.PropagatesNulls)
                return Datum.Null;
            try
            {
                return _implementation(values, _types, _output);
            }
            catch (TextFormatException e)
            {
                throw new EvalException(new EvalError(e.SqlState, e.Message));
            }
        }
    }

    [InlineArray(Length)]
    private struct Arguments
    {
        public const int Length = 4;
        private Datum _first;
    }
}
