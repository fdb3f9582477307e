namespace Materialize.Dataflow.Runtime;

/// <summary>What is fixed for workers in service and chosen by a simulation.</summary>
/// <param name="CreditBytes">How much a worker may have sent that no inbox has handed on yet, before operators that make much from little wait.</param>
/// <param name="Delivery">How what is sent gets to inboxes; null is at once.</param>
/// <param name="StepMax">A step ends after the operator's run with which it has taken this long, and the next goes on from there: so that what was posted is not kept waiting by a whole pass.</param>
/// <param name="RowsToLook">After runs that took and gave fewer rows, and left nothing to do, the clock is not looked at.</param>
/// <param name="FuelMax">Most rows that an operator works on in a run, however many it would.</param>
internal sealed record WorkerSettings(long CreditBytes, IDelivery? Delivery, TimeSpan StepMax, long RowsToLook, long FuelMax)
{
    public static WorkerSettings Default { get; } = new(64L << 20, null, TimeSpan.FromMilliseconds(4), 1024, long.MaxValue);
}

/// <summary>
/// What lies between the sender of a message and the inbox of a worker of the same process, in a simulation: it decides when things arrive, and sees all
/// that is sent and taken.
/// </summary>
/// <remarks>Threads that send and take at their own pace are the same as things that arrive late, as long as what one worker sends to another keeps its order.</remarks>
internal interface IDelivery
{
    /// <summary>Takes over <paramref name="item"/>, to <see cref="Worker.Enqueue"/> it some time. What one worker sends to another keeps its order.</summary>
    void Deliver(Worker to, InboxItem item);

    /// <summary>A worker sent another a message whose least time is <paramref name="stamp"/>; called before it can arrive.</summary>
    void NoteSent(Worker from, int to, int dataflow, int place, Stamp stamp);

    /// <summary>The message waits at its input, or, without a <paramref name="stamp"/>, was thrown away because its dataflow was dropped.</summary>
    void NoteTaken(Worker at, int from, int dataflow, int place, Stamp? stamp);
}
