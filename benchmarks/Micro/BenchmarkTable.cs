using System.Globalization;
using System.Text;

namespace Materialize.Micro;

/// <summary>All passes of one run.</summary>
internal sealed record TableLine(string Run, List<Report> Reports)
{
    public Report First => Reports[0];

    public double Median(Func<Report, double> figure)
    {
        var sorted = Reports.Select(figure).Order().ToArray();
        return sorted[sorted.Length / 2];
    }
}

/// <summary>Writes figures into a text file, between two marks.</summary>
internal static class BenchmarkTable
{
    public static void Write(string path, List<TableLine> lines) => Replace(path, "figures", [Render(lines).TrimEnd()]);

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

    private static string Render(List<TableLine> lines)
    {
        var load = File.Exists("/proc/loadavg") ? File.ReadAllText("/proc/loadavg").Split(' ')[0] : "unknown";
        var result = new StringBuilder();
        result.Append(CultureInfo.InvariantCulture, $"Taken {DateTime.UtcNow:yyyy-MM-dd} on {Environment.ProcessorCount} processors ({Processor()}), .NET {Environment.Version}, system load {load}. ");
        result.Append(CultureInfo.InvariantCulture, $"Median of {lines.Max(l => l.Reports.Count)} passes, each workload in a process of its own; rates in millions a second of the worker's processor time, those by the clock in brackets.\n\n");
        result.Append("| workload | load rows | round updates | round p50 / p99 / max ms | peak MB | CAL ms | result |\n|---|---|---|---|---|---|---|\n");
        foreach (var line in lines)
        {
            result.Append(CultureInfo.InvariantCulture, $"| `{line.Run}` | {Rate(line, r => r.LoadCpuRate, r => r.LoadRate)} | {Rate(line, r => r.UpdateCpuRate, r => r.UpdateRate)} | ");
            result.Append(CultureInfo.InvariantCulture, $"{line.Median(r => r.P50):F3} / {line.Median(r => r.P99):F2} / {line.Median(r => r.Max):F2} | {line.Reports.Max(r => r.PeakMb)} | {line.Median(r => r.Calibration):F0} | ");
            result.Append(line.First.Expected is null ? "not compared" : line.Reports.TrueForAll(r => r.IsRight) ? "right" : "WRONG").Append(" |\n");
        }

        return result.ToString();
    }

    private static string Rate(TableLine line, Func<Report, double> processor, Func<Report, double> clock) =>
        line.Median(processor) == 0 ? "" : string.Create(CultureInfo.InvariantCulture, $"{line.Median(processor) / 1e6:F3} ({line.Median(clock) / 1e6:F3})");

    private static string Processor()
    {
        const string name = "model name";
        if (!File.Exists("/proc/cpuinfo"))
            return "unknown";
        foreach (var line in File.ReadLines("/proc/cpuinfo"))
        {
            if (line.StartsWith(name, StringComparison.Ordinal))
                return line[(line.IndexOf(':') + 1)..].Trim();
        }

        return "unknown";
    }
}
