using System.Net;
using System.Net.Sockets;
using System.Runtime.InteropServices;
using Materialize.Catalog;
using Materialize.Core;
using Materialize.Core.Memory;
using Materialize.Persist;
using Microsoft.Extensions.Logging;

namespace Materialize.Environmentd;

/// <summary>The program: a server that runs until a signal, or until it cannot go on.</summary>
internal static partial class Server
{
    /// <summary>Exit code of "finished on purpose": another environmentd has taken over.</summary>
    private const int FencedExit = 0;

    private const int FailedExit = 1;

    public static async Task<int> RunAsync(ServerOptions options)
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

    private static async Task<int> ServeAsync(ServerOptions options, ILoggerFactory loggers, ILogger logger, CancellationToken stop)
    {
        await using var trimmer = new MemoryTrimmer(TimeProvider.System);
        await using var server = await MaterializeServer.StartAsync(options, loggers, stop);
        Announce(server.SqlEndPoint, server.InternalSqlEndPoint, server.HttpAddresses);
        var reason = await server.Ended.WaitAsync(stop);
        LogFatal(logger, reason);
        return server.WasFenced ? FencedExit : FailedExit;
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
