global using Frontier = Materialize.Core.Order.Antichain<Materialize.Repr.Timestamp>;
global using Xunit;
