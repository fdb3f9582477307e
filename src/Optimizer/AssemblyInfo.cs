using System.Runtime.CompilerServices;

[assembly: InternalsVisibleTo("Materialize.Optimizer.Tests")]
[assembly: InternalsVisibleTo("Materialize.Compute.Tests")]
