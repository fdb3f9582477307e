using System.Text;
using Materialize.Core.Order;
using Materialize.Persist.Columns;
using Materialize.Persist.Location;
using Materialize.Persist.Push;
using Materialize.Repr;
using Microsoft.Extensions.Logging.Abstractions;

namespace Materialize.Persist.Tests;

/// <summary>Short names for what every test needs.</summary>
internal static class T
{
    public static CancellationToken Cancel => TestContext.Current.CancellationToken;

    public static Frontier F(ulong time) => Frontier.Of(new Timestamp(time));

    public static Frontier Closed => Frontier.Empty;

    public static UpdateColumns Columns(params (string Row, ulong Time, long Diff)[] updates) => Columns(updates.AsEnumerable());

    public static UpdateColumns Columns(IEnumerable<(string Row, ulong Time, long Diff)> updates)
    {
        var builder = new UpdateColumnsBuilder();
        foreach (var (row, time, diff) in updates)
            builder.Add(Encoding.UTF8.GetBytes(row), new Timestamp(time), diff);
        return builder.Build();
    }

    public static IEnumerable<(string Row, ulong Time, long Diff)> Updates(UpdateColumns columns)
    {
        for (var i = 0; i < columns.Count; i++)
            yield return (Encoding.UTF8.GetString(columns.Row(i)), columns.Times[i].Millis, columns.Diffs[i]);
    }

    /// <summary>Each row with its multiplicity, by the definition.</summary>
    public static SortedDictionary<string, long> Sum(IEnumerable<(string Row, ulong Time, long Diff)> updates)
    {
        var sum = updates.GroupBy(u => u.Row, u => u.Diff).Select(g => (g.Key, Sum: g.Sum())).Where(g => g.Sum != 0);
        return new SortedDictionary<string, long>(sum.ToDictionary(g => g.Key, g => g.Sum), StringComparer.Ordinal);
    }

    public static async Task<SortedDictionary<string, long>> ContentsAsync(ReadHandle reader, ulong asOf, bool consolidated = false)
    {
        using var snapshot = await reader.SnapshotAsync(new Timestamp(asOf), Cancel);
        var all = new List<(string, ulong Time, long)>();
        await foreach (var updates in consolidated ? snapshot.ReadConsolidatedAsync(Cancel) : snapshot.ReadAsync(Cancel))
            all.AddRange(Updates(updates));
        Assert.All(all, u => Assert.Equal(asOf, u.Time));
        var sum = Sum(all);
        if (consolidated)
            Assert.Equal(sum.Count, all.Count);
        return sum;
    }

    public static PersistClient Client(
        IBlob blob, IConsensus consensus, IStatePush? push = null, PersistConfig? config = null, TimeProvider? time = null, int seed = 1) =>
        new(blob, consensus, push ?? new InProcessStatePush(), config ?? Small, time ?? TimeProvider.System, new Random(seed), NullLoggerFactory.Instance);

    /// <summary>Limits so low that a few updates reach every path.</summary>
    public static PersistConfig Small { get; } = new()
    {
        InlineBytesMax = 120,
        InlineTotalBytesMax = 400,
        PartBytesTarget = 200,
        RollupEvery = 8,
        InlineRollupBytesMax = 900,
        CompactionBatchesMin = 4,
        CompactionBatchesMax = 8,
        Background = false,
        AttemptsMax = 40,
        RetryPause = TimeSpan.FromTicks(1),
        PollWhenPushed = TimeSpan.FromMilliseconds(2),
        PollPauseMin = TimeSpan.FromMilliseconds(1),
        PollPauseMax = TimeSpan.FromMilliseconds(4),
    };
}

/// <summary>A folder that goes away with the test.</summary>
internal sealed class Folder : IDisposable
{
    public string Path { get; } = Directory.CreateTempSubdirectory("persist-test-").FullName;

    public void Dispose()
    {
        if (Directory.Exists(Path))
            Directory.Delete(Path, recursive: true);
    }
}

/// <summary>A clock that moves when told to; its timers fire then.</summary>
internal sealed class ManualTime : TimeProvider
{
    private readonly Lock _lock = new();
    private readonly List<ManualTimer> _timers = [];
    private DateTimeOffset _now = DateTimeOffset.FromUnixTimeMilliseconds(1_000_000);

    public override DateTimeOffset GetUtcNow()
    {
        lock (_lock)
            return _now;
    }

    public override long GetTimestamp() => GetUtcNow().Ticks;

    public override long TimestampFrequency => TimeSpan.TicksPerSecond;

    public void Advance(TimeSpan by)
    {
        ManualTimer[] due;
        lock (_lock)
        {
            _now += by;
            due = [.. _timers.Where(t => t.Due <= _now)];
            foreach (var timer in due)
                timer.Rearm(_now);
            _timers.RemoveAll(t => t.Due is null);
        }

        foreach (var timer in due)
            timer.Fire();
    }

    public override ITimer CreateTimer(TimerCallback callback, object? state, TimeSpan dueTime, TimeSpan period)
    {
        var timer = new ManualTimer(this, () => callback(state));
        timer.Change(dueTime, period);
        return timer;
    }

    private sealed class ManualTimer(ManualTime owner, Action fire) : ITimer
    {
        private TimeSpan _period;

        public DateTimeOffset? Due { get; private set; }

        public void Fire() => fire();

        public void Rearm(DateTimeOffset now) => Due = _period > TimeSpan.Zero ? now + _period : null;

        public bool Change(TimeSpan dueTime, TimeSpan period)
        {
            lock (owner._lock)
            {
                owner._timers.Remove(this);
                _period = period;
                Due = dueTime < TimeSpan.Zero ? null : owner._now + dueTime;
                if (Due is not null)
                    owner._timers.Add(this);
                return true;
            }
        }

        public void Dispose()
        {
            lock (owner._lock)
                owner._timers.Remove(this);
        }

        public ValueTask DisposeAsync()
        {
            Dispose();
            return ValueTask.CompletedTask;
        }
    }
}
