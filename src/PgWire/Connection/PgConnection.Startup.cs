using System.Buffers.Binary;
using Materialize.Adapter;

namespace Materialize.PgWire;

// The startup phase: packets without a type byte, one of which is a request for encryption or for a cancellation, or the
// protocol's version with the parameters. At most 10,000 bytes, all of which must come within StartupTimeout.
public sealed partial class PgConnection
{
    private const int StartupBytesMax = 10_000;
    private const int SslRequest = 80877103;
    private const int GssEncRequest = 80877104;
    private const int CancelRequest = 80877102;
    private const int NewestMinor = 0;

    /// <summary>False when the connection is over without a session: a cancel request, or silence.</summary>
    private async ValueTask<bool> StartupAsync()
    {
        using var timer = _time.CreateTimer(
            static state => ((CancellationTokenSource)state!).Cancel(), _ending, _options.StartupTimeout, Timeout.InfiniteTimeSpan);
        var encrypted = false;
        var gssAsked = false;
        while (true)
        {
            if (!await _frames.FillAsync(4))
                return false;
            var length = BinaryPrimitives.ReadInt32BigEndian(_frames.Span);
            if (length is < 8 or > StartupBytesMax)
                throw WireException.Fatal("08P01", "invalid length of startup packet");
            if (!await _frames.FillAsync(length))
                throw WireException.Fatal("08P01", "incomplete startup packet");
            var code = BinaryPrimitives.ReadInt32BigEndian(_frames.Span[4..]);
            switch (code)
            {
                case CancelRequest:
                    Cancel(length);
                    return false;
                case SslRequest when !encrypted:
                    encrypted = await AnswerTlsAsync(length);
                    break;
                case GssEncRequest when !gssAsked:
                    gssAsked = true;
                    _frames.Consume(length);
                    await AnswerAsync('N');
                    break;
                default:
                    return await OpenSessionAsync(length, code, encrypted, timer);
            }
        }
    }

    private void Cancel(int length)
    {
        if (length != 16)
            throw WireException.Fatal("08P01", "invalid length of cancel request");
        var id = BinaryPrimitives.ReadUInt32BigEndian(_frames.Span[8..]);
        var key = BinaryPrimitives.ReadUInt32BigEndian(_frames.Span[12..]);
        _frames.Consume(length);
        _adapter.CancelRequest(id, key);
    }

    private async ValueTask<bool> AnswerTlsAsync(int length)
    {
        _frames.Consume(length);
        if (_upgradeToTls is null)
        {
            await AnswerAsync('N');
            return false;
        }

        // Bytes sent before the handshake could have been slipped in by somebody between us and the client.
        if (_frames.Available > 0)
            throw WireException.Fatal("08P01", "received unencrypted data after SSL request");
        await AnswerAsync('S');
        try
        {
            _stream = await _upgradeToTls(_stream, _ending.Token);
        }
        catch (Exception e) when (e is IOException or System.Security.Authentication.AuthenticationException)
        {
            throw new ClientGoneException();
        }

        _frames.Dispose();
        _out.Dispose();
        _frames = new FrameReader(_stream, _ending.Token);
        _out = new BackendWriter(_stream, _ending.Token);
        return true;
    }

    private async ValueTask AnswerAsync(char answer)
    {
        _out.Buffer.WriteByte((byte)answer);
        await _out.FlushAsync();
    }

    private async ValueTask<bool> OpenSessionAsync(int length, int code, bool encrypted, ITimer timer)
    {
        if (code >> 16 != 3)
            throw WireException.Fatal("0A000", $"unsupported frontend protocol {code >> 16}.{code & 0xffff}: server supports 3.0 to 3.0");
        var (parameters, unknownOptions) = ReadParameters(length);
        _frames.Consume(length);
        if (_options.RequireTls && !encrypted)
            throw WireException.Fatal("08004", "TLS encryption is required", "Connect with sslmode=require.");
        if (_peer.IsRefused)
            throw WireException.Fatal("53300", "sorry, too many clients already");
        if (!parameters.Remove("user", out var user) || user.Length == 0)
            throw WireException.Fatal("28000", "no PostgreSQL user name specified in startup packet");
        try
        {
            _session = await _adapter.StartupAsync(new StartupRequest(user, parameters, _peer.RemoteAddress, _options.IsInternal), _ending.Token);
        }
        catch (AdapterException e)
        {
            throw new WireException(e.Report with { Severity = "FATAL" });
        }

        timer.Change(Timeout.InfiniteTimeSpan, Timeout.InfiniteTimeSpan);
        Log.Connected(_log, _session.ConnectionId, user, _peer.RemoteAddress);
        if ((code & 0xffff) > NewestMinor || unknownOptions.Count > 0)
            _out.NegotiateProtocolVersion(NewestMinor, unknownOptions);
        _out.AuthenticationOk();
        foreach (var (name, value) in _session.ReportedParameters)
            _out.ParameterStatus(name, value);
        _out.BackendKeyData(_session.ConnectionId, _session.SecretKey);
        await ReadyForQueryAsync();
        return true;
    }

    private (Dictionary<string, string> Parameters, List<string> UnknownOptions) ReadParameters(int length)
    {
        var parameters = new Dictionary<string, string>();
        var unknown = new List<string>();
        try
        {
            var reader = new MessageReader(_frames.Span[8..length]);
            while (reader.Remaining > 0)
            {
                var name = reader.ReadCString();
                if (name.Length == 0)
                {
                    if (reader.Remaining > 0)
                        break;
                    return (parameters, unknown);
                }

                var value = reader.ReadCString();
                if (name.StartsWith("_pq_.", StringComparison.Ordinal))
                    unknown.Add(name);
                else
                    parameters[name] = value;
            }
        }
        catch (WireException e)
        {
            throw new WireException(e.Report with { Severity = "FATAL" });
        }

        throw WireException.Fatal("08P01", "invalid startup packet layout: expected terminator as last byte");
    }
}
