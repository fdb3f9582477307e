using Microsoft.Extensions.Logging;

namespace Materialize.PgWire;

/// <summary>All log lines of the wire. No passwords, no SQL, no data.</summary>
internal static partial class Log
{
    [LoggerMessage(1, LogLevel.Information, "listening for Postgres clients on {Address}, internal {IsInternal}")]
    public static partial void Listening(ILogger log, string address, bool isInternal);

    [LoggerMessage(2, LogLevel.Debug, "connection {ConnectionId}: user {User} from {Address}")]
    public static partial void Connected(ILogger log, uint connectionId, string user, string address);

    [LoggerMessage(3, LogLevel.Debug, "connection {ConnectionId} ended: {Reason}")]
    public static partial void Disconnected(ILogger log, uint connectionId, string reason);

    [LoggerMessage(4, LogLevel.Error, "connection {ConnectionId}: a statement failed in a way nobody foresaw")]
    public static partial void StatementBroke(ILogger log, Exception exception, uint connectionId);

    [LoggerMessage(5, LogLevel.Error, "connection {ConnectionId}: closing the session failed")]
    public static partial void SessionCloseFailed(ILogger log, Exception exception, uint connectionId);

    [LoggerMessage(6, LogLevel.Error, "a connection from {Address} broke")]
    public static partial void ConnectionBroke(ILogger log, Exception exception, string address);

    [LoggerMessage(7, LogLevel.Warning, "accepting a connection failed")]
    public static partial void AcceptFailed(ILogger log, Exception exception);

    [LoggerMessage(8, LogLevel.Information, "stopped listening on {Address}")]
    public static partial void Stopped(ILogger log, string address);
}
