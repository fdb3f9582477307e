using System.Threading.Channels;

namespace Materialize.Controller.Tests.Support;

/// <summary>One process of a replica as a controller reaches it: what it is told is kept, what it answers is up to the test.</summary>
internal sealed class FakeProcess<TCommand, TResponse> : IControlConnector<TCommand, TResponse>
{
    private readonly Channel<FakeLink<TCommand, TResponse>> _links = Channel.CreateUnbounded<FakeLink<TCommand, TResponse>>();
    private readonly Lock _gate = new();   // over _back
    private TaskCompletionSource? _back;

    /// <summary>From now on it cannot be reached, until <see cref="ComeBack"/>.</summary>
    public void GoAway()
    {
        lock (_gate)
            _back = new TaskCompletionSource(TaskCreationOptions.RunContinuationsAsynchronously);
    }

    public void ComeBack()
    {
        TaskCompletionSource? back;
        lock (_gate)
            (back, _back) = (_back, null);
        back!.SetResult();
    }

    /// <summary>The next connection that is made to it, in their order.</summary>
    public Task<FakeLink<TCommand, TResponse>> NextLinkAsync() => _links.Reader.ReadAsync().AsTask().WaitAsync(Waiting.Patience);

    public async ValueTask<IControlLink<TCommand, TResponse>> ConnectAsync(CancellationToken cancel)
    {
        Task back;
        lock (_gate)
            back = _back?.Task ?? Task.CompletedTask;
        await back.WaitAsync(cancel);
        var link = new FakeLink<TCommand, TResponse>();
        _links.Writer.TryWrite(link);
        return link;
    }
}

/// <summary>The process's end of one connection.</summary>
internal sealed class FakeLink<TCommand, TResponse> : IControlLink<TCommand, TResponse>
{
    private readonly Channel<TResponse> _responses = Channel.CreateUnbounded<TResponse>();
    private readonly Lock _gate = new();   // over the two below
    private readonly List<TCommand> _commands = [];
    private TaskCompletionSource _told = Waiting.NewSignal();

    public bool IsDisposed { get; private set; }

    /// <summary>All that it was told so far.</summary>
    public IReadOnlyList<TCommand> Commands
    {
        get
        {
            lock (_gate)
                return [.. _commands];
        }
    }

    /// <summary>Waits until it is told a command of this kind; the first one.</summary>
    public async Task<T> ToldAsync<T>(Func<T, bool>? which = null) where T : TCommand
    {
        while (true)
        {
            Task told;
            lock (_gate)
            {
                if (_commands.OfType<T>().FirstOrDefault(c => which?.Invoke(c) ?? true) is { } found)
                    return found;
                told = _told.Task;
            }

            await told.WaitAsync(Waiting.Patience);
        }
    }

    public void Respond(TResponse response) => Assert.True(_responses.Writer.TryWrite(response));

    /// <summary>The connection is lost, after what was answered before has come through.</summary>
    public void Break() => _responses.Writer.TryComplete();

    public void Send(TCommand command)
    {
        TaskCompletionSource told;
        lock (_gate)
        {
            _commands.Add(command);
            (told, _told) = (_told, Waiting.NewSignal());
        }

        told.SetResult();
    }

    public async ValueTask<TResponse> ReceiveAsync(CancellationToken cancel)
    {
        try
        {
            return await _responses.Reader.ReadAsync(cancel);
        }
        catch (ChannelClosedException)
        {
            throw new IOException("the process is gone");
        }
    }

    public ValueTask DisposeAsync()
    {
        IsDisposed = true;
        return ValueTask.CompletedTask;
    }
}

internal static class Waiting
{
    /// <summary>How long a test waits for what must come: only a broken one gets there.</summary>
    public static readonly TimeSpan Patience = TimeSpan.FromSeconds(20);

    public static TaskCompletionSource NewSignal() => new(TaskCreationOptions.RunContinuationsAsynchronously);
}

/// <summary>A clock whose pauses are over at once, so that back-off costs no time.</summary>
internal sealed class ImpatientTime : TimeProvider
{
    public override ITimer CreateTimer(TimerCallback callback, object? state, TimeSpan dueTime, TimeSpan period) =>
        System.CreateTimer(callback, state, dueTime == Timeout.InfiniteTimeSpan ? dueTime : TimeSpan.Zero, Timeout.InfiniteTimeSpan);
}
