using Materialize.Adapter;

namespace Materialize.PgWire;

/// <summary>The client broke the protocol, or a value it sent cannot be read. FATAL ones end the connection after the report.</summary>
internal sealed class WireException(ErrorReport report) : Exception(report.Message)
{
    public ErrorReport Report { get; } = report;

    public bool IsFatal => Report.Severity == "FATAL";

    public static WireException Error(string sqlState, string message, string? detail = null) =>
        new(new ErrorReport("ERROR", sqlState, message, detail));

    public static WireException Fatal(string sqlState, string message, string? detail = null) =>
        new(new ErrorReport("FATAL", sqlState, message, detail));
}

/// <summary>The connection is gone: there is nobody to tell. Caught at the connection's root only.</summary>
internal sealed class ClientGoneException() : Exception("the client is gone");
