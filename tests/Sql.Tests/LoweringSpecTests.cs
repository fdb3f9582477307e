using System.Runtime.CompilerServices;
using System.Text;
using Materialize.Expr;

namespace Materialize.Sql.Tests;

/// <summary>
/// Plans as text, before and after decorrelation, in testdata/lowering.spec: a query, its raw plan, its decorrelated plan, parted by
/// lines of dashes. Run with REWRITE_SPECS=1 to write what the planner says now, and read the difference.
/// </summary>
public sealed class LoweringSpecTests
{
    private const string Part = "----\n";

    private static string Path([CallerFilePath] string here = "") =>
        System.IO.Path.Combine(System.IO.Path.GetDirectoryName(here)!, "testdata", "lowering.spec");

    [Fact]
    public void Plans_are_as_written_down()
    {
        var database = Database.Of("CREATE TABLE t (a int NOT NULL, b int)", "CREATE TABLE u (a int, x text)");
        var actual = new StringBuilder();
        var text = File.ReadAllText(Path()).ReplaceLineEndings("\n");
        foreach (var block in text.Split("====\n", StringSplitOptions.RemoveEmptyEntries))
        {
            var sql = block.Split(Part)[0].TrimEnd('\n');
            var plan = Assert.IsType<StatementPlan.Select>(database.Plan(sql)).Query;
            actual.Append(sql).Append('\n').Append(Part)
                .Append(HirPrinter.Print(database.Catalog, plan)).Append(Part)
                .Append(MirPrinter.Print(plan.Mir).TrimEnd('\n')).Append('\n').Append("====\n");
        }

        if (Environment.GetEnvironmentVariable("REWRITE_SPECS") == "1")
            File.WriteAllText(Path(), actual.ToString());
        else
            Assert.Equal(text, actual.ToString());
    }
}
