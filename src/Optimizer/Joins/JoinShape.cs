using Materialize.Core.Collections;
using Materialize.Expr;

namespace Materialize.Optimizer;

/// <summary>Where the columns of a join's inputs lie in the concatenation of all.</summary>
public sealed class JoinShape
{
    private readonly int[] _inputOf;

    public JoinShape(IEnumerable<int> arities)
    {
        Arities = arities.ToValueArray();
        var offsets = new int[Arities.Count + 1];
        for (var i = 0; i < Arities.Count; i++)
            offsets[i + 1] = offsets[i] + Arities[i];
        Offsets = ValueArray.Create<int>(offsets);
        _inputOf = new int[offsets[^1]];
        for (var i = 0; i < Arities.Count; i++)
            Array.Fill(_inputOf, i, offsets[i], Arities[i]);
    }

    public JoinShape(MirRelationExpr.Join join) : this(join.Inputs.Select(i => i.Arity()))
    {
    }

    public ValueArray<int> Arities { get; }

    /// <summary>First column of each input; one more for the total.</summary>
    public ValueArray<int> Offsets { get; }

    public int Count => Arities.Count;

    public int Arity => Offsets[Count];

    public int InputOf(int column) => _inputOf[column];

    /// <summary>The inputs that the expression reads.</summary>
    public SortedSet<int> Inputs(MirScalarExpr expr) => [.. expr.Support().Select(InputOf)];

    /// <summary>The one input that the expression reads, or -1 if there are none or several.</summary>
    public int SingleInput(MirScalarExpr expr)
    {
        var inputs = Inputs(expr);
        return inputs.Count == 1 ? inputs.Min : -1;
    }

    public bool IsOver(MirScalarExpr expr, ISet<int> inputs) => expr.SupportAll(c => inputs.Contains(InputOf(c)));

    /// <summary>An expression over input <paramref name="input"/>'s own columns, from one over all.</summary>
    public MirScalarExpr ToLocal(MirScalarExpr expr, int input) => expr.Shift(-Offsets[input]);

    public MirScalarExpr ToGlobal(MirScalarExpr expr, int input) => expr.Shift(Offsets[input]);

    /// <summary>
    /// The expressions of <paramref name="input"/> (over its own columns) that are equal to something the <paramref name="bound"/>
    /// inputs know, in order of the equivalences.
    /// </summary>
    public ValueArray<MirScalarExpr> LookupKey(int input, ISet<int> bound, ValueArray<ValueArray<MirScalarExpr>> equivalences)
    {
        var key = new List<MirScalarExpr>();
        foreach (var members in equivalences)
        {
            if (members.FirstOrDefault(m => SingleInput(m) == input) is { } own && members.Any(m => IsOver(m, bound)))
            {
                var local = ToLocal(own, input);
                if (!key.Contains(local))
                    key.Add(local);
            }
        }

        return key.ToValueArray();
    }

    /// <summary>What <paramref name="key"/> (a lookup key of <paramref name="input"/>) equals on the side of the <paramref name="bound"/> inputs; null if a part has no partner.</summary>
    public ValueArray<MirScalarExpr>? StreamKey(int input, ValueArray<MirScalarExpr> key, ISet<int> bound, ValueArray<ValueArray<MirScalarExpr>> equivalences)
    {
        var stream = new List<MirScalarExpr>();
        foreach (var part in key)
        {
            var global = ToGlobal(part, input);
            var partner = equivalences.Where(members => members.Contains(global))
                .SelectMany(members => members)
                .Where(m => IsOver(m, bound))
                .OrderBy(m => m is MirScalarExpr.Column ? 0 : 1)
                .FirstOrDefault();
            if (partner is null)
                return null;
            stream.Add(partner);
        }

        return stream.ToValueArray();
    }
}
