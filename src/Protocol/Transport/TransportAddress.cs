using System.Globalization;

namespace Materialize.Protocol;

/// <summary>Where a server listens: <c>host:port</c>, <c>unix:path</c> (or a path from the root), or <c>memory:name</c> within one process.</summary>
public abstract record TransportAddress
{
    private TransportAddress()
    {
    }

    /// <summary>A port of 0 lets the system choose when listening.</summary>
    public sealed record Tcp(string Host, int Port) : TransportAddress
    {
        public override string ToString() => Host.Contains(':') ? $"[{Host}]:{Port}" : $"{Host}:{Port}";
    }

    public sealed record Unix(string Path) : TransportAddress
    {
        public override string ToString() => $"unix:{Path}";
    }

    public sealed record Memory(string Name) : TransportAddress
    {
        public override string ToString() => $"memory:{Name}";
    }

    /// <exception cref="FormatException">None of the forms.</exception>
    public static TransportAddress Parse(string text) =>
        TryParse(text, out var address) ? address! : throw new FormatException($"invalid address: \"{text}\" (expected host:port or unix:path)");

    public static bool TryParse(string text, out TransportAddress? address)
    {
        address = null;
        if (text.StartsWith("unix:", StringComparison.Ordinal) && text.Length > 5)
            address = new Unix(text[5..]);
        else if (text.StartsWith('/'))
            address = new Unix(text);
        else if (text.StartsWith("memory:", StringComparison.Ordinal) && text.Length > 7)
            address = new Memory(text[7..]);
        else
        {
            var colon = text.LastIndexOf(':');
            if (colon <= 0 || !ushort.TryParse(text.AsSpan(colon + 1), NumberStyles.None, CultureInfo.InvariantCulture, out var port))
                return false;
            var host = text[..colon];
            if (host.StartsWith('[') && host.EndsWith(']'))
                host = host[1..^1];
            else if (host.Contains(':'))
                return false;
            address = new Tcp(host, port);
        }

        return true;
    }
}
