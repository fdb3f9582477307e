using Materialize.Adapter;
using Materialize.Core.Collections;
using Materialize.Interchange;
using Materialize.Repr;

namespace Materialize.PgWire;

// The simple query, and the messages of the extended protocol.
public sealed partial class PgConnection
{
    private static readonly short[] AllText = [];

    private async ValueTask SimpleQueryAsync(int length)
    {
        var failed = false;
        try
        {
            var sql = DecodeQuery(length);

            // A simple query uses the unnamed statement and portal itself, so those made before are gone.
            await DropPortalAsync("");
            _session.ClosePortal("");
            _session.ClosePrepared("");
            var statements = _session.ParseSimple(sql);
            if (statements.Count == 0)
            {
                await WatchedAsync(_session.EndImplicitAsync(false, _ending.Token));
                _out.Empty('I');
            }

            for (var i = 0; i < statements.Count; i++)
            {
                var response = await WatchedAsync(_session.ExecuteSimpleAsync(statements[i], _ending.Token));
                await DeliverAsync(response, i == statements.Count - 1);
            }
        }
        catch (Exception e) when (Translate(e) is { } report)
        {
            failed = true;
            DrainNotices();
            _out.Report('E', report);
        }

        if (failed)
            await EndImplicitReportingAsync(failed: true);
        await ReadyForQueryAsync();
    }

    private string DecodeQuery(int length)
    {
        try
        {
            var reader = new MessageReader(_frames.Span.Slice(5, length));
            var sql = reader.ReadCString();
            reader.End();
            return sql;
        }
        finally
        {
            _frames.Consume(5 + length);
        }
    }

    /// <summary>
    /// Sends a simple statement's outcome. The last statement's transaction ends before its CommandComplete, so that a commit
    /// that fails is never reported as done.
    /// </summary>
    private async ValueTask DeliverAsync(ExecuteResponse response, bool last)
    {
        string? tag;
        switch (response)
        {
            case ExecuteResponse.EmptyQuery:
                tag = null;
                break;
            case ExecuteResponse.Completed completed:
                tag = completed.Tag;
                break;
            case ExecuteResponse.Rows rows:
                _out.RowDescription(rows.Columns, AllText);
                await using (var source = rows.Source)
                {
                    var sending = new RowsInFlight(source, RowEncoder.For(source.Layout, AllText));
                    await SendRowsAsync(sending, long.MaxValue);
                    tag = TagOf(rows, sending.Sent);
                }

                break;
            case ExecuteResponse.CopyOut copy:
                tag = await CopyOutAsync(copy);
                break;
            case ExecuteResponse.CopyIn copy:
                tag = await CopyInAsync(copy);
                break;
            default:
                throw new System.Diagnostics.UnreachableException(response.GetType().Name);
        }

        if (last)
            await WatchedAsync(_session.EndImplicitAsync(false, _ending.Token));
        Complete(tag);
        if (_out.IsFull)
            await _out.FlushAsync();
    }

    private void Complete(string? tag)
    {
        DrainNotices();
        if (tag is null)
            _out.Empty('I');
        else
            _out.CommandComplete(tag);
    }

    private static string TagOf(ExecuteResponse.Rows rows, long sent) => $"{rows.Command} {sent}";

    private async ValueTask ParseAsync(int length)
    {
        string name, sql;
        uint[] oids;
        try
        {
            var reader = new MessageReader(_frames.Span.Slice(5, length));
            name = reader.ReadCString();
            sql = reader.ReadCString();
            oids = new uint[(ushort)reader.ReadInt16()];
            for (var i = 0; i < oids.Length; i++)
                oids[i] = (uint)reader.ReadInt32();
            reader.End();
        }
        finally
        {
            _frames.Consume(5 + length);
        }

        await WatchedAsync(_session.PrepareAsync(name, sql, oids, _ending.Token));
        _out.Empty('1');
    }

    private async ValueTask BindAsync(int length)
    {
        string portal;
        string prepared;
        ValueArray<Datum> parameters;
        short[] resultFormats;
        try
        {
            var reader = new MessageReader(_frames.Span.Slice(5, length));
            portal = reader.ReadCString();
            prepared = reader.ReadCString();
            var formats = ReadFormats(ref reader);
            var description = _session.DescribePrepared(prepared);
            parameters = ReadParameters(ref reader, formats, prepared, description);
            resultFormats = ReadFormats(ref reader);
            reader.End();
            var columns = description.Columns?.Arity ?? 0;
            if (resultFormats.Length > 1 && resultFormats.Length != columns)
                throw WireException.Error("08P01", $"bind message has {resultFormats.Length} result formats but query has {columns} columns");
        }
        finally
        {
            _frames.Consume(5 + length);
        }

        // A new portal takes the place of an unfinished one of the same name.
        await DropPortalAsync(portal);
        _session.Bind(portal, prepared, parameters);
        _portals[portal] = new BoundPortal(resultFormats);
        _out.Empty('2');
    }

    private static short[] ReadFormats(ref MessageReader reader)
    {
        var formats = new short[(ushort)reader.ReadInt16()];
        for (var i = 0; i < formats.Length; i++)
        {
            formats[i] = reader.ReadInt16();
            if (formats[i] is not (0 or 1))
                throw WireException.Error("22023", $"unsupported format code: {formats[i]}");
        }

        return formats;
    }

    private static ValueArray<Datum> ReadParameters(ref MessageReader reader, short[] formats, string prepared, PreparedDescription description)
    {
        var types = description.ParameterTypes;
        var count = (ushort)reader.ReadInt16();
        if (formats.Length > 1 && formats.Length != count)
            throw WireException.Error("08P01", $"bind message has {formats.Length} parameter formats but {count} parameters");
        if (count != types.Count)
        {
            throw WireException.Error(
                "08P01", $"bind message supplies {count} parameters, but prepared statement \"{prepared}\" requires {types.Count}");
        }

        var parameters = new Datum[count];
        for (var i = 0; i < count; i++)
        {
            var size = reader.ReadInt32();
            if (size == -1)
                continue;
            var bytes = reader.ReadBytes(size);
            try
            {
                parameters[i] = ParameterDecoder.Decode(types[i], RowEncoder.FormatOf(formats, i), bytes);
            }
            catch (InterchangeException e)
            {
                throw WireException.Error(e.SqlState, e.Message, e.Detail);
            }
        }

        return ValueArray.Create<Datum>(parameters);
    }

    private ValueTask DescribeAsync(int length)
    {
        var (kind, name) = ReadTarget(length, "DESCRIBE");
        RelationDesc? columns;
        var formats = AllText;
        if (kind == 'S')
        {
            var description = _session.DescribePrepared(name);
            _out.ParameterDescription(description.ParameterTypes);
            columns = description.Columns;
        }
        else
        {
            columns = _session.DescribePortal(name);
            formats = _portals.TryGetValue(name, out var portal) ? portal.Formats : AllText;
        }

        if (columns is null)
            _out.Empty('n');
        else
            _out.RowDescription(columns, formats);
        return ValueTask.CompletedTask;
    }

    private async ValueTask ClosePreparedOrPortalAsync(int length)
    {
        var (kind, name) = ReadTarget(length, "CLOSE");
        if (kind == 'S')
        {
            _session.ClosePrepared(name);
        }
        else
        {
            await DropPortalAsync(name);
            _session.ClosePortal(name);
        }

        _out.Empty('3');
    }

    private (char Kind, string Name) ReadTarget(int length, string message)
    {
        try
        {
            var reader = new MessageReader(_frames.Span.Slice(5, length));
            var kind = (char)reader.ReadByte();
            if (kind is not ('S' or 'P'))
                throw WireException.Error("08P01", $"invalid {message} message subtype {(int)kind}");
            var name = reader.ReadCString();
            reader.End();
            return (kind, name);
        }
        finally
        {
            _frames.Consume(5 + length);
        }
    }

    private async ValueTask ExecuteAsync(int length)
    {
        string name;
        long max;
        try
        {
            var reader = new MessageReader(_frames.Span.Slice(5, length));
            name = reader.ReadCString();
            var rows = reader.ReadInt32();
            max = rows > 0 ? rows : long.MaxValue;
            reader.End();
        }
        finally
        {
            _frames.Consume(5 + length);
        }

        if (!_portals.TryGetValue(name, out var portal))
            _portals[name] = portal = new BoundPortal(AllText);
        if (portal.IsDone && _session.TransactionStatus != TransactionStatus.Failed)
        {
            // CLOSE may have removed it meanwhile: the session knows.
            _session.DescribePortal(name);
            Complete(portal.TagWhenDone ?? throw WireException.Error("55000", $"portal \"{name}\" cannot be run"));
            return;
        }

        var response = await WatchedAsync(_session.ExecuteAsync(name, _ending.Token));
        switch (response)
        {
            case ExecuteResponse.EmptyQuery:
                Complete(null);
                return;
            case ExecuteResponse.Completed completed:
                Complete(completed.Tag);
                break;
            case ExecuteResponse.Rows rows:
                await ExecuteRowsAsync(portal, rows, max);
                return;
            case ExecuteResponse.CopyOut copy:
                Complete(await CopyOutAsync(copy));
                break;
            case ExecuteResponse.CopyIn copy:
                Complete(await CopyInAsync(copy));
                break;
        }

        portal.IsDone = true;
    }

    private async ValueTask ExecuteRowsAsync(BoundPortal portal, ExecuteResponse.Rows rows, long max)
    {
        if (portal.Suspended is null || portal.Suspended.Source != rows.Source)
            portal.Suspended = new RowsInFlight(rows.Source, RowEncoder.For(rows.Source.Layout, portal.Formats));
        var sending = portal.Suspended;
        sending.Sent = 0;
        var done = false;
        try
        {
            done = await SendRowsAsync(sending, max);
        }
        catch
        {
            portal.Suspended = null;
            await rows.Source.DisposeAsync();
            throw;
        }

        if (!done)
        {
            DrainNotices();
            _out.Empty('s');
            return;
        }

        portal.Suspended = null;
        await rows.Source.DisposeAsync();
        var tag = TagOf(rows, sending.Sent);
        portal.IsDone = true;
        portal.TagWhenDone = rows.Command == "SELECT" ? "SELECT 0" : tag;
        Complete(tag);
    }
}
