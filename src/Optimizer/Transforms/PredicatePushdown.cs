using System.Diagnostics;
using Materialize.Core.Collections;
using Materialize.Expr;
using Materialize.Repr;

namespace Materialize.Optimizer;

/// <summary>
/// <c>filter[p](f(a)) = f(filter[p'](a))</c> wherever p can be said of f's inputs. In joins, equations become equivalences; what is known
/// of one member of a class (a literal it equals, a predicate over it) is said of the others in their own inputs.
/// </summary>
public sealed class PredicatePushdown : ITransform
{
    /// <summary>A predicate that grows beyond this when maps are written into it stays above them.</summary>
    private const int SizeMax = 100;

    public string Name => "predicate_pushdown";

    public MirRelationExpr Apply(MirRelationExpr plan, TransformContext context) => Push(plan, []);

    private static MirRelationExpr Push(MirRelationExpr expr, IReadOnlyList<MirScalarExpr> predicates)
    {
        switch (expr)
        {
            case MirRelationExpr.Filter x:
                return Push(x.Input, [.. x.Predicates.SelectMany(p => p.Conjuncts()).Concat(predicates).Distinct()]);
            case MirRelationExpr.Project x:
                return x with { Input = Push(x.Input, [.. predicates.Select(p => p.Permute(x.Outputs))]) };
            case MirRelationExpr.Let x:
                return x with { Value = Push(x.Value, []), Body = Push(x.Body, predicates) };
            case MirRelationExpr.Map x:
                return PushMap(x, predicates);
            case MirRelationExpr.FlatMap x:
                return PushWhere(x, predicates, p => p.SupportAll(c => c < x.Input.Arity()), p => p);
            case MirRelationExpr.Join x:
                return PushJoin(x, predicates);
            case MirRelationExpr.Reduce x:
                return PushWhere(
                    x,
                    predicates,
                    p => x.GroupKey.Count > 0 && p.Support().Count > 0 && p.SupportAll(c => c < x.GroupKey.Count),
                    p => p.MapColumns(c => x.GroupKey[c]));
            case MirRelationExpr.TopK x:
                return PushWhere(x, predicates, p => p.Support().Count > 0 && p.SupportAll(c => x.GroupKey.Contains(c)), p => p);
            case MirRelationExpr.Window x:
                return PushWhere(x, predicates, p => p.Support().Count > 0 && p.SupportAll(c => x.PartitionKey.Contains(c)), p => p);
            case MirRelationExpr.Negate or MirRelationExpr.Threshold or MirRelationExpr.Union:
                return expr.MapInputs(input => Push(input, predicates));
            case MirRelationExpr.ArrangeBy:
                return Filter(expr.MapInputs(input => Push(input, [])), predicates);
            case MirRelationExpr.Get or MirRelationExpr.Constant:
                return Filter(expr, predicates);
            default:
                throw new UnreachableException(expr.GetType().Name);
        }
    }

    private static MirRelationExpr Filter(MirRelationExpr input, IReadOnlyCollection<MirScalarExpr> predicates)
    {
        var left = predicates.Where(p => !p.IsLiteralTrue()).Distinct().ToValueArray();
        return left.IsEmpty ? input : new MirRelationExpr.Filter(input, left);
    }

    private static MirRelationExpr PushWhere(
        MirRelationExpr node, IReadOnlyList<MirScalarExpr> predicates, Func<MirScalarExpr, bool> mayPass, Func<MirScalarExpr, MirScalarExpr> below)
    {
        var passing = predicates.Where(mayPass).Select(below).ToList();
        return Filter(node.MapInputs(input => Push(input, passing)), [.. predicates.Where(p => !mayPass(p))]);
    }

    private static MirRelationExpr PushMap(MirRelationExpr.Map map, IReadOnlyList<MirScalarExpr> predicates)
    {
        var arity = map.Input.Arity();
        var isLeaf = Mfps.Extract(map.Input).Input is MirRelationExpr.Get or MirRelationExpr.Constant;
        var identity = Mfp.Identity(arity).Map(map.Scalars);
        var columns = Inlining.Outputs(identity);
        var below = new List<MirScalarExpr>();
        var above = new List<MirScalarExpr>();
        foreach (var predicate in predicates)
        {
            if (predicate.SupportAll(c => c < arity))
            {
                below.Add(predicate);
                continue;
            }

            // On a leaf nothing is gained by computing the mapped value in the predicate once more, unless it is as cheap as a column.
            var isCheap = predicate.SupportAll(c => c < arity || map.Scalars[c - arity] is MirScalarExpr.Column or MirScalarExpr.Literal);
            if (columns is { } all && (isCheap || !isLeaf) && predicate.MapColumns(c => all[c]) is var written && (isCheap || written.Size() <= SizeMax))
                below.Add(written);
            else
                above.Add(predicate);
        }

        return Filter(map with { Input = Push(map.Input, below) }, above);
    }

    private static MirRelationExpr PushJoin(MirRelationExpr.Join join, IReadOnlyList<MirScalarExpr> predicates)
    {
        var shape = new JoinShape(join);
        var types = join.Inputs.SelectMany(i => i.TypeOf().Columns).ToValueArray();
        var equivalences = join.Equivalences.ToList();
        var local = join.Inputs.Select(_ => new List<MirScalarExpr>());
        var above = new List<MirScalarExpr>();

        foreach (var predicate in predicates)
        {
            if (shape.SingleInput(predicate) is >= 0 and var input)
                local[input].Add(predicate);
            else if (predicate is MirScalarExpr.Call call && call.Func == ScalarFunctions.Eq && !predicate.ContainsMzNow())
                equivalences.Add(call.Args);
            else
                above.Add(predicate);
        }

        // What inputs say of their own columns is known of all columns; literals they equal join the classes.
        var known = new HashSet<MirScalarExpr>();
        for (var i = 0; i < join.Inputs.Count; i++)
            known.UnionWith(KnownPredicates.Of(join.Inputs[i]).Select(p => shape.ToGlobal(p, i)));
        known.UnionWith(local.SelectMany(l => l).Where(p => !p.ContainsMzNow()));

        var classes = JoinEquivalences.Canonicalize(equivalences, m => m.TypeOf(types).IsNullable).ToList();
        foreach (var equality in known.OfType<MirScalarExpr.Call>().Where(c => c.Func == ScalarFunctions.Eq))
        {
            for (var side = 0; side < 2; side++)
            {
                if (equality.Args[1 - side] is not MirScalarExpr.Literal literal)
                    continue;
                var c = classes.FindIndex(members => members.Contains(equality.Args[side]) && !members.Contains(literal));
                if (c >= 0)
                    classes[c] = classes[c].Add(literal);
            }
        }

        foreach (var predicate in known)
            SayOfOthers(predicate);
        for (var c = classes.Count - 1; c >= 0; c--)
            PushLiterals(c);
        foreach (var members in classes)
            RequireValues(members);

        var inputs = join.Inputs.Select((input, i) => Push(input, [.. local[i].Select(p => shape.ToLocal(p, i)).Distinct()])).ToValueArray();
        var result = join with { Inputs = inputs, Equivalences = JoinEquivalences.Canonicalize(classes, m => m.TypeOf(types).IsNullable) };
        return Filter(result, above);

        void Say(int input, MirScalarExpr predicate)
        {
            if (!known.Contains(predicate) && !local[input].Contains(predicate))
                local[input].Add(predicate);
        }

        // p(a) and a = b: p(b), in b's input, when all that p reads has a partner there.
        void SayOfOthers(MirScalarExpr predicate)
        {
            var own = shape.SingleInput(predicate);
            if (own < 0 || predicate.CouldError() || IsNotNull(predicate))
                return;
            for (var other = 0; other < join.Inputs.Count; other++)
            {
                if (other == own)
                    continue;
                var partners = predicate.Support().ToDictionary(c => c, c => classes
                    .Where(members => members.Contains(ScalarExprs.Column(c)))
                    .SelectMany(members => members)
                    .FirstOrDefault(m => m is MirScalarExpr.Column && shape.SingleInput(m) == other));
                if (partners.Values.All(p => p is not null))
                    Say(other, predicate.MapColumns(c => partners[c]!));
            }
        }

        // a = b = 5: a = 5 and b = 5, each in its input; the class then has no more to say of them.
        void PushLiterals(int c)
        {
            var members = classes[c];
            var literal = members.FirstOrDefault(m => m is MirScalarExpr.Literal { Value.IsNull: false });
            if (literal is null || members.Any(m => m.IsLiteralNull()))
                return;
            var left = new List<MirScalarExpr> { literal };
            foreach (var member in members)
            {
                if (member == literal)
                    continue;
                if (shape.SingleInput(member) is >= 0 and var input)
                    Say(input, ScalarExprs.Eq(member, literal));
                else if (member is MirScalarExpr.Literal { Value.IsNull: false })
                    above.Add(ScalarExprs.Eq(member, literal));
                else
                    left.Add(member);
            }

            if (left.Count > 1)
                classes[c] = left.ToValueArray();
            else
                classes.RemoveAt(c);
        }

        // Equal members are not null: worth saying where a branch of the input is padded with nulls.
        void RequireValues(ValueArray<MirScalarExpr> members)
        {
            foreach (var member in members)
            {
                if (member is MirScalarExpr.Column column && types[column.Index].IsNullable && shape.InputOf(column.Index) is var input
                    && MayBePadded(join.Inputs[input], column.Index - shape.Offsets[input]))
                {
                    Say(input, ScalarExprs.IsNotNull(member));
                }
            }
        }
    }

    /// <summary>The join itself says this of its classes; as a filter it would only stand between the join and an index.</summary>
    private static bool IsNotNull(MirScalarExpr predicate) =>
        predicate is MirScalarExpr.Call call && call.Func == ScalarFunctions.Not && call.Args[0].IsCallOf(ScalarFunctions.IsNull);

    /// <summary>Whether some branch of the relation has the literal null in the column: the outer part of an outer join.</summary>
    private static bool MayBePadded(MirRelationExpr expr, int column) => expr switch
    {
        MirRelationExpr.Map x => x.Input.Arity() is var arity && column >= arity
            ? x.Scalars[column - arity].IsLiteralNull()
            : MayBePadded(x.Input, column),
        MirRelationExpr.Project x => MayBePadded(x.Input, x.Outputs[column]),
        MirRelationExpr.Filter x => MayBePadded(x.Input, column),
        MirRelationExpr.Union x => MayBePadded(x.Base, column) || x.Inputs.Any(i => MayBePadded(i, column)),
        MirRelationExpr.Join x => new JoinShape(x) is var shape && shape.InputOf(column) is var input
            && MayBePadded(x.Inputs[input], column - shape.Offsets[input]),
        _ => false,
    };
}
