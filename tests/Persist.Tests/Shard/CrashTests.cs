using System.Diagnostics;
using System.Runtime.CompilerServices;
using Materialize.Persist.Location;
using Materialize.Persist.Push;
using Materialize.Repr;
using Microsoft.Extensions.Logging.Abstractions;

namespace Materialize.Persist.Tests.Shard;

/// <summary>Real files, real processes, killed or damaged.</summary>
public sealed class CrashTests : IDisposable
{
    private const string Victim = "PERSIST_TEST_VICTIM";
    private static readonly ShardId s_shard = ShardId.Parse("s00000000-0000-0000-0000-000000000001");
    private readonly Folder _folder = new();

    public void Dispose() => _folder.Dispose();

    private static (FileBlob Blob, SqliteConsensus Consensus, PersistClient Client) Open(string folder, bool background = false)
    {
        var blob = FileBlob.Open(Path.Combine(folder, "blob"), TimeProvider.System);
        var consensus = SqliteConsensus.Open(Path.Combine(folder, "consensus.db"), TimeSpan.FromSeconds(30));
        var config = T.Small with { Background = background };
        return (blob, consensus, new PersistClient(blob, consensus, new InProcessStatePush(), config, TimeProvider.System, new Random(), NullLoggerFactory.Instance));
    }

    /// <summary>The process to be killed: appends for ever, saying each time that was acknowledged.</summary>
    [ModuleInitializer]
    internal static void AppendIfThisIsTheVictim()
    {
        if (Environment.GetEnvironmentVariable(Victim) is not { } folder)
            return;
        // All on this thread: while a module initialises, other threads wait to enter its code.
        var (_, _, client) = Open(folder, background: true);
        var writer = client.OpenWriterAsync(s_shard, CancellationToken.None).AsTask().GetAwaiter().GetResult();
        for (var time = writer.FetchUpperAsync(CancellationToken.None).AsTask().GetAwaiter().GetResult().Elements[0].Millis; ; time++)
        {
            var row = $"{time}{(time % 2 == 0 ? new string('x', 300) : "")}";
            var append = writer.CompareAndAppendAsync(T.Columns((row, time, 1)), T.F(time), T.F(time + 1), CancellationToken.None);
            if (append.AsTask().GetAwaiter().GetResult() is not AppendResult.Appended)
                Environment.Exit(3);
            Console.WriteLine(time);
        }
    }

    [Fact]
    public async Task What_a_killed_process_acknowledged_is_there()
    {
        for (var round = 0; round < 3; round++)
        {
            var start = new ProcessStartInfo(Environment.ProcessPath!) { RedirectStandardOutput = true };
            if (Path.GetFileNameWithoutExtension(Environment.ProcessPath) == "dotnet")
                start.ArgumentList.Add(typeof(CrashTests).Assembly.Location);
            start.Environment[Victim] = _folder.Path;
            using var victim = Process.Start(start)!;
            ulong acknowledged = 0;
            for (var n = 0; n < 40 + (17 * round); n++)
                acknowledged = ulong.Parse((await victim.StandardOutput.ReadLineAsync(T.Cancel))!);
            victim.Kill();
            // What it still said before it died counts as well.
            while (await victim.StandardOutput.ReadLineAsync(T.Cancel) is { } line)
                acknowledged = ulong.TryParse(line, out var time) ? time : acknowledged;
            await victim.WaitForExitAsync(T.Cancel);

            var (blob, consensus, client) = Open(_folder.Path);
            await using (client)
            {
                await using var reader = await client.OpenReaderAsync(s_shard, "check", T.Cancel);
                var upper = (await reader.FetchUpperAsync(T.Cancel)).Elements[0].Millis;
                Assert.True(upper > acknowledged);
                var contents = await T.ContentsAsync(reader, upper - 1, consolidated: true);
                Assert.Equal(
                    Enumerable.Range(0, (int)upper), contents.Keys.Select(k => int.Parse(k.TrimEnd('x'))).Order());
            }

            consensus.Dispose();
            blob.Dispose();
        }
    }

    [Fact]
    public async Task A_torn_blob_file_is_an_error_that_names_it()
    {
        var (blob, consensus, client) = Open(_folder.Path);
        using var owned = blob;
        using var ownedToo = consensus;
        await using (client)
        {
            using var writer = await client.OpenWriterAsync(s_shard, T.Cancel);
            await using var reader = await client.OpenReaderAsync(s_shard, "test", T.Cancel);
            await writer.CompareAndAppendAsync(T.Columns((new string('x', 500), 0, 1)), T.F(0), T.F(1), T.Cancel);
            var file = Directory.EnumerateFiles(Path.Combine(_folder.Path, "blob", s_shard.ToString())).Single();
            foreach (var length in (int[])[300, 4, 0])
            {
                await using (var stream = new FileStream(file, FileMode.Open))
                    stream.SetLength(length);
                var error = await Assert.ThrowsAsync<CorruptDataException>(async () => await T.ContentsAsync(reader, 0));
                Assert.EndsWith(Path.GetFileName(file), error.Key, StringComparison.Ordinal);
            }
        }
    }

    [Fact]
    public async Task Background_upkeep_merges_and_renews_without_being_asked()
    {
        var (blob, consensus) = (new MemoryBlob(), new MemoryConsensus());
        var config = T.Small with { Background = true, LeaseDuration = TimeSpan.FromMilliseconds(60) };
        await using var client = T.Client(blob, consensus, config: config);
        using var writer = await client.OpenWriterAsync(s_shard, T.Cancel);
        await using var reader = await client.OpenReaderAsync(s_shard, "test", T.Cancel);
        for (ulong time = 0; time < 60; time++)
            await writer.CompareAndAppendAsync(T.Columns(($"{time}{new string('x', 100)}", time, 1)), T.F(time), T.F(time + 1), T.Cancel);
        while (await client.StatisticsAsync(s_shard, T.Cancel) is not { Batches: < 12, Garbage: 0 })
            await Task.Yield();
        // Garbage goes only once the reader has renewed its lease, so it did; and it has not been thrown out.
        Assert.Equal(60, (await T.ContentsAsync(reader, 59, consolidated: true)).Count);
    }
}
