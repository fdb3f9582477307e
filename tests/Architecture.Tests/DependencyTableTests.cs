using System.Runtime.CompilerServices;
using System.Text.RegularExpressions;
using System.Xml.Linq;
using Xunit;

namespace Materialize.Architecture.Tests;

/// <summary>The dependency table of ARCHITECTURE.md is what the project files say, edge by edge.</summary>
public sealed partial class DependencyTableTests
{
    private static readonly string Root = FindRoot();

    [Fact]
    public void Projects_reference_exactly_what_the_table_allows()
    {
        var table = ReadTable();
        var projects = Directory.GetDirectories(Path.Combine(Root, "src")).Select(Path.GetFileName).OfType<string>()
            .Where(name => File.Exists(ProjectFile(name))).Order().ToList();
        Assert.Equal(projects, table.Keys.Order());
        foreach (var project in projects)
            Assert.Equal(table[project].Order(), References(project).Order());
    }

    [Fact]
    public void Every_project_is_in_the_solution()
    {
        var solution = File.ReadAllText(Path.Combine(Root, "Materialize.sln"));
        var missing = new[] { "src", "tests", "benchmarks" }
            .SelectMany(folder => Directory.GetFiles(Path.Combine(Root, folder), "*.csproj", SearchOption.AllDirectories))
            .Select(Path.GetFileName)
            .Where(file => !solution.Contains(file!, StringComparison.Ordinal));
        Assert.Empty(missing);
    }

    [Fact]
    public void Documents_name_only_files_that_exist()
    {
        foreach (var document in new[] { "ARCHITECTURE.md", "README.md", "docs/flows.md" })
        {
            var text = File.ReadAllText(Path.Combine(Root, document));
            var dead = PathPattern().Matches(text).Select(m => m.Groups[1].Value)
                .Where(path => !File.Exists(Path.Combine(Root, path)) && !Directory.Exists(Path.Combine(Root, path)));
            Assert.Empty(dead.Select(path => $"{document}: {path}"));
        }
    }

    [Fact]
    public void Source_holds_no_unfinished_marks()
    {
        var marks = Directory.GetFiles(Path.Combine(Root, "src"), "*.cs", SearchOption.AllDirectories)
            .Where(file => !file.Contains($"{Path.DirectorySeparatorChar}obj{Path.DirectorySeparatorChar}", StringComparison.Ordinal))
            .Where(file => MarkPattern().IsMatch(File.ReadAllText(file)))
            .Select(file => Path.GetRelativePath(Root, file));
        Assert.Empty(marks);
    }

    private static Dictionary<string, List<string>> ReadTable()
    {
        var table = new Dictionary<string, List<string>>();
        foreach (var line in File.ReadLines(Path.Combine(Root, "ARCHITECTURE.md")))
        {
            if (RowPattern().Match(line) is not { Success: true } row)
                continue;
            table.Add(row.Groups[1].Value, [.. NamePattern().Matches(row.Groups[2].Value).Select(m => m.Groups[1].Value)]);
        }

        return table;
    }

    private static IEnumerable<string> References(string project) =>
        XDocument.Load(ProjectFile(project)).Descendants("ProjectReference")
            .Select(reference => Path.GetFileNameWithoutExtension(reference.Attribute("Include")!.Value));

    private static string ProjectFile(string project) => Path.Combine(Root, "src", project, $"{project}.csproj");

    private static string FindRoot([CallerFilePath] string here = "") => Path.GetFullPath(Path.Combine(Path.GetDirectoryName(here)!, "..", ".."));

    [GeneratedRegex(@"^\| `([A-Z][A-Za-z.]*)` \|[^|]*\|([^|]*)\|$")]
    private static partial Regex RowPattern();

    [GeneratedRegex("`([A-Z][A-Za-z.]*)`")]
    private static partial Regex NamePattern();

    [GeneratedRegex(@"(?:^|[\s(`])((?:src|tests|docs|benchmarks|scripts)/[A-Za-z0-9_./-]*[A-Za-z0-9_])")]
    private static partial Regex PathPattern();

    [GeneratedRegex(@"\b(TODO|FIXME|HACK|NotImplementedException)\b")]
    private static partial Regex MarkPattern();
}
