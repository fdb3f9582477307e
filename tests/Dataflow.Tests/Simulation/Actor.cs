using System.Numerics;

namespace Materialize.Dataflow.Tests.Simulation;

/// <summary>Something that may happen next in a simulation: the seed picks one of those that can.</summary>
internal abstract class Actor
{
    /// <summary>Not picked before this event, as long as anything else can act: a thread that the system does not run, a link that is slow.</summary>
    public long FrozenUntil { get; set; }

    /// <summary>Whether it will never act again.</summary>
    public bool IsGone { get; protected set; }

    public abstract bool CanAct { get; }

    public abstract void Act();
}

/// <summary>What happened in a simulation, in order, as one number: equal for equal seeds, on every machine.</summary>
internal sealed class EventTrace
{
    private const int Remembered = 60;
    private readonly Queue<string> _last = new();

    public ulong Hash { get; private set; } = 14695981039346656037;

    /// <summary>Whether the last events are kept as text, for the message of a failure.</summary>
    public bool KeepsText { get; init; }

    public IEnumerable<string> Last => _last;

    public void Add(string what, long a, long b = 0, long c = 0)
    {
        Mix((uint)what.Length | ((ulong)what[0] << 32) | ((ulong)what[^1] << 48));
        Mix((ulong)a);
        Mix((ulong)b);
        Mix((ulong)c);
        if (!KeepsText)
            return;
        if (_last.Count == Remembered)
            _last.Dequeue();
        _last.Enqueue($"{what} {a} {b} {c}");
    }

    public void Mix(ulong x) => Hash = BitOperations.RotateLeft((Hash ^ x) * 0x9E3779B97F4A7C15, 29);
}
