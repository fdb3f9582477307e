using System.Globalization;

namespace Materialize.Micro.Floors;

/// <summary>One thing that the engine is held to.</summary>
/// <param name="Floor">In <paramref name="Unit"/>; null: there is none, the figure is shown.</param>
/// <param name="IsCeiling">The figure should be at most the floor, not at least.</param>
/// <param name="Runs">The workloads that the figure comes from, as <see cref="RunSpec"/> writes them; none: kernels.</param>
internal sealed record FloorRow(string What, double? Floor, bool IsCeiling, string Unit, string[] Runs, Func<Measurements, double> Figure)
{
    /// <summary>A line of the table: how often the figure is as good as it must be.</summary>
    public string Render(Measurements measured)
    {
        var figure = Figure(measured);
        var ratio = !IsCeiling ? figure / Floor : figure == 0 ? null : Floor / figure;
        return string.Create(
            CultureInfo.InvariantCulture,
            $"| {What} | {(Floor is null ? "" : $"{(IsCeiling ? "≤" : "≥")} {Floor:0.####} {Unit}")} | {Rounded(figure)} {Unit} | {(ratio is null ? "" : ratio >= 1 ? $"{ratio:F2}" : $"**{ratio:F2}**")} | {(Runs.Length == 0 ? "`kernels`" : string.Join(", ", Runs.Select(r => $"`{r}`")))} |");
    }

    // Three digits or so.
    private static string Rounded(double figure) => figure.ToString(figure switch
    {
        >= 100 => "F0",
        >= 10 => "F1",
        >= 1 => "F2",
        >= 0.1 => "F3",
        _ => "G2",
    }, CultureInfo.InvariantCulture);
}
