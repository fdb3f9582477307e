using static Materialize.Controller.Tests.Support.ComputeRig;

namespace Materialize.Controller.Tests.Compute;

/// <summary>What a replica is told when it connects, and again when it comes back.</summary>
public sealed class HistoryTests
{
    [Fact]
    public async Task A_replica_that_comes_back_is_told_what_lives_from_where_it_has_come()
    {
        await using var rig = new ComputeRig();
        var input = rig.Input(1, since: 5, upper: 6);
        rig.Compute.CreateDataflow(Cluster, Index(X, 5, input), rig.Hold(input), windowMs: 1);
        rig.Compute.CreateDataflow(Cluster, Index(Y, 5, input), rig.Hold(input), windowMs: 1);
        rig.Registry.Register(View1, Frontier.At(5), Frontier.At(6), 1);
        rig.Compute.CreateDataflow(Cluster, View(View1, 5, input), rig.Hold(input), null);
        var received = new Received();
        rig.Compute.CreateDataflow(Cluster, Subscribe(Subscription, 5, input), rig.Hold(input), null, received);

        var (process, first) = await rig.AddConnectedAsync("r1");
        Assert.Equal(
            [
                "hello", "instance", $"create index {X} as of 5", $"schedule {X}", $"create index {Y} as of 5", $"schedule {Y}",
                $"create view {View1} as of 5", $"schedule {View1}", $"writes {View1}", $"create subscribe {Subscription} as of 5", $"schedule {Subscription}",
            ],
            HistoryOf(first));

        rig.Compute.DropExports(Cluster, [Y]);
        var hold = Assert.Single(rig.Hold(X));
        await rig.AdvanceAsync(first, View1, 30);
        first.Respond(new ComputeResponse.SubscribeResponse(Subscription, new SubscribeBatch(0, 21, RowBatch.Empty, null)));
        await rig.AdvanceAsync(first, X, 50);
        hold.DowngradeTo(Frontier.At(12));
        first.Break();

        var second = await ConnectedAsync(process);
        Assert.Equal(
            [
                "hello", "instance", $"create index {X} as of 12", $"schedule {X}",
                $"create view {View1} as of 29", $"schedule {View1}", $"writes {View1}", $"create subscribe {Subscription} as of 20", $"schedule {Subscription}",
            ],
            HistoryOf(second));
        Assert.True(first.IsDisposed);
        Assert.NotEqual(Assert.Single(first.Commands.OfType<ComputeCommand.Hello>()).Nonce, Assert.Single(second.Commands.OfType<ComputeCommand.Hello>()).Nonce);
    }

    /// <summary>
    /// A restart of the environment: uppers that the first commit moves do not take the past away from a view that lagged behind. Its
    /// dataflow begins where its shard ends.
    /// </summary>
    [Fact]
    public async Task After_a_start_a_view_that_lagged_goes_on_where_its_shard_ends()
    {
        await using var rig = new ComputeRig();
        var input = rig.Input(1, since: 20, upper: 21);
        using (rig.Registry.KeepSinces())
        {
            rig.Registry.AdvanceUpper(input, Frontier.At(9000));
            rig.Registry.Register(View1, Frontier.At(15), Frontier.At(21), 1);
            rig.Compute.CreateDataflow(Cluster, View(View1, 20, input), rig.Hold(input), null);
        }

        var (_, link) = await rig.AddConnectedAsync("r1");
        Assert.Contains($"create view {View1} as of 20", HistoryOf(link));
        Assert.Equal(20UL, rig.SinceOf(input));
        await rig.AdvanceAsync(link, View1, 9000);
        Assert.Equal(8999UL, rig.SinceOf(input));
    }

    [Fact]
    public async Task A_replica_that_is_connected_hears_commands_as_they_come()
    {
        await using var rig = new ComputeRig();
        var input = rig.Input(1, since: 5, upper: 6);
        var (_, link) = await rig.AddConnectedAsync("r1");
        rig.Compute.CreateDataflow(Cluster, Index(X, 5, input), rig.Hold(input), windowMs: 1);
        rig.Compute.DropExports(Cluster, [X]);
        var live = link.Commands.SkipWhile(c => c is not ComputeCommand.InitializationComplete).Skip(1);
        Assert.Equal(
            [new ComputeCommand.CreateDataflow(Index(X, 5, input)), new ComputeCommand.Schedule(X), new ComputeCommand.AllowCompaction(X, null)], live);
    }

    [Fact]
    public async Task All_processes_hear_the_same_hello_and_the_first_hears_the_rest()
    {
        await using var rig = new ComputeRig();
        var processes = rig.AddReplica("r1", processes: 3);
        var links = new List<FakeLink<ComputeCommand, ComputeResponse>>();
        foreach (var process in processes)
            links.Add(await process.NextLinkAsync());
        await links[0].ToldAsync<ComputeCommand.InitializationComplete>();
        var hello = links[0].Commands[0];
        Assert.Equal([hello], links[1].Commands);
        Assert.Equal([hello], links[2].Commands);
    }

    [Fact]
    public async Task When_one_process_is_lost_all_begin_anew()
    {
        await using var rig = new ComputeRig();
        var processes = rig.AddReplica("r1", processes: 2);
        var (leader, follower) = (await ConnectedAsync(processes[0]), await processes[1].NextLinkAsync());
        var old = await follower.ToldAsync<ComputeCommand.Hello>();
        processes[1].GoAway();
        follower.Break();

        // The first process was reached; that alone is no replica yet.
        var early = await processes[0].NextLinkAsync();
        Assert.True(leader.IsDisposed);
        Assert.Empty(early.Commands);
        processes[1].ComeBack();
        await early.ToldAsync<ComputeCommand.InitializationComplete>();
        var hello = await (await processes[1].NextLinkAsync()).ToldAsync<ComputeCommand.Hello>();
        Assert.Equal(early.Commands[0], hello);
        Assert.NotEqual(old, hello);
    }

    [Fact]
    public async Task A_dropped_replica_is_left_alone()
    {
        await using var rig = new ComputeRig();
        var statuses = new List<(string, ReplicaStatus)>();
        rig.Compute.ReplicaStatusChanged += (_, replica, status) => statuses.Add((replica, status));
        var (_, link) = await rig.AddConnectedAsync("r1");
        await rig.SettleAsync(link);
        await rig.Compute.DropReplicaAsync(Cluster, "r1");
        Assert.True(link.IsDisposed);
        Assert.Equal(0, rig.Compute.ReplicaCount(Cluster));
        Assert.Equal([("r1", ReplicaStatus.Online), ("r1", ReplicaStatus.Offline)], statuses);
        var told = link.Commands.Count;
        rig.Compute.CreateDataflow(Cluster, Index(X, 5), [], null);
        Assert.Equal(told, link.Commands.Count);
    }
}
