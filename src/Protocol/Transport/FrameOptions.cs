namespace Materialize.Protocol;

/// <summary>Limits and clocks of a <see cref="FrameChannel"/>.</summary>
public sealed record FrameOptions
{
    /// <summary>A longer frame closes the connection: it is an error of the peer, or bytes that are no frame at all.</summary>
    public long FrameBytesMax { get; init; } = 2_000_000_000;

    /// <summary>After so long without sending, an empty frame is sent.</summary>
    public TimeSpan KeepAliveInterval { get; init; } = TimeSpan.FromSeconds(1);

    /// <summary>After so long waiting for the peer to send, or to take what we send, it is taken for dead; at least 2 s. Null: never.</summary>
    public TimeSpan? IdleTimeout { get; init; }

    /// <summary>How long the handshake may take.</summary>
    public TimeSpan HandshakeTimeout { get; init; } = TimeSpan.FromSeconds(10);

    /// <summary>Frames queued before <see cref="FrameChannel.SendAsync"/> waits.</summary>
    public int SendQueueFrames { get; init; } = 256;

    /// <summary>What the controller uses.</summary>
    public static FrameOptions Client { get; } = new() { IdleTimeout = TimeSpan.FromSeconds(30) };

    /// <summary>A server waits for its controller without limit.</summary>
    public static FrameOptions Server { get; } = new();
}

/// <summary>What each side says first; a mismatch closes the connection.</summary>
/// <param name="Version">Of the protocol: <see cref="ProtocolCodecs.Version"/>.</param>
/// <param name="Service">Which protocol: <c>compute</c> or <c>storage</c>.</param>
/// <param name="Host">Server: its own name; client: the name it means to reach. Empty on either side: not checked. It turns away
/// connections that an address used anew has led to the wrong replica.</param>
public sealed record FrameHello(uint Version, string Service, string Host);

/// <summary>Why a connection ended.</summary>
public enum CloseKind
{
    /// <summary>This side closed it.</summary>
    Local,

    /// <summary>The peer closed it between frames.</summary>
    Peer,

    /// <summary>Reading or writing failed, or the peer vanished within a frame.</summary>
    Io,

    /// <summary>The peer sent what is no frame or no message.</summary>
    Malformed,

    /// <summary>Magic, version, service or host differ.</summary>
    Handshake,

    /// <summary>The peer neither sent nor took anything for too long.</summary>
    Idle,

    /// <summary>A newer connection took its place.</summary>
    Evicted,
}

/// <summary>Why a connection ended, with words for the log.</summary>
public sealed record CloseReason(CloseKind Kind, string Message)
{
    public override string ToString() => $"{Kind}: {Message}";
}

/// <summary>The connection is closed.</summary>
public sealed class ConnectionClosedException(CloseReason reason) : IOException(reason.ToString())
{
    public CloseReason Reason { get; } = reason;
}
