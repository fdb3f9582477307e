using System.Threading.Channels;
using Materialize.Adapter;
using Materialize.Repr;

namespace Materialize.PgWire.Tests;

/// <summary>A result whose pages the test hands out one by one.</summary>
internal sealed class GatedRows(RelationDesc columns) : IResultRows
{
    private readonly Channel<ResultPage?> _pages = Channel.CreateUnbounded<ResultPage?>();

    public RowLayout Layout { get; } = RowLayout.For(columns.Type.Columns);

    public bool IsDisposed { get; private set; }

    public TaskCompletionSource Cancelled { get; } = new();

    public void Give(ResultPage? page) => _pages.Writer.TryWrite(page);

    public void Fail(Exception exception) => _pages.Writer.Complete(exception);

    public async ValueTask<ResultPage?> NextAsync(CancellationToken cancel)
    {
        try
        {
            return await _pages.Reader.ReadAsync(cancel);
        }
        catch (OperationCanceledException)
        {
            Cancelled.TrySetResult();
            throw;
        }
        catch (ChannelClosedException e) when (e.InnerException is { } inner)
        {
            throw inner;
        }
    }

    public ValueTask DisposeAsync()
    {
        IsDisposed = true;
        return ValueTask.CompletedTask;
    }
}
