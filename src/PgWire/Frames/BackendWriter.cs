using System.Globalization;
using System.Net.Sockets;
using Materialize.Adapter;
using Materialize.Interchange;
using Materialize.Repr;

namespace Materialize.PgWire;

/// <summary>Backend messages. They gather in a buffer and leave at <see cref="FlushAsync"/>, which waits for a slow client.</summary>
/// <remarks>Message formats: PostgreSQL manual, 55.7.</remarks>
internal sealed class BackendWriter(Stream stream, CancellationToken cancel) : IDisposable
{
    /// <summary>Flush when this much has gathered: bounds memory by the client's pace.</summary>
    public const int FlushBytes = 32 * 1024;

    public WireBuffer Buffer { get; } = new();

    public bool IsFull => Buffer.Length >= FlushBytes;

    /// <summary>Starts a message; give the result to <see cref="End"/>.</summary>
    public int Begin(char type)
    {
        Buffer.WriteByte((byte)type);
        Buffer.WriteInt32(0);
        return Buffer.Length - 4;
    }

    public void End(int lengthAt) => Buffer.PatchInt32(lengthAt, Buffer.Length - lengthAt);

    /// <summary>A message without a body.</summary>
    public void Empty(char type) => End(Begin(type));

    public void AuthenticationOk()
    {
        var at = Begin('R');
        Buffer.WriteInt32(0);
        End(at);
    }

    public void ParameterStatus(string name, string value)
    {
        var at = Begin('S');
        Buffer.WriteCString(name);
        Buffer.WriteCString(value);
        End(at);
    }

    public void BackendKeyData(uint connectionId, uint secretKey)
    {
        var at = Begin('K');
        Buffer.WriteInt32((int)connectionId);
        Buffer.WriteInt32((int)secretKey);
        End(at);
    }

    public void NegotiateProtocolVersion(int minor, IReadOnlyList<string> unknownOptions)
    {
        var at = Begin('v');
        Buffer.WriteInt32((3 << 16) | minor);
        Buffer.WriteInt32(unknownOptions.Count);
        foreach (var option in unknownOptions)
            Buffer.WriteCString(option);
        End(at);
    }

    public void ReadyForQuery(TransactionStatus status)
    {
        var at = Begin('Z');
        Buffer.WriteByte(status switch
        {
            TransactionStatus.Idle => (byte)'I',
            TransactionStatus.InTransaction => (byte)'T',
            _ => (byte)'E',
        });
        End(at);
    }

    public void CommandComplete(string tag)
    {
        var at = Begin('C');
        Buffer.WriteCString(tag);
        End(at);
    }

    /// <summary>Fields in Postgres's order: S V C M D H P.</summary>
    public void Report(char type, ErrorReport report)
    {
        var at = Begin(type);
        Field('S', report.Severity);
        Field('V', report.Severity);
        Field('C', report.SqlState);
        Field('M', report.Message);
        Field('D', report.Detail);
        Field('H', report.Hint);
        Field('P', report.Position?.ToString(CultureInfo.InvariantCulture));
        Buffer.WriteByte(0);
        End(at);
    }

    public void ParameterDescription(IReadOnlyList<SqlType> types)
    {
        var at = Begin('t');
        Buffer.WriteInt16((short)types.Count);
        foreach (var type in types)
            Buffer.WriteInt32((int)PgType.OidOf(type));
        End(at);
    }

    /// <param name="formats">As Bind gave them: none (text), one for all, or one for each.</param>
    public void RowDescription(RelationDesc columns, short[] formats)
    {
        var at = Begin('T');
        Buffer.WriteInt16((short)columns.Arity);
        for (var i = 0; i < columns.Arity; i++)
        {
            var type = columns.Type.Columns[i].Type;
            Buffer.WriteCString(columns.Names[i]);
            Buffer.WriteInt32(0);
            Buffer.WriteInt16(0);
            Buffer.WriteInt32((int)PgType.OidOf(type));
            Buffer.WriteInt16(PgType.LengthOf(type));
            Buffer.WriteInt32(PgType.TypmodOf(type));
            Buffer.WriteInt16(RowEncoder.FormatOf(formats, i));
        }

        End(at);
    }

    /// <summary>CopyInResponse (G) or CopyOutResponse (H).</summary>
    public void CopyResponse(char type, CopyFormat format, int columns)
    {
        var code = (short)(format == CopyFormat.Binary ? 1 : 0);
        var at = Begin(type);
        Buffer.WriteByte((byte)code);
        Buffer.WriteInt16((short)columns);
        for (var i = 0; i < columns; i++)
            Buffer.WriteInt16(code);
        End(at);
    }

    /// <summary>Sends what has gathered; returns when the transport has taken it.</summary>
    /// <exception cref="ClientGoneException">The connection broke.</exception>
    public async ValueTask FlushAsync()
    {
        if (Buffer.Length == 0)
            return;
        try
        {
            await stream.WriteAsync(Buffer.WrittenMemory, cancel);
            await stream.FlushAsync(cancel);
        }
        catch (Exception e) when (e is IOException or SocketException or ObjectDisposedException or InvalidOperationException)
        {
            Buffer.Clear();
            throw new ClientGoneException();
        }

        Buffer.Clear();
    }

    public void Dispose() => Buffer.Dispose();

    private void Field(char code, string? value)
    {
        if (value is null)
            return;
        Buffer.WriteByte((byte)code);
        Buffer.WriteCString(value);
    }
}
