using System.Globalization;
using System.Text;
using Materialize.Core.Collections;
using Materialize.Repr;

namespace Materialize.Expr.Functions;

internal static partial class ScalarImplementations
{
    private static void AddStrings(Dictionary<string, ScalarImplementation> table)
    {
        table["concat_text"] = (a, _, _) => Sized(string.Concat(a[0].AsString, a[1].AsString));
        table["concat_text_any"] = (a, t, _) => Sized(string.Concat(a[0].AsString, CastText(t[1], a[1])));
        table["concat_any_text"] = (a, t, _) => Sized(string.Concat(CastText(t[0], a[0]), a[1].AsString));
        table["concat"] = (a, t, _) => Join("", a, t, 0);
        table["concat_ws"] = (a, t, _) => a[0].IsNull ? Datum.Null : Join(a[0].AsString, a, t, 1);
        table["ascii"] = (a, _, _) => Int(a[0].AsString.Length == 0 ? 0 : Rune.GetRuneAt(a[0].AsString, 0).Value);
        table["chr"] = (a, _, _) => Text(Chr(a[0].AsInt64));
        table["btrim"] = (a, _, _) => Text(a[0].AsString.Trim(' '));
        table["ltrim"] = (a, _, _) => Text(a[0].AsString.TrimStart(' '));
        table["rtrim"] = (a, _, _) => Text(a[0].AsString.TrimEnd(' '));
        table["btrim_chars"] = (a, _, _) => Text(TrimRunes(a[0].AsString, a[1].AsString, true, true));
        table["ltrim_chars"] = (a, _, _) => Text(TrimRunes(a[0].AsString, a[1].AsString, true, false));
        table["rtrim_chars"] = (a, _, _) => Text(TrimRunes(a[0].AsString, a[1].AsString, false, true));
        table["char_length"] = (a, _, _) => Int(DatumText.CharCount(a[0].AsString));
        table["octet_length_text"] = (a, _, _) => Int(Encoding.UTF8.GetByteCount(a[0].AsString));
        table["octet_length_char"] = (a, t, _) => Int(Encoding.UTF8.GetByteCount(DatumText.Format(t[0], a[0])));
        table["bit_length_text"] = (a, _, _) => Int(Encoding.UTF8.GetByteCount(a[0].AsString) * 8L);
        table["initcap"] = (a, _, _) => Text(InitCap(a[0].AsString));
        table["lower"] = (a, _, _) => Text(a[0].AsString.ToLowerInvariant());
        table["upper"] = (a, _, _) => Text(a[0].AsString.ToUpperInvariant());
        table["left"] = (a, _, _) => Text(Left(a[0].AsString, a[1].AsInt64));
        table["right"] = (a, _, _) => Text(Right(a[0].AsString, a[1].AsInt64));
        table["lpad"] = (a, _, _) => Text(Pad(a, left: true));
        table["rpad"] = (a, _, _) => Text(Pad(a, left: false));
        table["normalize"] = (a, _, _) => Text(Normalize(a[0].AsString, a[1].AsString));
        table["position"] = (a, _, _) => Int(Position(a[1].AsString, a[0].AsString));
        table["strpos"] = (a, _, _) => Int(Position(a[0].AsString, a[1].AsString));
        table["quote_ident"] = (a, _, _) => Text(Identifiers.Quote(a[0].AsString));
        table["quote_literal"] = (a, _, _) => Text((a[0].AsString.Contains('\\') ? " E'" : "'") + a[0].AsString.Replace("\\", "\\\\", StringComparison.Ordinal).Replace("'", "''", StringComparison.Ordinal) + "'");
        table["parse_ident"] = (a, _, _) => TextArray(Identifiers.Parse(a[0].AsString, a.Length < 2 || a[1].AsBool));
        table["repeat"] = (a, _, _) => Repeat(a[0].AsString, a[1].AsInt64);
        table["replace"] = (a, _, _) => a[1].AsString.Length == 0 ? a[0] : Sized(a[0].AsString.Replace(a[1].AsString, a[2].AsString, StringComparison.Ordinal));
        table["reverse"] = (a, _, _) => Text(string.Concat(a[0].AsString.EnumerateRunes().Reverse()));
        table["split_part"] = (a, _, _) => Text(SplitPart(a[0].AsString, a[1].AsString, a[2].AsInt64));
        table["starts_with"] = (a, _, _) => Bool(a[0].AsString.StartsWith(a[1].AsString, StringComparison.Ordinal));
        table["string_to_array"] = (a, _, _) => StringToArray(a);
        table["substring"] = (a, _, _) => Text(Substring(a));
        table["translate"] = (a, _, _) => Text(Translate(a[0].AsString, a[1].AsString, a[2].AsString));
    }

    internal static Datum TextArray(IEnumerable<string?> items)
    {
        var elements = items.Select(i => i is null ? Datum.Null : Text(i)).ToValueArray();
        return Datum.FromArray(elements.IsEmpty ? new ArrayDatum([], []) : new ArrayDatum([new ArrayDimension(1, elements.Count)], elements));
    }

    private static Datum Sized(string value) =>
        value.Length <= MaxStringBytes / 3 || Encoding.UTF8.GetByteCount(value) <= MaxStringBytes ? Text(value) : throw TooLarge();

    private static EvalException TooLarge() => Fail("54000", "requested length too large");

    private static Datum Join(string separator, ReadOnlySpan<Datum> args, ReadOnlySpan<SqlType> types, int from)
    {
        var text = new StringBuilder();
        var first = true;
        for (var i = from; i < args.Length; i++)
        {
            if (args[i].IsNull)
                continue;
            text.Append(first ? "" : separator).Append(types[i].Kind is ScalarKind.Bool or ScalarKind.Char ? DatumText.Format(types[i], args[i]) : CastText(types[i], args[i]));
            first = false;
            if (text.Length > MaxStringBytes)
                throw TooLarge();
        }

        return Text(text.ToString());
    }

    private static string Chr(long code)
    {
        if (code == 0)
            throw Fail("54000", "null character not permitted");
        if (code < 0)
            throw Fail("54000", "character number must be positive");
        return Rune.IsValid((int)Math.Min(code, int.MaxValue))
            ? new Rune((int)code).ToString()
            : throw Fail("54000", code > 0x10FFFF ? $"requested character too large for encoding: {code}" : $"requested character not valid for encoding: {code}");
    }

    private static string TrimRunes(string text, string set, bool start, bool end)
    {
        var runes = set.EnumerateRunes().ToHashSet();
        var (from, to) = (0, text.Length);
        while (start && from < to && Rune.TryGetRuneAt(text, from, out var first) && runes.Contains(first))
            from += first.Utf16SequenceLength;
        while (end && to > from)
        {
            var at = to > 1 && char.IsLowSurrogate(text[to - 1]) ? to - 2 : to - 1;
            if (!Rune.TryGetRuneAt(text, at, out var last) || !runes.Contains(last))
                break;
            to = at;
        }

        return text[from..to];
    }

    private static string InitCap(string text)
    {
        var result = new StringBuilder(text.Length);
        var inWord = false;
        foreach (var rune in text.EnumerateRunes())
        {
            result.Append(inWord ? Rune.ToLowerInvariant(rune) : Rune.ToUpperInvariant(rune));
            inWord = Rune.IsLetterOrDigit(rune);
        }

        return result.ToString();
    }

    /// <summary>The UTF-16 index of the n-th character, or the length if there are fewer.</summary>
    private static int Index(string text, long n)
    {
        if (n <= 0)
            return 0;
        if (n >= text.Length)
            return text.Length;
        var at = 0;
        while (n > 0 && at < text.Length)
        {
            at += char.IsHighSurrogate(text[at]) && at + 1 < text.Length ? 2 : 1;
            n--;
        }

        return at;
    }

    private static string Left(string text, long n) => text[..Index(text, n >= 0 ? n : DatumText.CharCount(text) + n)];

    private static string Right(string text, long n) => text[Index(text, n >= 0 ? DatumText.CharCount(text) - n : -n)..];

    private static string Pad(ReadOnlySpan<Datum> args, bool left)
    {
        var text = args[0].AsString;
        var length = Math.Max(0, args[1].AsInt64);
        var fill = args.Length > 2 ? args[2].AsString : " ";
        var have = DatumText.CharCount(text);
        if (length > MaxStringBytes)
            throw TooLarge();
        if (length <= have || fill.Length == 0)
            return text[..Index(text, Math.Min(length, have))];
        var padding = new StringBuilder();
        var runes = fill.EnumerateRunes().ToArray();
        for (var i = 0; i < length - have; i++)
            padding.Append(runes[i % runes.Length]);
        return left ? padding + text : text + padding;
    }

    private static readonly bool HasUnicodeTables = "\uFB01".Normalize(NormalizationForm.FormKC) == "fi";

    private static string Normalize(string text, string form)
    {
        var normal = form.ToUpperInvariant() switch
        {
            "NFC" => NormalizationForm.FormC,
            "NFD" => NormalizationForm.FormD,
            "NFKC" => NormalizationForm.FormKC,
            "NFKD" => NormalizationForm.FormKD,
            _ => throw InvalidParameter($"invalid normalization form: {form}"),
        };
        if (System.Text.Ascii.IsValid(text))
            return text;

        // The runtime brings no Unicode tables (InvariantGlobalization: no library to install), and then leaves text as it is.
        return HasUnicodeTables ? text.Normalize(normal) : throw new EvalException(new EvalError("0A000", "normalize of text beyond ASCII is not supported"));
    }

    private static long Position(string text, string part)
    {
        var at = text.IndexOf(part, StringComparison.Ordinal);
        return at < 0 ? 0 : DatumText.CharCount(text[..at]) + 1;
    }

    private static Datum Repeat(string text, long times)
    {
        if (times <= 0 || text.Length == 0)
            return Text("");
        if (Encoding.UTF8.GetByteCount(text) * (Int128)times > MaxStringBytes)
            throw TooLarge();
        return Text(new StringBuilder(text.Length * (int)times).Insert(0, text, (int)times).ToString());
    }

    private static string SplitPart(string text, string delimiter, long field)
    {
        if (field <= 0)
            throw InvalidParameter("field position must be greater than zero");
        var parts = delimiter.Length == 0 ? [text] : text.Split(delimiter);
        return field <= parts.Length ? parts[field - 1] : "";
    }

    private static Datum StringToArray(ReadOnlySpan<Datum> args)
    {
        if (args[0].IsNull)
            return Datum.Null;
        var text = args[0].AsString;
        if (text.Length == 0)
            return TextArray([]);
        IEnumerable<string> parts = args[1].IsNull ? text.EnumerateRunes().Select(r => r.ToString())
            : args[1].AsString.Length == 0 ? [text]
            : text.Split(args[1].AsString);
        var marker = args.Length > 2 && !args[2].IsNull ? args[2].AsString : null;
        return TextArray(parts.Select(p => p == marker ? null : p));
    }

    private static string Substring(ReadOnlySpan<Datum> args)
    {
        var text = args[0].AsString;
        var start = args[1].AsInt64;
        if (args.Length < 3)
            return text[Index(text, start - 1)..];
        var length = args[2].AsInt64;
        if (length < 0)
            throw Fail("22011", "negative substring length not allowed");
        var from = Index(text, start - 1);
        var to = Index(text, start - 1 + length);
        return to > from ? text[from..to] : "";
    }

    private static string Translate(string text, string from, string to)
    {
        var map = new Dictionary<Rune, Rune?>();
        var targets = to.EnumerateRunes().ToArray();
        var i = 0;
        foreach (var rune in from.EnumerateRunes())
        {
            map.TryAdd(rune, i < targets.Length ? targets[i] : null);
            i++;
        }

        var result = new StringBuilder(text.Length);
        foreach (var rune in text.EnumerateRunes())
        {
            if (!map.TryGetValue(rune, out var target))
                result.Append(rune);
            else if (target is { } mapped)
                result.Append(mapped);
        }

        return result.ToString();
    }
}

/// <summary>SQL identifiers as text.</summary>
internal static class Identifiers
{
    public static string Quote(string name)
    {
        var plain = name.Length > 0 && (char.IsAsciiLetterLower(name[0]) || name[0] == '_') && name.All(c => char.IsAsciiLetterLower(c) || char.IsAsciiDigit(c) || c is '_' or '$') && !Reserved.Contains(name);
        return plain ? name : "\"" + name.Replace("\"", "\"\"", StringComparison.Ordinal) + "\"";
    }

    /// <summary>The parts of a dotted name, unquoted ones in lower case.</summary>
    public static IReadOnlyList<string> Parse(string text, bool strict)
    {
        var parts = new List<string>();
        var at = 0;
        while (true)
        {
            Space();
            var part = new StringBuilder();
            if (at < text.Length && text[at] == '"')
            {
                at++;
                while (true)
                {
                    if (at >= text.Length)
                        throw Bad("String has unclosed double quotes.");
                    if (text[at] == '"')
                    {
                        if (at + 1 >= text.Length || text[at + 1] != '"')
                            break;
                        at++;
                    }

                    part.Append(text[at++]);
                }

                at++;
                if (part.Length == 0)
                    throw Bad("Quoted identifier must not be empty.");
            }
            else
            {
                while (at < text.Length && (char.IsLetterOrDigit(text[at]) || text[at] is '_' or '$') && !(part.Length == 0 && (char.IsAsciiDigit(text[at]) || text[at] == '$')))
                    part.Append(char.ToLower(text[at++], CultureInfo.InvariantCulture));
                if (part.Length == 0)
                    throw Bad(at == 0 || at >= text.Length && parts.Count == 0 ? null : parts.Count > 0 ? "No valid identifier after \".\"." : null);
            }

            parts.Add(part.ToString());
            Space();
            if (at >= text.Length)
                return parts;
            if (text[at] == '.')
            {
                at++;
                continue;
            }

            return strict ? throw Bad(null) : parts;
        }

        void Space()
        {
            while (at < text.Length && char.IsWhiteSpace(text[at]))
                at++;
        }

        EvalException Bad(string? detail) => new(new EvalError("22023", $"string is not a valid identifier: \"{text}\"") { Detail = detail });
    }

    private static readonly HashSet<string> Reserved =
    [
        "all", "and", "any", "array", "as", "asc", "between", "both", "case", "cast", "check", "collate", "column", "constraint", "create", "cross",
        "current_catalog", "current_date", "current_role", "current_schema", "current_time", "current_timestamp", "current_user", "default", "delete",
        "desc", "distinct", "do", "else", "end", "except", "exists", "false", "fetch", "for", "foreign", "from", "full", "grant", "group", "having", "in",
        "inner", "insert", "intersect", "interval", "into", "is", "join", "lateral", "leading", "left", "like", "limit", "list", "map", "natural", "not", "null",
        "offset", "on", "or", "order", "outer", "primary", "references", "returning", "right", "select", "session_user", "some", "subscribe", "table", "then",
        "to", "trailing", "true", "union", "unique", "update", "user", "using", "values", "when", "where", "window", "with",
    ];
}
