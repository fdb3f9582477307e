using System.Collections.Concurrent;
using System.Text;
using System.Text.RegularExpressions;
using Materialize.Repr;

namespace Materialize.Expr.Functions;

internal static partial class ScalarImplementations
{
    private const int CachedPatterns = 1000;
    private static readonly ConcurrentDictionary<(string, bool), LikePattern> LikePatterns = new();
    private static readonly ConcurrentDictionary<(string, bool), Regex> Regexes = new();

    private static void AddPatterns(Dictionary<string, ScalarImplementation> table)
    {
        table["like"] = (a, t, _) => Bool(Like(a[1].AsString, false).IsMatch(Subject(t, a)));
        table["not_like"] = (a, t, _) => Bool(!Like(a[1].AsString, false).IsMatch(Subject(t, a)));
        table["ilike"] = (a, t, _) => Bool(Like(a[1].AsString, true).IsMatch(Subject(t, a)));
        table["not_ilike"] = (a, t, _) => Bool(!Like(a[1].AsString, true).IsMatch(Subject(t, a)));
        table["like_escape"] = (a, _, _) => Text(LikePattern.Rewrite(a[0].AsString, a[1].AsString));
        table["regexp_is_match"] = (a, _, _) => Bool(Pattern(a[1].AsString, false).IsMatch(a[0].AsString));
        table["not_regexp_is_match"] = (a, _, _) => Bool(!Pattern(a[1].AsString, false).IsMatch(a[0].AsString));
        table["regexp_is_match_ci"] = (a, _, _) => Bool(Pattern(a[1].AsString, true).IsMatch(a[0].AsString));
        table["not_regexp_is_match_ci"] = (a, _, _) => Bool(!Pattern(a[1].AsString, true).IsMatch(a[0].AsString));
        table["regexp_match"] = (a, _, _) =>
        {
            var match = Pattern(a[1].AsString, Flags(a, 2, "").IgnoreCase).Match(a[0].AsString);
            return match.Success ? TextArray(Groups(match)) : Datum.Null;
        };
        table["regexp_replace"] = (a, _, _) =>
        {
            var (ignoreCase, all) = Flags(a, 3, "g");
            var replacement = Replacement(a[2].AsString);
            return Sized(Pattern(a[1].AsString, ignoreCase).Replace(a[0].AsString, replacement, all ? -1 : 1));
        };
        table["regexp_split_to_array"] = (a, _, _) => TextArray(Split(a));
    }

    /// <summary>What LIKE looks at: of a blank-padded text, the blanks too, as in PostgreSQL.</summary>
    private static string Subject(ReadOnlySpan<SqlType> types, ReadOnlySpan<Datum> args) =>
        types[0].Kind == ScalarKind.Char ? DatumText.Format(types[0], args[0]) : args[0].AsString;

    /// <summary>The parts of a text between matches; an empty match at either end splits nothing off.</summary>
    internal static IEnumerable<string> Split(ReadOnlySpan<Datum> args)
    {
        var text = args[0].AsString;
        var parts = new List<string>();
        var from = 0;
        foreach (Match match in Pattern(args[1].AsString, Flags(args, 2, "").IgnoreCase).Matches(text))
        {
            if (match.Length == 0 && (match.Index == 0 || match.Index == text.Length || match.Index == from && match.Index == 0))
                continue;
            parts.Add(text[from..match.Index]);
            from = match.Index + match.Length;
        }

        parts.Add(text[from..]);
        return parts;
    }

    /// <summary>A compiled pattern; only constructs that match in linear time are accepted.</summary>
    internal static Regex Pattern(string pattern, bool ignoreCase)
    {
        if (Regexes.TryGetValue((pattern, ignoreCase), out var known))
            return known;
        try
        {
            var options = RegexOptions.NonBacktracking | RegexOptions.CultureInvariant | (ignoreCase ? RegexOptions.IgnoreCase : RegexOptions.None);
            var regex = new Regex(pattern.Replace("(?P<", "(?<", StringComparison.Ordinal), options);
            if (Regexes.Count >= CachedPatterns)
                Regexes.Clear();
            return Regexes[(pattern, ignoreCase)] = regex;
        }
        catch (Exception e) when (e is ArgumentException or NotSupportedException)
        {
            throw Fail("2201B", $"invalid regular expression: {e.Message.Split('\n')[0]}");
        }
    }

    /// <summary>The capture groups of a match, or the whole match if the pattern has none.</summary>
    internal static IEnumerable<string?> Groups(Match match)
    {
        if (match.Groups.Count == 1)
            return [match.Value];
        return match.Groups.Values.Skip(1).Select(g => g.Success ? g.Value : null);
    }

    internal static (bool IgnoreCase, bool All) Flags(ReadOnlySpan<Datum> args, int at, string also)
    {
        var ignoreCase = false;
        var all = false;
        foreach (var flag in args.Length > at ? args[at].AsString : "")
        {
            if (flag is 'i')
                ignoreCase = true;
            else if (flag is 'c')
                ignoreCase = false;
            else if (also.Contains(flag))
                all = true;
            else
                throw InvalidParameter($"invalid regular expression flag: {flag}");
        }

        return (ignoreCase, all);
    }

    private static LikePattern Like(string pattern, bool ignoreCase)
    {
        if (LikePatterns.TryGetValue((pattern, ignoreCase), out var known))
            return known;
        if (LikePatterns.Count >= CachedPatterns)
            LikePatterns.Clear();
        return LikePatterns[(pattern, ignoreCase)] = new LikePattern(pattern, ignoreCase);
    }

    /// <summary><c>$1</c> and <c>$name</c> mean the same here and in .NET; its other substitutions do not exist in SQL.</summary>
    private static string Replacement(string text)
    {
        var result = new StringBuilder();
        for (var i = 0; i < text.Length; i++)
        {
            if (text[i] != '$')
            {
                result.Append(text[i]);
                continue;
            }

            var end = i + 1;
            var braced = end < text.Length && text[end] == '{';
            if (braced)
                end++;
            var start = end;
            while (end < text.Length && (char.IsAsciiLetterOrDigit(text[end]) || text[end] == '_'))
                end++;
            if (end == start || (braced && (end >= text.Length || text[end] != '}')))
            {
                result.Append("$$");
                if (i + 1 < text.Length && text[i + 1] == '$')
                    i++;
                continue;
            }

            result.Append("${").Append(text, start, end - start).Append('}');
            i = braced ? end : end - 1;
        }

        return result.ToString();
    }
}
