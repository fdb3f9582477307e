using System.Runtime.CompilerServices;
using System.Text;
using Xunit;

namespace Materialize.Sql.Parser.Tests;

/// <summary>
/// A golden file: cases parted by blank lines, each a command line, input lines, <c>----</c>, and the answer up to a blank line.
/// Lines beginning with # between cases are comments. With REWRITE=1 the answers are recorded instead of compared.
/// </summary>
internal static class SpecFile
{
    /// <summary>The folder of golden files, in the source tree.</summary>
    public static string Folder([CallerFilePath] string here = "") => Path.Combine(Path.GetDirectoryName(here)!, "testdata");

    /// <summary>Runs every case of a file; fails at the end with all that differ.</summary>
    public static void Run(string name, Func<string, string, string> answer)
    {
        var path = Path.Combine(Folder(), name);
        var lines = File.ReadAllLines(path);
        var rewritten = new StringBuilder();
        var differences = new List<string>();
        var cases = 0;
        for (var i = 0; i < lines.Length;)
        {
            if (lines[i].Length == 0 || lines[i].StartsWith('#'))
            {
                rewritten.Append(lines[i++]).Append('\n');
                continue;
            }
            var at = i + 1;
            var command = lines[i++];
            var input = new List<string>();
            while (i < lines.Length && lines[i] != "----")
                input.Add(lines[i++]);
            i++;
            var expected = new List<string>();
            while (i < lines.Length && lines[i].Length > 0)
                expected.Add(lines[i++]);
            var actual = answer(command, string.Join('\n', input)).TrimEnd('\n');
            cases++;
            if (actual != string.Join('\n', expected))
                differences.Add($"{name}:{at}\n{string.Join('\n', input)}\nexpected:\n{string.Join('\n', expected)}\nactual:\n{actual}");
            rewritten.Append(command).Append('\n').AppendJoin('\n', input).Append("\n----\n").Append(actual).Append(actual.Length > 0 ? "\n" : "");
        }
        if (Environment.GetEnvironmentVariable("REWRITE") == "1")
            File.WriteAllText(path, rewritten.ToString());
        else
            Assert.True(differences.Count == 0, string.Join("\n\n", differences));
        Assert.True(cases > 0, $"{name} holds no case");
    }

    /// <summary>The inputs of every case of every file: seeds for other tests.</summary>
    public static IEnumerable<string> Inputs()
    {
        foreach (var path in Directory.EnumerateFiles(Folder(), "*.spec").Order(StringComparer.Ordinal))
        {
            var input = new List<string>();
            var inside = false;
            foreach (var line in File.ReadLines(path))
            {
                if (line == "----")
                {
                    yield return string.Join('\n', input.Skip(1));
                    inside = true;
                }
                else if (line.Length == 0 || (!inside && line.StartsWith('#')))
                {
                    input.Clear();
                    inside = false;
                }
                else if (!inside)
                {
                    input.Add(line);
                }
            }
        }
    }
}
