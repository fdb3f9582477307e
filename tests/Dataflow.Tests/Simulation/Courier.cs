using Materialize.Dataflow.Runtime;

namespace Materialize.Dataflow.Tests.Simulation;

/// <summary>Faults put in to see that they are found: with one of these, what the runtime promises does not hold.</summary>
internal enum Mutation
{
    None,

    /// <summary>A progress message gets lost.</summary>
    DropProgress,

    /// <summary>A worker's progress messages change places.</summary>
    ReorderProgress,

    /// <summary>A progress message arrives in two parts: what it takes away first.</summary>
    SplitProgress,

    /// <summary>A progress message arrives twice.</summary>
    RepeatProgress,

    /// <summary>Progress overtakes the batches that were sent before it.</summary>
    OvertakeData,

    /// <summary>A batch gets lost.</summary>
    DropData,

    /// <summary>Processes of different epochs cannot tell, so that a stale one gets in.</summary>
    EpochsLookAlike,
}

/// <summary>
/// Between the workers of one epoch: what was sent waits in a lane for each sender and receiver until the seed hands it on, which stands for threads that run at their own pace. Keeps the account of what is under way.
/// </summary>
internal sealed class Courier(Simulator simulator, EpochRun run) : IDelivery
{
    private readonly Dictionary<(int From, Worker To), Lane> _lanes = [];
    private readonly Dictionary<(int From, int To, int Dataflow), Queue<(int Place, Stamp Stamp)>> _underWay = [];

    private int _untilFault = simulator.Mutation == Mutation.None ? 0 : simulator.Random.Next(30);

    /// <summary>What was sent in a dataflow and not taken.</summary>
    public IEnumerable<(int Place, Stamp Stamp)> UnderWay(int dataflow)
    {
        for (var from = 0; from < simulator.Peers; from++)
        {
            for (var to = 0; to < simulator.Peers; to++)
            {
                if (!_underWay.TryGetValue((from, to, dataflow), out var queue))
                    continue;
                foreach (var message in queue)
                    yield return message;
            }
        }
    }

    /// <summary>The least of what was sent to an input of one worker and not taken.</summary>
    public Stamp UnderWayTo(int to, int dataflow, int place)
    {
        var least = Stamp.Closed;
        for (var from = 0; from < simulator.Peers; from++)
        {
            if (!_underWay.TryGetValue((from, to, dataflow), out var queue))
                continue;
            foreach (var message in queue)
                least = message.Place == place ? Stamp.Min(least, message.Stamp) : least;
        }

        return least;
    }

    public void Deliver(Worker to, InboxItem item)
    {
        var from = item switch
        {
            InboxItem.Progress progress => progress.From,
            InboxItem.Data data => data.From.Index,
            InboxItem.Encoded encoded => encoded.From,
            _ => -1,
        };
        if (!_lanes.TryGetValue((from, to), out var lane))
        {
            _lanes.Add((from, to), lane = new Lane(simulator, run, from, to));
            simulator.Add(lane);
        }

        if (lane.IsGone)
            Worker.Forget(item);
        else if (simulator.Mutation == Mutation.None || !Mutate(lane, item))
            lane.Items.Enqueue(item);
    }

    public void NoteSent(Worker from, int to, int dataflow, int place, Stamp stamp)
    {
        if (!_underWay.TryGetValue((from.Index, to, dataflow), out var queue))
            _underWay.Add((from.Index, to, dataflow), queue = new());
        queue.Enqueue((place, stamp));
    }

    // What comes early, before its dataflow is built, is passed by messages of other dataflows.
    public void NoteTaken(Worker at, int from, int dataflow, int place, Stamp? stamp)
    {
        if (!_underWay.TryGetValue((from, at.Index, dataflow), out var queue) || !queue.TryDequeue(out var sent) || sent.Place != place || (stamp is { } s && s != sent.Stamp))
            simulator.Violation ??= new ViolationException($"worker {at.Index} took a message for dataflow {dataflow} at place {place} that is not what worker {from} sent it next");
    }

    /// <summary>A process's workers take no more.</summary>
    public void Close(IEnumerable<Worker> workers)
    {
        foreach (var worker in workers)
        {
            foreach (var ((_, to), lane) in _lanes)
            {
                if (to == worker)
                    lane.Close();
            }
        }
    }

    // Whether it took the item over.
    private bool Mutate(Lane lane, InboxItem item)
    {
        var isProgress = item is InboxItem.Progress;
        var isData = item is InboxItem.Data or InboxItem.Encoded;
        var isMeant = simulator.Mutation switch
        {
            Mutation.DropData => isData,
            Mutation.EpochsLookAlike or Mutation.ReorderProgress or Mutation.OvertakeData => false, // done elsewhere
            _ => isProgress,
        };
        if (!isMeant || _untilFault < 0 || _untilFault-- > 0)
            return false;
        switch (simulator.Mutation)
        {
            case Mutation.SplitProgress:
                _untilFault = 0; // all of them: one alone is mostly harmless
                var progress = (InboxItem.Progress)item;
                foreach (var positive in (bool[])[false, true])
                {
                    (int, Stamp, long Count)[] half = [.. progress.Changes.Where(c => c.Count > 0 == positive)];
                    lane.Items.Enqueue(progress with { Changes = half });
                }

                return true;
            case Mutation.RepeatProgress:
                lane.Items.Enqueue(item);
                return false;
            default:
                Worker.Forget(item);
                return true;
        }
    }

    private sealed class Lane(Simulator simulator, EpochRun run, int from, Worker to) : Actor
    {
        public Queue<InboxItem> Items { get; } = new();

        public override bool CanAct => Items.Count > 0 && !IsGone;

        public override void Act()
        {
            if (simulator.Mutation == Mutation.ReorderProgress)
                SwapProgress(static before => before is InboxItem.Progress);
            else if (simulator.Mutation == Mutation.OvertakeData)
                SwapProgress(static before => before is InboxItem.Data or InboxItem.Encoded);
            for (var many = simulator.Random.Next(2) == 0 ? 1 : simulator.Random.Next(1, 8); many > 0 && Items.TryDequeue(out var item); many--)
            {
                simulator.Trace.Add("hand", from, to.Index, item is InboxItem.ToDataflow of ? of.Dataflow : -1);
                if (item is InboxItem.Progress progress)
                {
                    foreach (var (place, stamp, count) in progress.Changes)
                        simulator.Trace.Add("change", place, (long)(stamp.Outer ^ stamp.Inner), count);
                }

                to.Enqueue(item);
            }

            run.Wake(to.Index);
        }

        // Progress changes places with what is before it.
        private void SwapProgress(Func<InboxItem, bool> isOvertaken)
        {
            var items = Items.ToArray();
            Items.Clear();
            for (var i = 1; i < items.Length; i++)
            {
                if (isOvertaken(items[i - 1]) && items[i] is InboxItem.Progress)
                    (items[i - 1], items[i]) = (items[i], items[i - 1]);
            }

            foreach (var item in items)
                Items.Enqueue(item);
        }

        public void Close()
        {
            IsGone = true;
            while (Items.TryDequeue(out var item))
                Worker.Forget(item);
        }
    }
}

/// <summary>What must hold does not.</summary>
internal sealed class ViolationException(string message) : Exception(message);
