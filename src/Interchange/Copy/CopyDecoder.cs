using System.Buffers.Binary;
using System.Text;
using Materialize.Repr;

namespace Materialize.Interchange;

/// <summary>
/// COPY data in text or CSV → canonical rows. Takes the data in pieces split anywhere; gives pages of rows. A row costs no
/// allocation.
/// </summary>
/// <remarks>
/// <para>Data gathers in one buffer; complete records are decoded from it, an incomplete one stays. Where the search for its
/// end has come to is remembered, so that a record in many small pieces is not searched again and again.</para>
/// <para>Differences from Postgres, as Materialize has them: in CSV a quoted null marker is null too, an unterminated quote ends
/// with the data, <c>\.</c> on its own line ends the data also inside quotes, and a quote counts only right after a delimiter.</para>
/// </remarks>
public sealed class CopyDecoder
{
    private const int PageBytes = 256 * 1024;
    private readonly RowLayout _layout;
    private readonly RelationDesc _columns;
    private readonly FieldParser[] _parsers;
    private readonly CopyTextOptions _options;
    private readonly byte[] _nullMarker;
    private readonly byte _delimiter;
    private readonly byte _quote;
    private readonly byte _escape;
    private readonly int _rowBytesMax;
    private readonly WireBuffer _page = new();
    private readonly WireBuffer _scratch = new();
    private readonly List<CopyPage> _ready = [];
    private readonly WireBuffer _input = new();
    private int[] _ends = new int[1024];
    private int _rows;
    private int _start;
    private int _searched;
    private bool _inQuotes;
    private bool _skipHeader;
    private bool _ended;
    private long _line;

    /// <param name="columns">In the order of the data; also the layout of the rows given.</param>
    /// <param name="rowBytesMax">A longer record is refused, so that a missing newline cannot fill memory.</param>
    public CopyDecoder(RelationDesc columns, CopyTextOptions options, int rowBytesMax)
    {
        _columns = columns;
        _layout = RowLayout.For(columns.Type.Columns);
        _parsers = [.. columns.Type.Columns.Select(c => FieldParser.For(c.Type))];
        _options = options;
        _nullMarker = Encoding.UTF8.GetBytes(options.NullMarker);
        _delimiter = (byte)options.Delimiter;
        _quote = (byte)options.Quote;
        _escape = (byte)options.Escape;
        _rowBytesMax = rowBytesMax;
        _skipHeader = options.Header;
    }

    /// <summary>Takes the next piece of data.</summary>
    /// <exception cref="InterchangeException">Bad data, with line and column; the decoder is of no use afterwards.</exception>
    public void Feed(ReadOnlySpan<byte> data)
    {
        if (_ended)
            return;
        if (_start > 0 && _start == _input.Length)
            Rewind();
        _input.Write(data);
        Decode(atEnd: false);
        if (_input.Length - _start > _rowBytesMax)
            throw Refuse("54000", $"COPY row exceeds the maximum of {_rowBytesMax} bytes");
    }

    /// <summary>The data is over: a last line without a newline counts.</summary>
    public void Finish()
    {
        if (!_ended)
            Decode(atEnd: true);
    }

    /// <summary>A page of rows decoded so far, in order. The page is the caller's.</summary>
    /// <param name="all">Also one that is not full.</param>
    public bool TryTakePage(bool all, out CopyPage page)
    {
        if (_ready.Count == 0 && all && _rows > 0)
            EndPage();
        if (_ready.Count == 0)
        {
            page = default;
            return false;
        }

        page = _ready[0];
        _ready.RemoveAt(0);
        return true;
    }

    private void Decode(bool atEnd)
    {
        while (!_ended)
        {
            var pending = _input.Written[_start..];
            var length = _options.Format == CopyTextFormat.Csv ? FindCsvEnd(pending, atEnd) : FindTextEnd(pending);
            if (length < 0)
            {
                if (!atEnd || pending.Length == 0)
                    break;
                length = pending.Length;
            }

            var record = pending[..length];
            if (record is [.., (byte)'\r'])
                record = record[..^1];
            _start = Math.Min(_start + length + 1, _input.Length);
            _searched = 0;
            _inQuotes = false;
            _line++;
            if (_skipHeader)
                _skipHeader = false;
            else if (record.SequenceEqual("\\."u8))
                _ended = true;
            else
                DecodeRecord(record);
        }

        if (_start > 0 && _start >= _input.Length / 2)
            Rewind();
    }

    /// <summary>Moves what is not decoded to the front.</summary>
    private void Rewind()
    {
        var rest = _input.Length - _start;
        if (rest > 0)
        {
            _scratch.Clear();
            _scratch.Write(_input.Written[_start..]);
            _input.Truncate(0);
            _input.Write(_scratch.Written);
        }
        else
        {
            _input.Clear();
        }

        _start = 0;
    }

    /// <summary>Where the line ends, or −1. An escaped newline does not end it.</summary>
    private int FindTextEnd(ReadOnlySpan<byte> pending)
    {
        while (true)
        {
            var found = pending[_searched..].IndexOf((byte)'\n');
            if (found < 0)
            {
                _searched = pending.Length;
                return -1;
            }

            var end = _searched + found;
            var backslashes = 0;
            while (backslashes < end && pending[end - 1 - backslashes] == '\\')
                backslashes++;
            if (backslashes % 2 == 0)
                return end;
            _searched = end + 1;
        }
    }

    /// <summary>Where the record ends, or −1. A newline inside quotes does not end it, unless a line with <c>\.</c> follows.</summary>
    /// <remarks>Between calls <see cref="_searched"/> is where a line begins, and <see cref="_inQuotes"/> holds for that place.</remarks>
    private int FindCsvEnd(ReadOnlySpan<byte> pending, bool atEnd)
    {
        while (true)
        {
            var newline = pending[_searched..].IndexOf((byte)'\n');
            if (newline < 0 && !atEnd)
                return -1;
            var stop = newline < 0 ? pending.Length : _searched + newline;
            if (_inQuotes && pending[_searched..stop] is [(byte)'\\', (byte)'.'] or [(byte)'\\', (byte)'.', (byte)'\r'])
                return _searched - 1;
            if (newline < 0)
                return -1;
            ScanQuotes(pending, _searched, stop);
            if (!_inQuotes)
                return stop;
            _searched = stop + 1;
        }
    }

    /// <summary>Follows quotes from <paramref name="at"/> (a line's start) to <paramref name="stop"/>.</summary>
    private void ScanQuotes(ReadOnlySpan<byte> pending, int at, int stop)
    {
        while (at < stop)
        {
            if (_inQuotes)
            {
                var found = pending[at..stop].IndexOfAny(_quote, _escape);
                if (found < 0)
                    return;
                at += found;
                if (pending[at] == _escape && at + 1 < stop && (pending[at + 1] == _quote || pending[at + 1] == _escape))
                {
                    at += 2;
                    continue;
                }

                if (pending[at] == _quote)
                    _inQuotes = false;
                at++;
            }
            else
            {
                var found = pending[at..stop].IndexOf(_quote);
                if (found < 0)
                    return;
                at += found;
                // Only right after a delimiter or at the start of a record is it a quote.
                _inQuotes = at == 0 || pending[at - 1] == _delimiter;
                at++;
            }
        }
    }

    private void DecodeRecord(ReadOnlySpan<byte> record)
    {
        var row = _page.Length;
        _page.GetSpan(_layout.HeaderWidth)[.._layout.HeaderWidth].Clear();
        _page.Advance(_layout.HeaderWidth);
        var isCsv = _options.Format == CopyTextFormat.Csv;
        var hasEscapes = !isCsv && record.Contains((byte)'\\');
        var more = _parsers.Length > 0 || record.Length > 0;
        for (var i = 0; i < _parsers.Length; i++)
        {
            if (!more)
                throw Refuse("22P04", $"missing data for column \"{_columns.Names[i]}\"");
            var field = isCsv ? TakeCsvField(ref record, out more, out var isNull)
                : hasEscapes ? TakeEscapedField(ref record, out more, out isNull)
                : TakePlainField(ref record, out more, out isNull);
            WriteField(i, field, isNull, row);
        }

        if (more)
            throw Refuse("22P04", "extra data after last expected column");
        if (_rows == _ends.Length)
            Array.Resize(ref _ends, _ends.Length * 2);
        _ends[_rows++] = _page.Length;
        if (_page.Length >= PageBytes)
            EndPage();
    }

    private void WriteField(int column, ReadOnlySpan<byte> field, bool isNull, int row)
    {
        var offset = row + _layout.Offset(column);
        if (isNull)
        {
            var bit = _layout.NullBit(column);
            if (bit < 0)
                throw Refuse("23502", $"null value in column \"{_columns.Names[column]}\" violates not-null constraint");
            _page.MutableWritten[row + bit / 8] |= (byte)(1 << (bit % 8));
        }
        else
        {
            try
            {
                var width = RowLayout.FixedWidth(_parsers[column].Type);
                var slot = width < 0 ? default : _page.MutableWritten.Slice(offset, width);
                _parsers[column].Parse(field, slot, _page);
            }
            catch (InterchangeException e)
            {
                throw Refuse(e.SqlState, e.Message, $", column {_columns.Names[column]}: \"{Encoding.UTF8.GetString(field[..Math.Min(field.Length, 100)])}\"", e);
            }
        }

        if (!_layout.IsFixed(column))
            BinaryPrimitives.WriteUInt32LittleEndian(_page.MutableWritten[offset..], (uint)(_page.Length - row));
    }

    private ReadOnlySpan<byte> TakePlainField(ref ReadOnlySpan<byte> record, out bool more, out bool isNull)
    {
        var end = record.IndexOf(_delimiter);
        more = end >= 0;
        var field = more ? record[..end] : record;
        record = more ? record[(end + 1)..] : default;
        isNull = field.SequenceEqual(_nullMarker);
        return field;
    }

    /// <summary>Backslash escapes: b f n r t v, up to three octal digits, x and up to two hexadecimal ones; else the character itself.</summary>
    private ReadOnlySpan<byte> TakeEscapedField(ref ReadOnlySpan<byte> record, out bool more, out bool isNull)
    {
        var end = 0;
        var escaped = false;
        while (end < record.Length && record[end] != _delimiter)
        {
            if (record[end] == '\\')
            {
                escaped = true;
                end++;
            }

            end++;
        }

        end = Math.Min(end, record.Length);
        more = end < record.Length;
        var raw = record[..end];
        record = more ? record[(end + 1)..] : default;
        // The null marker is compared before escapes are undone.
        isNull = raw.SequenceEqual(_nullMarker);
        return isNull || !escaped ? raw : Unescape(raw);
    }

    private ReadOnlySpan<byte> Unescape(ReadOnlySpan<byte> raw)
    {
        _scratch.Clear();
        for (var i = 0; i < raw.Length; i++)
        {
            if (raw[i] != '\\' || i + 1 == raw.Length)
            {
                _scratch.WriteByte(raw[i]);
                continue;
            }

            i++;
            switch (raw[i])
            {
                case >= (byte)'0' and <= (byte)'7':
                    var octal = raw[i] - '0';
                    for (var n = 0; n < 2 && i + 1 < raw.Length && raw[i + 1] is >= (byte)'0' and <= (byte)'7'; n++)
                        octal = octal * 8 + raw[++i] - '0';
                    _scratch.WriteByte((byte)octal);
                    break;
                case (byte)'x' when i + 1 < raw.Length && char.IsAsciiHexDigit((char)raw[i + 1]):
                    var hex = 0;
                    for (var n = 0; n < 2 && i + 1 < raw.Length && char.IsAsciiHexDigit((char)raw[i + 1]); n++)
                        hex = hex * 16 + Convert.ToInt32(((char)raw[++i]).ToString(), 16);
                    _scratch.WriteByte((byte)hex);
                    break;
                default:
                    _scratch.WriteByte(raw[i] switch
                    {
                        (byte)'b' => (byte)'\b',
                        (byte)'f' => (byte)'\f',
                        (byte)'n' => (byte)'\n',
                        (byte)'r' => (byte)'\r',
                        (byte)'t' => (byte)'\t',
                        (byte)'v' => (byte)'\v',
                        var other => other,
                    });
                    break;
            }
        }

        return _scratch.Written;
    }

    private ReadOnlySpan<byte> TakeCsvField(ref ReadOnlySpan<byte> record, out bool more, out bool isNull)
    {
        if (record.Length == 0 || record[0] != _quote)
            return TakePlainField(ref record, out more, out isNull);
        _scratch.Clear();
        var at = 1;
        var inQuotes = true;
        while (at < record.Length && (inQuotes || record[at] != _delimiter))
        {
            var b = record[at++];
            if (inQuotes && b == _escape && at < record.Length && (record[at] == _quote || record[at] == _escape))
                _scratch.WriteByte(record[at++]);
            else if (inQuotes && b == _quote)
                inQuotes = false;
            else
                _scratch.WriteByte(b);
        }

        more = at < record.Length;
        record = more ? record[(at + 1)..] : default;
        isNull = _scratch.Written.SequenceEqual(_nullMarker);
        return _scratch.Written;
    }

    private void EndPage()
    {
        _ready.Add(new CopyPage(_page.Written.ToArray(), _ends.AsSpan(0, _rows).ToArray()));
        _page.Clear();
        _rows = 0;
    }

    private InterchangeException Refuse(string sqlState, string message, string where = "", Exception? inner = null) =>
        new(sqlState, message, (inner as InterchangeException)?.Detail, $"line {_line}{where}", inner);
}
