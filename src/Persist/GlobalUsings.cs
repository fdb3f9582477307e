// The one alias of this project: times are totally ordered, so a frontier is one time ("everything before it") or empty ("everything").
global using Frontier = Materialize.Core.Order.Antichain<Materialize.Repr.Timestamp>;
using System.Runtime.CompilerServices;

[assembly: InternalsVisibleTo("Materialize.Persist.Tests")]
