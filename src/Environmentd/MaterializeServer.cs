using System.Net;
using Materialize.Adapter;
using Materialize.Controller;
using Materialize.Persist;
using Materialize.Persist.Location;
using Materialize.Persist.Oracle;
using Materialize.Persist.Push;
using Materialize.PgWire;
using Materialize.Repr;
using Microsoft.Extensions.Logging;

namespace Materialize.Environmentd;

/// <summary>
/// An environment and its listeners, put together: the program is one of these, and another program can hold one. With
/// <see cref="OrchestratorKind.InProcess"/> all of it is in the process that starts it.
/// </summary>
/// <example><code>
/// await using var server = await MaterializeServer.StartAsync(
///     new ServerOptions { DataDirectory = "data", Orchestrator = OrchestratorKind.InProcess }, loggers, cancel);
/// </code></example>
public sealed class MaterializeServer : IAsyncDisposable
{
    private static readonly EnvironmentShards Shards = new(
        new ShardId(new Guid("00000000-0000-4000-8000-000000000001")), new ShardId(new Guid("00000000-0000-4000-8000-000000000002")));

    // In the order of starting; the environment owns the replicas' orchestrator.
    private readonly Stack<object> _owned = new();
    private MaterializeEnvironment? _environment;
    private InternalHttp? _http;

    private MaterializeServer()
    {
    }

    /// <summary>Where clients connect, by the Postgres protocol.</summary>
    public IPEndPoint SqlEndPoint { get; private set; } = null!;

    /// <summary>The same for <c>mz_system</c> and <c>mz_support</c>.</summary>
    public IPEndPoint InternalSqlEndPoint { get; private set; } = null!;

    /// <summary>Base URLs, the public one first.</summary>
    public IReadOnlyList<string> HttpAddresses => [.. _http!.Addresses];

    /// <summary>Completes with the reason when the server cannot go on; it is then to be disposed of.</summary>
    public Task<string> Ended => _environment!.Fatal;

    /// <summary>Whether it ended because a newer one has taken over.</summary>
    public bool WasFenced => Ended is { IsCompletedSuccessfully: true, Result: "fenced" };

    /// <summary>Starts a server; it serves when this returns.</summary>
    /// <exception cref="Materialize.Catalog.CatalogFencedException">A newer one owns the data.</exception>
    /// <exception cref="IOException">The data cannot be opened, or an address cannot be listened on.</exception>
    /// <exception cref="PersistException">The data cannot be read or written.</exception>
    /// <exception cref="FormatException">The sizes of replicas are not understood.</exception>
    public static async Task<MaterializeServer> StartAsync(ServerOptions options, ILoggerFactory loggers, CancellationToken cancel)
    {
        var server = new MaterializeServer();
        try
        {
            await server.OpenAsync(options, loggers, cancel);
            return server;
        }
        catch
        {
            await server.DisposeAsync();
            throw;
        }
    }

    /// <summary>Ends sessions and replicas and closes what is open. What was acknowledged is durable; the same data can be started on again.</summary>
    public async ValueTask DisposeAsync()
    {
        while (_owned.TryPop(out var owned))
        {
            if (owned is IAsyncDisposable asynchronous)
                await asynchronous.DisposeAsync();
            else
                ((IDisposable)owned).Dispose();
        }
    }

    private async Task OpenAsync(ServerOptions options, ILoggerFactory loggers, CancellationToken cancel)
    {
        // Processor time only, while storage and listeners are waited for; whoever needs it first waits for it, and hears if it fails.
        _ = Task.Run(Materialize.Catalog.Catalog.Prepare, CancellationToken.None);
        var directory = Directory.CreateDirectory(options.DataDirectory).FullName;
        var isInProcess = options.Orchestrator == OrchestratorKind.InProcess;
        var scratch = options.ScratchDirectory ?? (isInProcess ? null : Path.Combine(directory, "scratch"));
        if (scratch is not null)
            scratch = Directory.CreateDirectory(scratch).FullName;
        var time = TimeProvider.System;
        var blob = Own(FileBlob.Open(Path.Combine(directory, "blob"), time));
        var consensus = Own(SqliteConsensus.Open(Path.Combine(directory, "consensus.db"), TimeSpan.FromSeconds(30)));
        var others = isInProcess ? null : Own(StatePushServer.Listen(options.PubSubListenAddress));
        var persist = Own(new PersistClient(
            blob, consensus, others ?? (IStatePush)new InProcessStatePush(), new PersistConfig(), time, new Random(), loggers));
        var orchestrator = Own<ReplicaSupervisor>(others is null
            ? new InProcessOrchestrator(persist, scratch, time, loggers)
            : new ProcessOrchestrator(
                new ClusterdSettings(
                    options.ClusterdImage ?? Path.Combine(AppContext.BaseDirectory, "clusterd"),
                    $"file://{Path.Combine(directory, "blob")}",
                    $"sqlite://{Path.Combine(directory, "consensus.db")}",
                    $"tcp://{others.EndPoint}",
                    scratch!,
                    options.LogFilter),
                time,
                loggers));
        _http = Own(await InternalHttp.StartAsync(
            [options.HttpListenAddress, options.InternalHttpListenAddress], () => _environment, orchestrator.Gauges, cancel));
        var size = new ReplicaSize("default", 1, options.Workers);
        _environment = Own(await MaterializeEnvironment.StartAsync(
            persist,
            orchestrator,
            new PostgresInspector(),
            Shards,
            async c => await DurableTimestampOracle.OpenAsync(
                consensus, "epoch-milliseconds", Timestamp.FromDateTimeOffset(time.GetUtcNow()), TimeSpan.FromSeconds(5), Guid.NewGuid(), time, loggers.CreateLogger<DurableTimestampOracle>(), c),
            new EnvironmentOptions(EnvironmentId(directory), options.DeployGeneration, Path.Combine(directory, "secrets"), size, ReplicaSizes.With(size, options.ClusterReplicaSizes is { } sizes ? ReplicaSizes.Parse(sizes) : [])),
            time,
            loggers,
            cancel));
        SqlEndPoint = Listen(options.SqlListenAddress, _environment, isInternal: false, loggers, time);
        InternalSqlEndPoint = Listen(options.InternalSqlListenAddress, _environment, isInternal: true, loggers, time);
    }

    private T Own<T>(T owned)
        where T : class
    {
        _owned.Push(owned);
        return owned;
    }

    private IPEndPoint Listen(IPEndPoint endPoint, MaterializeEnvironment environment, bool isInternal, ILoggerFactory loggers, TimeProvider time)
    {
        var listener = Own(new PgWireListener(endPoint, environment, new PgWireOptions { IsInternal = isInternal }, loggers.CreateLogger("pgwire"), time));
        listener.Start();
        return listener.LocalEndpoint;
    }

    /// <summary>Made once per data directory and kept there.</summary>
    private static string EnvironmentId(string directory)
    {
        var path = Path.Combine(directory, "environment-id");
        if (!File.Exists(path))
            File.WriteAllText(path, $"local-az1-{Guid.NewGuid()}-0");
        return File.ReadAllText(path);
    }
}
