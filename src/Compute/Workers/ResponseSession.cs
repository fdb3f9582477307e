using System.Threading.Channels;
using Materialize.Protocol;

namespace Materialize.Compute.Workers;

/// <summary>
/// Where responses go while one controller is connected. After a reconnection there is a new one, and what is still said to the old
/// one is lost, as it should be: the new controller knows nothing of it.
/// </summary>
/// <param name="trySend">
/// Hands a response to the connection at once, if that takes it without waiting. Small answers to peeks go this way: whoever waits for
/// one should not wait for another thread as well.
/// </param>
/// <remarks>
/// Unbounded on purpose: a worker must not wait for the controller. What fills it is bounded by what the controller has asked for, and
/// by the frontiers, of which each collection says at most one a step.
/// </remarks>
internal sealed class ResponseSession(Func<ComputeResponse, bool>? trySend = null)
{
    /// <summary>Encoding a longer answer is not a worker's business.</summary>
    private const int SmallBytes = 16 * 1024;

    private readonly Channel<ComputeResponse> _responses = Channel.CreateUnbounded<ComputeResponse>(new() { SingleReader = true });
    private readonly Lock _order = new();   // over _queued, and the order of responses
    private int _queued;

    public ChannelReader<ComputeResponse> Responses => _responses.Reader;

    /// <summary>Any thread. The order of calls is the order on the wire.</summary>
    public void Send(ComputeResponse response)
    {
        lock (_order)
        {
            if (_queued == 0 && trySend is not null && IsSmallAnswer(response) && trySend(response))
                return;
            if (_responses.Writer.TryWrite(response))
                _queued++;
        }
    }

    /// <summary>One response of <see cref="Responses"/> has been given to the connection.</summary>
    public void Sent()
    {
        lock (_order)
            _queued--;
    }

    public void Close() => _responses.Writer.TryComplete();

    private static bool IsSmallAnswer(ComputeResponse response) => response is ComputeResponse.PeekResponse peek
        && (peek.Result is not PeekResult.Rows rows || rows.Batch.Data.Length <= SmallBytes);
}
