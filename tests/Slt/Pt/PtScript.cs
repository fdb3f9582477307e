using System.Text.RegularExpressions;

namespace Materialize.Slt.Pt;

/// <summary>A block of a .pt file.</summary>
/// <param name="Line">1-based line of the directive.</param>
/// <param name="Arguments"><c>conn=a</c> and <c>ignore=(A,B)</c>; a bare word has no values.</param>
public sealed record PtBlock(
    int Line, string Directive, IReadOnlyDictionary<string, string[]> Arguments, IReadOnlyList<string> Input, IReadOnlyList<string> Expected);

/// <summary>Reads .pt files.</summary>
public static partial class PtScript
{
    private const string Dashes = "----";

    public static List<PtBlock> Read(string text)
    {
        var lines = text.Split('\n');
        var blocks = new List<PtBlock>();
        for (var i = 0; i < lines.Length;)
        {
            if (lines[i].Trim().Length == 0 || lines[i].TrimStart().StartsWith('#'))
            {
                i++;
                continue;
            }

            var line = i + 1;
            var (directive, arguments) = ReadDirective(lines[i++]);
            var input = new List<string>();
            while (i < lines.Length && lines[i] != Dashes)
                input.Add(lines[i++]);
            i++;
            var expected = new List<string>();
            if (i < lines.Length && lines[i] == Dashes)
            {
                // The expected text has blank lines in it and ends at dashes, twice.
                i++;
                while (i < lines.Length && !(lines[i] == Dashes && i + 1 < lines.Length && lines[i + 1] == Dashes))
                    expected.Add(lines[i++]);
                i += 2;
            }
            else
            {
                while (i < lines.Length && lines[i].Length > 0)
                    expected.Add(lines[i++]);
            }

            blocks.Add(new PtBlock(line, directive, arguments, input, expected));
        }

        return blocks;
    }

    private static (string, Dictionary<string, string[]>) ReadDirective(string line)
    {
        var words = Argument().Matches(line);
        var arguments = new Dictionary<string, string[]>();
        foreach (var word in words.Skip(1))
        {
            var value = word.Groups[2].Value;
            arguments[word.Groups[1].Value] = value.StartsWith('(') ? value[1..^1].Split(',', StringSplitOptions.TrimEntries) : value.Length > 0 ? [value] : [];
        }

        return (words[0].Groups[1].Value, arguments);
    }

    [GeneratedRegex(@"([^\s=]+)(?:=(\([^)]*\)|\S+))?")]
    private static partial Regex Argument();
}
