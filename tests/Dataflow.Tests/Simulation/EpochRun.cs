using Materialize.Core.Rows;
using Materialize.Dataflow.Runtime;

namespace Materialize.Dataflow.Tests.Simulation;

/// <summary>
/// What the workers of one epoch do: build some dataflows, feed, compact, read and drop them, by commands that each worker takes in the same order. The plans are the same in each epoch, the updates are not, so that
/// what comes from another epoch makes wrong answers.
/// </summary>
internal sealed class EpochRun
{
    private readonly Simulator _simulator;
    private readonly List<Job> _jobs = [];
    private readonly List<Command> _commands = [];
    private readonly WorkerActor?[] _workers;
    private readonly int[] _executed;
    private readonly FrontierCheck _frontiers;

    public EpochRun(Simulator simulator, int epoch)
    {
        _simulator = simulator;
        Epoch = epoch;
        Courier = new Courier(simulator, this);
        _workers = new WorkerActor?[simulator.Peers];
        _executed = new int[simulator.Peers];
        MakeJobs(new Random(HashCode(simulator.Seed, epoch)));
        _frontiers = new FrontierCheck(_jobs, Courier, simulator.Peers);
    }

    public int Epoch { get; }

    public Courier Courier { get; }

    public IReadOnlyList<Command> Commands => _commands;

    public bool IsFinished { get; private set; }

    public string State => string.Join("; ", _jobs.Select(j =>
        $"job {j.Id} {j.Text}: {(j.IsDropped ? "dropped" : string.Join(' ', j.Output.Frontiers.Select(f => $"{f.Key}@{f.Value}")))}")) + $"; executed {string.Join(' ', _executed)} of {_commands.Count}";

    /// <summary>A process's workers are there.</summary>
    public void Join(SimProcess process, Mesh mesh)
    {
        foreach (var worker in mesh.Group.Workers)
        {
            if (_workers[worker.Index] is not null)
                throw new ViolationException($"worker {worker.Index} joins epoch {Epoch} twice");
            _workers[worker.Index] = new WorkerActor(_simulator, this, process, worker);
            _simulator.Add(_workers[worker.Index]!);
            _simulator.Trace.Add("join", worker.Index, Epoch);
        }
    }

    /// <summary>They step no more.</summary>
    public void Leave(Mesh mesh)
    {
        foreach (var worker in mesh.Group.Workers)
        {
            _workers[worker.Index]!.End();
            foreach (var job in _jobs)
                _frontiers.Lose(job, worker.Index);
        }

        Courier.Close(mesh.Group.Workers);
    }

    /// <summary>Lets go of what tests keep at them; their dataflows were dropped.</summary>
    public void Free(Mesh mesh)
    {
        foreach (var worker in mesh.Group.Workers)
        {
            foreach (var job in _jobs)
                job.Free(worker.Index);
        }
    }

    public void Wake(int worker) => _workers[worker]?.Wake();

    public void Post(int command, Mesh mesh)
    {
        foreach (var worker in mesh.Group.Workers)
            worker.Post(w => Execute(command, w));
    }

    /// <summary>Looks at everything after a step of a worker.</summary>
    public bool AfterStep(int worker)
    {
        var any = false;
        foreach (var job in _jobs)
        {
            any |= job.AnswerPeeks(worker);
            _frontiers.Check(job);
            job.CheckOutput();
        }

        if (!IsFinished && Array.TrueForAll(_executed, e => e == _commands.Count) && _jobs.TrueForAll(j => j.IsComplete))
        {
            IsFinished = true;
            foreach (var (a, b, time, diff) in _jobs.SelectMany(j => j.Output.Updates))
                _simulator.Trace.Add("row", (long)(a ^ (time << 48)), (long)b, diff);
            _simulator.Finish();
        }

        return any;
    }

    private void Execute(int index, Worker worker)
    {
        var command = _commands[index];
        var w = worker.Index;
        if (_executed[w] != index)
            throw new ViolationException($"worker {w} is told command {index} after {_executed[w]} others");
        _executed[w]++;
        _simulator.Trace.Add("execute", w, index, (long)command.Kind);
        var job = _jobs[command.Job];
        switch (command.Kind)
        {
            case CommandKind.Build:
                job.Build(worker);
                break;
            case CommandKind.Feed:
                job.Feed(w, command.Round);
                break;
            case CommandKind.Compact:
                job.Traces[w]!.AdvanceSince(command.Time);
                break;
            case CommandKind.Peek:
                job.Peeks[command.Round].Waiting[w] = job.Traces[w]!.Clone();
                break;
            case CommandKind.Close:
                job.Handles[w]!.Close();
                break;
            case CommandKind.Drop:
                job.Graphs[w]!.Drop();
                _frontiers.Lose(job, w);
                job.Free(w);
                break;
        }
    }

    private void MakeJobs(Random random)
    {
        var rows = _simulator.Rows;
        var pending = new List<Queue<Command>>();
        var count = _simulator.Plans.Count;
        for (var id = 0; id < count; id++)
        {
            var source = id > 0 && random.Next(2) == 0 ? _jobs[random.Next(id)] : null;
            if (source is { IsDropped: true } or { Source: not null })
                source = null;
            var job = new Job(id, _simulator.Plans[id], rows, _simulator.Peers, source) { IsDropped = random.Next(6) == 0 };
            _jobs.Add(job);
            var commands = new List<Command> { new(CommandKind.Build, id) };
            if (source is null)
            {
                job.MakeRounds(random, HashCode(random.Next(), id));
                var complete = 0UL;
                for (var round = 0; round < job.Rounds.Count; round++)
                {
                    commands.Add(new(CommandKind.Feed, id, round));
                    complete = job.Rounds[round].AdvanceTo ?? complete;
                    if (complete > 0 && random.Next(3) == 0)
                        AddPeek(complete - 1);
                    if (complete > 0 && random.Next(2) == 0)
                        commands.Add(new(CommandKind.Compact, id, 0, complete - 1));
                }

                commands.Add(new(CommandKind.Close, id));
            }

            if (job.IsDropped)
            {
                // After any of its commands; half of them when all has been said.
                if (random.Next(2) == 0)
                {
                    var kept = random.Next(1, commands.Count + 1);
                    commands.RemoveRange(kept, commands.Count - kept);
                }

                commands.RemoveAll(c => c.Kind == CommandKind.Peek);
                job.Peeks.Clear();
                commands.Add(new(CommandKind.Drop, id));
            }

            pending.Add(new Queue<Command>(commands));

            void AddPeek(ulong time)
            {
                commands.Add(new(CommandKind.Peek, id, job.Peeks.Count, time));
                job.Peeks.Add(new Peek(time, _simulator.Peers));
            }
        }

        Merge(random, pending);
    }

    // An import comes after what it imports was built, and as of a time that can still be read there.
    private void Merge(Random random, List<Queue<Command>> pending)
    {
        var readable = new ulong[_jobs.Count];
        var built = new bool[_jobs.Count];
        while (pending.Exists(q => q.Count > 0))
        {
            var id = random.Next(pending.Count);
            var job = _jobs[id];
            if (pending[id].Count == 0 || (job.Source is { } source && !built[source.Id]))
                continue;
            var command = pending[id].Dequeue();
            if (command.Kind == CommandKind.Compact)
                readable[id] = Math.Max(readable[id], command.Time);
            if (command.Kind == CommandKind.Build)
            {
                built[id] = true;
                if (job.Source is { } from)
                    job.AsOf = readable[from.Id] + (ulong)random.Next(2);
            }

            _commands.Add(command);
        }
    }

    private static int HashCode(long a, int b) => (int)(((ulong)a * 0x9E3779B97F4A7C15) >> 33) ^ (b * 0x01000193);
}

/// <summary>A worker's thread.</summary>
internal sealed class WorkerActor(Simulator simulator, EpochRun run, SimProcess process, Worker worker) : Actor
{
    private bool _idle;

    public override bool CanAct => !_idle && !IsGone && process.IsUp;

    public override void Act()
    {
        var busy = false;
        process.Context.Run(() => busy = worker.Step());
        simulator.Trace.Add("step", worker.Index, busy ? 1 : 0);
        _idle = !busy & !run.AfterStep(worker.Index);
        if (!_idle)
            simulator.NoteWork();
    }

    public void Wake() => _idle = false;

    public void End() => IsGone = true;
}
