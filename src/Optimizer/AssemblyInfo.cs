using System.Runtime.CompilerServices;

[assembly: InternalsVisibleTo("Materialize.Optimizer.Tests")]
