namespace Materialize.Persist.Shard;

/// <summary>Repeats calls to the stores, with a growing pause, until they work or the attempts are used up.</summary>
internal sealed class Retry(PersistConfig config, TimeProvider time)
{
    private static readonly TimeSpan s_pauseMax = TimeSpan.FromSeconds(1);

    public TimeSpan Pause(int attempt)
    {
        var pause = config.RetryPause * Math.Pow(2, Math.Min(attempt, 16));
        return pause < s_pauseMax ? pause : s_pauseMax;
    }

    /// <summary>For calls that may be repeated whatever became of the one before: reads, blob writes, deletions.</summary>
    public async ValueTask<T> RunAsync<T>(Func<ValueTask<T>> call, CancellationToken cancel)
    {
        for (var attempt = 0; ; attempt++)
        {
            try
            {
                return await call();
            }
            catch (Exception e) when (e is DeterminateException or IndeterminateException && attempt + 1 < config.AttemptsMax)
            {
                await Task.Delay(Pause(attempt), time, cancel);
            }
        }
    }
}
