using System.Globalization;
using System.Net;

namespace Materialize.Environmentd;

/// <summary>The command line. Names as in the reference (deployment §1) where they exist there.</summary>
internal static class CommandLine
{
    public const string Usage = """
        environmentd: keeps SQL views up to date and serves them on the Postgres protocol

          --data-directory DIR                        where everything durable lies (default mzdata)
          --sql-listen-addr ADDR:PORT                 (default 0.0.0.0:6875; port 0 picks one)
          --http-listen-addr ADDR:PORT                (default 0.0.0.0:6876)
          --internal-sql-listen-addr ADDR:PORT        (default 127.0.0.1:6877)
          --internal-http-listen-addr ADDR:PORT       (default 127.0.0.1:6878)
          --internal-persist-pubsub-listen-addr ADDR:PORT
                                                      (default 127.0.0.1:0)
          --orchestrator process|in-process           replicas are child processes (default), or run inside this one
          --clusterd-image PATH                       the clusterd executable (default: beside environmentd)
          --orchestrator-process-scratch-directory DIR
                                                      for state that does not fit the memory of replicas
                                                      (default: the folder scratch of the data directory;
                                                      none if replicas run inside this process)
          --cluster-replica-sizes JSON                more sizes of replicas: {"name": {"scale": 1, "workers": 2,
                                                      "memory_limit": "4GiB", "disk_limit": "0"}, ...}
          --workers N                                 worker threads of a replica (default 2)
          --deploy-generation N                       a higher one takes over from a lower one (default 0)
          --log-filter LEVEL                          off, error, warn, info, debug or trace (default info)
        """;

    /// <exception cref="OptionException">An argument is not understood; the message says which.</exception>
    public static ServerOptions Parse(IReadOnlyList<string> args)
    {
        var options = new ServerOptions();
        for (var i = 0; i < args.Count; i++)
        {
            var (name, value) = args[i].IndexOf('=', StringComparison.Ordinal) is var at and > 0 ? (args[i][..at], args[i][(at + 1)..]) : (args[i], null);
            string Value() => value ?? (++i < args.Count ? args[i] : throw new OptionException($"{name} needs a value"));
            options = name switch
            {
                "--data-directory" => options with { DataDirectory = Value() },
                "--sql-listen-addr" => options with { SqlListenAddress = EndPoint(name, Value()) },
                "--http-listen-addr" => options with { HttpListenAddress = EndPoint(name, Value()) },
                "--internal-sql-listen-addr" => options with { InternalSqlListenAddress = EndPoint(name, Value()) },
                "--internal-http-listen-addr" => options with { InternalHttpListenAddress = EndPoint(name, Value()) },
                "--internal-persist-pubsub-listen-addr" => options with { PubSubListenAddress = EndPoint(name, Value()) },
                "--orchestrator" => options with { Orchestrator = OneOf(name, Value(), "process", "in-process") == "process" ? OrchestratorKind.Process : OrchestratorKind.InProcess },
                "--clusterd-image" => options with { ClusterdImage = Value() },
                "--orchestrator-process-scratch-directory" => options with { ScratchDirectory = Value() },
                "--cluster-replica-sizes" => options with { ClusterReplicaSizes = Sizes(name, Value()) },
                "--workers" => options with { Workers = (int)Number(name, Value(), 1, 1024) },
                "--deploy-generation" => options with { DeployGeneration = Number(name, Value(), 0, long.MaxValue) },
                "--log-filter" => options with { LogFilter = OneOf(name, Value(), "off", "error", "warn", "info", "debug", "trace") },
                "--help" or "-h" => throw new OptionException(null),
                _ => throw new OptionException($"unknown option {name}"),
            };
        }

        return options;
    }

    private static IPEndPoint EndPoint(string name, string text)
    {
        var resolved = text.StartsWith("localhost:", StringComparison.Ordinal) ? "127.0.0.1" + text["localhost".Length..] : text;
        return IPEndPoint.TryParse(resolved, out var endPoint) && resolved.Contains(':', StringComparison.Ordinal)
            ? endPoint
            : throw new OptionException($"{name}: {text} is not ADDR:PORT");
    }

    private static string Sizes(string name, string json)
    {
        try
        {
            ReplicaSizes.Parse(json);
            return json;
        }
        catch (FormatException e)
        {
            throw new OptionException($"{name}: {e.Message}");
        }
    }

    private static ulong Number(string name, string text, ulong least, ulong most) =>
        ulong.TryParse(text, NumberStyles.None, CultureInfo.InvariantCulture, out var number) && number >= least && number <= most
            ? number
            : throw new OptionException($"{name}: {text} is not a number from {least} to {most}");

    private static string OneOf(string name, string text, params string[] allowed) =>
        allowed.Contains(text) ? text : throw new OptionException($"{name}: {text} is not one of {string.Join(", ", allowed)}");
}

/// <summary>The command line is wrong, or (null message) asks for help.</summary>
internal sealed class OptionException(string? message) : Exception(message ?? "")
{
    public bool IsHelp { get; } = message is null;
}
