using Materialize.Persist.Location;
using Materialize.Persist.Oracle;
using Materialize.Repr;
using Microsoft.Extensions.Logging.Abstractions;

namespace Materialize.Persist.Tests.Oracle;

/// <summary>What every timestamp oracle must do.</summary>
public abstract class OracleContract
{
    private protected abstract Task<ITimestampOracle> Open(Timestamp initially, TimeProvider time);

    private static async Task<ulong> Write(ITimestampOracle oracle)
    {
        var (timestamp, advanceTo) = await oracle.WriteTsAsync(T.Cancel);
        Assert.Equal(timestamp.Millis + 1, advanceTo.Millis);
        return timestamp.Millis;
    }

    private static async Task<ulong> Read(ITimestampOracle oracle) => (await oracle.ReadTsAsync(T.Cancel)).Millis;

    private static async Task<ulong> Peek(ITimestampOracle oracle) => (await oracle.PeekWriteTsAsync(T.Cancel)).Millis;

    private static ValueTask Apply(ITimestampOracle oracle, ulong time) => oracle.ApplyWriteAsync(new Timestamp(time), T.Cancel);

    [Fact]
    public async Task Starts_at_the_initial_time()
    {
        var oracle = await Open(new Timestamp(5_000_000), new ManualTime());
        Assert.Equal(5_000_000ul, await Read(oracle));
        Assert.Equal(5_000_000ul, await Peek(oracle));
        Assert.Equal(5_000_001ul, await Write(oracle));
    }

    [Fact]
    public async Task Writes_follow_the_clock_and_never_repeat_when_it_stands_still()
    {
        var time = new ManualTime();
        var oracle = await Open(Timestamp.MinValue, time);
        Assert.Equal(1_000_000ul, await Write(oracle));
        Assert.Equal(1_000_001ul, await Write(oracle));
        time.Advance(TimeSpan.FromSeconds(9));
        Assert.Equal(1_009_000ul, await Write(oracle));
        Assert.Equal(1_009_001ul, await Write(oracle));
    }

    [Fact]
    public async Task A_write_is_read_once_applied_and_applying_never_goes_back()
    {
        var oracle = await Open(Timestamp.MinValue, new ManualTime());
        var write = await Write(oracle);
        Assert.True(await Read(oracle) < write);
        await Apply(oracle, write);
        Assert.Equal(write, await Read(oracle));
        await Apply(oracle, write - 500);
        Assert.Equal(write, await Read(oracle));
        Assert.Equal(write, await Peek(oracle));
    }

    [Fact]
    public async Task Applying_a_time_from_elsewhere_moves_both_clocks_however_far()
    {
        var oracle = await Open(Timestamp.MinValue, new ManualTime());
        await Apply(oracle, 77_000_000);
        Assert.Equal(77_000_000ul, await Read(oracle));
        Assert.Equal(77_000_000ul, await Peek(oracle));
        Assert.Equal(77_000_001ul, await Write(oracle));
    }

    [Fact]
    public async Task Concurrent_writes_are_distinct_and_reads_are_ordered_with_them()
    {
        var oracle = await Open(Timestamp.MinValue, TimeProvider.System);
        var all = await Task.WhenAll(Enumerable.Range(0, 4).Select(_ => Task.Run(async () =>
        {
            var mine = new List<ulong>();
            for (var i = 0; i < 500; i++)
            {
                var before = await Read(oracle);
                var write = await Write(oracle);
                Assert.True(write > before);
                await Apply(oracle, write);
                Assert.True(await Read(oracle) >= write);
                mine.Add(write);
            }

            return mine;
        })));
        Assert.All(all, mine => Assert.Equal(mine.Order(), mine));
        Assert.Equal(2000, all.SelectMany(m => m).Distinct().Count());
    }
}

public sealed class MemoryOracleTests : OracleContract
{
    private protected override Task<ITimestampOracle> Open(Timestamp initially, TimeProvider time) =>
        Task.FromResult<ITimestampOracle>(new MemoryTimestampOracle(initially, time));
}

public sealed class DurableOracleTests : OracleContract
{
    private readonly MemoryConsensus _consensus = new();

    private protected override async Task<ITimestampOracle> Open(Timestamp initially, TimeProvider time) => await OpenDurable(initially, time, 50);

    private async Task<DurableTimestampOracle> OpenDurable(Timestamp initially, TimeProvider time, int windowMs, IConsensus? consensus = null) =>
        await DurableTimestampOracle.OpenAsync(
            consensus ?? _consensus, "test", initially, TimeSpan.FromMilliseconds(windowMs), Guid.NewGuid(), time,
            NullLogger<DurableTimestampOracle>.Instance, T.Cancel);

    /// <summary>A crash: the owner is not disposed of.</summary>
    [Fact]
    public async Task After_a_crash_nothing_that_was_told_is_contradicted()
    {
        var time = new ManualTime();
        ulong told = 0;
        for (var crash = 0; crash < 20; crash++)
        {
            var oracle = await OpenDurable(Timestamp.MinValue, time, 50);
            Assert.True((await oracle.ReadTsAsync(T.Cancel)).Millis >= told);
            for (var i = 0; i < 17 * crash; i++)
            {
                var write = (await oracle.WriteTsAsync(T.Cancel)).Timestamp;
                Assert.True(write.Millis > told);
                await oracle.ApplyWriteAsync(write, T.Cancel);
                told = (await oracle.ReadTsAsync(T.Cancel)).Millis;
            }
        }
    }

    [Fact]
    public async Task After_an_orderly_end_no_time_is_skipped()
    {
        var time = new ManualTime();
        Timestamp last;
        await using (var oracle = await OpenDurable(Timestamp.MinValue, time, 60_000))
            last = (await oracle.WriteTsAsync(T.Cancel)).Timestamp;
        await using var next = await OpenDurable(Timestamp.MinValue, time, 60_000);
        Assert.Equal(last.StepForward(), (await next.WriteTsAsync(T.Cancel)).Timestamp);
    }

    [Fact]
    public async Task The_owner_before_is_fenced_before_it_passes_the_start_of_the_next()
    {
        var time = new ManualTime();
        var old = await OpenDurable(Timestamp.MinValue, time, 50);
        var write = (await old.WriteTsAsync(T.Cancel)).Timestamp;
        var next = await OpenDurable(Timestamp.MinValue, time, 50);
        var start = await next.ReadTsAsync(T.Cancel);
        Assert.True(start >= write);
        var reached = write;
        await Assert.ThrowsAsync<FencedException>(async () =>
        {
            while (true)
                reached = (await old.WriteTsAsync(T.Cancel)).Timestamp;
        });
        Assert.True(reached <= start);
        await Assert.ThrowsAsync<FencedException>(async () => await old.ReadTsAsync(T.Cancel));
        Assert.True((await next.WriteTsAsync(T.Cancel)).Timestamp > start);
    }

    [Fact]
    public async Task Failures_of_consensus_reach_the_caller_or_are_survived_and_times_stay_ordered()
    {
        var time = new ManualTime();
        for (var seed = 0; seed < 20; seed++)
        {
            var faults = new Faults(seed, 0);
            var oracle = await OpenDurable(Timestamp.MinValue, time, 3, new UnreliableConsensus(_consensus, faults));
            faults.FailureShare = 0.5;
            var last = await oracle.ReadTsAsync(T.Cancel);
            for (var i = 0; i < 100; i++)
            {
                try
                {
                    var write = (await oracle.WriteTsAsync(T.Cancel)).Timestamp;
                    Assert.True(write > last);
                    last = write;
                }
                catch (Exception e) when (e is DeterminateException or IndeterminateException)
                {
                    // Injected, twice in a row.
                }
            }

            var next = await OpenDurable(Timestamp.MinValue, time, 3);
            Assert.True(await next.ReadTsAsync(T.Cancel) >= last);
        }
    }
}
