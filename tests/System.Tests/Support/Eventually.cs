using System.Diagnostics;

namespace Materialize.SystemTests.Support;

/// <summary>Waits for what cannot be awaited, by asking again until a deadline that says what did not happen.</summary>
internal static class Eventually
{
    public static readonly TimeSpan Patience = TimeSpan.FromSeconds(60);

    /// <exception cref="TimeoutException">It did not become so; the message names it.</exception>
    public static async Task HoldsAsync(string what, Func<Task<bool>> condition, TimeSpan? patience = null)
    {
        var clock = Stopwatch.StartNew();
        while (!await condition())
        {
            if (clock.Elapsed > (patience ?? Patience))
                throw new TimeoutException($"did not happen within {(patience ?? Patience).TotalSeconds} s: {what}");
            await Task.Delay(20);
        }
    }

    /// <summary>Repeats an action that may fail while a process is away.</summary>
    public static async Task<T> SucceedsAsync<T>(string what, Func<Task<T>> action, TimeSpan? patience = null)
    {
        var clock = Stopwatch.StartNew();
        while (true)
        {
            try
            {
                return await action();
            }
            catch (Exception e) when (e is NpgsqlException or IOException or TimeoutException)
            {
                if (clock.Elapsed > (patience ?? Patience))
                    throw new TimeoutException($"did not succeed within {(patience ?? Patience).TotalSeconds} s: {what}", e);
                await Task.Delay(50);
            }
        }
    }
}
