namespace Materialize.Persist.Location;

/// <summary>
/// A durable key-value store for large immutable values (batch parts, rollups). Keys are of <c>[A-Za-z0-9._-]</c> in segments parted by
/// <c>/</c>. Safe for concurrent use by many processes.
/// </summary>
public interface IBlob
{
    /// <summary>The value, or null if the key is absent. The caller may keep the memory; nobody changes it.</summary>
    /// <exception cref="DeterminateException">The store cannot be read now.</exception>
    ValueTask<ReadOnlyMemory<byte>?> GetAsync(string key, CancellationToken cancel);

    /// <summary>
    /// Stores the value. Once this returns, the value survives a crash of the machine; a reader sees the old value or all of the new one,
    /// never a part. The memory must not change until this returns.
    /// </summary>
    /// <exception cref="DeterminateException">Nothing was stored (full disk, no permission).</exception>
    /// <exception cref="IndeterminateException">It may have been stored. Setting it again is safe.</exception>
    ValueTask SetAsync(string key, ReadOnlyMemory<byte> value, CancellationToken cancel);

    /// <summary>Removes the key. Returns whether it was there. Removing an absent key is no error.</summary>
    ValueTask<bool> DeleteAsync(string key, CancellationToken cancel);

    /// <summary>Every key that starts with <paramref name="prefix"/>, in no order. Keys set or deleted meanwhile may or may not show.</summary>
    IAsyncEnumerable<BlobEntry> ListAsync(string prefix, CancellationToken cancel);
}

/// <summary>A key and the size of its value in bytes.</summary>
public readonly record struct BlobEntry(string Key, long SizeBytes);
