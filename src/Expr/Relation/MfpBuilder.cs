using Materialize.Core.Collections;
using Materialize.Repr;

namespace Materialize.Expr;

/// <summary>
/// Builds an <see cref="Mfp"/> step by step; expressions of each step are over the columns as the steps before left them. Steps
/// compose: a projection only renumbers, so that map, filter and project in any order become one Mfp.
/// </summary>
public sealed class MfpBuilder
{
    private readonly int _inputArity;
    private readonly List<MirScalarExpr> _maps;
    private readonly List<MfpPredicate> _predicates;
    private List<int> _projection;

    private MfpBuilder(Mfp mfp)
    {
        _inputArity = mfp.InputArity;
        _maps = [.. mfp.Maps];
        _predicates = [.. mfp.Predicates];
        _projection = [.. mfp.Projection];
    }

    /// <summary>Columns at this point.</summary>
    public int Arity => _projection.Count;

    public static MfpBuilder Identity(int arity) => new(Mfp.Identity(arity));

    public static MfpBuilder From(Mfp mfp) => new(mfp);

    /// <summary>Appends columns; each may refer to those appended before it.</summary>
    public MfpBuilder Map(IEnumerable<MirScalarExpr> exprs)
    {
        foreach (var expr in exprs)
        {
            _maps.Add(Renumber(expr, _projection));
            _projection.Add(_inputArity + _maps.Count - 1);
        }

        return this;
    }

    /// <summary>Keeps rows for which every predicate is true. A predicate is placed as early as its columns allow.</summary>
    public MfpBuilder Filter(IEnumerable<MirScalarExpr> predicates)
    {
        foreach (var predicate in predicates)
        {
            var expr = Renumber(predicate, _projection);
            _predicates.Add(new MfpPredicate(Needs(expr), expr));
        }

        return this;
    }

    /// <summary>Keeps these columns, in this order.</summary>
    public MfpBuilder Project(IEnumerable<int> columns)
    {
        _projection = [.. columns.Select(c => _projection[c])];
        return this;
    }

    /// <summary>Continues with another Mfp over the columns at this point.</summary>
    public MfpBuilder Then(Mfp mfp)
    {
        // Steps of the second keep their order among each other: a predicate that guards a map still comes before it.
        var known = new List<int>(_projection);
        var predicates = mfp.Predicates.GetEnumerator();
        var pending = predicates.MoveNext();
        for (var i = 0; i <= mfp.Maps.Count; i++)
        {
            while (pending && predicates.Current.Before <= mfp.InputArity + i)
            {
                var expr = Renumber(predicates.Current.Expr, known);
                _predicates.Add(new MfpPredicate(_inputArity + _maps.Count, expr));
                pending = predicates.MoveNext();
            }

            if (i == mfp.Maps.Count)
                break;
            _maps.Add(Renumber(mfp.Maps[i], known));
            known.Add(_inputArity + _maps.Count - 1);
        }

        _projection = [.. mfp.Projection.Select(c => known[c])];
        return this;
    }

    public Mfp Build() => new(_inputArity, _maps.ToValueArray(), _predicates.OrderBy(p => p.Before).ToValueArray(), _projection.ToValueArray());

    /// <summary>Columns (inputs, then maps) that must be known for an expression.</summary>
    private int Needs(MirScalarExpr expr)
    {
        var highest = -1;
        Visit(expr);
        return Math.Max(_inputArity, highest + 1);

        void Visit(MirScalarExpr e)
        {
            if (e is MirScalarExpr.Column column)
                highest = Math.Max(highest, column.Index);
            foreach (var child in e.Children)
                Visit(child);
        }
    }

    private static MirScalarExpr Renumber(MirScalarExpr expr, List<int> columns) =>
        expr is MirScalarExpr.Column column ? new MirScalarExpr.Column(columns[column.Index]) : expr.MapChildren(e => Renumber(e, columns));
}
