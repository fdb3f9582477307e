using System.Runtime.CompilerServices;

[assembly: InternalsVisibleTo("Materialize.Storage.Tests")]
