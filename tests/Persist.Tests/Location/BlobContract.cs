using Materialize.Persist.Location;

namespace Materialize.Persist.Tests.Location;

/// <summary>What every blob store must do.</summary>
public abstract class BlobContract : IDisposable
{
    private protected abstract IBlob Open();

    public virtual void Dispose() => GC.SuppressFinalize(this);

    /// <summary>Unreliable stores fail at will; the contract then holds for the calls that worked.</summary>
    private protected static async Task<TResult> TryUntilItWorks<TResult>(Func<ValueTask<TResult>> call)
    {
        while (true)
        {
            try
            {
                return await call();
            }
            catch (Exception e) when (e is DeterminateException or IndeterminateException)
            {
                // Injected: once more.
            }
        }
    }

    private static Task Set(IBlob blob, string key, params byte[] value) => TryUntilItWorks(async () =>
    {
        await blob.SetAsync(key, value, T.Cancel);
        return true;
    });

    private static async Task<byte[]?> Get(IBlob blob, string key) => (await TryUntilItWorks(() => blob.GetAsync(key, T.Cancel)))?.ToArray();

    private static void Holds(byte[]? actual, params byte[] expected) => Assert.Equal(expected, actual);

    private static async Task<(string, long)[]> List(IBlob blob, string prefix) => await TryUntilItWorks(async () =>
    {
        var found = new List<(string, long)>();
        await foreach (var entry in blob.ListAsync(prefix, T.Cancel))
            found.Add((entry.Key, entry.SizeBytes));
        return found.Order().ToArray();
    });

    [Fact]
    public async Task An_absent_key_is_null() => Assert.Null(await Get(Open(), "a/b"));

    [Fact]
    public async Task A_value_is_read_back_and_a_second_replaces_it()
    {
        var blob = Open();
        await Set(blob, "a/b", 1, 2, 3);
        Holds(await Get(blob, "a/b"), 1, 2, 3);
        await Set(blob, "a/b", 4);
        Holds(await Get(blob, "a/b"), 4);
        await Set(blob, "a/b");
        Holds(await Get(blob, "a/b"));
    }

    [Fact]
    public async Task The_value_is_a_copy_of_what_was_given()
    {
        var blob = Open();
        byte[] value = [1, 2, 3];
        await Set(blob, "k", value);
        value[0] = 9;
        Holds(await Get(blob, "k"), 1, 2, 3);
    }

    [Fact]
    public async Task A_deleted_key_is_gone_and_deleting_again_is_no_error()
    {
        var blob = Open();
        await Set(blob, "a/b", 1);
        await TryUntilItWorks(() => blob.DeleteAsync("a/b", T.Cancel));
        Assert.Null(await Get(blob, "a/b"));
        Assert.False(await TryUntilItWorks(() => blob.DeleteAsync("a/b", T.Cancel)));
        Assert.False(await TryUntilItWorks(() => blob.DeleteAsync("never/there", T.Cancel)));
    }

    [Fact]
    public async Task Listing_finds_exactly_the_keys_with_the_prefix()
    {
        var blob = Open();
        await Set(blob, "a/one", 1);
        await Set(blob, "a/two", 1, 2);
        await Set(blob, "ab/three", 1, 2, 3);
        await Set(blob, "b", 1);
        Assert.Equal([("a/one", 1), ("a/two", 2)], await List(blob, "a/"));
        Assert.Equal([("a/one", 1), ("a/two", 2), ("ab/three", 3)], await List(blob, "a"));
        Assert.Equal([("a/two", 2)], await List(blob, "a/t"));
        Assert.Equal(4, (await List(blob, "")).Length);
        Assert.Empty(await List(blob, "zz/"));
    }

    [Theory]
    [InlineData("")]
    [InlineData("../x")]
    [InlineData("a/../x")]
    [InlineData("/x")]
    [InlineData("x/")]
    [InlineData("a//b")]
    [InlineData("a b")]
    public async Task Keys_that_could_escape_are_refused(string key) =>
        await Assert.ThrowsAsync<ArgumentException>(() => TryUntilItWorks(async () =>
        {
            await Open().SetAsync(key, new byte[1], T.Cancel);
            return true;
        }));

    [Fact]
    public async Task Many_writers_at_once_do_not_mix()
    {
        var blob = Open();
        await Task.WhenAll(Enumerable.Range(0, 32).Select(i => Set(blob, "same", [.. Enumerable.Repeat((byte)i, 1000)])));
        var value = await Get(blob, "same");
        Assert.Equal(1000, value!.Length);
        Assert.Single(value.Distinct());
    }
}

public sealed class MemoryBlobTests : BlobContract
{
    private protected override IBlob Open() => new MemoryBlob();
}

public sealed class UnreliableBlobTests : BlobContract
{
    private protected override IBlob Open() => new UnreliableBlob(new MemoryBlob(), new Faults(7, 0.4));
}

public sealed class FileBlobTests : BlobContract
{
    private readonly Folder _folder = new();
    private FileBlob? _blob;

    private protected override IBlob Open() => _blob ??= FileBlob.Open(_folder.Path, TimeProvider.System);

    public override void Dispose()
    {
        _blob?.Dispose();
        _folder.Dispose();
        base.Dispose();
    }

    [Fact]
    public async Task Values_survive_reopening()
    {
        await Open().SetAsync("a/b", new byte[] { 1 }, T.Cancel);
        using var again = FileBlob.Open(_folder.Path, TimeProvider.System);
        Assert.Equal(1, Assert.Single((await again.GetAsync("a/b", T.Cancel))!.Value.ToArray()));
    }

    [Fact]
    public void A_folder_that_cannot_be_made_is_a_determinate_error() =>
        Assert.Throws<DeterminateException>(() => FileBlob.Open("/proc/none/of/this", TimeProvider.System));

    [Fact]
    public async Task Nothing_is_stored_and_the_key_is_named_when_a_file_is_in_the_way()
    {
        await Open().SetAsync("a", new byte[] { 1 }, T.Cancel);   // "a" is a file, so "a/b" has no folder
        var error = await Assert.ThrowsAsync<DeterminateException>(async () => await Open().SetAsync("a/b", new byte[] { 1 }, T.Cancel));
        Assert.Contains("a/b", error.Message, StringComparison.Ordinal);
    }

    [Fact]
    public async Task Scratch_files_are_not_listed_and_old_ones_are_swept()
    {
        _ = Open();
        var scratch = Path.Combine(_folder.Path, ".scratch", "left-behind");
        await File.WriteAllBytesAsync(scratch, [1], T.Cancel);
        await foreach (var entry in Open().ListAsync("", T.Cancel))
            Assert.Fail(entry.Key);
        File.SetLastWriteTimeUtc(scratch, DateTime.UnixEpoch);
        using var again = FileBlob.Open(_folder.Path, TimeProvider.System);
        Assert.False(File.Exists(scratch));
    }
}
