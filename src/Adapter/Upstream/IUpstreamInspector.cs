using Materialize.Catalog;
using Materialize.Protocol;

namespace Materialize.Adapter;

/// <summary>Looks at an upstream database while a statement that names it is planned.</summary>
public interface IUpstreamInspector
{
    /// <summary>The tables of the connection's publication, by schema and name.</summary>
    /// <exception cref="UpstreamException">It cannot be reached, or is not set up for replication.</exception>
    Task<IReadOnlyList<UpstreamTable>> PublishedTablesAsync(SourceConnection.Postgres connection, CancellationToken cancel);
}

/// <summary>What is wrong with an upstream, for the user.</summary>
public sealed class UpstreamException(string message, string? hint = null) : Exception(message)
{
    public string? Hint { get; } = hint;
}
