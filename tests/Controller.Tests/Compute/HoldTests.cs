using static Materialize.Controller.Tests.Support.ComputeRig;

namespace Materialize.Controller.Tests.Compute;

/// <summary>How long dataflows keep the past of what they read, and when replicas may forget.</summary>
public sealed class HoldTests
{
    [Fact]
    public async Task A_view_holds_its_input_where_its_shard_ends()
    {
        await using var rig = new ComputeRig();
        var input = rig.Input(1, since: 5, upper: 6);
        rig.Registry.Register(View1, Frontier.At(5), Frontier.At(6), 1);
        rig.Compute.CreateDataflow(Cluster, View(View1, 5, input), rig.Hold(input), null);
        var (_, slow) = await rig.AddConnectedAsync("r1");
        var (_, fast) = await rig.AddConnectedAsync("r2");
        rig.Registry.AdvanceUpper(input, Frontier.At(100));
        Assert.Equal(5UL, rig.SinceOf(input));
        await rig.AdvanceAsync(fast, View1, 40);
        Assert.Equal(39UL, rig.SinceOf(input));
        await rig.AdvanceAsync(slow, View1, 30);   // old news
        Assert.Equal(39UL, rig.SinceOf(input));
        Assert.Equal(40UL, rig.Registry.Frontiers(View1)!.Value.Upper.Time);
        rig.Compute.DropExports(Cluster, [View1]);
        Assert.Equal(99UL, rig.SinceOf(input));
        Assert.Equal(new ComputeCommand.AllowCompaction(View1, null), slow.Commands[^1]);
        await rig.AdvanceAsync(fast, View1, 60);   // said before it heard
    }

    [Fact]
    public async Task An_index_holds_its_input_as_long_as_itself_is_held()
    {
        await using var rig = new ComputeRig();
        var input = rig.Input(1, since: 5, upper: 100);
        rig.Compute.CreateDataflow(Cluster, Index(X, 5, input), rig.Hold(input), windowMs: 10);
        var (_, link) = await rig.AddConnectedAsync("r1");
        rig.Registry.AdvanceUpper(input, Frontier.At(101));
        await rig.AdvanceAsync(link, X, 60);
        Assert.Equal((50UL, 50UL), (rig.SinceOf(X), rig.SinceOf(input)));
        var hold = Assert.Single(rig.Hold(X));
        await rig.AdvanceAsync(link, X, 90);
        Assert.Equal((50UL, 50UL), (rig.SinceOf(X), rig.SinceOf(input)));
        hold.Dispose();
        Assert.Equal((80UL, 80UL), (rig.SinceOf(X), rig.SinceOf(input)));
        Assert.Equal([50UL, 80UL], link.Commands.OfType<ComputeCommand.AllowCompaction>().Select(c => c.Since!.Value));
    }

    [Fact]
    public async Task A_dropped_index_stays_until_the_dataflow_that_imports_it_goes()
    {
        await using var rig = new ComputeRig();
        var input = rig.Input(1, since: 5, upper: 6);
        rig.Compute.CreateDataflow(Cluster, Index(X, 5, input), rig.Hold(input), windowMs: 1);
        rig.Compute.CreateDataflow(Cluster, Index(Y, 5, X), rig.Hold(X), windowMs: 1);
        var (process, link) = await rig.AddConnectedAsync("r1");
        rig.Compute.DropExports(Cluster, [X]);
        Assert.Null(rig.Registry.Acquire([X]));
        link.Break();
        link = await ConnectedAsync(process);
        Assert.Contains($"create index {X} as of 5", HistoryOf(link));
        rig.Compute.DropExports(Cluster, [Y]);
        Assert.Equal([Y, X], link.Commands.OfType<ComputeCommand.AllowCompaction>().Where(c => c.Since is null).Select(c => c.Id));
        Assert.False(rig.Registry.Contains(X));
    }

    [Fact]
    public async Task A_subscribe_over_two_replicas_is_one_stream_and_lets_go_of_what_it_has_told()
    {
        await using var rig = new ComputeRig();
        var input = rig.Input(1, since: 5, upper: 6);
        var received = new Received();
        rig.Compute.CreateDataflow(Cluster, Subscribe(Subscription, 5, input), rig.Hold(input), null, received);
        rig.Registry.AdvanceUpper(input, Frontier.At(100));
        var (process, one) = await rig.AddConnectedAsync("r1");
        var (_, two) = await rig.AddConnectedAsync("r2");
        await TellAsync(one, 0, 10, 7);
        await TellAsync(two, 0, 8, 7);
        await TellAsync(two, 8, 12, 11);
        Assert.Equal(11UL, rig.SinceOf(input));
        one.Break();
        one = await ConnectedAsync(process);
        Assert.Contains($"create subscribe {Subscription} as of 11", HistoryOf(one));
        await TellAsync(one, 0, 15, 11, 13);
        Assert.Equal([(5UL, 10UL), (10, 12), (12, 15)], received.Batches.Select(b => (b.Lower, b.Upper!.Value)));
        Assert.Equal([7UL, 11, 13], received.Batches.SelectMany(b => b.Updates.Times));
        two.Respond(new ComputeResponse.SubscribeResponse(Subscription, new SubscribeBatch(12, null, RowBatch.Empty, null)));
        await rig.SettleAsync(two);
        Assert.Null(received.Batches[^1].Upper);
        await TellAsync(one, 15, 20, 16);
        Assert.Equal(4, received.Batches.Count);
        rig.Compute.DropExports(Cluster, [Subscription]);
        Assert.Equal(0, received.Drops);   // it was complete
        Assert.Equal(99UL, rig.SinceOf(input));

        Task TellAsync(FakeLink<ComputeCommand, ComputeResponse> link, ulong lower, ulong upper, params ulong[] times)
        {
            var rows = new RowBatch(new byte[times.Length], [.. times.Select((_, i) => i + 1)], times, [.. times.Select(_ => 1L)]);
            link.Respond(new ComputeResponse.SubscribeResponse(Subscription, new SubscribeBatch(lower, upper, rows, null)));
            return rig.SettleAsync(link);
        }
    }

    [Fact]
    public async Task A_subscribe_that_fails_is_over()
    {
        await using var rig = new ComputeRig();
        var received = new Received();
        rig.Compute.CreateDataflow(Cluster, Subscribe(Subscription, 5), [], null, received);
        var (_, link) = await rig.AddConnectedAsync("r1");
        link.Respond(new ComputeResponse.SubscribeResponse(Subscription, new SubscribeBatch(0, 9, RowBatch.Empty, EvalError.DivisionByZero)));
        link.Respond(new ComputeResponse.SubscribeResponse(Subscription, new SubscribeBatch(9, 12, RowBatch.Empty, null)));
        await rig.SettleAsync(link);
        Assert.Equal(EvalError.DivisionByZero, Assert.Single(received.Batches).Error);
    }
}
