namespace Materialize.Controller.Tests.Compute;

/// <summary>One answer out of those of several processes.</summary>
public sealed class PendingPeekTests
{
    private static readonly EvalError Zero = EvalError.DivisionByZero;

    private readonly PendingPeek _peek = new(ComputeRig.Peek(GlobalId.User(1), 5));

    [Fact]
    public void The_only_process_answers_for_all()
    {
        var rows = Assert.IsType<PeekAnswer.Rows>(Add("r1", 0, 1, Rows(7)));
        Assert.Equal(7, Assert.Single(rows.Batches).Row(0)[0]);
    }

    [Fact]
    public void The_answer_is_whole_when_every_process_of_one_replica_has_given_its_share()
    {
        Assert.Null(Add("r1", 1, 2, Rows(1)));
        Assert.Null(Add("r2", 0, 2, Rows(10)));
        Assert.Null(Add("r1", 1, 2, Rows(1)));   // Twice the same process is not two.
        var rows = Assert.IsType<PeekAnswer.Rows>(Add("r1", 0, 2, Rows(2)));
        Assert.Equal(new byte[] { 1, 2 }, rows.Batches.Select(b => b.Row(0)[0]).Order().ToArray());
    }

    [Fact]
    public void An_error_of_one_process_is_the_answer_once_all_have_spoken()
    {
        Assert.Null(Add("r1", 0, 2, new PeekResult.Error(Zero)));
        Assert.Equal(new PeekAnswer.Error(Zero), Add("r1", 1, 2, Rows(1)));
    }

    [Fact]
    public void A_process_that_cancelled_leaves_no_answer()
    {
        Assert.Null(Add("r1", 0, 2, Rows(1)));
        Assert.IsType<PeekAnswer.Dropped>(Add("r1", 1, 2, new PeekResult.Canceled()));
    }

    [Fact]
    public void Shares_from_before_a_connection_was_lost_do_not_count()
    {
        Assert.Null(Add("r1", 0, 2, Rows(1)));
        _peek.Forget("r1");
        Assert.Null(Add("r1", 1, 2, Rows(2)));
        var rows = Assert.IsType<PeekAnswer.Rows>(Add("r1", 0, 2, Rows(3)));
        Assert.Equal(new byte[] { 2, 3 }, rows.Batches.Select(b => b.Row(0)[0]).Order().ToArray());
    }

    [Fact]
    public async Task What_ends_a_peek_does_not_run_what_waits_for_it()
    {
        var waiting = _peek.Done.ContinueWith(_ => Environment.CurrentManagedThreadId, default, TaskContinuationOptions.ExecuteSynchronously, TaskScheduler.Default);
        var held = new ManualResetEventSlim();
        var thread = new Thread(() =>
        {
            _peek.End();
            held.Wait();
        });
        thread.Start();
        Assert.NotEqual(thread.ManagedThreadId, await waiting);
        held.Set();
        thread.Join();
    }

    private PeekAnswer? Add(string replica, int process, int processes, PeekResult result)
    {
        if (!_peek.Add(replica, process, processes, result))
            return null;
        _peek.Execute();
        return _peek.Done.Result;
    }

    private static PeekResult.Rows Rows(byte value) => new(ComputeRig.Row(value));
}
