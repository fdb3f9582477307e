using Materialize.Compute.Kernels;
using Materialize.Compute.Workers;
using Materialize.Dataflow;
using Materialize.Expr;
using Materialize.Protocol;

namespace Materialize.Compute.Render;

internal sealed partial class Render
{
    /// <summary>
    /// Makes an index of an earlier dataflow part of the collection that it is on. Several indexes of one collection are one bundle with
    /// several arrangements.
    /// </summary>
    public void Import(IndexImport import, IndexTrace trace, ulong importAsOf)
    {
        var arranged = new ArrangedCollection(scope.Import($"index {import.Id}", trace.Rows, importAsOf), trace.Shape);
        var id = new Id.Global(import.Desc.OnId);
        if (_collections.TryGetValue(id, out var known))
        {
            known.Include(arranged);
            return;
        }

        var errors = scope.Import($"errors of index {import.Id}", trace.Errors, importAsOf)
            .AsStream("errors", RowKernels.CopyKey, Bundle.ErrorShape);
        Bind(id, Bundle.OfArrangement(arranged, errors.Ok.Concat(errors.Errors), trace.Columns));
    }
}
