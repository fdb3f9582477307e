using System.Net;
using System.Net.Sockets;
using System.Runtime.InteropServices;
using Materialize.Adapter;
using Materialize.Catalog;
using Materialize.Controller;
using Materialize.Core;
using Materialize.Core.Memory;
using Materialize.Persist;
using Materialize.Persist.Location;
using Materialize.Persist.Oracle;
using Materialize.Persist.Push;
using Materialize.PgWire;
using Materialize.Repr;
using Microsoft.Extensions.Logging;

namespace Materialize.Environmentd;

/// <summary>Puts the program together, runs it until a signal, and takes it apart in the opposite order.</summary>
internal static partial class Server
{
    /// <summary>Exit code of "finished on purpose": another environmentd has taken over.</summary>
    private const int FencedExit = 0;

    private const int FailedExit = 1;

    private static readonly EnvironmentShards Shards = new(
        new ShardId(new Guid("00000000-0000-4000-8000-000000000001")), new ShardId(new Guid("00000000-0000-4000-8000-000000000002")));

    public static async Task<int> RunAsync(Options options)
    {
        using var loggers = LoggerFactory.Create(builder => builder
            .SetMinimumLevel(LevelOf(options.LogFilter))
            .AddSimpleConsole(console => (console.SingleLine, console.TimestampFormat, console.UseUtcTimestamp) = (true, "yyyy-MM-ddTHH:mm:ss.fffZ ", true))
            .AddFilter("Microsoft", LogLevel.Warning));
        var logger = loggers.CreateLogger("environmentd");
        using var stop = new CancellationTokenSource();
        using var interrupt = PosixSignalRegistration.Create(PosixSignal.SIGINT, signal => Stop(signal, stop));
        using var terminate = PosixSignalRegistration.Create(PosixSignal.SIGTERM, signal => Stop(signal, stop));
        try
        {
            return await ServeAsync(options, loggers, logger, stop.Token);
        }
        catch (OperationCanceledException) when (stop.IsCancellationRequested)
        {
            LogStopped(logger);
            return 0;
        }
        catch (Exception e) when (e is CatalogFencedException or FencedException)
        {
            LogFatal(logger, e.Message);
            return FencedExit;
        }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException or SocketException or PersistException or InvariantViolationException or InvalidDataException)
        {
            LogFatal(logger, e.Message);
            return FailedExit;
        }
        catch (Exception e)
        {
            LogUnforeseen(logger, e);
            return FailedExit;
        }
    }

    private static async Task<int> ServeAsync(Options options, ILoggerFactory loggers, ILogger logger, CancellationToken stop)
    {
        // Processor time only, while storage and listeners are waited for; whoever needs it first waits for it, and hears if it fails.
        _ = Task.Run(Materialize.Catalog.Catalog.Prepare, CancellationToken.None);
        var directory = Directory.CreateDirectory(options.DataDirectory).FullName;
        var time = TimeProvider.System;
        await using var trimmer = new MemoryTrimmer(time);
        MaterializeEnvironment? ready = null;
        using var blob = FileBlob.Open(Path.Combine(directory, "blob"), time);
        using var consensus = SqliteConsensus.Open(Path.Combine(directory, "consensus.db"), TimeSpan.FromSeconds(30));
        await using var push = StatePushServer.Listen(options.PubSubListenAddress);
        await using var persist = new PersistClient(blob, consensus, push, new PersistConfig(), time, new Random(), loggers);
        await using var http = await InternalHttp.StartAsync(
            [options.HttpListenAddress, options.InternalHttpListenAddress], () => ready is not null, () => ready, stop);
        var orchestrator = new ProcessOrchestrator(
            new ClusterdSettings(
                options.ClusterdImage ?? Path.Combine(AppContext.BaseDirectory, "clusterd"),
                $"file://{Path.Combine(directory, "blob")}",
                $"sqlite://{Path.Combine(directory, "consensus.db")}",
                $"tcp://{push.EndPoint}",
                options.LogFilter),
            time,
            loggers);
        var size = new ReplicaSize("default", 1, options.Workers);
        var sizes = Sizes(size);
        await using var environment = await MaterializeEnvironment.StartAsync(
            persist,
            orchestrator,
            new PostgresInspector(),
            Shards,
            async cancel => await DurableTimestampOracle.OpenAsync(
                consensus, "epoch-milliseconds", Timestamp.FromDateTimeOffset(time.GetUtcNow()), TimeSpan.FromSeconds(5), Guid.NewGuid(), time, loggers.CreateLogger<DurableTimestampOracle>(), cancel),
            new EnvironmentOptions(EnvironmentId(directory), options.DeployGeneration, Path.Combine(directory, "secrets"), size, sizes),
            time,
            loggers,
            stop);
        ready = environment;
        await using var external = Listen(options.SqlListenAddress, environment, isInternal: false, loggers, time);
        await using var @internal = Listen(options.InternalSqlListenAddress, environment, isInternal: true, loggers, time);
        Announce(external.LocalEndpoint, @internal.LocalEndpoint, http.Addresses);
        var reason = await environment.Fatal.WaitAsync(stop);
        LogFatal(logger, reason);
        return reason == "fenced" ? FencedExit : FailedExit;
    }

    private static PgWireListener Listen(IPEndPoint endPoint, MaterializeEnvironment environment, bool isInternal, ILoggerFactory loggers, TimeProvider time)
    {
        var listener = new PgWireListener(endPoint, environment, new PgWireOptions { IsInternal = isInternal }, loggers.CreateLogger("pgwire"), time);
        listener.Start();
        return listener;
    }

    /// <summary>On standard output, for people and for scripts that asked for port 0.</summary>
    private static void Announce(IPEndPoint sql, IPEndPoint internalSql, IEnumerable<string> http)
    {
        var host = sql.Address.Equals(IPAddress.Any) ? "localhost" : sql.Address.ToString();
        Console.WriteLine($"sql: {sql}");
        Console.WriteLine($"internal sql: {internalSql}");
        foreach (var address in http)
            Console.WriteLine($"http: {address}");
        Console.WriteLine();
        Console.WriteLine("Ready. Connect with");
        Console.WriteLine($"    psql -h {host} -p {sql.Port} -U materialize materialize");
    }

    private static Dictionary<string, ReplicaSize> Sizes(ReplicaSize standard)
    {
        var sizes = new Dictionary<string, ReplicaSize> { [standard.Name] = standard };
        foreach (var workers in (int[])[1, 2, 4, 8, 16])
            sizes[$"{workers}"] = new ReplicaSize($"{workers}", 1, workers);
        foreach (var name in (string[])["25cc", "50cc", "100cc"])
            sizes[name] = new ReplicaSize(name, 1, 1);
        foreach (var (name, workers) in ((string, int)[])[("200cc", 2), ("300cc", 3), ("400cc", 4), ("600cc", 6), ("800cc", 8)])
            sizes[name] = new ReplicaSize(name, 1, workers);

        // Local names say what they are: processes, and workers of each.
        foreach (var n in (int[])[1, 2, 4, 8, 16, 32])
        {
            Local(1, n);
            Local(n, 1);
            Local(n, n);
            foreach (var gigabytes in (int[])[4, 8, 16, 32])
                Local(1, n, $",mem={gigabytes}GiB");
        }

        Local(2, 4);
        return sizes;

        void Local(int processes, int workers, string more = "")
        {
            var name = $"scale={processes},workers={workers}{more}";
            sizes[name] = new ReplicaSize(name, processes, workers);
        }
    }

    /// <summary>Made once per data directory and kept there.</summary>
    private static string EnvironmentId(string directory)
    {
        var path = Path.Combine(directory, "environment-id");
        if (!File.Exists(path))
            File.WriteAllText(path, $"local-az1-{Guid.NewGuid()}-0");
        return File.ReadAllText(path);
    }

    private static LogLevel LevelOf(string filter) => filter switch
    {
        "off" => LogLevel.None,
        "error" => LogLevel.Error,
        "warn" => LogLevel.Warning,
        "debug" => LogLevel.Debug,
        "trace" => LogLevel.Trace,
        _ => LogLevel.Information,
    };

    private static void Stop(PosixSignalContext signal, CancellationTokenSource stop)
    {
        signal.Cancel = true;
        stop.Cancel();
    }

    [LoggerMessage(Level = LogLevel.Information, Message = "stopped")]
    private static partial void LogStopped(ILogger logger);

    [LoggerMessage(Level = LogLevel.Critical, Message = "environmentd must stop for a reason that was not foreseen")]
    private static partial void LogUnforeseen(ILogger logger, Exception e);

    [LoggerMessage(Level = LogLevel.Critical, Message = "environmentd must stop: {Reason}")]
    private static partial void LogFatal(ILogger logger, string reason);
}
