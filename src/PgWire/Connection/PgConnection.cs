using System.Buffers.Binary;
using Materialize.Adapter;
using Materialize.Core;
using Materialize.Interchange;
using Microsoft.Extensions.Logging;

namespace Materialize.PgWire;

/// <summary>Who is at the other end, and how the connection came in.</summary>
/// <param name="RemoteAddress">For logs and catalog relations.</param>
/// <param name="IsRefused">The listener is full: after its startup packet the client is told so. Cancel requests still pass.</param>
public sealed record PgPeer(string RemoteAddress, bool IsRefused = false);

/// <summary>
/// One client's connection: Postgres protocol 3 over any duplex byte stream. A task runs <see cref="RunAsync"/>; it alone touches
/// the session, so that no field needs a lock.
/// </summary>
/// <remarks>
/// The rule of every handler: first decode the message completely, then consume it, then run. While a statement runs, a read
/// stays outstanding (<see cref="WatchedAsync"/>), so that a client that goes away takes its statement with it.
/// An ERROR in the extended protocol makes all messages up to Sync be skipped; a FATAL one closes the connection.
/// </remarks>
public sealed partial class PgConnection
{
    private const int SmallMessageBytesMax = 10_000;
    private readonly IAdapterClient _adapter;
    private readonly PgWireOptions _options;
    private readonly PgPeer _peer;
    private readonly ILogger _log;
    private readonly TimeProvider _time;
    private readonly Func<Stream, CancellationToken, ValueTask<Stream>>? _upgradeToTls;
    private readonly Dictionary<string, BoundPortal> _portals = [];
    private Stream _stream;
    private FrameReader _frames = null!;
    private BackendWriter _out = null!;
    private CancellationTokenSource _ending = null!;
    private ISession _session = null!;
    private bool _skippingToSync;
    private bool _failedSinceSync;

    /// <param name="stream">Owned: closed when the connection ends.</param>
    /// <param name="upgradeToTls">Does the server's side of a TLS handshake; without it an SSLRequest is answered with N.</param>
    public PgConnection(
        Stream stream,
        IAdapterClient adapter,
        PgWireOptions options,
        PgPeer peer,
        ILogger log,
        TimeProvider time,
        Func<Stream, CancellationToken, ValueTask<Stream>>? upgradeToTls = null)
    {
        _stream = stream;
        _adapter = adapter;
        _options = options;
        _peer = peer;
        _log = log;
        _time = time;
        _upgradeToTls = upgradeToTls;
    }

    /// <summary>Serves the client until it leaves, breaks the protocol, or <paramref name="shutdown"/>. Throws only on our own bugs.</summary>
    public async Task RunAsync(CancellationToken shutdown)
    {
        _ending = CancellationTokenSource.CreateLinkedTokenSource(shutdown);
        _frames = new FrameReader(_stream, _ending.Token);
        _out = new BackendWriter(_stream, _ending.Token);
        var reason = "client closed";
        try
        {
            if (await StartupAsync())
                reason = await ServeAsync();
        }
        catch (ClientGoneException)
        {
            reason = "connection lost";
        }
        catch (WireException e)
        {
            reason = e.Report.Message;
            await SayFarewellAsync(e.Report);
        }
        catch (OperationCanceledException) when (shutdown.IsCancellationRequested)
        {
            reason = "shutdown";
            await SayFarewellAsync(new ErrorReport("FATAL", "57P01", "terminating connection due to administrator command"));
        }
        catch (OperationCanceledException) when (_ending.IsCancellationRequested)
        {
            reason = "connection lost";
        }
        finally
        {
            await CloseAsync(reason);
        }
    }

    private async ValueTask<string> ServeAsync()
    {
        while (true)
        {
            if (_frames.Available == 0 && _out.Buffer.Length == 0)
                _out.Buffer.Release();
            if (!await _frames.FillAsync(5))
                return _frames.Available == 0 ? "client closed without a farewell" : "unexpected end of client's data";
            var type = (char)_frames.Span[0];
            var length = BinaryPrimitives.ReadInt32BigEndian(_frames.Span[1..]) - 4;
            CheckHeader(type, length);
            if (type == 'X')
                return "client said goodbye";
            if ((_skippingToSync && type != 'S') || type is 'd' or 'c' or 'f')
            {
                // COPY data here is what a client still sent when its COPY had failed: dropped, as the protocol says.
                _frames.Consume(5);
                if (!await _frames.SkipAsync(length))
                    return "unexpected end of client's data";
                continue;
            }

            if (!await _frames.FillAsync(5 + length))
                return "unexpected end of client's data";
            await DispatchAsync(type, length);
        }
    }

    private ValueTask DispatchAsync(char type, int length)
    {
        switch (type)
        {
            case 'Q':
                return SimpleQueryAsync(length);
            case 'S':
                _frames.Consume(5 + length);
                return SyncAsync();
            case 'H':
                _frames.Consume(5 + length);
                return _out.FlushAsync();
            case 'F':
                return FunctionCallAsync(length);
            default:
                return ExtendedAsync(type, length);
        }
    }

    /// <summary>Parse, Bind, Describe, Execute, Close: an error makes the rest up to Sync be skipped.</summary>
    private async ValueTask ExtendedAsync(char type, int length)
    {
        try
        {
            await (type switch
            {
                'P' => ParseAsync(length),
                'B' => BindAsync(length),
                'D' => DescribeAsync(length),
                'E' => ExecuteAsync(length),
                _ => ClosePreparedOrPortalAsync(length),
            });
            if (_out.IsFull)
                await _out.FlushAsync();
        }
        catch (Exception e) when (Translate(e) is { } report)
        {
            _skippingToSync = true;
            _failedSinceSync = true;
            DrainNotices();
            _out.Report('E', report);
        }
    }

    private async ValueTask SyncAsync()
    {
        var failed = _failedSinceSync;
        _skippingToSync = false;
        _failedSinceSync = false;
        await EndImplicitReportingAsync(failed);
        await ReadyForQueryAsync();
    }

    private async ValueTask FunctionCallAsync(int length)
    {
        _frames.Consume(5 + length);
        _out.Report('E', new ErrorReport("ERROR", "0A000", "the function call protocol is not supported"));
        await EndImplicitReportingAsync(failed: true);
        await ReadyForQueryAsync();
    }

    /// <summary>Ends the implicit transaction where nothing was said yet about the outcome; an error goes to the client.</summary>
    private async ValueTask EndImplicitReportingAsync(bool failed)
    {
        try
        {
            await WatchedAsync(_session.EndImplicitAsync(failed, _ending.Token));
        }
        catch (Exception e) when (Translate(e) is { } report)
        {
            DrainNotices();
            _out.Report('E', report);
        }
    }

    private async ValueTask ReadyForQueryAsync()
    {
        if (_session.TransactionStatus == TransactionStatus.Idle)
            await DropPortalsAsync();
        DrainNotices();
        while (_session.TryTakeParameterChange(out var change))
            _out.ParameterStatus(change.Key, change.Value);
        _out.ReadyForQuery(_session.TransactionStatus);
        await _out.FlushAsync();
    }

    private void DrainNotices()
    {
        while (_session.TryTakeNotice(out var notice))
            _out.Report('N', notice);
    }

    /// <summary>
    /// What the client is told of a failed statement; null for what ends the connection. An exception that nobody foresaw is our
    /// bug: the statement fails with XX000 and the log has the stack, but other clients and this one's session go on.
    /// </summary>
    private ErrorReport? Translate(Exception e)
    {
        switch (e)
        {
            case AdapterException x when x.Report.Severity is not ("FATAL" or "PANIC"):
                return x.Report;
            case AdapterException x:
                throw new WireException(x.Report with { Severity = "FATAL" });
            case WireException x:
                return x.IsFatal ? null : x.Report;
            case InterchangeException x:
                return new ErrorReport("ERROR", x.SqlState, x.Message, x.Detail);
            case ClientGoneException or InvariantViolationException:
                return null;
            case OperationCanceledException when _ending.IsCancellationRequested:
                return null;
            case OperationCanceledException:
                return new ErrorReport("ERROR", "57014", "canceling statement due to user request");
            default:
                Log.StatementBroke(_log, e, _session.ConnectionId);
                return new ErrorReport("ERROR", "XX000", $"internal error: {e.Message}");
        }
    }

    /// <summary>
    /// Awaits <paramref name="running"/> while looking out for the client: when it goes, the statement's token is cancelled.
    /// </summary>
    private async ValueTask<T> WatchedAsync<T>(ValueTask<T> running)
    {
        if (running.IsCompleted)
            return await running;
        var task = running.AsTask();
        await WatchAsync(task);
        return await task;
    }

    private async ValueTask WatchedAsync(ValueTask running)
    {
        if (running.IsCompleted)
        {
            await running;
            return;
        }

        var task = running.AsTask();
        await WatchAsync(task);
        await task;
    }

    private async ValueTask WatchAsync(Task task)
    {
        while (!task.IsCompleted && _frames.BeginRead() is { } read)
        {
            if (await Task.WhenAny(task, read) == task)
                return;
            await _frames.EndReadAsync();
            if (!_frames.IsEnded)
                continue;
            await _ending.CancelAsync();
            return;
        }
    }

    private void CheckHeader(char type, int length)
    {
        var max = type switch
        {
            'Q' or 'P' or 'B' or 'F' => _options.MessageBytesMax,
            'd' => int.MaxValue,
            'C' or 'D' or 'E' or 'H' or 'S' or 'X' or 'c' or 'f' => SmallMessageBytesMax,
            _ => throw WireException.Fatal("08P01", $"invalid frontend message type {(int)type}"),
        };
        if (length < 0 || length > max)
            throw WireException.Fatal("08P01", "invalid message length");
    }

    private async ValueTask SayFarewellAsync(ErrorReport report)
    {
        try
        {
            // Its own time: the connection's token may be what ended it.
            using var patience = new CancellationTokenSource(TimeSpan.FromSeconds(1), _time);
            _out.Report('E', report);
            await _stream.WriteAsync(_out.Buffer.WrittenMemory, patience.Token);
            await _stream.FlushAsync(patience.Token);
        }
        catch (Exception e) when (e is IOException or ObjectDisposedException or OperationCanceledException or InvalidOperationException)
        {
            // Nobody listens any more; the connection ends either way.
        }
    }

    private async ValueTask CloseAsync(string reason)
    {
        await _ending.CancelAsync();
        if (_session is not null)
        {
            Log.Disconnected(_log, _session.ConnectionId, reason);
            try
            {
                await DropPortalsAsync();
                await _session.DisposeAsync();
            }
            catch (Exception e) when (e is not InvariantViolationException)
            {
                Log.SessionCloseFailed(_log, e, _session.ConnectionId);
            }
        }

        await _stream.DisposeAsync();
        _frames.Dispose();
        _out.Dispose();
        _ending.Dispose();
    }
}
