using System.Buffers;

namespace Materialize.Persist.Location;

/// <summary>The rule for blob keys, the same on every store, so that a key that works on one works on all.</summary>
internal static class BlobKeys
{
    private static readonly SearchValues<char> s_allowed =
        SearchValues.Create("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789._-/");

    /// <exception cref="ArgumentException">The key has other characters, an empty segment, or one that starts with a dot.</exception>
    public static void Check(string key)
    {
        if (key.Length is 0 or > 512 || key.AsSpan().ContainsAnyExcept(s_allowed) || key[0] is '/' or '.' || key[^1] == '/'
            || key.Contains("//", StringComparison.Ordinal) || key.Contains("/.", StringComparison.Ordinal))
        {
            throw new ArgumentException($"invalid blob key \"{key}\"", nameof(key));
        }
    }
}
