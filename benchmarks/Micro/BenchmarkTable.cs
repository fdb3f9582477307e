using System.Globalization;
using System.Text;

namespace Materialize.Micro;

/// <summary>Writes figures into a text file, between two marks.</summary>
internal static class BenchmarkTable
{
    public static void Write(string path, List<RunResult> lines) => Replace(path, "figures", [Render(lines).TrimEnd()]);

    /// <summary>Puts <paramref name="lines"/> between the marks of that name.</summary>
    public static void Replace(string path, string mark, IEnumerable<string> lines)
    {
        var (first, last) = ($"<!-- {mark}: begin -->", $"<!-- {mark}: end -->");
        var text = File.ReadAllText(path);
        var begin = text.IndexOf(first, StringComparison.Ordinal);
        var end = text.IndexOf(last, StringComparison.Ordinal);
        if (begin < 0 || end < begin)
            throw new InvalidDataException($"{path} has no marks {first} … {last}");
        File.WriteAllText(path, text[..(begin + first.Length)] + "\n" + string.Join('\n', lines) + "\n" + text[end..]);
    }

    private static string Render(List<RunResult> lines)
    {
        var result = new StringBuilder();
        result.Append(Machine.Description).Append(' ');
        result.Append(CultureInfo.InvariantCulture, $"Median of {lines.Max(l => l.Reports.Count)} passes, each workload in a process of its own; rates in millions a second of the worker's processor time, those by the clock in brackets.\n\n");
        result.Append("| workload | load rows | round updates | round p50 / p99 / max ms | peak MB | CAL ms | result |\n|---|---|---|---|---|---|---|\n");
        foreach (var line in lines)
        {
            result.Append(CultureInfo.InvariantCulture, $"| `{line.Run}` | {Rate(line, r => r.LoadCpuRate, r => r.LoadRate)} | {Rate(line, r => r.UpdateCpuRate, r => r.UpdateRate)} | ");
            result.Append(CultureInfo.InvariantCulture, $"{line.Median(r => r.P50):F3} / {line.Median(r => r.P99):F2} / {line.Median(r => r.Max):F2} | {line.First.PeakMb} | {line.Median(r => r.Calibration):F0} | ");
            result.Append(line.IsRight ? "right" : "WRONG").Append(" |\n");
        }

        return result.ToString();
    }

    private static string Rate(RunResult line, Func<Report, double> processor, Func<Report, double> clock) =>
        line.Median(processor) == 0 ? "" : string.Create(CultureInfo.InvariantCulture, $"{line.Median(processor) / 1e6:F3} ({line.Median(clock) / 1e6:F3})");
}
