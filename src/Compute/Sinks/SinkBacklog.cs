namespace Materialize.Compute.Sinks;

/// <summary>
/// What a sink has been given and has not written yet. While that is much, and the sink is at writing, the sources of its dataflow
/// wait: a store that is slow, or full, slows reading down instead of filling memory. Workers never wait.
/// </summary>
/// <remarks>
/// Sources wait only for something that needs no more of them: a write under way. What is not complete yet, such as a snapshot that is
/// still coming, does not hold them back, however much it is (it has to be written as one); so every wait ends. Sources at other processes than the sink's are not held.
/// </remarks>
/// <param name="bytesMax">More than this is much.</param>
/// <param name="changed">Told each difference in bytes; any thread.</param>
internal sealed class SinkBacklog(long bytesMax, Action<long> changed)
{
    private readonly Lock _gate = new();   // over all below: a worker gives, the writer takes, sources wait
    private State _state;
    private TaskCompletionSource? _room;

    /// <summary>Bytes that the worker has given since the writer last took them.</summary>
    public void Given(long bytes) => Change(s => s with { Given = bytes });

    /// <summary>The writer has taken what was given.</summary>
    public void Taken() => Change(static s => s with { Given = 0, Kept = s.Kept + s.Given });

    /// <summary>The writer now keeps so much, and is or is not at writing some of it.</summary>
    public void Kept(long bytes, bool isWriting) => Change(s => s with { Kept = bytes, IsWriting = isWriting });

    /// <summary>Nobody takes any more.</summary>
    public void End() => Change(static _ => default);

    /// <summary>Returns at once if there is room, or as soon as there is. Any thread.</summary>
    public async ValueTask WaitForRoomAsync(CancellationToken cancel)
    {
        while (true)
        {
            Task room;
            lock (_gate)
            {
                if (!IsHeld)
                    return;
                room = (_room ??= new TaskCompletionSource(TaskCreationOptions.RunContinuationsAsynchronously)).Task;
            }

            await room.WaitAsync(cancel);
        }
    }

    private bool IsHeld => _state.IsWriting && _state.Bytes > bytesMax;

    private void Change(Func<State, State> change)
    {
        TaskCompletionSource? room = null;
        long difference;
        lock (_gate)
        {
            var before = _state;
            _state = change(before);
            difference = _state.Bytes - before.Bytes;
            if (!IsHeld)
                (room, _room) = (_room, null);
        }

        if (difference != 0)
            changed(difference);
        room?.SetResult();
    }

    private readonly record struct State(long Given, long Kept, bool IsWriting)
    {
        public long Bytes => Given + Kept;
    }
}
