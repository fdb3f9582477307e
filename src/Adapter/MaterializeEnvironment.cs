using System.Collections.Concurrent;
using System.Security.Cryptography;
using Materialize.Catalog;
using Materialize.Controller;
using Materialize.Persist;
using Materialize.Persist.Oracle;
using Materialize.Persist.Txns;
using Materialize.Protocol;
using Materialize.Repr;
using Materialize.Sql;
using Microsoft.Extensions.Logging;

namespace Materialize.Adapter;

/// <summary>
/// A running environment: opens the catalog (fencing whoever had it), starts what the catalog says, and serves sessions until
/// disposed.
/// </summary>
public sealed partial class MaterializeEnvironment : IAdapterClient, IAsyncDisposable
{
    private readonly AdapterServices _services;
    private readonly Coordinator _coordinator = new();
    private readonly DataflowInstaller _installer;
    private readonly Ddl _ddl;
    private readonly ILogger _logger;
    private readonly ConcurrentDictionary<uint, Session> _sessions = new();
    private readonly TaskCompletionSource<string> _fatal = new(TaskCreationOptions.RunContinuationsAsynchronously);
    private uint _lastConnection;

    private MaterializeEnvironment(AdapterServices services)
    {
        _services = services;
        _installer = new DataflowInstaller(services);
        _ddl = new Ddl(services, _coordinator, _installer);
        _logger = services.Loggers.CreateLogger<MaterializeEnvironment>();
    }

    /// <summary>Completes, with the reason, when the environment cannot go on: it was fenced, or an invariant is broken.</summary>
    public Task<string> Fatal => _fatal.Task;

    public int SessionCount => _sessions.Count;

    /// <summary>Counters for /metrics: name, help, value.</summary>
    public IEnumerable<(string Name, string Help, long Value)> Metrics() =>
    [
        ("mz_group_commits_total", "Commits of table writes, empty ones included.", _services.Committer.Commits),
        ("mz_table_updates_total", "Updates written to tables.", _services.Committer.Updates),
        ("mz_catalog_revision", "Changes of the catalog since start.", (long)_services.Catalog.State.Revision),
        ("mz_catalog_items", "Items that users have made.", _services.Catalog.State.Items.Values.Count(i => i.Id.IsUser)),
    ];

    /// <summary>Opens the environment; ready for queries when it returns, though views may still be hydrating.</summary>
    /// <exception cref="CatalogFencedException">Another environmentd of a higher generation has it.</exception>
    public static async Task<MaterializeEnvironment> StartAsync(
        PersistClient persist,
        IReplicaOrchestrator orchestrator,
        IUpstreamInspector upstream,
        EnvironmentShards shards,
        Func<CancellationToken, Task<ITimestampOracle>> openOracle,
        EnvironmentOptions options,
        TimeProvider time,
        ILoggerFactory loggers,
        CancellationToken cancel)
    {
        var catalog = await Catalog.Catalog.OpenAsync(persist, shards.Catalog, options.DeployGeneration, options.DefaultSize.Name, cancel);
        // Only now: the one who owns the catalog owns the oracle.
        var oracle = await openOracle(cancel);
        var txnsReader = await TxnsReader.OpenAsync(persist, shards.Txns, cancel);
        var txns = await TxnsHandle.OpenAsync(persist, txnsReader, new FencingEpoch(catalog.Epoch), cancel);
        var registry = new CollectionRegistry();
        var compute = new ComputeController(registry, new InstanceConfig(1000), time, loggers);
        var storage = new StorageController(persist, registry, catalog.Epoch, time, loggers);
        var committer = new GroupCommitter(persist, txns, txnsReader, oracle, storage, time, loggers.CreateLogger<GroupCommitter>());
        var services = new AdapterServices(
            catalog, registry, compute, storage, orchestrator, persist, txns, txnsReader, oracle, committer, new SecretStore(options.SecretsDirectory), upstream, new TransientIds(), options, time, loggers);
        var environment = new MaterializeEnvironment(services);
        await environment.InstallAsync(cancel);
        environment.WatchForFatal();
        return environment;
    }

    public ValueTask<ISession> StartupAsync(StartupRequest request, CancellationToken cancel)
    {
        var state = _services.Catalog.State;
        var role = state.Roles.Values.FirstOrDefault(r => r.Name == request.User);
        if (role is null)
        {
            throw new AdapterException(new ErrorReport("FATAL", "28000", $"role \"{request.User}\" does not exist")
            {
                Hint = "Connect as \"materialize\", or create the role first with CREATE ROLE.",
            });
        }

        // Without passwords there is nothing to log in with: LOGIN is not asked for (conformance: role.slt, vars.slt).
        if (role.Id.Value.StartsWith('s') && !request.IsInternal)
            throw new AdapterException(new ErrorReport("FATAL", "28000", $"unauthorized login to user \"{request.User}\""));
        var variables = new SessionVariables(_services.SystemParameter);
        variables.SetDerived("is_superuser", role.IsSuperuser ? "on" : "off");
        if (role.Name == "mz_system")
            variables.SetDerived("cluster", "mz_catalog_server");
        var notices = new List<ErrorReport>();
        foreach (var (name, value) in request.Parameters)
        {
            try
            {
                if (!variables.TrySetAtStartup(name, value) && name != "options")
                    notices.Add(new ErrorReport("NOTICE", "00000", $"startup setting {name} not set: unrecognized configuration parameter"));
            }
            catch (SqlException e)
            {
                throw new AdapterException(new ErrorReport("FATAL", e.State, e.Message, e.Detail, e.Hint));
            }
        }

        if (!state.Databases.Values.Any(d => d.Name == variables.Get("database")))
        {
            notices.Add(new ErrorReport("NOTICE", "MZ004", $"session database \"{variables.Get("database")}\" does not exist")
            {
                Hint = "Create the database with CREATE DATABASE or pick an extant database with SET DATABASE = name. List available databases with SHOW DATABASES.",
            });
        }

        var id = Interlocked.Increment(ref _lastConnection);
        var session = new Session(_services, _ddl, variables, role, id, BitConverter.ToUInt32(RandomNumberGenerator.GetBytes(4)), notices, Closed);
        _sessions[id] = session;
        LogConnected(id, request.User, request.RemoteAddress);
        return ValueTask.FromResult<ISession>(session);
    }

    public void CancelRequest(uint connectionId, uint secretKey)
    {
        if (_sessions.TryGetValue(connectionId, out var session) && session.SecretKey == secretKey)
            session.Cancel();
    }

    public async ValueTask DisposeAsync()
    {
        foreach (var session in _sessions.Values)
            await session.DisposeAsync();
        await _coordinator.DisposeAsync();
        await _services.Committer.DisposeAsync();
        await _services.Compute.DisposeAsync();
        await _services.Storage.DisposeAsync();
        await _services.Txns.DisposeAsync();
        await _services.TxnsReader.DisposeAsync();
        await _services.Orchestrator.DisposeAsync();
    }

    private void Closed(Session session)
    {
        if (_sessions.TryRemove(session.ConnectionId, out _))
            LogDisconnected(session.ConnectionId);
    }

    /// <summary>Clusters, then collections and dataflows in the order of their ids, which is an order of their dependencies.</summary>
    private async Task InstallAsync(CancellationToken cancel)
    {
        var state = _services.Catalog.State;
        foreach (var item in state.Items.Values.OrderBy(i => i.Id))
        {
            if (item.Definition is ItemDefinition.Unplanned unplanned)
                LogUnplanned(state.NameOf(item).ToString(), item.Id, unplanned.Reason);
        }

        using var keeping = _services.Registry.KeepSinces();
        foreach (var cluster in state.Clusters.Values.OrderBy(c => c.Id.Value, StringComparer.Ordinal))
            _installer.AddCluster(cluster);
        await _installer.AddTablesAsync([.. state.Items.Values.Where(i => i.Definition is ItemDefinition.Table && i.IsStored).OrderBy(i => i.Id)], cancel);
        await Task.WhenAll(
            _installer.ReconcileBuiltinsAsync(cancel),
            _installer.AddCollectionsAsync([.. state.Items.Values.Where(i => i.Definition is not ItemDefinition.Table && i.IsStored)], cancel));
        foreach (var item in state.Items.Values.OrderBy(i => i.Id))
        {
            switch (item.Definition)
            {
                case ItemDefinition.MaterializedView:
                    _installer.RestartMaterializedView(state, item);
                    break;
                case ItemDefinition.Index:
                    using (var prepared = _installer.Prepare(state, item))
                        _installer.AddIndex(item, prepared);
                    break;
            }
        }

        foreach (var source in state.Items.Values.Where(i => i.Definition is ItemDefinition.Source))
            _installer.RunIngestion(state, source);
        LogReady(state.Items.Values.Count(i => i.Id.IsUser), _services.Catalog.Epoch);
    }

    private void WatchForFatal()
    {
        _services.Storage.Fenced += () => _fatal.TrySetResult("fenced");
        _services.Storage.SourceStatusChanged += _installer.RecordSourceStatus;
        _services.Committer.Completion.ContinueWith(
            t => _fatal.TrySetResult(t.Exception?.GetBaseException() switch
            {
                FencedException or CatalogFencedException => "fenced",
                { } e => e.Message,
                null => "stopped",
            }),
            CancellationToken.None,
            TaskContinuationOptions.ExecuteSynchronously,
            TaskScheduler.Default);
    }

    [LoggerMessage(Level = LogLevel.Information, Message = "environment is ready: {Items} user items, epoch {Epoch}")]
    private partial void LogReady(int items, ulong epoch);

    [LoggerMessage(Level = LogLevel.Error, Message = "{Name} ({Id}) is not computed and cannot be read: this version cannot plan it: {Reason}")]
    private partial void LogUnplanned(string name, GlobalId id, string reason);

    [LoggerMessage(Level = LogLevel.Debug, Message = "session {Connection} of {User} from {Address}")]
    private partial void LogConnected(uint connection, string user, string address);

    [LoggerMessage(Level = LogLevel.Debug, Message = "session {Connection} has ended")]
    private partial void LogDisconnected(uint connection);
}

/// <summary>The shards that everything else is found from.</summary>
public sealed record EnvironmentShards(ShardId Catalog, ShardId Txns);
