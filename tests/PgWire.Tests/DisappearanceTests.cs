using Materialize.Adapter;
using Materialize.Repr;
using static Materialize.PgWire.Tests.WireClient;

namespace Materialize.PgWire.Tests;

/// <summary>Clients that go away, stall, or send ahead.</summary>
public sealed class DisappearanceTests
{
    private static readonly RelationDesc OneColumn = RelationDesc.Of(("a", SqlType.Int64.Nullable(false)));

    private readonly FakeAdapter _adapter = new();

    [Fact]
    public async Task A_client_that_vanishes_takes_its_statement_with_it()
    {
        var started = new TaskCompletionSource();
        var cancelled = new TaskCompletionSource();
        _adapter.Statements["WAIT"] = async cancel =>
        {
            started.SetResult();
            var never = new TaskCompletionSource<ExecuteResponse>();
            await using var registration = cancel.Register(() =>
            {
                cancelled.TrySetResult();
                never.TrySetCanceled(cancel);
            });
            return await never.Task;
        };
        var client = await ConnectAsync(_adapter);
        await client.SendAsync(Query("WAIT"));
        await started.Task;
        await client.DisposeAsync();
        Assert.True(cancelled.Task.IsCompleted);
        Assert.Equal(0, _adapter.OpenSessions);
        Assert.Empty(client.Logger.Errors);
    }

    [Fact]
    public async Task A_client_that_vanishes_ends_its_subscribe()
    {
        var source = new GatedRows(OneColumn);
        _adapter.On("SUBSCRIBE", () => new ExecuteResponse.Rows(OneColumn, source, "SUBSCRIBE"));
        var client = await ConnectAsync(_adapter);
        await client.SendAsync(Query("SUBSCRIBE"));
        await client.ReadAsync();
        await client.DisposeAsync();
        Assert.True(source.Cancelled.Task.IsCompleted);
        Assert.True(source.IsDisposed);
    }

    [Fact]
    public async Task Messages_sent_ahead_of_a_running_statement_are_served_after_it()
    {
        var gate = new TaskCompletionSource<ExecuteResponse>();
        _adapter.Statements["WAIT"] = async _ => await gate.Task;
        _adapter.On("INSERT", () => new ExecuteResponse.Completed("INSERT 0 1"));
        await using var client = await ConnectAsync(_adapter);
        await client.SendAsync(Parse("", "WAIT"), Bind("", ""), Execute(""));
        await client.SendAsync(Sync());
        await client.SendAsync(Enumerable.Repeat(Query("INSERT"), 20_000).ToArray());
        gate.SetResult(new ExecuteResponse.Completed("WAITED"));
        Assert.Equal(["1", "2", "C WAITED", "Z I"], await client.UntilReadyAsync());
        for (var i = 0; i < 20_000; i++)
            Assert.Equal(["C INSERT 0 1", "Z I"], await client.UntilReadyAsync());
    }

    [Fact]
    public async Task A_client_that_does_not_read_holds_the_rows_back()
    {
        var endless = new EndlessRows(OneColumn);
        _adapter.On("ENDLESS", () => new ExecuteResponse.Rows(OneColumn, endless, "SELECT"));
        var client = await ConnectAsync(_adapter, pauseBytes: 64 * 1024);
        await client.SendAsync(Query("ENDLESS"));
        await client.ReadAsync();
        await client.DisposeAsync();

        // 19 bytes a row at least: what fits the pipe, the send buffer and a page, and not the millions that were to be had.
        Assert.InRange(endless.Given, 1, 20_000);
        Assert.True(endless.IsDisposed);
    }

    private sealed class EndlessRows(RelationDesc columns) : IResultRows
    {
        private readonly ResultPage _page = CopyText.PageOf(Enumerable.Range(0, 1000).Select(i => BitConverter.GetBytes((long)i)));

        public RowLayout Layout { get; } = RowLayout.For(columns.Type.Columns);

        public int Given { get; private set; }

        public bool IsDisposed { get; private set; }

        public ValueTask<ResultPage?> NextAsync(CancellationToken cancel)
        {
            Given += _page.Count;
            return ValueTask.FromResult<ResultPage?>(_page);
        }

        public ValueTask DisposeAsync()
        {
            IsDisposed = true;
            return ValueTask.CompletedTask;
        }
    }
}
