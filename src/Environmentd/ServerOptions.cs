using System.Net;

namespace Materialize.Environmentd;

/// <summary>How replicas are run.</summary>
public enum OrchestratorKind
{
    /// <summary>As child processes, of the clusterd executable.</summary>
    Process,

    /// <summary>Inside this process: for tests, and for programs that embed a server. A replica that runs out of memory takes all with it.</summary>
    InProcess,
}

/// <summary>What a server is started with. Port 0 lets the system choose.</summary>
public sealed record ServerOptions
{
    /// <summary>Where everything durable lies; made if it is not there.</summary>
    public string DataDirectory { get; init; } = "mzdata";

    public IPEndPoint SqlListenAddress { get; init; } = new(IPAddress.Any, 6875);

    public IPEndPoint HttpListenAddress { get; init; } = new(IPAddress.Any, 6876);

    public IPEndPoint InternalSqlListenAddress { get; init; } = new(IPAddress.Loopback, 6877);

    public IPEndPoint InternalHttpListenAddress { get; init; } = new(IPAddress.Loopback, 6878);

    /// <summary>Where clusterd processes hear of new shard states; unused when there are none.</summary>
    public IPEndPoint PubSubListenAddress { get; init; } = new(IPAddress.Loopback, 0);

    public OrchestratorKind Orchestrator { get; init; }

    /// <summary>The clusterd executable; null: beside this program.</summary>
    public string? ClusterdImage { get; init; }

    /// <summary>Worker threads of each process of a replica of the default size.</summary>
    public int Workers { get; init; } = 2;

    /// <summary>Where replicas put state that does not fit their memory; made if it is not there; null: a folder of the data directory, for replicas
    /// that are processes, and nowhere for those inside this one, whose memory is everybody's.</summary>
    public string? ScratchDirectory { get; init; }

    /// <summary>Sizes of replicas beside the usual ones, as the reference's map of sizes in JSON; null: none.</summary>
    public string? ClusterReplicaSizes { get; init; }

    /// <summary>A server with a higher one takes over from one with a lower one.</summary>
    public ulong DeployGeneration { get; init; }

    /// <summary>off, error, warn, info, debug or trace: what the programs log; one that embeds a server decides for itself.</summary>
    public string LogFilter { get; init; } = "info";
}
