using Materialize.Compute.Render;
using Materialize.Core.Collections;
using Materialize.Dataflow;
using Materialize.Expr;
using Materialize.Repr;

namespace Materialize.Compute.Kernels;

/// <summary>Table functions over rows.</summary>
internal static class TableFunctionKernel
{
    /// <summary>Appends to each row of <paramref name="columns"/> each row of <paramref name="func"/> over it.</summary>
    public static FlatMapFunction Compile(
        TableFunc func, TableFunc? inner, ValueArray<MirScalarExpr> args, ValueArray<ColumnType> columns, ValueArray<ColumnType> appended) =>
        throw new UnsupportedPlanException($"table function {func} is not supported");
}
