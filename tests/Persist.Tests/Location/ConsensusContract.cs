using System.Diagnostics;
using System.Text;
using Materialize.Persist.Location;

namespace Materialize.Persist.Tests.Location;

/// <summary>What every consensus must do.</summary>
public abstract class ConsensusContract : IDisposable
{
    private protected abstract IConsensus Open();

    public virtual void Dispose() => GC.SuppressFinalize(this);

    private protected static VersionedData Data(ulong seqNo, string text) => new(new SeqNo(seqNo), Encoding.UTF8.GetBytes(text));

    private protected static string Text(VersionedData? data) => data is { } d ? $"{d.SeqNo.Value}:{Encoding.UTF8.GetString(d.Data.Span)}" : "none";

    private static SeqNo? At(ulong? seqNo) => seqNo is { } s ? new SeqNo(s) : null;

    private protected static Task<bool> Set(IConsensus consensus, string key, ulong? expected, VersionedData next) =>
        consensus.CompareAndSetAsync(key, At(expected), next, T.Cancel).AsTask();

    private static async Task<string[]> Scan(IConsensus consensus, string key, ulong from, int limit) =>
        [.. (await consensus.ScanAsync(key, new SeqNo(from), limit, T.Cancel)).Select(d => Text(d))];

    [Fact]
    public async Task A_key_starts_with_nothing()
    {
        var consensus = Open();
        Assert.Null(await consensus.HeadAsync("k", T.Cancel));
        Assert.Empty(await Scan(consensus, "k", 0, 10));
        Assert.False(await Set(consensus, "k", 1, Data(2, "x")));
        Assert.Null(await consensus.HeadAsync("k", T.Cancel));
    }

    [Fact]
    public async Task Set_works_exactly_at_the_expected_head()
    {
        var consensus = Open();
        Assert.True(await Set(consensus, "k", null, Data(1, "a")));
        Assert.False(await Set(consensus, "k", null, Data(1, "b")));
        Assert.False(await Set(consensus, "k", null, Data(2, "b")));
        Assert.True(await Set(consensus, "k", 1, Data(2, "c")));
        Assert.False(await Set(consensus, "k", 1, Data(2, "d")));
        Assert.False(await Set(consensus, "k", 1, Data(3, "d")));
        Assert.True(await Set(consensus, "k", 2, Data(7, "e")));
        Assert.Equal("7:e", Text(await consensus.HeadAsync("k", T.Cancel)));
        Assert.Null(await consensus.HeadAsync("other", T.Cancel));
    }

    [Fact]
    public async Task The_next_must_be_beyond_the_expected()
    {
        var consensus = Open();
        await Assert.ThrowsAsync<ArgumentException>(() => Set(consensus, "k", 2, Data(2, "a")));
        await Assert.ThrowsAsync<ArgumentException>(() => Set(consensus, "k", null, Data(0, "a")));
    }

    [Fact]
    public async Task Scan_gives_a_window_in_order_and_empty_values_are_values()
    {
        var consensus = Open();
        foreach (var i in Enumerable.Range(1, 6))
            Assert.True(await Set(consensus, "k", i == 1 ? null : (ulong)i - 1, Data((ulong)i, i == 3 ? "" : $"v{i}")));
        Assert.Equal(["3:", "4:v4"], await Scan(consensus, "k", 3, 2));
        Assert.Equal(["6:v6"], await Scan(consensus, "k", 6, 100));
        Assert.Empty(await Scan(consensus, "k", 7, 100));
    }

    [Fact]
    public async Task Truncate_cuts_the_front_and_never_the_head()
    {
        var consensus = Open();
        await Assert.ThrowsAsync<ArgumentException>(async () => await consensus.TruncateAsync("k", new SeqNo(1), T.Cancel));
        foreach (var i in Enumerable.Range(1, 5))
            Assert.True(await Set(consensus, "k", i == 1 ? null : (ulong)i - 1, Data((ulong)i, $"v{i}")));
        Assert.Equal(2, await consensus.TruncateAsync("k", new SeqNo(3), T.Cancel));
        Assert.Equal(["3:v3", "4:v4", "5:v5"], await Scan(consensus, "k", 0, 100));
        Assert.Equal(0, await consensus.TruncateAsync("k", new SeqNo(3), T.Cancel));
        await Assert.ThrowsAsync<ArgumentException>(async () => await consensus.TruncateAsync("k", new SeqNo(6), T.Cancel));
        Assert.Equal(2, await consensus.TruncateAsync("k", new SeqNo(5), T.Cancel));
        Assert.Equal("5:v5", Text(await consensus.HeadAsync("k", T.Cancel)));
        Assert.True(await Set(consensus, "k", 5, Data(6, "v6")));
    }

    [Fact]
    public async Task Every_key_with_an_entry_is_listed_once()
    {
        var consensus = Open();
        await Set(consensus, "a", null, Data(1, ""));
        await Set(consensus, "a", 1, Data(2, ""));
        await Set(consensus, "b", null, Data(1, ""));
        var keys = new List<string>();
        await foreach (var key in consensus.ListKeysAsync(T.Cancel))
            keys.Add(key);
        Assert.Equal(["a", "b"], keys.Order());
    }

    /// <summary>Racing increments: as many entries as successes, one after the other.</summary>
    [Fact]
    public async Task Of_racing_sets_exactly_one_wins_each_place()
    {
        var consensus = Open();
        await Race([consensus, consensus, consensus, consensus], 50);
    }

    private protected static async Task Race(IConsensus[] racers, int winsEach)
    {
        await Task.WhenAll(racers.Select((consensus, who) => Task.Run(async () =>
        {
            for (var wins = 0; wins < winsEach;)
            {
                var head = await consensus.HeadAsync("race", T.Cancel);
                if (await Set(consensus, "race", head?.SeqNo.Value, Data((head?.SeqNo.Value ?? 0) + 1, $"{who}-{Guid.NewGuid()}")))
                    wins++;
            }
        })));
        var log = await Scan(racers[0], "race", 0, int.MaxValue);
        Assert.Equal(Enumerable.Range(1, winsEach * racers.Length), log.Select(e => int.Parse(e.Split(':')[0])));
        Assert.All(log.GroupBy(e => e.Split(':')[1].Split('-')[0]), g => Assert.Equal(winsEach, g.Count()));
    }
}

public sealed class MemoryConsensusTests : ConsensusContract
{
    private protected override IConsensus Open() => new MemoryConsensus();
}

/// <summary>A share of failures that this wrapper hides again by trying until it works, settling unknown outcomes by looking.</summary>
public sealed class UnreliableConsensusTests : ConsensusContract
{
    private protected override IConsensus Open() => new Persevering(new UnreliableConsensus(new MemoryConsensus(), new Faults(3, 0.3)));

    private sealed class Persevering(IConsensus inner) : IConsensus
    {
        public ValueTask<VersionedData?> HeadAsync(string key, CancellationToken cancel) => Try(() => inner.HeadAsync(key, cancel));

        public ValueTask<IReadOnlyList<VersionedData>> ScanAsync(string key, SeqNo from, int limit, CancellationToken cancel) =>
            Try(() => inner.ScanAsync(key, from, limit, cancel));

        public async ValueTask<bool> CompareAndSetAsync(string key, SeqNo? expected, VersionedData next, CancellationToken cancel)
        {
            var unknown = false;
            while (true)
            {
                try
                {
                    if (await inner.CompareAndSetAsync(key, expected, next, cancel))
                        return true;
                    if (!unknown)
                        return false;
                    var there = await ScanAsync(key, next.SeqNo, 1, cancel);
                    return there.Count == 1 && there[0].SeqNo == next.SeqNo && there[0].Data.Span.SequenceEqual(next.Data.Span);
                }
                catch (DeterminateException)
                {
                }
                catch (IndeterminateException)
                {
                    unknown = true;
                }
            }
        }

        public async ValueTask<int> TruncateAsync(string key, SeqNo before, CancellationToken cancel)
        {
            var entries = (await ScanAsync(key, new SeqNo(0), int.MaxValue, cancel)).Count(e => e.SeqNo < before);
            await Try(() => inner.TruncateAsync(key, before, cancel));
            return entries;
        }

        public IAsyncEnumerable<string> ListKeysAsync(CancellationToken cancel) => Keys(cancel).ToAsyncEnumerable();

        private IEnumerable<string> Keys(CancellationToken cancel)
        {
            while (true)
            {
                try
                {
                    return inner.ListKeysAsync(cancel).ToBlockingEnumerable(cancel).ToArray();
                }
                catch (DeterminateException)
                {
                }
            }
        }

        private static async ValueTask<TResult> Try<TResult>(Func<ValueTask<TResult>> call)
        {
            while (true)
            {
                try
                {
                    return await call();
                }
                catch (Exception e) when (e is DeterminateException or IndeterminateException)
                {
                }
            }
        }
    }
}

public sealed class SqliteConsensusTests : ConsensusContract
{
    private readonly Folder _folder = new();
    private readonly List<SqliteConsensus> _opened = [];

    private string File => Path.Combine(_folder.Path, "consensus.db");

    private protected override IConsensus Open()
    {
        _opened.Add(SqliteConsensus.Open(File, TimeSpan.FromSeconds(30)));
        return _opened[^1];
    }

    public override void Dispose()
    {
        _opened.ForEach(c => c.Dispose());
        _folder.Dispose();
        base.Dispose();
    }

    [Fact]
    public async Task Connections_to_one_file_race_correctly() => await Race([Open(), Open(), Open(), Open()], 25);

    [Fact]
    public async Task Two_processes_race_correctly()
    {
        // The other process is this program again, told by its environment to race and nothing else.
        var start = new ProcessStartInfo(Environment.ProcessPath!);
        if (Path.GetFileNameWithoutExtension(Environment.ProcessPath) == "dotnet")
            start.ArgumentList.Add(typeof(SqliteConsensusTests).Assembly.Location);
        start.Environment[OtherProcess] = File;
        var consensus = Open();
        using var other = Process.Start(start)!;
        var ours = 0;
        while (ours < 40)
        {
            var head = await consensus.HeadAsync("processes", T.Cancel);
            if (await Set(consensus, "processes", head?.SeqNo.Value, Data((head?.SeqNo.Value ?? 0) + 1, "here")))
                ours++;
        }

        await other.WaitForExitAsync(T.Cancel);
        Assert.Equal(0, other.ExitCode);
        var log = await consensus.ScanAsync("processes", new SeqNo(0), 1000, T.Cancel);
        Assert.Equal(Enumerable.Range(1, 80), log.Select(e => (int)e.SeqNo.Value));
        Assert.Equal(40, log.Count(e => Encoding.UTF8.GetString(e.Data.Span) == "there"));
    }

    private const string OtherProcess = "PERSIST_TEST_RACE";

    /// <summary>The part of the other process.</summary>
    [System.Runtime.CompilerServices.ModuleInitializer]
    internal static void RaceIfThisIsTheOtherProcess()
    {
        if (Environment.GetEnvironmentVariable(OtherProcess) is not { } file)
            return;
        using (var consensus = SqliteConsensus.Open(file, TimeSpan.FromSeconds(30)))
        {
            for (var wins = 0; wins < 40;)
            {
                var head = consensus.HeadAsync("processes", CancellationToken.None).AsTask().GetAwaiter().GetResult();
                var next = new VersionedData(new SeqNo((head?.SeqNo.Value ?? 0) + 1), "there"u8.ToArray());
                if (consensus.CompareAndSetAsync("processes", head?.SeqNo, next, CancellationToken.None).AsTask().GetAwaiter().GetResult())
                    wins++;
            }
        }

        Environment.Exit(0);
    }

    [Fact]
    public async Task Entries_survive_reopening()
    {
        var first = Open();
        Assert.True(await Set(first, "k", null, Data(1, "a")));
        Assert.Equal("1:a", Text(await Open().HeadAsync("k", T.Cancel)));
    }

    [Fact]
    public void A_file_that_is_no_database_is_a_determinate_error()
    {
        System.IO.File.WriteAllText(File, new string('x', 5000));
        Assert.Throws<DeterminateException>(() => SqliteConsensus.Open(File, TimeSpan.FromSeconds(1)));
    }

    [Fact]
    public void A_folder_that_is_not_there_is_a_determinate_error() =>
        Assert.Throws<DeterminateException>(() => SqliteConsensus.Open(Path.Combine(_folder.Path, "none", "db"), TimeSpan.FromSeconds(1)));

    [Fact]
    public async Task Sets_of_many_keys_at_once_share_commits_and_are_judged_each_on_its_own()
    {
        var consensus = Open();
        var first = await Task.WhenAll(Enumerable.Range(0, 100).Select(i => Set(consensus, $"k{i}", null, Data(1, "a"))));
        Assert.All(first, Assert.True);
        var second = await Task.WhenAll(Enumerable.Range(0, 100).Select(i => Set(consensus, $"k{i}", i % 2 == 0 ? 1ul : null, Data(2, "b"))));
        Assert.Equal(Enumerable.Range(0, 100).Select(i => i % 2 == 0), second);
    }
}
