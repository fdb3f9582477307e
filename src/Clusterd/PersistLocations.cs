using System.Net;
using Materialize.Persist;
using Materialize.Persist.Location;
using Materialize.Persist.Push;
using Microsoft.Extensions.Logging;

namespace Materialize.Clusterd;

/// <summary>Opens persist at the URLs of the command line, and closes all of it.</summary>
internal sealed class PersistLocations : IAsyncDisposable
{
    private readonly List<object> _owned = [];

    private PersistLocations()
    {
    }

    public PersistClient Client { get; private set; } = null!;

    /// <exception cref="UsageException">A URL is of no kind that is supported.</exception>
    public static PersistLocations Open(CommandLine options, TimeProvider time, ILoggerFactory logs)
    {
        var locations = new PersistLocations();
        IBlob blob = Path(options.BlobUrl, "file") is { } directory
            ? FileBlob.Open(directory, time)
            : throw new UsageException($"--persist-blob-url: \"{options.BlobUrl}\" is not supported (expected file:///directory)");
        IConsensus consensus = Path(options.ConsensusUrl, "sqlite") is { } file
            ? SqliteConsensus.Open(file, TimeSpan.FromSeconds(10))
            : throw new UsageException($"--persist-consensus-url: \"{options.ConsensusUrl}\" is not supported (expected sqlite:///file)");
        IStatePush push = options.PubsubUrl.Length > 0 ? new StatePushClient(EndPointOf(options.PubsubUrl), time) : new InProcessStatePush();
        locations.Client = new PersistClient(blob, consensus, push, new PersistConfig(), time, new Random(), logs);

        // Closed in this order: the client uses the others.
        locations._owned.AddRange([locations.Client, push, consensus, blob]);
        return locations;
    }

    public async ValueTask DisposeAsync()
    {
        foreach (var owned in _owned)
        {
            if (owned is IAsyncDisposable asynchronous)
                await asynchronous.DisposeAsync();
            else
                (owned as IDisposable)?.Dispose();
        }
    }

    /// <summary>The local path of a URL of this scheme; null for other schemes.</summary>
    private static string? Path(string url, string scheme)
    {
        var prefix = scheme + "://";
        return url.StartsWith(prefix, StringComparison.Ordinal) && url.Length > prefix.Length ? Uri.UnescapeDataString(url[prefix.Length..]) : null;
    }

    private static DnsEndPoint EndPointOf(string url) => Uri.TryCreate(url, UriKind.Absolute, out var uri) && uri.Port > 0
        ? new DnsEndPoint(uri.Host, uri.Port)
        : throw new UsageException($"--persist-pubsub-url: \"{url}\" is no URL with a port");
}
