using System.Globalization;
using System.Text.Json;
using Materialize.Protocol;

namespace Materialize.Clusterd;

/// <summary>The flags of the program. Each may also come from the environment, as <c>CLUSTERD_</c> and its name; the flag wins.</summary>
internal sealed record CommandLine
{
    private const string Prefix = "CLUSTERD_";
    private const int MeshPort = 2102;

    public required TransportAddress StorageAddress { get; init; }

    public required TransportAddress ComputeAddress { get; init; }

    /// <summary>host:port, or unix:path.</summary>
    public required TransportAddress HttpAddress { get; init; }

    public required int Process { get; init; }

    public required int Workers { get; init; }

    /// <inheritdoc cref="Compute.ComputeOptions.PinWorkers"/>
    public required bool PinWorkers { get; init; }

    /// <summary>Where each process of the replica listens for the others; one or none: there are no others.</summary>
    public required IReadOnlyList<TransportAddress> MeshAddresses { get; init; }

    /// <summary>Where state goes that does not fit memory; null: nowhere.</summary>
    public required string? ScratchDirectory { get; init; }

    /// <summary>How much memory the process may use, in bytes; null: all that the machine, or its control group, has.</summary>
    public required long? MemoryLimit { get; init; }

    public required string BlobUrl { get; init; }

    public required string ConsensusUrl { get; init; }

    public required string PubsubUrl { get; init; }

    public required string Host { get; init; }

    public required string LogFilter { get; init; }

    /// <summary>End when the standard input does: whoever started us has gone.</summary>
    public required bool WatchStandardInput { get; init; }

    /// <exception cref="UsageException">A flag is unknown, missing or malformed.</exception>
    public static CommandLine Parse(string[] args, Func<string, string?> environment)
    {
        var given = new Dictionary<string, string>(StringComparer.Ordinal);
        for (var i = 0; i < args.Length; i++)
        {
            if (!args[i].StartsWith("--", StringComparison.Ordinal))
                throw new UsageException($"unexpected argument \"{args[i]}\"");
            var equals = args[i].IndexOf('=');
            var name = equals < 0 ? args[i][2..] : args[i][2..equals];
            if (!Known.Contains(name))
                throw new UsageException($"unknown flag --{name}");
            if (Switches.Contains(name))
                given[name] = equals < 0 ? "true" : args[i][(equals + 1)..];
            else if (equals >= 0)
                given[name] = args[i][(equals + 1)..];
            else if (++i < args.Length)
                given[name] = args[i];
            else
                throw new UsageException($"--{name} needs a value");
        }

        string? Get(string name) => given.TryGetValue(name, out var value)
            ? value
            : environment(Prefix + name.ToUpperInvariant().Replace('-', '_'));

        var timely = Get("compute-timely-config") is { } json ? TimelyConfig.Parse(json) : new TimelyConfig(1, 0, []);
        string[] mesh = Get("mesh-addresses") is { } list ? list.Split(',', StringSplitOptions.RemoveEmptyEntries) : [.. timely.Addresses];
        var process = Number("process", Get("process") ?? timely.Process.ToString(CultureInfo.InvariantCulture), 0);
        if (process >= Math.Max(1, mesh.Length))
            throw new UsageException($"--process: there is no process {process} among {Math.Max(1, mesh.Length)}");
        return new CommandLine
        {
            StorageAddress = Address("storage-controller-listen-addr", Get("storage-controller-listen-addr") ?? "127.0.0.1:2100"),
            ComputeAddress = Address("compute-controller-listen-addr", Get("compute-controller-listen-addr") ?? "127.0.0.1:2101"),
            HttpAddress = Address("internal-http-listen-addr", Get("internal-http-listen-addr") ?? "127.0.0.1:6878"),
            Process = process,
            Workers = Get("workers") is { } workers ? Number("workers", workers, 1) : timely.Workers,
            PinWorkers = Get("worker-core-affinity") is "true" or "1",
            MeshAddresses = [.. mesh.Select(MeshAddress)],
            ScratchDirectory = Get("scratch-directory") is { Length: > 0 } scratch ? scratch : null,
            MemoryLimit = Get("announce-memory-limit") is { } limit ? Bytes("announce-memory-limit", limit) : null,
            BlobUrl = Get("persist-blob-url") ?? throw new UsageException("--persist-blob-url is required"),
            ConsensusUrl = Get("persist-consensus-url") ?? throw new UsageException("--persist-consensus-url is required"),
            PubsubUrl = Get("persist-pubsub-url") ?? "",
            Host = Get("grpc-host") ?? "",
            LogFilter = Get("log-filter") ?? "info",
            WatchStandardInput = Get("exit-with-parent") is "true" or "1",
        };
    }

    private static readonly HashSet<string> Switches = ["exit-with-parent", "is-cc", "worker-core-affinity", "enable-storage-introspection-logs"];

    private static readonly HashSet<string> Known =
    [
        .. Switches, "storage-controller-listen-addr", "compute-controller-listen-addr", "internal-http-listen-addr", "process", "workers",
        "mesh-addresses", "persist-blob-url", "persist-consensus-url", "persist-pubsub-url", "grpc-host", "log-filter", "environment-id",
        "compute-timely-config", "storage-timely-config", "scratch-directory", "announce-memory-limit", "heap-limit", "secrets-reader",
        "secrets-reader-local-file-dir", "secrets-reader-kubernetes-context", "secrets-reader-aws-prefix", "secrets-reader-name-prefix",
        "aws-external-id", "aws-connection-role-arn",
    ];

    private static TransportAddress Address(string flag, string text) =>
        TransportAddress.TryParse(text, out var address) ? address! : throw new UsageException($"--{flag}: \"{text}\" is neither host:port nor unix:path");

    /// <summary>host:port, host (the usual port), or unix:path.</summary>
    private static TransportAddress MeshAddress(string text) => TransportAddress.TryParse(text, out var address) ? address! : new TransportAddress.Tcp(text, MeshPort);

    private static int Number(string flag, string text, int min) =>
        int.TryParse(text, NumberStyles.None, CultureInfo.InvariantCulture, out var number) && number >= min
            ? number
            : throw new UsageException($"--{flag}: \"{text}\" is not a number of at least {min}");

    private static long Bytes(string flag, string text) =>
        long.TryParse(text, NumberStyles.None, CultureInfo.InvariantCulture, out var bytes) && bytes > 0
            ? bytes
            : throw new UsageException($"--{flag}: \"{text}\" is not a number of bytes");

    /// <summary>What of <c>--compute-timely-config</c> concerns us.</summary>
    private sealed record TimelyConfig(int Workers, int Process, IReadOnlyList<string> Addresses)
    {
        public static TimelyConfig Parse(string json)
        {
            try
            {
                using var document = JsonDocument.Parse(json);
                var root = document.RootElement;
                return new TimelyConfig(
                    root.TryGetProperty("workers", out var workers) ? Math.Max(1, workers.GetInt32()) : 1,
                    root.TryGetProperty("process", out var process) ? Math.Max(0, process.GetInt32()) : 0,
                    root.TryGetProperty("addresses", out var addresses) ? [.. addresses.EnumerateArray().Select(a => a.GetString()!)] : []);
            }
            catch (Exception e) when (e is JsonException or InvalidOperationException or FormatException)
            {
                throw new UsageException($"--compute-timely-config: {e.Message}");
            }
        }
    }
}

/// <summary>The command line is wrong; the message says how.</summary>
internal sealed class UsageException(string message) : Exception(message);
