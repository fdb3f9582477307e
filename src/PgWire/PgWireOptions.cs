using System.Security.Cryptography.X509Certificates;

namespace Materialize.PgWire;

/// <summary>What a listener may be told; the defaults are right for tests and small servers.</summary>
public sealed record PgWireOptions
{
    /// <summary>Clients beyond this many get FATAL 53300. Cancel requests always pass.</summary>
    public int ConnectionsMax { get; init; } = 5000;

    /// <summary>Largest Query, Parse or Bind message in bytes; CopyData is streamed and not bound by it.</summary>
    public int MessageBytesMax { get; init; } = 1024 * 1024 * 1024;

    /// <summary>Largest row of a COPY FROM STDIN in bytes.</summary>
    public int CopyRowBytesMax { get; init; } = 128 * 1024 * 1024;

    /// <summary>A client that has not finished its startup by then is dropped.</summary>
    public TimeSpan StartupTimeout { get; init; } = TimeSpan.FromSeconds(60);

    /// <summary>Connections are of Materialize's own administrators (mz_system, mz_support).</summary>
    public bool IsInternal { get; init; }

    /// <summary>With it an SSLRequest is granted, without it answered <c>N</c>.</summary>
    public X509Certificate2? Certificate { get; init; }

    /// <summary>Whether a client that does not ask for TLS is refused with 08004.</summary>
    public bool RequireTls { get; init; }
}
