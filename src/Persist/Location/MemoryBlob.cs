using System.Collections.Concurrent;
using System.Runtime.CompilerServices;

namespace Materialize.Persist.Location;

/// <summary>A blob store in memory: the double of tests, and what "durable" means within one process.</summary>
public sealed class MemoryBlob : IBlob
{
    private readonly ConcurrentDictionary<string, byte[]> _values = new(StringComparer.Ordinal);

    public ValueTask<ReadOnlyMemory<byte>?> GetAsync(string key, CancellationToken cancel)
    {
        cancel.ThrowIfCancellationRequested();
        return new(_values.TryGetValue(key, out var value) ? value : (ReadOnlyMemory<byte>?)null);
    }

    public ValueTask SetAsync(string key, ReadOnlyMemory<byte> value, CancellationToken cancel)
    {
        cancel.ThrowIfCancellationRequested();
        BlobKeys.Check(key);
        _values[key] = value.ToArray();   // a copy: the caller may reuse the memory afterwards
        return ValueTask.CompletedTask;
    }

    public ValueTask<bool> DeleteAsync(string key, CancellationToken cancel)
    {
        cancel.ThrowIfCancellationRequested();
        return new(_values.TryRemove(key, out _));
    }

    public async IAsyncEnumerable<BlobEntry> ListAsync(string prefix, [EnumeratorCancellation] CancellationToken cancel)
    {
        foreach (var (key, value) in _values)
        {
            cancel.ThrowIfCancellationRequested();
            if (key.StartsWith(prefix, StringComparison.Ordinal))
                yield return new BlobEntry(key, value.Length);
        }

        await ValueTask.CompletedTask;
    }
}
