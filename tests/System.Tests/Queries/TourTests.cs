using System.Text.RegularExpressions;
using Materialize.SystemTests.Support;

namespace Materialize.SystemTests.Queries;

/// <summary>The README's tour, as a stranger would paste it.</summary>
public sealed partial class TourTests(SharedServer server)
{
    [Fact]
    public async Task The_readme_s_tour_runs_as_it_stands()
    {
        var readme = await File.ReadAllTextAsync(Path.Combine(Root, "README.md"), TestContext.Current.CancellationToken);
        var blocks = SqlBlock().Matches(readme).Select(m => m.Groups[1].Value).ToList();
        Assert.NotEmpty(blocks);
        var (output, exit) = await Psql.RunAsync(
            server.Environment,
            "CREATE SCHEMA tour;\nSET search_path = tour;\n" + string.Concat(blocks),
            "-v", "ON_ERROR_STOP=1", "-A", "-t");
        Assert.True(exit == 0, output);
        Assert.Contains("art|2|120\nbooks|1|8.5\n", output, StringComparison.Ordinal);
        Assert.Contains("art|2|130\nbooks|1|12\n", output, StringComparison.Ordinal);
        Assert.Contains("ann|2\n", output, StringComparison.Ordinal);
    }

    private static string Root
    {
        get
        {
            var directory = new DirectoryInfo(AppContext.BaseDirectory);
            while (!File.Exists(Path.Combine(directory!.FullName, "Materialize.sln")))
                directory = directory.Parent;
            return directory.FullName;
        }
    }

    [GeneratedRegex("^```sql\n(.*?)^```", RegexOptions.Multiline | RegexOptions.Singleline)]
    private static partial Regex SqlBlock();
}
