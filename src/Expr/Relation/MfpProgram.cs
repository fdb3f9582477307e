using Materialize.Core.Collections;
using Materialize.Repr;

namespace Materialize.Expr;

/// <summary>What an Mfp makes of one row.</summary>
public enum MfpOutcome
{
    /// <summary>Some predicate is not true.</summary>
    Dropped,
    Kept,
    Failed,
}

/// <summary>An Mfp with its types resolved, for evaluation over datums: the meaning that kernels are held to.</summary>
/// <remarks>
/// Steps run in the order of the columns they need: a predicate as soon as its columns are known, then the next map. The first
/// that fails or drops the row decides.
/// </remarks>
public sealed class MfpProgram
{
    private readonly (ScalarProgram? Map, ScalarProgram? Predicate, TemporalBound? Bound)[] _steps;

    private MfpProgram(Mfp mfp, ValueArray<ColumnType> columns, (ScalarProgram?, ScalarProgram?, TemporalBound?)[] steps)
    {
        Mfp = mfp;
        Columns = columns;
        _steps = steps;
    }

    public Mfp Mfp { get; }

    /// <summary>Types of the inputs, then of the maps.</summary>
    public ValueArray<ColumnType> Columns { get; }

    /// <summary>Types of the output.</summary>
    public ValueArray<ColumnType> Output => Mfp.Projection.Select(c => Columns[c]);

    /// <exception cref="EvalException">A temporal predicate of a kind that bounds no times.</exception>
    public static MfpProgram Prepare(Mfp mfp, ValueArray<ColumnType> input)
    {
        var (plain, bounds) = TemporalFilters.Split(mfp);
        var columns = input;
        foreach (var map in mfp.Maps)
            columns = columns.Add(map.TypeOf(columns));
        var steps = new List<(ScalarProgram?, ScalarProgram?, TemporalBound?)>();
        for (var known = mfp.InputArity; known <= columns.Count; known++)
        {
            // Everything that needs no more than the known columns, in the order given; a predicate may ask for fewer than the inputs.
            foreach (var predicate in plain.Where(p => Math.Max(p.Before, mfp.InputArity) == known))
                steps.Add((null, Interpreter.Prepare(predicate.Expr, columns), null));
            foreach (var bound in bounds.Where(b => Math.Max(b.Before, mfp.InputArity) == known))
                steps.Add((null, Interpreter.Prepare(bound.Bound, columns), bound));
            if (known < columns.Count)
                steps.Add((Interpreter.Prepare(mfp.Maps[known - mfp.InputArity], columns), null, null));
        }

        return new MfpProgram(mfp, columns, [.. steps]);
    }

    /// <summary>Runs over one row.</summary>
    /// <param name="row">The inputs in front; room for every map behind them, which this fills.</param>
    /// <param name="validFrom">From when on the row is present.</param>
    /// <param name="validUntil">Until before when; <see cref="ulong.MaxValue"/> for ever.</param>
    /// <param name="error">Why, if it failed.</param>
    public MfpOutcome Run(Span<Datum> row, out ulong validFrom, out ulong validUntil, out EvalError? error)
    {
        validFrom = 0;
        validUntil = ulong.MaxValue;
        error = null;
        var next = Mfp.InputArity;
        foreach (var (map, predicate, bound) in _steps)
        {
            error = (map ?? predicate)!.TryEval(row, out var value);
            if (error is not null)
                return MfpOutcome.Failed;
            if (map is not null)
                row[next++] = value;
            else if (value.IsNull || (bound is null && !value.AsBool))
                return MfpOutcome.Dropped;
            else if (bound is not null && !Narrow(bound, value.AsUInt64, ref validFrom, ref validUntil))
                return MfpOutcome.Dropped;
        }

        return validFrom < validUntil ? MfpOutcome.Kept : MfpOutcome.Dropped;
    }

    /// <summary>The output columns of a row that <see cref="Run"/> kept; null if it was dropped.</summary>
    /// <exception cref="EvalException">It failed.</exception>
    public Datum[]? Eval(ReadOnlySpan<Datum> input)
    {
        var row = new Datum[Columns.Count];
        input.CopyTo(row);
        return Run(row, out _, out _, out var error) switch
        {
            MfpOutcome.Kept => [.. Mfp.Projection.Select(c => row[c])],
            MfpOutcome.Failed => throw new EvalException(error!),
            _ => null,
        };
    }

    private static bool Narrow(TemporalBound bound, ulong time, ref ulong validFrom, ref ulong validUntil)
    {
        if (bound.PlusOne)
        {
            if (time == ulong.MaxValue)
                return !bound.IsLower;
            time++;
        }

        if (bound.IsLower)
            validFrom = Math.Max(validFrom, time);
        else
            validUntil = Math.Min(validUntil, time);
        return true;
    }
}
