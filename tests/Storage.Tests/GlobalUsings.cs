global using Xunit;
global using Frontier = Materialize.Core.Order.Antichain<Materialize.Repr.Timestamp>;
