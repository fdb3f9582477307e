using System.Collections.Immutable;
using Materialize.Persist.Location;
using Materialize.Persist.State;

namespace Materialize.Persist.Shard;

/// <summary>The upkeep of one shard, in small steps. Any process may do any step at any time: each ends in a compare-and-set.</summary>
internal static class Maintenance
{
    private const int GarbageMax = 64;

    /// <summary>Whether a step would do something, as far as is known here. Cheap.</summary>
    public static bool IsDue(ShardMachine machine)
    {
        var state = machine.State;
        var services = machine.Services;
        return Compaction.IsDue(state, services.Config) || RollupIsDue(machine) || TruncationIsDue(machine)
            || CollectableGarbage(state).Any() || HasExpiredReaders(state, services.NowMs);
    }

    /// <summary>One step: expired leases, one merge, a rollup, some garbage, the log's front. Returns whether anything was done.</summary>
    public static async ValueTask<bool> StepAsync(ShardMachine machine, CancellationToken cancel)
    {
        var did = await ExpireReadersAsync(machine, cancel);
        did |= await Compaction.RunAsync(machine, cancel);
        did |= await RollUpAsync(machine, cancel);
        did |= await CollectAsync(machine, cancel);
        did |= await TruncateAsync(machine, cancel);
        return did;
    }

    public static bool HasExpiredReaders(ShardState state, ulong nowMs) => state.Readers.Values.Any(r => r.IsExpired(nowMs));

    private static async ValueTask<bool> ExpireReadersAsync(ShardMachine machine, CancellationToken cancel)
    {
        var services = machine.Services;
        if (!HasExpiredReaders(machine.State, services.NowMs))
            return false;
        var expired = await machine.UpdateAsync(state =>
        {
            var now = services.NowMs;
            var gone = state.Readers.Where(r => r.Value.IsExpired(now)).ToArray();
            return new Transition<string[]>([.. gone.Select(r => new StateChange.RemoveReader(r.Key))], [.. gone.Select(r => r.Value.Purpose)]);
        }, cancel);
        foreach (var purpose in expired)
            services.Events.ReaderExpired(machine.Shard, purpose);
        return expired.Length > 0;
    }

    private static bool RollupIsDue(ShardMachine machine) =>
        machine.State.SeqNo.Value >= machine.Rollup.At.Value + (2 * (ulong)machine.Services.Config.RollupEvery);

    private static async ValueTask<bool> RollUpAsync(ShardMachine machine, CancellationToken cancel)
    {
        if (!RollupIsDue(machine))
            return false;
        var services = machine.Services;
        var state = machine.State;
        var key = $"{machine.Shard}/rollup-{state.SeqNo.Value:D20}-{services.Ids.Next():N}";
        var bytes = StateCodec.EncodeRollup(state);
        await services.Retry.RunAsync(async () =>
        {
            await services.Blob.SetAsync(key, bytes, cancel);
            return true;
        }, cancel);
        var linked = await machine.UpdateAsync<bool>(
            s => s.Rollup is { } known && known.At >= state.SeqNo ? new([], false) : new([new StateChange.SetRollup(state.SeqNo, key)], true), cancel);
        if (!linked)
            await services.Retry.RunAsync(() => services.Blob.DeleteAsync(key, cancel), cancel);
        return true;
    }

    private static IEnumerable<Garbage> CollectableGarbage(ShardState state)
    {
        var horizon = state.GarbageHorizon;
        return state.Garbage.Where(g => g.RetiredAt <= horizon);
    }

    private static async ValueTask<bool> CollectAsync(ShardMachine machine, CancellationToken cancel)
    {
        var keys = CollectableGarbage(machine.State).Take(GarbageMax).Select(g => g.Key).ToImmutableArray();
        if (keys.IsEmpty)
            return false;
        var services = machine.Services;
        foreach (var key in keys)
            await services.Retry.RunAsync(() => services.Blob.DeleteAsync(key, cancel), cancel);
        await machine.UpdateAsync<bool>(
            s => s.Garbage.Any(g => keys.Contains(g.Key)) ? new([new StateChange.DropGarbage(keys)], true) : new([], false), cancel);
        return true;
    }

    /// <summary>
    /// The log is cut some time after its rollup, so that whoever must still look for the fate of a recent entry of his own finds it.
    /// </summary>
    private static bool TruncationIsDue(ShardMachine machine)
    {
        var rollup = machine.Rollup.At.Value;
        return rollup > machine.TruncatedTo.Value && machine.State.SeqNo.Value >= rollup + ((ulong)machine.Services.Config.RollupEvery / 2);
    }

    private static async ValueTask<bool> TruncateAsync(ShardMachine machine, CancellationToken cancel)
    {
        if (!TruncationIsDue(machine))
            return false;
        var services = machine.Services;
        var before = machine.Rollup.At;
        await services.Retry.RunAsync(() => services.Consensus.TruncateAsync(machine.Shard.ToString(), before, cancel), cancel);
        machine.TruncatedTo = before;
        return true;
    }
}
