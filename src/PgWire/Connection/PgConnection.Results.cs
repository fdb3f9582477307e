using Materialize.Adapter;
using Materialize.Interchange;

namespace Materialize.PgWire;

// Rows on their way to the client, and portals that stopped half-way.
public sealed partial class PgConnection
{
    /// <summary>A portal as the wire knows it: its result formats, and what was not sent yet when it was suspended.</summary>
    private sealed class BoundPortal(short[] formats)
    {
        public short[] Formats { get; } = formats;

        public RowsInFlight? Suspended { get; set; }

        /// <summary>It ran to its end.</summary>
        public bool IsDone { get; set; }

        /// <summary>What executing a portal that is done answers: the rows are gone. Null: it gave none and cannot be run again.</summary>
        public string? TagWhenDone { get; set; }
    }

    /// <summary>A result being sent: the page at hand and the next row of it.</summary>
    private sealed class RowsInFlight(IResultRows source, RowEncoder encoder)
    {
        public IResultRows Source { get; } = source;

        public RowEncoder Encoder { get; } = encoder;

        public ResultPage? Page { get; set; }

        public int NextRow { get; set; }

        /// <summary>Rows sent by this Execute.</summary>
        public long Sent { get; set; }
    }

    /// <summary>
    /// Sends up to <paramref name="max"/> rows as DataRows; true at the end of the result. Like Postgres it says "not at the
    /// end" when the last row was exactly the last one asked for.
    /// </summary>
    private async ValueTask<bool> SendRowsAsync(RowsInFlight rows, long max)
    {
        while (true)
        {
            if (rows.Page is not { } page || rows.NextRow >= page.Count)
            {
                rows.Page = page = await NextPageAsync(rows.Source);
                rows.NextRow = 0;
                if (page is null)
                    return true;
            }

            while (rows.NextRow < page.Count)
            {
                if (rows.Sent == max)
                    return false;
                EncodeDataRows(rows, page, max);
                if (_out.IsFull)
                    await _out.FlushAsync();
            }

            if (rows.Sent == max)
                return false;
        }
    }

    private void EncodeDataRows(RowsInFlight rows, ResultPage page, long max)
    {
        var output = _out.Buffer;
        var data = page.Data.Span;
        var ends = page.Ends.Span;
        var next = rows.NextRow;
        var stop = (int)Math.Min(page.Count, next + (max - rows.Sent));
        var start = next == 0 ? 0 : ends[next - 1];
        while (next < stop && output.Length < BackendWriter.FlushBytes)
        {
            var end = ends[next++];
            var at = _out.Begin('D');
            rows.Encoder.WriteDataRow(data[start..end], output);
            _out.End(at);
            start = end;
        }

        rows.Sent += next - rows.NextRow;
        rows.NextRow = next;
    }

    /// <summary>The next page; what was written so far goes out first if it is not here yet, since a SUBSCRIBE may take for ever.</summary>
    private async ValueTask<ResultPage?> NextPageAsync(IResultRows source)
    {
        var next = source.NextAsync(_ending.Token);
        if (next.IsCompleted)
            return await next;
        var task = next.AsTask();
        await _out.FlushAsync();
        await WatchAsync(task);
        return await task;
    }

    private async ValueTask DropPortalAsync(string name)
    {
        if (_portals.Remove(name, out var portal) && portal.Suspended is { } rows)
            await rows.Source.DisposeAsync();
    }

    private async ValueTask DropPortalsAsync()
    {
        if (_portals.Count == 0)
            return;
        foreach (var portal in _portals.Values)
        {
            if (portal.Suspended is { } rows)
                await rows.Source.DisposeAsync();
        }

        _portals.Clear();
    }
}
