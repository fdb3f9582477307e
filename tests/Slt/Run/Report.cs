using System.Globalization;
using System.Text.Json;

namespace Materialize.Slt.Run;

/// <summary>Totals, by area and by kind of record, for people and as JSON.</summary>
public static class Report
{
    private static readonly JsonSerializerOptions Indented = new() { WriteIndented = true, PropertyNamingPolicy = JsonNamingPolicy.SnakeCaseLower };

    /// <summary>One line for a file that is done.</summary>
    public static string LineOf(FileResult result)
    {
        var total = result.Total;
        return string.Create(CultureInfo.InvariantCulture, $"{(total.Fail == 0 ? "ok" : "FAIL"),-4} {total.Pass,6}/{total.Pass + total.Fail,-6} {Percent(total),6} skip {total.Skip,-5} {result.Seconds,7:F1}s  {result.File}");
    }

    /// <summary>Prints failures and totals; writes the JSON file if one is asked for.</summary>
    /// <param name="areas">Area of each file, by its path below the corpus; may be empty.</param>
    public static void Print(IReadOnlyList<FileResult> results, IReadOnlyDictionary<string, string> areas, RunOptions options, double seconds)
    {
        foreach (var (result, failure) in results.SelectMany(r => r.Failures.Select(f => (r, f))).Take(options.Show))
        {
            Console.WriteLine($"\n{result.File}:{failure.Line}: {failure.Kind}: {failure.Reason}");
            foreach (var line in failure.Sql.Split('\n').Take(12).Where(l => l.Length > 0))
                Console.WriteLine($"    {line}");
            foreach (var line in (failure.Detail ?? "").Split('\n').Where(l => l.Length > 0))
                Console.WriteLine($"  {line}");
        }

        var byArea = results.GroupBy(r => AreaOf(r.File, areas)).OrderBy(g => g.Key, StringComparer.Ordinal).ToDictionary(g => g.Key, Sum);
        Console.WriteLine("\nby area");
        foreach (var (area, tally) in byArea)
            Console.WriteLine(string.Create(CultureInfo.InvariantCulture, $"  {area,-28} {tally.Pass,6}/{tally.Pass + tally.Fail,-6} {Percent(tally),6} skip {tally.Skip}"));
        Console.WriteLine("by kind");
        foreach (var kind in results.SelectMany(r => r.Kinds.Keys).Distinct().Order(StringComparer.Ordinal))
        {
            var tally = results.Select(r => r.Kinds.GetValueOrDefault(kind, Tally.Zero)).Aggregate(Tally.Zero, (a, b) => a + b);
            Console.WriteLine($"  {kind,-16} pass {tally.Pass} fail {tally.Fail} skip {tally.Skip}");
        }

        var total = Sum(results);
        var strict = results.Sum(r => r.StrictPass);
        var clean = results.Count(r => r.Total is { Fail: 0, Total: > 0 });
        Console.WriteLine(string.Create(
            CultureInfo.InvariantCulture,
            $"files {results.Count} (clean {clean})  records: pass {total.Pass} fail {total.Fail} skip {total.Skip}  pass rate {Percent(total)}  strict {Percent(new Tally(strict, total.Pass + total.Fail - strict, 0))}  {seconds:F1}s"));
        if (options.Json is { } path)
            File.WriteAllText(path, JsonSerializer.Serialize(new { Summary = new { total.Pass, total.Fail, total.Skip, Strict = strict, Clean = clean, Seconds = seconds }, Areas = byArea, Files = results }, Indented));
    }

    /// <summary>Reads the corpus's table of areas, if it is there.</summary>
    public static Dictionary<string, string> ReadAreas(string corpus)
    {
        var table = Path.Combine(corpus, "slt_areas.tsv");
        return File.Exists(table)
            ? File.ReadLines(table).Skip(1).Select(l => l.Split('\t')).Where(w => w.Length > 1).ToDictionary(w => w[0], w => w[1])
            : [];
    }

    private static Tally Sum(IEnumerable<FileResult> results) => results.Select(r => r.Total).Aggregate(Tally.Zero, (a, b) => a + b);

    private static string AreaOf(string file, IReadOnlyDictionary<string, string> areas)
    {
        // Files are named by any path; the table by the part below slt/.
        var parts = Path.GetFullPath(file).Split('/');
        for (var i = 1; i < parts.Length; i++)
        {
            if (areas.TryGetValue(string.Join('/', parts[i..]), out var area))
                return area;
        }

        return Path.GetFileName(Path.GetDirectoryName(Path.GetFullPath(file))) ?? "other";
    }

    private static string Percent(Tally tally) =>
        tally.Pass + tally.Fail == 0 ? "n/a" : (100.0 * tally.Pass / (tally.Pass + tally.Fail)).ToString("F2", CultureInfo.InvariantCulture) + "%";
}
