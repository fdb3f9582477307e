using System.Diagnostics;
using System.Globalization;

namespace Materialize.Scenarios;

/// <summary>One line of the table.</summary>
internal sealed record Figure(string Scenario, string Result, string Detail);

/// <summary>Latencies of one scenario, in ms.</summary>
internal sealed class Latencies
{
    private readonly List<double> _sorted;

    public Latencies(IEnumerable<double> milliseconds) => _sorted = [.. milliseconds.Order()];

    public int Count => _sorted.Count;

    public double At(double quantile) => _sorted[(int)Math.Min(_sorted.Count - 1, quantile * _sorted.Count)];

    public override string ToString() => string.Create(
        CultureInfo.InvariantCulture, $"p50 {At(0.5):0.00} ms, p99 {At(0.99):0.00} ms, max {_sorted[^1]:0.00} ms");
}

/// <summary>Runs an operation again and again on several connections.</summary>
internal static class Load
{
    /// <param name="operation">Does one operation on one connection; given the number of the connection and of the operation.</param>
    /// <returns>Operations a second over all connections, and each one's latency.</returns>
    public static async Task<(double Rate, Latencies Latencies)> RunAsync(int connections, TimeSpan duration, Func<int, int, Task> operation)
    {
        var clock = Stopwatch.StartNew();
        var taken = await Task.WhenAll(Enumerable.Range(0, connections).Select(connection => Task.Run(async () =>
        {
            var mine = new List<double>();
            for (var i = 0; clock.Elapsed < duration; i++)
            {
                var start = Stopwatch.GetTimestamp();
                await operation(connection, i);
                mine.Add(Stopwatch.GetElapsedTime(start).TotalMilliseconds);
            }

            return mine;
        })));
        var elapsed = clock.Elapsed.TotalSeconds;
        var all = new Latencies(taken.SelectMany(t => t));
        return (all.Count / elapsed, all);
    }

    public static string PerSecond(double rate) => string.Create(CultureInfo.InvariantCulture, $"{rate:#,0}/s");
}
