namespace Materialize.SystemTests.Durability;

/// <summary>
/// Processes die by kill -9 under load. The short runs are part of the suite; the long ones are explicit, and
/// <c>scripts/long-runs.sh</c> runs them.
/// </summary>
public sealed class KillTests(ITestOutputHelper output)
{
    [Fact]
    public async Task Sums_over_a_replicated_pgbench_are_equal_at_every_time() =>
        output.WriteLine(await new PgbenchRun(Scale: 1, Clients: 4, Seconds: 10, Kills: "ce").RunAsync());

    [Fact(Explicit = true)]
    public async Task Sums_over_a_replicated_pgbench_are_equal_at_every_time_of_a_long_run() =>
        output.WriteLine(await new PgbenchRun(Scale: 5, Clients: 4, Seconds: 60, Kills: "cecec").RunAsync());

    [Fact]
    public async Task No_acknowledged_row_is_lost_or_doubled() =>
        output.WriteLine(await new AcknowledgedRowsRun("cece", RowsMin: 10, RowsMax: 40).RunAsync());

    [Fact(Explicit = true)]
    public async Task No_acknowledged_row_is_lost_or_doubled_by_twenty_kills() => output.WriteLine(
        await new AcknowledgedRowsRun(new string(Random.Shared.GetItems("ce".AsSpan(), 20)), RowsMin: 10, RowsMax: 400).RunAsync());
}
