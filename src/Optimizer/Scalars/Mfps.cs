using Materialize.Core.Collections;
using Materialize.Expr;
using Materialize.Repr;

namespace Materialize.Optimizer;

/// <summary>Building, composing and tidying <see cref="Mfp"/>s.</summary>
public static class Mfps
{
    /// <summary>A column read more than once is inlined again only while the expression stays this small.</summary>
    private const int InlineSizeMax = 64;

    /// <summary><paramref name="mfp"/>, then these columns appended.</summary>
    public static Mfp Map(this Mfp mfp, IEnumerable<MirScalarExpr> scalars)
    {
        var maps = mfp.Maps.ToList();
        var projection = mfp.Projection.ToList();
        foreach (var scalar in scalars)
        {
            var expr = scalar.Permute(i => projection[i]);
            if (expr is MirScalarExpr.Column c)
            {
                projection.Add(c.Index);
            }
            else
            {
                projection.Add(mfp.InputArity + maps.Count);
                maps.Add(expr);
            }
        }

        return mfp with { Maps = maps.ToValueArray(), Projection = projection.ToValueArray() };
    }

    /// <summary><paramref name="mfp"/>, then only the rows for which the predicates are true.</summary>
    public static Mfp Filter(this Mfp mfp, IEnumerable<MirScalarExpr> predicates)
    {
        var all = mfp.Predicates.ToList();
        foreach (var predicate in predicates.SelectMany(p => p.Conjuncts()))
        {
            var expr = predicate.Permute(i => mfp.Projection[i]);
            var before = Math.Max(mfp.InputArity, expr.Support().LastOrDefault(-1) + 1);
            if (!expr.IsLiteralTrue() && !all.Any(p => p.Expr == expr))
                all.Add(new MfpPredicate(before, expr));
        }

        return mfp with { Predicates = all.OrderBy(p => p.Before).ToValueArray() };
    }

    /// <summary><paramref name="mfp"/>, then these of its columns.</summary>
    public static Mfp Project(this Mfp mfp, ValueArray<int> outputs) => mfp with { Projection = outputs.Select(i => mfp.Projection[i]) };

    /// <summary><paramref name="first"/>, then <paramref name="second"/>.</summary>
    public static Mfp Then(this Mfp first, Mfp second)
    {
        var result = first;
        var done = 0;

        // Predicates go in as early as the second has them, so that they guard the maps behind them as before.
        foreach (var predicate in second.Predicates)
        {
            var upTo = predicate.Before - second.InputArity;
            if (upTo > done)
            {
                result = result.Map(second.Maps.AsSpan()[done..upTo].ToArray());
                done = upTo;
            }

            result = result.Filter([predicate.Expr]);
        }

        result = result.Map(second.Maps.AsSpan()[done..].ToArray());
        return result.Project(second.Projection);
    }

    /// <summary>The maps, filters and projects on top of a relation, as one, and what is below them.</summary>
    public static (Mfp Mfp, MirRelationExpr Input) Extract(MirRelationExpr expr)
    {
        switch (expr)
        {
            case MirRelationExpr.Map x:
                var (mfp, input) = Extract(x.Input);
                return (mfp.Map(x.Scalars), input);
            case MirRelationExpr.Filter x:
                (mfp, input) = Extract(x.Input);
                return (mfp.Filter(x.Predicates), input);
            case MirRelationExpr.Project x:
                (mfp, input) = Extract(x.Input);
                return (mfp.Project(x.Outputs), input);
            default:
                return (Mfp.Identity(expr.Arity()), expr);
        }
    }

    /// <summary>The relation with <paramref name="mfp"/> on top, as map, filter and project nodes: each predicate as low as it can be.</summary>
    public static MirRelationExpr Apply(this Mfp mfp, MirRelationExpr input)
    {
        var result = input;
        var done = 0;
        foreach (var group in mfp.Predicates.GroupBy(p => p.Before))
        {
            var upTo = group.Key - mfp.InputArity;
            if (upTo > done)
                result = new MirRelationExpr.Map(result, mfp.Maps.AsSpan()[done..upTo].ToArray().ToValueArray());
            done = Math.Max(done, upTo);
            result = new MirRelationExpr.Filter(result, group.Select(p => p.Expr).ToValueArray());
        }

        if (done < mfp.Maps.Count)
            result = new MirRelationExpr.Map(result, mfp.Maps.AsSpan()[done..].ToArray().ToValueArray());
        return mfp.Projection == ValueArray.Range(mfp.InputArity + mfp.Maps.Count) ? result : new MirRelationExpr.Project(result, mfp.Projection);
    }

    /// <summary>The columns of the input that it reads.</summary>
    public static SortedSet<int> Demand(this Mfp mfp)
    {
        var columns = new SortedSet<int>(mfp.Projection);
        foreach (var map in mfp.Maps)
            map.AddSupport(columns);
        foreach (var predicate in mfp.Predicates)
            predicate.Expr.AddSupport(columns);
        columns.RemoveWhere(c => c >= mfp.InputArity);
        return columns;
    }

    /// <summary>The same on an input of which only some columns are left; column <c>i</c> is now <paramref name="place"/><c>(i)</c>.</summary>
    public static Mfp PermuteInput(this Mfp mfp, int newArity, Func<int, int> place)
    {
        int Move(int column) => column < mfp.InputArity ? place(column) : column - mfp.InputArity + newArity;
        return new Mfp(
            newArity,
            mfp.Maps.Select(m => m.Permute(Move)),
            mfp.Predicates.Select(p => new MfpPredicate(Math.Max(newArity, p.Before - mfp.InputArity + newArity), p.Expr.Permute(Move))),
            mfp.Projection.Select(Move));
    }

    /// <summary>
    /// The same function of rows with less work: maps that nothing reads are gone, those that are read once (or are cheap) are inlined,
    /// equal ones are shared, predicates stand as early as they can, those that cannot fail first.
    /// </summary>
    public static Mfp Optimize(this Mfp mfp)
    {
        var expanded = new List<MirScalarExpr>();
        var places = new Dictionary<MirScalarExpr, int>();
        var alias = new int[mfp.InputArity + mfp.Maps.Count];
        for (var i = 0; i < mfp.InputArity; i++)
            alias[i] = i;

        // Equal maps become one.
        for (var i = 0; i < mfp.Maps.Count; i++)
        {
            var expr = mfp.Maps[i].Permute(c => alias[c]);
            if (expr is MirScalarExpr.Column c)
                alias[mfp.InputArity + i] = c.Index;
            else if (places.TryGetValue(expr, out var place))
                alias[mfp.InputArity + i] = place;
            else
            {
                place = mfp.InputArity + expanded.Count;
                places.Add(expr, place);
                alias[mfp.InputArity + i] = place;
                expanded.Add(expr);
            }
        }

        var predicates = mfp.Predicates.Select(p => p.Expr.Permute(c => alias[c])).AsEnumerable().Distinct().ToList();
        var projection = mfp.Projection.Select(c => alias[c]);

        // Count uses; from the last map back, so that a dead map does not keep another alive.
        var uses = new int[mfp.InputArity + expanded.Count];
        var projected = new bool[uses.Length];
        foreach (var column in projection)
        {
            uses[column]++;
            projected[column] = true;
        }

        foreach (var predicate in predicates)
            CountUses(predicate, uses);
        for (var i = expanded.Count - 1; i >= 0; i--)
        {
            if (uses[mfp.InputArity + i] > 0)
                CountUses(expanded[i], uses);
        }

        // Inline what is read once by another expression, and literals; a guarded expression must not move in front of its guard,
        // and inlining only ever moves evaluation later.
        var inlined = new MirScalarExpr?[uses.Length];
        var kept = new List<MirScalarExpr>();
        var moved = new int[uses.Length];
        for (var i = 0; i < mfp.InputArity; i++)
            moved[i] = i;
        for (var i = 0; i < expanded.Count; i++)
        {
            var column = mfp.InputArity + i;
            if (uses[column] == 0)
                continue;
            var expr = expanded[i].MapColumns(c => inlined[c] ?? new MirScalarExpr.Column(moved[c]));
            var cheap = expr.IsLiteral() && !projected[column];
            if (cheap || (uses[column] == 1 && !projected[column] && expr.Size() <= InlineSizeMax))
            {
                inlined[column] = expr;
            }
            else
            {
                moved[column] = mfp.InputArity + kept.Count;
                kept.Add(expr);
            }
        }

        var result = new Mfp(mfp.InputArity, kept.ToValueArray(), [], projection.Select(c => moved[c]));
        var rewritten = predicates.Select(p => p.MapColumns(c => inlined[c] ?? new MirScalarExpr.Column(moved[c])))
            .Where(p => !p.IsLiteralTrue())
            .Select(p => new MfpPredicate(Math.Max(mfp.InputArity, p.Support().LastOrDefault(-1) + 1), p))
            .OrderBy(p => p.Before)
            .ThenBy(p => p.Expr.CouldError());
        return result with { Predicates = rewritten.ToValueArray() };
    }

    /// <summary>Types of the output for an input of these types; predicates that reject null make columns not null.</summary>
    public static ValueArray<ColumnType> TypeOf(this Mfp mfp, ValueArray<ColumnType> input)
    {
        var columns = input;
        var next = 0;
        foreach (var predicate in mfp.Predicates)
        {
            for (; next < predicate.Before - mfp.InputArity; next++)
                columns = columns.Add(mfp.Maps[next].TypeOf(columns));
            foreach (var column in predicate.Expr.Support())
            {
                if (columns[column].IsNullable && predicate.Expr.RejectsNull(column))
                    columns = columns.Set(column, columns[column] with { IsNullable = false });
            }
        }

        for (; next < mfp.Maps.Count; next++)
            columns = columns.Add(mfp.Maps[next].TypeOf(columns));
        var all = columns;
        return mfp.Projection.Select(c => all[c]);
    }

    private static void CountUses(MirScalarExpr expr, int[] uses)
    {
        if (expr is MirScalarExpr.Column c)
            uses[c.Index]++;
        else
        {
            foreach (var child in expr.Children)
                CountUses(child, uses);
        }
    }
}
