using Materialize.Compute.Kernels;
using Materialize.Compute.Workers;
using Materialize.Core.Rows;
using Materialize.Dataflow;
using Materialize.Expr;
using Materialize.Protocol;

namespace Materialize.Compute.Render;

/// <summary>What rendering begins from, outside all loops.</summary>
internal static class RenderStart
{
    /// <param name="asOf">The first time that the dataflow shows.</param>
    public static Render<Time> Begin(Scope<Time> scope, ulong asOf) => new(
        scope,
        id => throw new KeyNotFoundException($"there is no collection {id}"),
        (name, rows, diffs) => Feed(scope, asOf, name, rows, diffs));

    /// <summary>
    /// Makes an index of an earlier dataflow part of the collection that it is on. Several indexes of one collection are one bundle with
    /// several arrangements.
    /// </summary>
    public static void Import(this Render<Time> render, Scope<Time> scope, IndexImport import, IndexTrace trace, ulong importAsOf)
    {
        var arranged = new ArrangedCollection<Time>(scope.Import($"index {import.Id}", trace.Rows, importAsOf), trace.Shape);
        var id = new Id.Global(import.Desc.OnId);
        if (render.Known(id) is { } known)
        {
            known.Include(arranged);
            return;
        }

        var errors = scope.Import($"errors of index {import.Id}", trace.Errors, importAsOf)
            .AsStream("errors", RowKernels.CopyKey, Bundle.ErrorShape);
        render.Bind(id, Bundle.OfArrangement(arranged, errors.Ok.Concat(errors.Errors), trace.Columns));
    }

    /// <summary>Fed by worker 0 at the as-of, then closed everywhere: it never changes.</summary>
    private static Rows Feed(Scope<Time> scope, ulong asOf, string name, RowWriter rows, long[] diffs)
    {
        var (input, stream) = scope.NewInput(name, rows.Shape, asOf);
        if (scope.Worker.Index == 0)
            input.Send(rows, [asOf], diffs);
        input.Close();
        return stream;
    }
}
