using System.Buffers.Binary;
using Materialize.Adapter;
using Materialize.Interchange;

namespace Materialize.PgWire;

// COPY: rows to the client, and rows from it. CopyData is decoded as it comes, wherever the client has split it.
public sealed partial class PgConnection
{
    private async ValueTask<string> CopyOutAsync(ExecuteResponse.CopyOut copy)
    {
        await using var source = copy.Source;
        var encoder = CopyEncoder.For(source.Layout, FormatOf(copy.Format));
        _out.CopyResponse('H', copy.Format, copy.Columns.Arity);
        if (copy.Format == CopyFormat.Binary)
            CopyFrame(encoder.WriteHeader);
        var sent = 0L;
        while (await NextPageAsync(source) is { } page)
        {
            for (var i = 0; i < page.Count; i++)
            {
                var at = _out.Begin('d');
                encoder.WriteRow(page.Row(i), _out.Buffer);
                _out.End(at);
                if (_out.IsFull)
                    await _out.FlushAsync();
            }

            sent += page.Count;
        }

        if (copy.Format == CopyFormat.Binary)
            CopyFrame(encoder.WriteTrailer);
        _out.Empty('c');
        return $"COPY {sent}";
    }

    private void CopyFrame(Action<WireBuffer> write)
    {
        var at = _out.Begin('d');
        write(_out.Buffer);
        _out.End(at);
    }

    private async ValueTask<string> CopyInAsync(ExecuteResponse.CopyIn copy)
    {
        var decoder = new CopyDecoder(
            copy.Columns,
            new CopyTextOptions(FormatOf(copy.Options.Format), copy.Options.Delimiter, copy.Options.NullMarker, copy.Options.Quote, copy.Options.Escape, copy.Options.Header),
            _options.CopyRowBytesMax);
        try
        {
            if (copy.Options.Format == CopyFormat.Binary)
                throw WireException.Error("0A000", "COPY FROM STDIN in format binary is not supported");
            _out.CopyResponse('G', copy.Options.Format, copy.Columns.Arity);
            await _out.FlushAsync();
            await ReceiveCopyAsync(decoder, copy.Target);
            decoder.Finish();
            await AppendPagesAsync(decoder, copy.Target, all: true);
            return await copy.Target.CompleteAsync(_ending.Token);
        }
        catch (InterchangeException e)
        {
            await copy.Target.AbortAsync();
            throw new AdapterException(new ErrorReport("ERROR", e.SqlState, e.Message, e.Context is null ? e.Detail : $"{e.Detail}{(e.Detail is null ? "" : " ")}COPY {e.Context}"));
        }
        catch
        {
            await copy.Target.AbortAsync();
            throw;
        }
    }

    /// <summary>Takes CopyData until CopyDone.</summary>
    private async ValueTask ReceiveCopyAsync(CopyDecoder decoder, ICopyTarget target)
    {
        while (true)
        {
            if (!await _frames.FillAsync(5))
                throw new ClientGoneException();
            var type = (char)_frames.Span[0];
            var length = BinaryPrimitives.ReadInt32BigEndian(_frames.Span[1..]) - 4;
            CheckHeader(type, length);
            switch (type)
            {
                case 'd':
                    _frames.Consume(5);
                    await ReceiveCopyDataAsync(length, decoder, target);
                    break;
                case 'c':
                    _frames.Consume(5);
                    await SkipOrGoneAsync(length);
                    return;
                case 'f':
                    throw await CopyFailedAsync(length);
                case 'H' or 'S':
                    // A client that pipelines sends its Sync before it can know that a COPY has begun: ignored, as the protocol says.
                    _frames.Consume(5);
                    await SkipOrGoneAsync(length);
                    break;
                case 'X':
                    throw new ClientGoneException();
                default:
                    // Other messages may follow in any number: nobody knows where the client believes to be.
                    throw WireException.Fatal("08P01", $"unexpected message type 0x{(int)type:X2} during COPY from stdin");
            }
        }
    }

    private async ValueTask ReceiveCopyDataAsync(int length, CopyDecoder decoder, ICopyTarget target)
    {
        var left = length;
        try
        {
            while (left > 0)
            {
                if (!await _frames.FillAsync(1))
                    throw new ClientGoneException();
                var taken = Math.Min(left, _frames.Available);
                left -= taken;
                try
                {
                    decoder.Feed(_frames.Span[..taken]);
                }
                finally
                {
                    _frames.Consume(taken);
                }

                await AppendPagesAsync(decoder, target, all: false);
            }
        }
        catch (Exception e) when (e is InterchangeException or AdapterException)
        {
            // The rest of this message is not a message: step over it before the error is reported.
            await SkipOrGoneAsync(left);
            throw;
        }
    }

    private async ValueTask<Exception> CopyFailedAsync(int length)
    {
        if (!await _frames.FillAsync(5 + length))
            return new ClientGoneException();
        try
        {
            var reader = new MessageReader(_frames.Span.Slice(5, length));
            var message = reader.ReadCString();
            reader.End();
            return WireException.Error("57014", $"COPY from stdin failed: {message}");
        }
        finally
        {
            _frames.Consume(5 + length);
        }
    }

    private async ValueTask SkipOrGoneAsync(int length)
    {
        if (!await _frames.SkipAsync(length))
            throw new ClientGoneException();
    }

    private async ValueTask AppendPagesAsync(CopyDecoder decoder, ICopyTarget target, bool all)
    {
        while (decoder.TryTakePage(all, out var page))
            await target.AppendAsync(new ResultPage(page.Data, page.Ends), _ending.Token);
    }

    private static CopyTextFormat FormatOf(CopyFormat format) => format switch
    {
        CopyFormat.Text => CopyTextFormat.Text,
        CopyFormat.Csv => CopyTextFormat.Csv,
        _ => CopyTextFormat.Binary,
    };
}
