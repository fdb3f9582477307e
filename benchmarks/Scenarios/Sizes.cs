namespace Materialize.Scenarios;

/// <summary>How much each scenario does.</summary>
internal sealed record Sizes(int PointRows, TimeSpan WarmUp, TimeSpan Duration, int Inserts, int BulkRows)
{
    public static readonly Sizes Full = new(100_000, TimeSpan.FromSeconds(12), TimeSpan.FromSeconds(6), 300, 1_000_000);

    /// <summary>Enough to see that everything works.</summary>
    public static readonly Sizes Small = new(1_000, TimeSpan.FromSeconds(0.3), TimeSpan.FromSeconds(0.5), 20, 5_000);
}
