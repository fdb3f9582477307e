using Materialize.Catalog;
using Materialize.Core;
using Materialize.Expr;
using Materialize.Optimizer;
using Materialize.Protocol;
using Materialize.Repr;
using Materialize.Sql;

namespace Materialize.Adapter;

/// <summary>The catalog as the optimizer sees it: what each id is, and which indexes one cluster has.</summary>
/// <param name="logs">Null where logs may not be read: in what is maintained.</param>
/// <param name="builtFor">For a maintained dataflow, the item it is for: it uses only indexes that are older, the same at every start.</param>
internal sealed class DataflowCatalog(CatalogState state, ClusterId cluster, ReplicaLogs? logs = null, GlobalId? builtFor = null) : IDataflowCatalog
{
    public IReadOnlyList<AvailableIndex> IndexesOn(GlobalId id) =>
    [
        .. state.IndexesOn(id)
            .Where(i => (builtFor is not { } item || i.Id.CompareTo(item) < 0) && ((ItemDefinition.Index)i.Definition).Cluster == cluster)
            .Select(i => new AvailableIndex(i.Id, id, new ArrangementKey(((ItemDefinition.Index)i.Definition).Keys))),
        .. logs?.IndexesOn(cluster, id) ?? [],
    ];

    public CollectionSource Describe(GlobalId id)
    {
        var found = state.Items.TryGetValue(id, out var item);
        Invariant.Check(found, $"{id} is an item");
        return item!.Definition is ItemDefinition.View view
            ? new CollectionSource.View(view.Query.Whole)
            : new CollectionSource.Storage(item.Desc!.Type);
    }
}

/// <summary>Gives functions of session and time their value in one statement.</summary>
internal sealed class StatementEnvironment(AdapterServices services, SessionVariables variables, string role, uint connectionId, Guid sessionId, DateTimeOffset now)
{
    /// <summary>When the process began to serve.</summary>
    public required DateTimeOffset StartedAt { get; init; }

    /// <summary>Set once the query's time is chosen.</summary>
    public ulong? MzNow { get; set; }

    /// <summary>Null for <c>mz_now()</c> while its value is not known.</summary>
    public MirScalarExpr? Value(UnmaterializableFunc func) => func switch
    {
        UnmaterializableFunc.CurrentDatabase => Text(variables.Get("database")!),
        UnmaterializableFunc.CurrentSchema => SearchedSchemas().FirstOrDefault() is { } schema ? Text(schema) : MirScalarExpr.Null(SqlType.String),
        UnmaterializableFunc.CurrentSchemasWithSystem => TextArray([.. ((string[])["mz_catalog", "pg_catalog"]).Concat(SearchedSchemas()).Distinct()]),
        UnmaterializableFunc.CurrentSchemasWithoutSystem => TextArray([.. SearchedSchemas()]),
        UnmaterializableFunc.CurrentTimestamp => new MirScalarExpr.Literal(Micros(now), SqlType.TimestampTz.Nullable(false)),
        UnmaterializableFunc.CurrentUser or UnmaterializableFunc.SessionUser => Text(role),
        UnmaterializableFunc.IsRbacEnabled => MirScalarExpr.False,
        UnmaterializableFunc.MzEnvironmentId => Text(services.Options.EnvironmentId),
        UnmaterializableFunc.MzIsSuperuser => variables.IsOn("is_superuser") ? MirScalarExpr.True : MirScalarExpr.False,
        UnmaterializableFunc.MzNow => MzNow is { } time
            ? new MirScalarExpr.Literal(Datum.FromUInt64(time), SqlType.MzTimestamp.Nullable(false))
            : null,
        UnmaterializableFunc.MzSessionId => new MirScalarExpr.Literal(Datum.FromUuid(UuidOf(sessionId)), SqlType.Uuid.Nullable(false)),
        UnmaterializableFunc.MzUptime => new MirScalarExpr.Literal(
            Datum.FromInterval(new Interval(0, 0, (now - StartedAt).Ticks / TimeSpan.TicksPerMicrosecond)), SqlType.Interval.Nullable(false)),
        UnmaterializableFunc.MzVersion => Text(VariableTable.Version),
        UnmaterializableFunc.MzVersionNum => new MirScalarExpr.Literal(Datum.FromInt64(2_600_100), SqlType.Int32.Nullable(false)),
        UnmaterializableFunc.PgBackendPid => new MirScalarExpr.Literal(Datum.FromInt64((int)connectionId), SqlType.Int32.Nullable(false)),
        UnmaterializableFunc.PgPostmasterStartTime => new MirScalarExpr.Literal(Micros(StartedAt), SqlType.TimestampTz.Nullable(false)),
        UnmaterializableFunc.Version => Text($"PostgreSQL 9.5 on x86_64-unknown-linux-gnu (Materialize {VariableTable.Version})"),
        _ => null,
    };

    /// <summary>The schemas of the search path that exist.</summary>
    private IEnumerable<string> SearchedSchemas()
    {
        var state = services.Catalog.State;
        var database = state.Databases.Values.FirstOrDefault(d => d.Name == variables.Get("database"))?.Id;
        return variables.SearchPath.Where(name => state.Schemas.Values.Any(s => s.Name == name && (s.Database is null || s.Database == database)));
    }

    private static MirScalarExpr Text(string text) => new MirScalarExpr.Literal(Datum.FromString(text), SqlType.String.Nullable(false));

    private static MirScalarExpr TextArray(Datum[] elements) => new MirScalarExpr.Literal(
        Datum.FromArray(elements.Length == 0 ? new ArrayDatum([], []) : new ArrayDatum([new ArrayDimension(1, elements.Length)], [.. elements])),
        SqlType.ArrayOf(SqlType.String).Nullable(false));

    private static MirScalarExpr TextArray(string[] elements) => TextArray([.. elements.Select(Datum.FromString)]);

    private static UInt128 UuidOf(Guid guid) => new(
        BitConverter.ToUInt64([.. guid.ToByteArray(bigEndian: true)[..8].Reverse()]),
        BitConverter.ToUInt64([.. guid.ToByteArray(bigEndian: true)[8..].Reverse()]));

    /// <summary>µs since 2000-01-01, as timestamps are stored.</summary>
    private static Datum Micros(DateTimeOffset time) =>
        Datum.FromInt64((time.UtcTicks - new DateTime(2000, 1, 1, 0, 0, 0, DateTimeKind.Utc).Ticks) / TimeSpan.TicksPerMicrosecond);
}
