using Materialize.Persist.Location;
using Materialize.Repr;

namespace Materialize.Persist.Push;

/// <summary>
/// Carries state diffs from the process that appended them to those that follow the shard, so that a listener need not poll. It is only a
/// hint: messages may be lost, repeated or come late, and consensus remains the truth. An entry with sequence number 0 says "some may be lost: look".
/// </summary>
public interface IStatePush
{
    /// <summary>
    /// Whether diffs published by any process of the environment can be expected to arrive. While false, followers poll with back-off.
    /// </summary>
    bool IsConnected { get; }

    /// <summary>Hands on an entry that consensus has accepted. Never blocks, never throws; drops the message when it cannot be sent.</summary>
    void Publish(ShardId shard, VersionedData diff);

    /// <summary>
    /// Calls <paramref name="onDiff"/> for each entry published for the shard, from any thread, until the result is disposed. The callee
    /// must be quick and must not throw.
    /// </summary>
    IDisposable Subscribe(ShardId shard, Action<VersionedData> onDiff);
}
