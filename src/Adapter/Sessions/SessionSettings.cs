using Materialize.Catalog;
using Materialize.Repr;

namespace Materialize.Adapter;

/// <summary>
/// What every statement asks of the session's variables and the catalog, looked up and parsed once for as long as neither changes.
/// </summary>
/// <param name="State">The catalog that it holds for, together with <paramref name="VariablesVersion"/>.</param>
internal sealed record SessionSettings(CatalogState State, ulong VariablesVersion)
{
    /// <summary>Zero: none.</summary>
    public required TimeSpan StatementTimeout { get; init; }

    public required ulong MaxResultBytes { get; init; }

    public required bool IsStrictSerializable { get; init; }

    public required bool EmitsTimestampNotice { get; init; }

    public required bool RoutesCatalogQueries { get; init; }

    /// <summary>Null: the session names one that does not exist.</summary>
    public required ClusterEntry? Cluster { get; init; }

    public static SessionSettings Of(CatalogState state, SessionVariables variables)
    {
        var cluster = variables.Get("cluster");
        return new SessionSettings(state, variables.Version)
        {
            StatementTimeout = variables.StatementTimeout,
            MaxResultBytes = variables.MaxResultBytes,
            IsStrictSerializable = variables.IsStrictSerializable,
            EmitsTimestampNotice = variables.IsOn("emit_timestamp_notice"),
            RoutesCatalogQueries = variables.IsOn("auto_route_catalog_queries"),
            Cluster = state.Clusters.Values.FirstOrDefault(c => c.Name == cluster),
        };
    }
}
