using System.Runtime.CompilerServices;
using System.Runtime.InteropServices;

namespace Materialize.Persist.Location;

/// <summary>
/// Blobs as files below a directory; a key's segments are its folders. A value is written to a scratch file, synced, renamed over the
/// key and the folder synced, so that a key names all of a value or none of it at any instant of a crash. Scratch files of a crashed
/// process are swept when the store is opened, once they are a day old (another process may be writing younger ones).
/// </summary>
public sealed partial class FileBlob : IBlob, IDisposable
{
    private const string ScratchFolder = ".scratch";
    private static readonly TimeSpan s_scratchAge = TimeSpan.FromDays(1);

    private readonly string _root;
    private readonly IoThreads _threads = new("file-blob", 4);
    private long _scratch;

    private FileBlob(string root)
    {
        _root = root;
    }

    /// <summary>Opens the store, making the directory if need be.</summary>
    /// <exception cref="DeterminateException">The directory cannot be made or written.</exception>
    public static FileBlob Open(string directory, TimeProvider time)
    {
        var root = Path.GetFullPath(directory);
        var scratch = Path.Combine(root, ScratchFolder);
        try
        {
            Directory.CreateDirectory(scratch);
            foreach (var path in Directory.EnumerateFiles(scratch))
            {
                if (time.GetUtcNow() - File.GetLastWriteTimeUtc(path) > s_scratchAge)
                    File.Delete(path);
            }
        }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException)
        {
            throw new DeterminateException($"cannot use \"{root}\" for blobs: {e.Message}", e);
        }

        return new FileBlob(root);
    }

    public async ValueTask<ReadOnlyMemory<byte>?> GetAsync(string key, CancellationToken cancel)
    {
        BlobKeys.Check(key);
        return await _threads.RunAsync<ReadOnlyMemory<byte>?>(() =>
        {
            try
            {
                return File.ReadAllBytes(PathOf(key));
            }
            catch (Exception e) when (e is FileNotFoundException or DirectoryNotFoundException)
            {
                return null;
            }
            catch (Exception e) when (e is IOException or UnauthorizedAccessException)
            {
                throw new DeterminateException($"cannot read blob \"{key}\": {e.Message}", e);
            }
        }, cancel);
    }

    public async ValueTask SetAsync(string key, ReadOnlyMemory<byte> value, CancellationToken cancel)
    {
        BlobKeys.Check(key);
        await _threads.RunAsync(() =>
        {
            Write(key, value.Span);
            return true;
        }, cancel);
    }

    public async ValueTask<bool> DeleteAsync(string key, CancellationToken cancel)
    {
        BlobKeys.Check(key);
        return await _threads.RunAsync(() =>
        {
            var path = PathOf(key);
            try
            {
                if (!File.Exists(path))
                    return false;
                File.Delete(path);   // not synced: a deletion undone by a crash is garbage once more, not damage
                return true;
            }
            catch (DirectoryNotFoundException)
            {
                return false;
            }
            catch (Exception e) when (e is IOException or UnauthorizedAccessException)
            {
                throw new DeterminateException($"cannot delete blob \"{key}\": {e.Message}", e);
            }
        }, cancel);
    }

    public async IAsyncEnumerable<BlobEntry> ListAsync(string prefix, [EnumeratorCancellation] CancellationToken cancel)
    {
        // Only the folder that the whole segments of the prefix name is walked.
        var folder = prefix.LastIndexOf('/') is var slash and >= 0 ? Path.Combine(_root, prefix[..slash]) : _root;
        var found = await _threads.RunAsync(() =>
        {
            var entries = new List<BlobEntry>();
            try
            {
                foreach (var file in new DirectoryInfo(folder).EnumerateFiles("*", SearchOption.AllDirectories))
                {
                    var key = Path.GetRelativePath(_root, file.FullName).Replace(Path.DirectorySeparatorChar, '/');
                    if (key.StartsWith(prefix, StringComparison.Ordinal) && !key.StartsWith(ScratchFolder, StringComparison.Ordinal))
                        entries.Add(new BlobEntry(key, file.Length));
                }
            }
            catch (Exception e) when (e is DirectoryNotFoundException or FileNotFoundException)
            {
                // Nothing was ever stored there, or it went while we looked; either way what was found stands.
            }
            catch (Exception e) when (e is IOException or UnauthorizedAccessException)
            {
                throw new DeterminateException($"cannot list blobs below \"{prefix}\": {e.Message}", e);
            }

            return entries;
        }, cancel);
        foreach (var entry in found)
            yield return entry;
    }

    public void Dispose() => _threads.Dispose();

    private string PathOf(string key) => Path.Combine(_root, key);

    private void Write(string key, ReadOnlySpan<byte> value)
    {
        var path = PathOf(key);
        var folder = Path.GetDirectoryName(path)!;
        var scratch = Path.Combine(_root, ScratchFolder, $"{Environment.ProcessId}-{Guid.NewGuid():N}-{Interlocked.Increment(ref _scratch)}");
        try
        {
            using (var file = File.OpenHandle(scratch, FileMode.CreateNew, FileAccess.Write, FileShare.None, FileOptions.None, value.Length))
            {
                RandomAccess.Write(file, value, 0);
                RandomAccess.FlushToDisk(file);
            }

            MakeFolder(folder);
            File.Move(scratch, path, overwrite: true);
            SyncFolder(folder);
        }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException)
        {
            TryDelete(scratch);
            // The value may be in place and only the folder's sync have failed; setting again is safe, so the weaker claim costs nothing.
            throw File.Exists(path)
                ? new IndeterminateException($"writing blob \"{key}\" failed: {e.Message}", e)
                : new DeterminateException($"cannot write blob \"{key}\": {e.Message}", e);
        }
    }

    private void MakeFolder(string folder)
    {
        if (Directory.Exists(folder))
            return;
        Directory.CreateDirectory(folder);
        // The new folder's own entry, and those of the ancestors made with it, must survive as well.
        for (var parent = Path.GetDirectoryName(folder)!; parent.Length >= _root.Length; parent = Path.GetDirectoryName(parent)!)
            SyncFolder(parent);
    }

    private static void TryDelete(string path)
    {
        try
        {
            File.Delete(path);
        }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException)
        {
            // A scratch file that stays is swept at the next start; the first error is the one to report.
        }
    }

    /// <summary>The framework cannot sync a folder, so this goes to the C library. Other systems have no such call and need none.</summary>
    private static void SyncFolder(string folder)
    {
        if (!OperatingSystem.IsLinux() && !OperatingSystem.IsMacOS())
            return;
        const int ReadOnly = 0;
        var descriptor = OpenFolder(folder, ReadOnly);
        if (descriptor < 0)
            throw new IOException($"cannot open folder \"{folder}\": {Marshal.GetLastPInvokeErrorMessage()}");
        var failed = Sync(descriptor) != 0;
        var message = failed ? Marshal.GetLastPInvokeErrorMessage() : "";
        _ = Close(descriptor);
        if (failed)
            throw new IOException($"cannot sync folder \"{folder}\": {message}");
    }

    [LibraryImport("libc", EntryPoint = "open", SetLastError = true, StringMarshalling = StringMarshalling.Utf8)]
    private static partial int OpenFolder(string path, int flags);

    [LibraryImport("libc", EntryPoint = "fsync", SetLastError = true)]
    private static partial int Sync(int descriptor);

    [LibraryImport("libc", EntryPoint = "close", SetLastError = true)]
    private static partial int Close(int descriptor);
}
