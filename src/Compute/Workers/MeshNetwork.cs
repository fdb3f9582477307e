using System.IO.Pipelines;
using System.Net;
using Materialize.Dataflow.Runtime;
using Materialize.Protocol;

namespace Materialize.Compute.Workers;

/// <summary>The mesh of a replica over a transport: sockets, or memory where all its processes are in one.</summary>
internal sealed class MeshNetwork : IMeshNetwork, IAsyncDisposable
{
    private readonly ReplicaMesh _mesh;
    private readonly ITransportListener _listener;

    private MeshNetwork(ReplicaMesh mesh, ITransportListener listener)
    {
        _mesh = mesh;
        _listener = listener;
    }

    /// <summary>Listens for the replica's other processes until it is disposed of; links live on.</summary>
    /// <exception cref="IOException">The address cannot be listened on.</exception>
    public static async Task<MeshNetwork> ListenAsync(ReplicaMesh mesh, CancellationToken cancel) =>
        new(mesh, await mesh.Transport.ListenAsync(Local(mesh.Addresses[mesh.Process]), cancel));

    public async ValueTask<IMeshLink> ConnectAsync(int process, CancellationToken cancel) =>
        new Link(await _mesh.Transport.ConnectAsync(_mesh.Addresses[process], cancel));

    public async ValueTask<IMeshLink> AcceptAsync(CancellationToken cancel) =>
        new Link(await _listener.AcceptAsync(cancel) ?? throw new IOException("the listener was closed"));

    public ValueTask DisposeAsync() => _listener.DisposeAsync();

    /// <summary>The name that peers know may be one that only they resolve: then this process listens everywhere.</summary>
    private static TransportAddress Local(TransportAddress address) => address is TransportAddress.Tcp tcp && !IPAddress.TryParse(tcp.Host, out _)
        ? tcp with { Host = $"{IPAddress.IPv6Any}" }
        : address;

    private sealed class Link(TransportConnection connection) : IMeshLink
    {
        public PipeReader Input => connection.Input;

        public PipeWriter Output => connection.Output;

        public ValueTask DisposeAsync() => connection.DisposeAsync();
    }
}
