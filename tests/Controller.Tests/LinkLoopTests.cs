using System.Threading.Channels;
using Microsoft.Extensions.Logging.Abstractions;

namespace Materialize.Controller.Tests;

/// <summary>How responses are read.</summary>
public sealed class LinkLoopTests
{
    [Fact]
    public async Task Responses_are_read_on_while_what_follows_from_one_still_runs()
    {
        var link = new Link();
        using var stop = new CancellationTokenSource();
        using var second = new ManualResetEventSlim();
        var firstIsDone = new TaskCompletionSource();
        var running = Loop(link, (_, response) => response == "first"
            ? new Following(() =>
            {
                second.Wait();
                firstIsDone.SetResult();
            })
            : new Following(second.Set)).RunAsync(stop.Token);
        link.Say("first");
        link.Say("second");
        await firstIsDone.Task;
        await stop.CancelAsync();
        await running;
    }

    [Fact]
    public async Task Responses_are_received_in_order_whoever_reads_them()
    {
        var link = new Link();
        using var stop = new CancellationTokenSource();
        var seen = new List<string>();
        var all = new TaskCompletionSource();
        var running = Loop(link, (_, response) =>
        {
            seen.Add(response);
            if (seen.Count == 1000)
                all.SetResult();
            return seen.Count % 3 == 0 ? null : new Following(() => Thread.Yield());
        }).RunAsync(stop.Token);
        foreach (var i in Enumerable.Range(0, 1000))
            link.Say($"{i}");
        await all.Task;
        Assert.Equal(Enumerable.Range(0, 1000).Select(i => $"{i}"), seen);
        await stop.CancelAsync();
        await running;
    }

    private static LinkLoop<string, string> Loop(Link link, Func<int, string, IThreadPoolWorkItem?> received) =>
        new("test", [link], _ => { }, received, () => { }, TimeProvider.System, NullLogger.Instance);

    private sealed class Following(Action run) : IThreadPoolWorkItem
    {
        public void Execute() => run();
    }

    private sealed class Link : IControlLink<string, string>, IControlConnector<string, string>
    {
        private readonly Channel<string> _responses = Channel.CreateUnbounded<string>();

        public void Say(string response) => _responses.Writer.TryWrite(response);

        public ValueTask<IControlLink<string, string>> ConnectAsync(CancellationToken cancel) => new(this);

        public void Send(string command)
        {
        }

        public ValueTask<string> ReceiveAsync(CancellationToken cancel) => _responses.Reader.ReadAsync(cancel);

        public ValueTask DisposeAsync() => default;
    }
}
