using System.Text.RegularExpressions;

namespace Materialize.Slt.Format;

/// <summary>
/// Reads an .slt file. The position only moves forward: each part of a record ends at a terminator (end of line, a line of
/// dashes, a blank line, a line EOF) which is consumed with it.
/// </summary>
public sealed partial class SltParser(string text, string engine)
{
    private int _at;
    private int _line = 1;
    private int _lineAt;
    private bool _isCockroach;

    /// <summary>All records, unreadable ones included.</summary>
    public List<SltRecord> Records()
    {
        var records = new List<SltRecord>();
        while (true)
        {
            var start = _at;
            LineOf(start);
            try
            {
                if (Next() is not { } record)
                    return records;
                records.Add(record);
            }
            catch (FormatException e)
            {
                records.Add(new SltRecord.Unreadable(_line, e.Message));
                var blank = AnyBlankLine().Match(text, Math.Max(_at, start));
                _at = blank.Success ? blank.Index + blank.Length : text.Length;
            }
        }
    }

    private SltRecord? Next()
    {
        while (_at < text.Length)
        {
            var line = LineOf(_at);
            var head = Cut(HeadEnd()).Trim();
            var words = head.Split((char[]?)null, StringSplitOptions.RemoveEmptyEntries);
            switch (words.FirstOrDefault())
            {
                case null:
                    break;
                case "statement":
                    return Statement(words, head, line);
                case "query":
                    return Query(words, head, line);
                case "simple":
                    return Simple(words, line);
                case "copy":
                    return words.Length >= 3 ? new SltRecord.Copy(line, words[1], words[2]) : throw new FormatException("copy needs a table and a path");
                case "reset-server":
                    return new SltRecord.Reset(line);
                case "halt":
                    _at = text.Length;
                    return null;
                case "mode":
                    _isCockroach = words.ElementAtOrDefault(1) switch
                    {
                        "cockroach" => true,
                        "standard" or "sqlite" => false,
                        var other => throw new FormatException($"unknown mode {other}"),
                    };
                    break;
                case "skipif" or "onlyif":
                    if (words.ElementAtOrDefault(1) == engine == (words[0] == "skipif") && Next() is null)
                        return null;
                    break;
                case "hash-threshold" or "subtest" or "user" or "kv-batch-size" or "set-sql-timeout" or "replace" or "sleep" or "let" or "traceon" or "traceoff" or "retry" or "repeat":
                    break;
                default:
                    throw new FormatException($"unknown directive {words[0]}");
            }
        }

        return null;
    }

    private SltRecord.Statement Statement(string[] words, string head, int line)
    {
        var kind = words.ElementAtOrDefault(1);
        var count = kind == "count" ? long.Parse(words[2], System.Globalization.CultureInfo.InvariantCulture) : (long?)null;
        var error = kind == "error" ? PatternOf(head) : null;
        if (kind is not ("count" or "error" or "ok" or "OK"))
            throw new FormatException($"unknown statement disposition: {head}");
        return new SltRecord.Statement(line, Cut(BlankLine()), count, error);
    }

    private SltRecord Query(string[] words, string head, int line)
    {
        if (words.ElementAtOrDefault(1) == "error")
            return new SltRecord.QueryError(line, Cut(BlankLine()), PatternOf(head));
        var types = words.ElementAtOrDefault(1) ?? "";
        var sort = SortMode.None;
        var wantNames = false;
        var isMultiline = false;
        foreach (var option in (words.ElementAtOrDefault(2) ?? "").Split(','))
        {
            switch (option)
            {
                case "" or "nosort":
                    break;
                case "rowsort":
                    sort = SortMode.Rows;
                    break;
                case "valuesort":
                    sort = SortMode.Values;
                    break;
                case "colnames":
                    wantNames = true;
                    break;
                case "multiline":
                    isMultiline = true;
                    break;
                default:
                    if (!option.StartsWith("partialsort", StringComparison.Ordinal))
                        throw new FormatException($"unknown query option {option}");
                    sort = SortMode.Rows;
                    goto EndOfOptions;
            }
        }

    EndOfOptions:
        var sql = Cut(Dashes());
        var output = Cut(isMultiline ? EofLine() : BlankLine());
        if (types.Any(t => !"TIRBO".Contains(t, StringComparison.Ordinal)))
            throw new FormatException($"unknown type letter in {types}");
        output = FirstLineEnd().Replace(output, "", 1);
        List<string>? names = null;
        if (wantNames)
        {
            var end = output.IndexOf('\n', StringComparison.Ordinal);
            var first = end < 0 ? output : output[..end];
            output = end < 0 ? "" : output[(end + 1)..];
            names = [.. first.TrimEnd('\r').Split(' ', StringSplitOptions.RemoveEmptyEntries).Select(n => n.Replace('\u2420', ' '))];
        }

        var hash = HashLine().Match(output);
        if (hash.Success)
        {
            var expected = (int.Parse(hash.Groups[1].Value, System.Globalization.CultureInfo.InvariantCulture), hash.Groups[2].Value);
            return new SltRecord.Query(line, sql, types, sort, _isCockroach, names, [], expected);
        }

        return new SltRecord.Query(line, sql, types, sort, _isCockroach, names, ExpectedValues(output, types.Length, sort, isMultiline), null);
    }

    private List<string> ExpectedValues(string output, int columns, SortMode sort, bool isMultiline)
    {
        if (isMultiline)
            return [output];
        if (output.StartsWith('\n') || output.StartsWith('\r'))
            return [];
        var lines = LinesOf(output);
        if (!_isCockroach)
        {
            lines = [.. lines.Select(l => l.Replace('\u23ce', '\n'))];
            if (sort == SortMode.Values)
                lines.Sort(Utf8Order.Values);
            return lines;
        }

        var rows = new List<string[]>();
        foreach (var line in lines)
        {
            string[] cells = columns == 1 ? [line.Trim()] : line.Split((char[]?)null, StringSplitOptions.RemoveEmptyEntries);
            if (sort != SortMode.None && cells.Length != columns)
                throw new FormatException($"expected output has {cells.Length} columns, types say {columns}");
            rows.Add([.. cells.Select(c => c.Replace('\u2420', ' ').Replace('\u23ce', '\n'))]);
        }

        if (sort == SortMode.Rows)
            rows.Sort(Utf8Order.Rows);
        var values = rows.SelectMany(r => r).ToList();
        if (sort == SortMode.Values)
            values.Sort(Utf8Order.Values);
        return values;
    }

    private SltRecord.Simple Simple(string[] words, int line)
    {
        string? connection = null, user = null, password = null;
        var isSorted = false;
        var isMultiline = false;
        foreach (var option in (words.ElementAtOrDefault(1) ?? "").Split(',', StringSplitOptions.RemoveEmptyEntries))
        {
            var equals = option.IndexOf('=', StringComparison.Ordinal);
            var value = equals < 0 ? "" : option[(equals + 1)..];
            switch (equals < 0 ? option : option[..equals])
            {
                case "conn":
                    connection = value;
                    break;
                case "user":
                    user = value;
                    break;
                case "password":
                    password = value;
                    break;
                case "rowsort":
                    isSorted = true;
                    break;
                case "multiline":
                    isMultiline = true;
                    break;
                default:
                    throw new FormatException($"unknown simple option {option}");
            }
        }

        var sql = Cut(Dashes());
        var output = Cut(isMultiline ? EofLine() : BlankLine()).TrimStart();
        List<string> expected = isMultiline ? [output, .. LinesOf(Cut(BlankLine()).TrimStart())] : LinesOf(output);
        if (!isMultiline && isSorted && _isCockroach)
            expected.Sort(Utf8Order.Values);
        return new SltRecord.Simple(line, sql, connection, user, password, isSorted, expected);
    }

    /// <summary>Lines without their ends; none for an empty text.</summary>
    public static List<string> LinesOf(string text)
    {
        var lines = text.Split('\n').Select(l => l.EndsWith('\r') ? l[..^1] : l).ToList();
        if (lines[^1].Length == 0 && text.Split('\n')[^1].Length == 0)
            lines.RemoveAt(lines.Count - 1);
        return lines;
    }

    private static string PatternOf(string head) => head[(ErrorHead().Match(head) is var m ? m.Index + m.Length : 0)..];

    private string Cut(Regex terminator)
    {
        var match = terminator.Match(text, _at);
        if (!match.Success)
            throw new FormatException("no terminator found");
        var part = text[_at..match.Index];
        _at = match.Index + match.Length;
        return part;
    }

    /// <summary>Counted on from where the last call came to: positions only grow.</summary>
    private int LineOf(int position)
    {
        var end = Math.Min(position, text.Length);
        _line += text.AsSpan(_lineAt, end - _lineAt).Count('\n');
        _lineAt = end;
        return _line;
    }

    [GeneratedRegex(@"(#[^\n]*)?\r?(\n|\z)")]
    private static partial Regex HeadEnd();

    [GeneratedRegex(@"\r?\n----")]
    private static partial Regex Dashes();

    [GeneratedRegex(@"(\n|\r\n|\z)(\n|\r\n|\z)")]
    private static partial Regex BlankLine();

    [GeneratedRegex(@"(\n|\r\n)EOF(\n|\r\n)")]
    private static partial Regex EofLine();

    [GeneratedRegex(@"\n[ \t\r]*\n")]
    private static partial Regex AnyBlankLine();

    [GeneratedRegex(@"\A\r?\n")]
    private static partial Regex FirstLineEnd();

    [GeneratedRegex(@"(\S+) values hashing to (\S+)")]
    private static partial Regex HashLine();

    [GeneratedRegex(@"(statement|query) error( pgcode [a-zA-Z0-9]{5})? ?")]
    private static partial Regex ErrorHead();
}

/// <summary>Strings as their UTF-8 bytes compare, alone and in rows.</summary>
public static class Utf8Order
{
    public static readonly Comparison<string> Values = Compare;

    public static readonly Comparison<string[]> Rows = (a, b) =>
    {
        for (var i = 0; i < Math.Min(a.Length, b.Length); i++)
        {
            if (Compare(a[i], b[i]) is var order and not 0)
                return order;
        }

        return a.Length.CompareTo(b.Length);
    };

    // UTF-16 order is UTF-8 order except that surrogates sort below the characters from U+E000 on.
    private static int Compare(string a, string b)
    {
        var common = Math.Min(a.Length, b.Length);
        for (var i = 0; i < common; i++)
        {
            if (a[i] == b[i])
                continue;
            return char.IsSurrogate(a[i]) == char.IsSurrogate(b[i]) ? a[i].CompareTo(b[i])
                : char.IsSurrogate(a[i]) ? 1 : -1;
        }

        return a.Length.CompareTo(b.Length);
    }
}
