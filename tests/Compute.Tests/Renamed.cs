using Materialize.Expr;
using Materialize.Protocol;
using Materialize.Repr;

namespace Materialize.Compute.Tests;

/// <summary>A dataflow with other ids: many queries, each planned as if it were alone, run on one replica.</summary>
internal static class Renamed
{
    public static DataflowDescription Apply(DataflowDescription dataflow, Func<GlobalId, GlobalId> rename) => dataflow with
    {
        SourceImports = dataflow.SourceImports.Select(i => i with { Id = rename(i.Id) }),
        IndexImports = dataflow.IndexImports.Select(i => i with { Id = rename(i.Id), Desc = i.Desc with { OnId = rename(i.Desc.OnId) } }),
        Objects = dataflow.Objects.Select(o => new BuildDesc(rename(o.Id), Apply(o.Plan, rename))),
        IndexExports = dataflow.IndexExports.Select(i => i with { Id = rename(i.Id), Desc = i.Desc with { OnId = rename(i.Desc.OnId) } }),
        SinkExports = dataflow.SinkExports.Select(s => s with { Id = rename(s.Id), From = rename(s.From) }),
    };

    private static LirRelationExpr Apply(LirRelationExpr plan, Func<GlobalId, GlobalId> rename)
    {
        LirRelationExpr Go(LirRelationExpr p) => Apply(p, rename);
        return plan switch
        {
            LirRelationExpr.Get { Id: Id.Global id } x => x with { Id = new Id.Global(rename(id.GlobalId)) },
            LirRelationExpr.Let x => x with { Value = Go(x.Value), Body = Go(x.Body) },
            LirRelationExpr.LetRec x => x with { Bindings = x.Bindings.Select(b => b with { Value = Go(b.Value) }), Body = Go(x.Body) },
            LirRelationExpr.MapFilterProject x => x with { Input = Go(x.Input) },
            LirRelationExpr.FlatMap x => x with { Input = Go(x.Input) },
            LirRelationExpr.Join x => x with { Inputs = x.Inputs.Select(Go) },
            LirRelationExpr.Reduce x => x with { Input = Go(x.Input) },
            LirRelationExpr.TopK x => x with { Input = Go(x.Input) },
            LirRelationExpr.Window x => x with { Input = Go(x.Input) },
            LirRelationExpr.Negate x => x with { Input = Go(x.Input) },
            LirRelationExpr.Threshold x => x with { Input = Go(x.Input) },
            LirRelationExpr.Union x => x with { Inputs = x.Inputs.Select(Go) },
            LirRelationExpr.ArrangeBy x => x with { Input = Go(x.Input) },
            _ => plan,
        };
    }
}
