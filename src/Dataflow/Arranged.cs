using Materialize.Core.Rows;
using Materialize.Dataflow.Operators;
using Materialize.Dataflow.Runtime;
using Materialize.Dataflow.Traces;

namespace Materialize.Dataflow;

/// <summary>
/// A collection indexed by key inside one dataflow: a stream of sorted batches, and the trace that holds all of them. Made by
/// <see cref="Stream{TTime}.Arrange"/>, or from another dataflow of the same worker by <see cref="Scope{TTime}.Import"/>.
/// </summary>
public sealed class Arranged<TTime> where TTime : unmanaged, ITime<TTime>
{
    internal Arranged(Scope<TTime> scope, OutputPort<ArrangedDelta<TTime>> output, Trace<TTime> trace, TTime floor)
    {
        Scope = scope;
        Output = output;
        SharedTrace = trace;
        Floor = floor;
    }

    public Scope<TTime> Scope { get; }

    public RowShape KeyShape => SharedTrace.KeyShape;

    public RowShape ValueShape => SharedTrace.ValueShape;

    /// <summary>Readers in this dataflow see times joined with this one: the as-of of an import, else the minimum.</summary>
    public TTime Floor { get; }

    /// <summary>Up to where the arrangement is complete at all workers; that of <see cref="Trace"/> is of this one. Worker thread only.</summary>
    public Frontier<TTime> Frontier => Frontier<TTime>.FromStamp(Output.Owner.OutputFrontier);

    internal OutputPort<ArrangedDelta<TTime>> Output { get; }

    internal Trace<TTime> SharedTrace { get; }

    /// <summary>A new handle on the trace, to export the arrangement: for peeks and for import into later dataflows. Dispose it to let go.</summary>
    public TraceHandle<TTime> Trace() => new(SharedTrace);

    /// <summary>The collection as rows: <paramref name="kernel"/>'s parts are key and value.</summary>
    public OkErr<TTime> AsStream(string name, RowKernel kernel, RowShape shape) =>
        AsStreamOperator<TTime>.Build(this, name, kernel, shape);

    /// <summary>
    /// <c>(K,V1) ⋈ (K,V2) → kernel(K,V1,V2)</c>: a pair of updates meets at the join of their times with the product of their diffs. Not
    /// consolidated. Yields after bounded output. State: the two arrangements only.
    /// </summary>
    /// <param name="other">Same key shape, same scope.</param>
    /// <param name="kernel">Parts: key, left value, right value.</param>
    public OkErr<TTime> Join(string name, Arranged<TTime> other, RowKernel kernel, RowShape shape) =>
        JoinOperator<TTime>.Build(this, other, name, kernel, shape);

    /// <summary>
    /// Recomputes a whole group with <paramref name="group"/> when it changes, and emits what differs. Sealed. For output as a row, <paramref name="finish"/> combines
    /// key and output value (parts: key, value).
    /// </summary>
    /// <remarks>Work for a change: twice the group. State: the arrangement only. <paramref name="group"/> must be deterministic.</remarks>
    /// <param name="outputShape">Shape of what <paramref name="group"/> writes.</param>
    public OkErr<TTime> ReduceGroups(string name, GroupKernel group, RowShape outputShape, RowKernel finish, RowShape shape) =>
        GroupReduceOperator<TTime>.Build(this, name, group, outputShape, finish, shape);
}
