using Materialize.Core.Rows;
using Materialize.Dataflow.Operators;
using Materialize.Dataflow.Runtime;
using Materialize.Dataflow.Traces;

namespace Materialize.Dataflow;

/// <summary>Where operators of one kind of time are added to a dataflow being built.</summary>
public sealed partial class Scope<TTime> where TTime : unmanaged, ITime<TTime>
{
    internal Scope(DataflowGraph graph)
    {
        Graph = graph;
    }

    public DataflowGraph Graph { get; }

    public Worker Worker => Graph.Worker;

    /// <summary>An input fed by hand; each worker feeds its share.</summary>
    /// <param name="start">The first time that may be sent; the same at all workers.</param>
    public (InputHandle<TTime> Handle, Stream<TTime> Rows) NewInput(string name, RowShape shape, TTime start) =>
        InputOperator<TTime>.Build(this, name, shape, start);

    /// <summary>A collection without rows, closed from the start.</summary>
    public Stream<TTime> Empty(RowShape shape) => EmptyOperator<TTime>.Build(this, shape);

    /// <summary>
    /// An arrangement of another dataflow of this worker: all it holds, seen as of <paramref name="asOf"/> (times before it appear as it), and all that comes later. Nothing
    /// is copied. Takes a hold of its own: <paramref name="trace"/> may be disposed after.
    /// </summary>
    /// <param name="asOf">At or beyond the handle's since, the same at all workers.</param>
    public Arranged<TTime> Import(string name, TraceHandle<TTime> trace, TTime asOf) =>
        ImportOperator<TTime>.Build(this, name, trace, asOf);
}
