// A frontier here is the dataflow engine's; persist's, an antichain, is met only at its handles.
global using ArrangedRows = Materialize.Dataflow.Arranged<Materialize.Dataflow.Time>;
global using Frontier = Materialize.Dataflow.Frontier<Materialize.Dataflow.Time>;
global using Rows = Materialize.Dataflow.Stream<Materialize.Dataflow.Time>;
global using Time = Materialize.Dataflow.Time;
global using TraceHandle = Materialize.Dataflow.Traces.TraceHandle<Materialize.Dataflow.Time>;
global using Bundle = Materialize.Compute.Render.Bundle<Materialize.Dataflow.Time>;
