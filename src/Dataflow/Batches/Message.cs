using Materialize.Dataflow.Runtime;

namespace Materialize.Dataflow;

/// <summary>What flows on an edge of a dataflow. Reference-counted: a receiver takes over a reference.</summary>
/// <remarks>What ports look at is in fields: they see each message several times, and know its type only at run time.</remarks>
public abstract class Message
{
    private protected Message()
    {
    }

    /// <summary>No update in it is before this.</summary>
    internal Stamp MinStamp { get; private protected set; }

    internal int Updates { get; private protected set; }

    /// <summary>Native memory that it keeps.</summary>
    public abstract long Bytes { get; }

    /// <summary>Counts the memory that it keeps, once.</summary>
    internal abstract void Measure(StateMeter meter);

    /// <summary>As bytes for another process.</summary>
    internal abstract byte[] Encode();

    public abstract void AddReference();

    public abstract void Release();
}
