using Materialize.Repr;

namespace Materialize.Persist;

/// <summary>What persist says when the outside world or the stored bytes fail. Lost races are results, not exceptions.</summary>
public abstract class PersistException : Exception
{
    private protected PersistException(string message, Exception? inner = null) : base(message, inner)
    {
    }
}

/// <summary>The operation did not happen and will not: it is safe to try again or to give up.</summary>
public sealed class DeterminateException(string message, Exception? inner = null) : PersistException(message, inner);

/// <summary>The operation may have happened, or may still happen: look before trying again.</summary>
public sealed class IndeterminateException(string message, Exception? inner = null) : PersistException(message, inner);

/// <summary>Stored bytes fail their checksum or do not parse. Trying again does not help.</summary>
public sealed class CorruptDataException(string key, string detail, Exception? inner = null)
    : PersistException($"corrupt data in \"{key}\": {detail}", inner)
{
    /// <summary>The blob or consensus key that holds the bytes.</summary>
    public string Key { get; } = key;
}

/// <summary>A blob that the shard's state names is not there.</summary>
public sealed class MissingBlobException(string key) : PersistException($"blob \"{key}\" is missing")
{
    public string Key { get; } = key;
}

/// <summary>The bytes were written by a version of this program that this one does not know. Upgrade the reader.</summary>
public sealed class UnsupportedFormatException(string key, int version)
    : PersistException($"\"{key}\" is in format version {version}, which this program does not know")
{
    public string Key { get; } = key;

    public int Version { get; } = version;
}

/// <summary>A read asked for times whose detail has been given up.</summary>
public sealed class SinceViolationException(ShardId shard, Timestamp asOf, Frontier since)
    : PersistException($"shard {shard} cannot be read as of {asOf}: its since is {since}")
{
    public Frontier Since { get; } = since;
}

/// <summary>A leased reader did not renew in time and its since has been passed. Open a new reader.</summary>
public sealed class LeaseExpiredException(ShardId shard) : PersistException($"the lease of a reader of shard {shard} has expired");

/// <summary>A newer owner has taken over: this process must stop acting as the owner.</summary>
public sealed class FencedException(string message) : PersistException(message);
