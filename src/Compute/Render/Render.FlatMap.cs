using Materialize.Compute.Kernels;
using Materialize.Core.Collections;
using Materialize.Protocol;
using Materialize.Repr;

namespace Materialize.Compute.Render;

internal sealed partial class Render<TTime>
{
    private Bundle<TTime> FlatMap(LirRelationExpr.FlatMap node)
    {
        var input = Plan(node.Input);
        ValueArray<ColumnType> wide = [.. input.Columns, .. node.FuncColumns];
        var function = TableFunctionKernel.Compile(node.Func, node.Inner, node.Args, input.Columns, node.FuncColumns);
        var rows = input.Ok.FlatMap($"flat map {node.Func}", function, RowLayout.For(wide).Shape);
        return Apply(Bundle<TTime>.OfStream(rows, wide, input.Errors), node.MfpAfter, node.Columns, "after flat map");
    }
}
