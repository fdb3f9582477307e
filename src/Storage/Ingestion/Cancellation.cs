namespace Materialize.Storage;

internal static class Cancellation
{
    /// <summary>
    /// Cancels. Npgsql's callbacks run within and may throw when a connection is being closed at that moment; all callbacks have been run
    /// even so, and what they say is of no interest.
    /// </summary>
    public static async Task CancelQuietlyAsync(this CancellationTokenSource source)
    {
        try
        {
            await source.CancelAsync();
        }
        catch (AggregateException)
        {
            // See above.
        }
    }
}
