using static Materialize.Controller.Tests.Support.ComputeRig;

namespace Materialize.Controller.Tests.Compute;

/// <summary>Reads over replicas that come, go and race.</summary>
public sealed class PeekTests
{
    [Fact]
    public async Task The_first_replica_to_answer_wins_and_the_others_may_stop()
    {
        await using var rig = Started();
        var (_, slow) = await rig.AddConnectedAsync("r1");
        var (_, fast) = await rig.AddConnectedAsync("r2");
        var request = Peek(X, 5);
        var asking = AskAsync(rig, request);
        await slow.ToldAsync<ComputeCommand.Peek>();
        fast.Respond(Answer(request, 2));
        Assert.Equal(2, ValueOf(await asking));
        Assert.Equal(request.Uuid, (await slow.ToldAsync<ComputeCommand.CancelPeek>()).Uuid);
        slow.Respond(Answer(request, 1));
        await rig.SettleAsync(slow);
        await rig.SettleAsync(fast);
        Assert.DoesNotContain(fast.Commands, c => c is ComputeCommand.CancelPeek);
    }

    [Fact]
    public async Task An_error_is_an_answer()
    {
        await using var rig = Started();
        var (_, link) = await rig.AddConnectedAsync("r1");
        var request = Peek(X, 5);
        var asking = AskAsync(rig, request);
        link.Respond(new ComputeResponse.PeekResponse(request.Uuid, new PeekResult.Error(EvalError.DivisionByZero)));
        Assert.Equal(new PeekAnswer.Error(EvalError.DivisionByZero), await asking);
    }

    [Fact]
    public async Task A_peek_that_no_replica_could_answer_is_asked_of_the_one_that_comes()
    {
        await using var rig = Started();
        var request = Peek(X, 5);
        var asking = AskAsync(rig, request);
        var (_, link) = await rig.AddConnectedAsync("r1");
        Assert.Contains($"peek {X} at 5", HistoryOf(link));
        link.Respond(Answer(request, 3));
        Assert.Equal(3, ValueOf(await asking));
    }

    /// <summary>Half an answer of processes that are gone must not be made whole by the other half of those that came after them.</summary>
    [Fact]
    public async Task A_replica_that_goes_away_in_the_middle_is_asked_again_for_everything()
    {
        await using var rig = Started();
        var processes = rig.AddReplica("r1", processes: 2);
        var (leader, follower) = (await ConnectedAsync(processes[0]), await processes[1].NextLinkAsync());
        var request = Peek(X, 5);
        var asking = AskAsync(rig, request);
        await leader.ToldAsync<ComputeCommand.Peek>();
        leader.Respond(Answer(request, 1));
        await rig.SettleAsync(leader);
        follower.Break();

        leader = await ConnectedAsync(processes[0]);
        follower = await processes[1].NextLinkAsync();
        Assert.Equal(request, Assert.Single(leader.Commands.OfType<ComputeCommand.Peek>()).Request);
        follower.Respond(Answer(request, 4));
        await rig.SettleAsync(follower);
        Assert.False(asking.IsCompleted);
        leader.Respond(Answer(request, 5));
        Assert.Equal(new byte[] { 4, 5 }, Assert.IsType<PeekAnswer.Rows>(await asking).Batches.Select(b => b.Row(0)[0]).Order().ToArray());
    }

    [Fact]
    public async Task When_the_replica_that_was_reading_is_dropped_another_answers()
    {
        await using var rig = Started();
        var (_, first) = await rig.AddConnectedAsync("r1");
        var (_, second) = await rig.AddConnectedAsync("r2");
        var request = Peek(X, 5);
        var asking = AskAsync(rig, request);
        await first.ToldAsync<ComputeCommand.Peek>();
        await rig.Compute.DropReplicaAsync(Cluster, "r1");
        Assert.False(asking.IsCompleted);
        second.Respond(Answer(request, 9));
        Assert.Equal(9, ValueOf(await asking));
    }

    [Fact]
    public async Task A_peek_that_is_cancelled_is_cancelled_everywhere_and_forgotten()
    {
        await using var rig = Started();
        var (process, link) = await rig.AddConnectedAsync("r1");
        var request = Peek(X, 5);
        using var cancel = new CancellationTokenSource();
        var asking = AskAsync(rig, request, cancel.Token);
        await cancel.CancelAsync();
        await Assert.ThrowsAnyAsync<OperationCanceledException>(() => asking);
        Assert.Equal(request.Uuid, (await link.ToldAsync<ComputeCommand.CancelPeek>()).Uuid);
        link.Break();
        Assert.DoesNotContain((await ConnectedAsync(process)).Commands, c => c is ComputeCommand.Peek);
    }

    [Fact]
    public async Task What_a_peek_reads_stays_readable_until_it_is_over()
    {
        await using var rig = Started();
        var (_, link) = await rig.AddConnectedAsync("r1");
        var request = Peek(X, 5);
        var asking = AskAsync(rig, request);
        await rig.AdvanceAsync(link, X, 50);
        Assert.Equal(5UL, rig.SinceOf(X));
        link.Respond(Answer(request, 1));
        await asking;
        Assert.Equal(49UL, rig.SinceOf(X));
        Assert.Equal(49UL, (await link.ToldAsync<ComputeCommand.AllowCompaction>()).Since);
    }

    [Fact]
    public async Task Readers_of_what_is_dropped_are_told_so()
    {
        await using var rig = Started();
        var input = rig.Input(1, since: 5, upper: 6);
        var temporary = GlobalId.Transient(20);
        var subscribe = GlobalId.Transient(21);
        var received = new Received();
        rig.Compute.CreateDataflow(Cluster, Index(temporary, 5, input), rig.Hold(input), null);
        rig.Compute.CreateDataflow(Cluster, Subscribe(subscribe, 5, input), rig.Hold(input), null, received);
        var direct = AskAsync(rig, Peek(X, 5));
        var through = rig.Compute.PeekAsync(Cluster, Peek(temporary, 5), Assert.Single(rig.Hold(temporary)), CancellationToken.None);
        rig.Compute.EndReaders(new HashSet<GlobalId> { input });
        Assert.IsType<PeekAnswer.Dropped>(await through.WaitAsync(Waiting.Patience));
        Assert.Equal(1, received.Drops);
        Assert.False(direct.IsCompleted);
        rig.Compute.EndReaders(new HashSet<GlobalId> { X });
        Assert.IsType<PeekAnswer.Dropped>(await direct);
    }

    [Fact]
    public async Task A_cluster_that_is_dropped_answers_its_peeks()
    {
        await using var rig = Started();
        var (_, link) = await rig.AddConnectedAsync("r1");
        var asking = AskAsync(rig, Peek(X, 5));
        await rig.Compute.DropInstanceAsync(Cluster);
        Assert.IsType<PeekAnswer.Dropped>(await asking);
        Assert.True(link.IsDisposed);
    }

    private static ComputeRig Started()
    {
        var rig = new ComputeRig();
        rig.Compute.CreateDataflow(Cluster, Index(X, 5), [], windowMs: 1);
        return rig;
    }

    private static Task<PeekAnswer> AskAsync(ComputeRig rig, PeekRequest request, CancellationToken cancel = default) =>
        rig.Compute.PeekAsync(Cluster, request, Assert.Single(rig.Hold(X)), cancel).WaitAsync(Waiting.Patience, CancellationToken.None);

    private static ComputeResponse.PeekResponse Answer(PeekRequest request, byte value) => new(request.Uuid, new PeekResult.Rows(Row(value)));

    private static byte ValueOf(PeekAnswer answer) => Assert.Single(Assert.IsType<PeekAnswer.Rows>(answer).Batches).Row(0)[0];
}
