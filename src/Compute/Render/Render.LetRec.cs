using Materialize.Compute.Kernels;
using Materialize.Dataflow;
using Materialize.Expr;
using Materialize.Protocol;
using Materialize.Repr;

namespace Materialize.Compute.Render;

// Mutually recursive collections: a loop of the engine with a variable for each. Before its definition a collection is its variable, which
// is what the definition was a round ago; after it, the definition itself: which gives the order in which a round is evaluated. What is
// outside the loop enters it where it is first named; arrangements are made again inside, because their times are others.
//
// Errors go round too, as a set: an error that a collection keeps from round to round is one error, not one more in each.
internal sealed partial class Render<TTime>
{
    private Bundle<TTime> LetRec(LirRelationExpr.LetRec node)
    {
        if (TTime.Depth >= Stamp.DepthMax)
            throw new UnsupportedPlanException($"WITH MUTUALLY RECURSIVE nested more than {Stamp.DepthMax} deep is not supported");
        var loop = scope.NewLoop();
        var inner = new Render<Iterated<TTime>>(loop.Inner, id => Enter(loop, Collection(id)), (name, rows, diffs) => loop.Enter(Feed(name, rows, diffs)));
        var variables = node.Bindings.Select(b => (
            Rows: loop.NewVariable(RowLayout.For(b.Value.Columns).Shape, b.Limit?.RoundsMax - 1),
            Errors: loop.NewVariable(Bundle.ErrorShape, b.Limit?.RoundsMax - 1)));
        for (var i = 0; i < variables.Count; i++)
        {
            inner.Bind(
                new Id.Local(node.Bindings[i].LocalId),
                Bundle<Iterated<TTime>>.OfStream(variables[i].Rows.Value, variables[i].Errors.Value, node.Bindings[i].Value.Columns));
        }

        var defined = new List<Bundle<Iterated<TTime>>>();
        for (var i = 0; i < variables.Count; i++)
        {
            var binding = node.Bindings[i];
            var value = inner.Plan(binding.Value);
            var rows = variables[i].Rows.Set(value.OkAs(binding.Value.Columns));
            var errors = variables[i].Errors.Set(value.Errors.Distinct("distinct errors"));
            defined.Add(Bundle<Iterated<TTime>>.OfStream(rows, errors, binding.Value.Columns));
            inner.Bind(new Id.Local(binding.LocalId), defined[i]);
        }

        var hidden = node.Bindings.Select(b => (Id: (Id)new Id.Local(b.LocalId), Outer: _collections.GetValueOrDefault(new Id.Local(b.LocalId))));
        var exceeded = new List<Stream<TTime>>();
        for (var i = 0; i < variables.Count; i++)
        {
            if (node.Bindings[i].Limit is { ReturnsAtLimit: false } limit)
                exceeded.Add(Exceeded(loop, variables[i].Rows, limit));
        }

        for (var i = 0; i < variables.Count; i++)
        {
            var errors = loop.Leave(defined[i].Errors);
            _collections[hidden[i].Id] = Bundle<TTime>.OfStream(loop.Leave(defined[i].Ok), errors.Concat([.. exceeded]), defined[i].Columns);
        }

        var body = Plan(node.Body);
        foreach (var (id, outer) in hidden)
        {
            if (outer is null)
                _collections.Remove(id);
            else
                _collections[id] = outer;
        }

        return body;
    }

    private static Bundle<Iterated<TTime>> Enter(Loop<TTime> loop, Bundle<TTime> bundle)
    {
        var rows = loop.Enter(bundle.Ok);
        return Bundle<Iterated<TTime>>.OfStream(rows, loop.Enter(bundle.Errors), bundle.Columns);
    }

    /// <summary>The error, while there are changes that the limit stopped: rows of either sign, so that one in and one out do not cancel.</summary>
    private Stream<TTime> Exceeded(Loop<TTime> loop, LoopVariable<TTime> variable, RecursionLimit limit)
    {
        var stopped = loop.Leave(variable.BeyondLimit);
        var any = stopped.Distinct("more than the limit").Concat(stopped.Negate().Distinct("less than the limit"));
        var error = any.Map("recursion limit", RowKernels.Always(limit.Exceeded), Bundle.ErrorShape);
        return error.Ok.Distinct("recursion limit").Concat(error.Errors);
    }
}
