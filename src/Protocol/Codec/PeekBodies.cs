using System.Diagnostics;
using System.Runtime.CompilerServices;
using Google.Protobuf;
using Materialize.Core.Collections;
using Materialize.Repr;

namespace Materialize.Protocol.Codec;

/// <summary>
/// What peeks of one prepared statement have in common: all but their id, time and keys. Writing and reading that takes longer than a lookup does,
/// so each side remembers what it has written or read: one what an expression gave, the other what bytes meant. Any thread.
/// </summary>
internal static class PeekBodies
{
    private const int RememberedMax = 256;

    /// <summary>Longer ones are read each time: what is remembered is bounded.</summary>
    private const int RememberedBytesMax = 4096;

    private static readonly ConditionalWeakTable<Expr.Mfp, Written> Writings = [];
    private static readonly Lock Gate = new();   // over Readings
    private static readonly LruMap<ByteString, PeekRequest> Readings = new(RememberedMax);

    private sealed record Written(PeekRequest Peek, ByteString Bytes)
    {
        public bool Says(PeekRequest peek) =>
            peek.Target == Peek.Target
            && peek.ResultColumns == Peek.ResultColumns
            && peek.Finishing == Peek.Finishing
            && peek.MaxResultSize == Peek.MaxResultSize;
    }

    public static ByteString ToWire(PeekRequest peek)
    {
        if (Writings.TryGetValue(peek.Mfp, out var written) && written.Says(peek))
            return written.Bytes;

        // Remembered without what is the peek's own.
        var common = peek with { Uuid = default, LiteralKeys = null, Timestamp = 0 };
        var bytes = Write(common);
        if (bytes.Length <= RememberedBytesMax)
            Writings.AddOrUpdate(peek.Mfp, new Written(common, bytes));
        return bytes;
    }

    /// <summary>A peek without id, keys and time.</summary>
    public static PeekRequest FromWire(ByteString bytes)
    {
        lock (Gate)
        {
            if (Readings.TryGet(bytes, out var known))
                return known;
        }

        var peek = Read(ProtoParsing.Parse(Wire.PeekBody.Parser, bytes.Memory));
        if (bytes.Length <= RememberedBytesMax)
        {
            lock (Gate)
                Readings.Set(bytes, peek);
        }

        return peek;
    }

    private static ByteString Write(PeekRequest peek)
    {
        var wire = new Wire.PeekBody
        {
            Mfp = ExprConversion.ToWire(peek.Mfp),
            Finishing = ExprConversion.ToWire(peek.Finishing),
            MaxResultSize = peek.MaxResultSize,
        };
        switch (peek.Target)
        {
            case PeekTarget.Index x:
                wire.Index = CommonConversion.ToWire(x.Id);
                break;
            case PeekTarget.Persist x:
                wire.Persist = new Wire.PersistTarget { Id = CommonConversion.ToWire(x.Id), Metadata = DataflowConversion.ToWire(x.Metadata) };
                break;
            default:
                throw new UnreachableException(peek.Target.GetType().Name);
        }

        wire.ResultColumns.AddAll(peek.ResultColumns, CommonConversion.ToWire);
        return wire.ToByteString();
    }

    private static PeekRequest Read(Wire.PeekBody peek) => new(
        default,
        peek.TargetCase switch
        {
            Wire.PeekBody.TargetOneofCase.Index => new PeekTarget.Index(CommonConversion.FromWire(peek.Index)),
            Wire.PeekBody.TargetOneofCase.Persist =>
                new PeekTarget.Persist(CommonConversion.FromWire(peek.Persist.Id), DataflowConversion.FromWire(peek.Persist.Metadata)),
            _ => throw CommonConversion.Unknown("peek target", peek.TargetCase),
        },
        null,
        0,
        ExprConversion.FromWire(peek.Mfp),
        peek.ResultColumns.ToArray(CommonConversion.FromWire),
        ExprConversion.FromWire(peek.Finishing),
        peek.MaxResultSize);
}
