using System.Threading.Channels;
using Materialize.Protocol;

namespace Materialize.Compute.Workers;

/// <summary>
/// Where responses go while one controller is connected. After a reconnection there is a new one, and what is still said to the old
/// one is lost, as it should be: the new controller knows nothing of it.
/// </summary>
/// <remarks>
/// Unbounded on purpose: a worker must not wait for the controller. What fills it is bounded by what the controller has asked for, and
/// by the frontiers, of which each collection says at most one a step.
/// </remarks>
internal sealed class ResponseSession
{
    private readonly Channel<ComputeResponse> _responses = Channel.CreateUnbounded<ComputeResponse>(new() { SingleReader = true });

    public ChannelReader<ComputeResponse> Responses => _responses.Reader;

    /// <summary>Any thread.</summary>
    public void Send(ComputeResponse response) => _responses.Writer.TryWrite(response);

    public void Close() => _responses.Writer.TryComplete();
}
