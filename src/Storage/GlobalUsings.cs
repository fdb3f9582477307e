// As in Persist: times are totally ordered, so a frontier is one time ("everything before it") or empty ("everything").
global using Frontier = Materialize.Core.Order.Antichain<Materialize.Repr.Timestamp>;
