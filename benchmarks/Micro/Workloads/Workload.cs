using Materialize.Core.Memory;
using Materialize.Dataflow;
using Materialize.Dataflow.Runtime;

namespace Materialize.Micro;

/// <summary>
/// A dataflow, what is fed to it, and what must come out. The load is one time; a round is one time, done when the output's frontier has passed it. <see cref="WorkloadRun"/> runs it; with several workers each has an
/// instance of its own, that feeds its <see cref="Share"/>.
/// </summary>
internal abstract class Workload
{
    /// <summary>Rows of the load, at all workers; asked after it.</summary>
    public abstract long LoadRows { get; }

    public abstract int Rounds { get; }

    public abstract long UpdatesPerRound { get; }

    /// <summary>Rounds of a single update, after the others.</summary>
    public virtual int SingleRounds => 0;

    /// <summary>What a view of the same definition has elsewhere, as <see cref="Check.ToString"/> writes it; null: it is compared with <see cref="Plain"/>.</summary>
    public virtual string? Known => null;

    public Probe<Time> Probe { get; protected set; } = null!;

    /// <summary>Most bytes of slabs that the process had in use between steps of this worker.</summary>
    public long PeakBytes { get; private set; }

    protected Worker Worker { get; private set; } = null!;

    protected int Share { get; private set; }

    /// <summary>Workers: a power of two.</summary>
    protected int Shares { get; private set; } = 1;

    public void At(Worker worker)
    {
        if (!System.Numerics.BitOperations.IsPow2(worker.Peers))
            throw new ArgumentException("the number of workers must be a power of two");
        (Worker, Share, Shares) = (worker, worker.Index, worker.Peers);
    }

    /// <summary>What is needed before the clock runs.</summary>
    public virtual void Prepare()
    {
    }

    public abstract void Build(Scope<Time> scope);

    public abstract void Load();

    public abstract void Round(ulong time);

    public virtual void SingleRound(ulong time) => throw new InvalidOperationException("there are no rounds of one update");

    /// <summary>This worker's part of the final view.</summary>
    public abstract Check Final();

    /// <summary>The whole final view as plain C# computes it from the same rows.</summary>
    public abstract Check Plain();

    public abstract void Close();

    public bool Step()
    {
        var any = Worker.Step();
        PeakBytes = Math.Max(PeakBytes, SlabPool.BytesInUse);
        return any;
    }

    public void Complete(ulong time)
    {
        while (!Probe.HasPassed(time))
        {
            if (!Step())
                Worker.Park(TimeSpan.FromMilliseconds(100));
        }
    }

    /// <summary>Lets the operators work while a load is being generated, until nothing is left of it: a step of a worker ends after some milliseconds, and what it leaves would pile up. Call it for each row, with its number.</summary>
    protected void Breathe(long row)
    {
        if ((row & 65535) != 65535)
            return;
        while (Step())
        {
        }
    }

    /// <summary>Whether this worker feeds the row of that number.</summary>
    protected bool IsMine(long row) => (row & (Shares - 1)) == Share;
}
