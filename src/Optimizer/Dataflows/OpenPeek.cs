using Materialize.Core.Collections;
using Materialize.Expr;
using Materialize.Protocol;
using Materialize.Repr;

namespace Materialize.Optimizer;

/// <summary>
/// A read of one index that was planned once for all values of its parameters: what is left for each execution is to put the values
/// into the keys and the filter. Immutable.
/// </summary>
public sealed class OpenPeek
{
    private readonly PeekPlan.FastPathIndex _plan;
    private readonly ValueArray<ColumnType> _input;
    private readonly KeyPart[][]? _keys;
    private readonly bool _mfpIsOpen;

    /// <param name="plan">Without literal keys: they are <paramref name="keys"/>.</param>
    /// <param name="input">Columns of what the index is on.</param>
    internal OpenPeek(
        PeekPlan.FastPathIndex plan, ValueArray<ColumnType> input, ValueArray<ValueArray<MirScalarExpr>>? keys, ValueArray<SqlType> parameters)
    {
        _plan = plan;
        _input = input;
        var types = parameters.Select(p => p.Nullable());
        _keys = keys is { } rows ? [.. rows.Select(row => row.Select(part => KeyPart.Of(part, types)).ToArray())] : null;
        _mfpIsOpen = plan.Mfp.Maps.Any(IsOpen) || plan.Mfp.Predicates.Any(p => IsOpen(p.Expr));
    }

    /// <summary>
    /// Whether <paramref name="plan"/>, made with values, reads the same index in the same way. If it does not, the values matter
    /// to the choice, and planning with them is worth its time.
    /// </summary>
    public bool ReadsAs(PeekPlan plan) =>
        plan is PeekPlan.FastPathIndex x && x.IndexId == _plan.IndexId && x.LiteralKeys is null == _keys is null && x.ResultColumns.Count == _plan.ResultColumns.Count;

    /// <summary>The plan with these values, in order.</summary>
    /// <returns>Null where evaluating the parameters' part of it fails: only planning with the values knows what that means.</returns>
    public PeekPlan? Bind(ReadOnlySpan<Datum> values)
    {
        var mfp = _plan.Mfp;
        if (_mfpIsOpen && BindMfp(values) is var bound)
        {
            if (bound is null)
                return null;
            mfp = bound;
        }

        if (_keys is null)
            return _plan with { Mfp = mfp };
        var keys = new List<ValueArray<Datum>>(_keys.Length);
        foreach (var parts in _keys)
        {
            var key = new Datum[parts.Length];
            var matches = true;
            for (var i = 0; i < key.Length; i++)
            {
                if (!parts[i].TryEval(values, out key[i]))
                    return null;
                // It is compared by =, and nothing is equal to null.
                matches &= !key[i].IsNull;
            }

            var row = ValueArray.Create<Datum>(key);
            if (matches && !keys.Contains(row))
                keys.Add(row);
        }

        return keys.Count == 0
            ? new PeekPlan.Constant(_plan.Plan, [], null, _plan.ResultColumns)
            : _plan with { Mfp = mfp, LiteralKeys = keys.ToValueArray() };
    }

    private static bool IsOpen(MirScalarExpr expr) => expr.Any(e => e is MirScalarExpr.Parameter);

    private Mfp? BindMfp(ReadOnlySpan<Datum> values)
    {
        var datums = values.ToArray();
        var columns = _input;
        var failed = false;
        var maps = new MirScalarExpr[_plan.Mfp.Maps.Count];
        for (var i = 0; i < maps.Length; i++)
        {
            maps[i] = Bound(_plan.Mfp.Maps[i]);
            columns = columns.Add(maps[i].TypeOf(columns));
        }

        var predicates = _plan.Mfp.Predicates.Select(p => p with { Expr = Bound(p.Expr) });
        return failed ? null : _plan.Mfp with { Maps = ValueArray.Create<MirScalarExpr>(maps), Predicates = predicates };

        MirScalarExpr Bound(MirScalarExpr expr)
        {
            if (!IsOpen(expr))
                return expr;
            var bound = expr.Replace(e => e is MirScalarExpr.Parameter p
                ? new MirScalarExpr.Literal(datums[p.Number - 1], p.Type.Nullable(datums[p.Number - 1].IsNull))
                : null).Fold(columns);
            failed |= bound.Any(e => e is MirScalarExpr.LiteralError);
            return bound;
        }
    }

    /// <summary>One part of a key: a literal, a parameter, or a function of parameters.</summary>
    private readonly record struct KeyPart(Datum Literal, int Parameter, ScalarProgram? Program)
    {
        public static KeyPart Of(MirScalarExpr expr, ValueArray<ColumnType> parameters) => expr switch
        {
            MirScalarExpr.Literal x => new KeyPart(x.Value, 0, null),
            MirScalarExpr.Parameter x => new KeyPart(default, x.Number, null),
            _ => new KeyPart(
                default,
                0,
                Interpreter.Prepare(expr.Replace(e => e is MirScalarExpr.Parameter p ? new MirScalarExpr.Column(p.Number - 1) : null), parameters)),
        };

        public bool TryEval(ReadOnlySpan<Datum> values, out Datum value)
        {
            if (Program is not null)
                return Program.TryEval(values, out value) is null;
            value = Parameter > 0 ? values[Parameter - 1] : Literal;
            return true;
        }
    }
}
