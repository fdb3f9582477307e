// Each worker holds the rows of an index whose keys hash to it, so a lookup of some keys concerns only the workers that own them. But an
// error anywhere in the collection is the answer to every read of it, and errors lie at any worker. So workers say up to which time they hold no error;
// those that have said it for a peek's time need not be asked.

using Materialize.Compute.Kernels;
using Materialize.Core.Collections;
using Materialize.Core.Hashing;
using Materialize.Protocol;
using Materialize.Repr;

namespace Materialize.Compute.Peeks;

/// <summary>
/// Which workers of this process a lookup in one index has to ask. Workers tell, once the index has been looked up and then whenever they have done something; the task that
/// handles commands asks. What is told late only makes more workers be asked.
/// </summary>
/// <param name="workers">Of this process.</param>
internal sealed class IndexShares(int workers)
{
    private readonly ulong[] _faultlessBefore = new ulong[workers];
    private volatile ArrangementShape? _shape;

    /// <summary>The worker holds no error of the index at any time before <paramref name="faultlessBefore"/>, and will not. Zero: it may hold one.</summary>
    /// <param name="worker">Among those of this process.</param>
    /// <param name="shape">The same at all workers.</param>
    public void Tell(int worker, ArrangementShape shape, ulong faultlessBefore)
    {
        Volatile.Write(ref _faultlessBefore[worker], faultlessBefore);
        _shape ??= shape;
    }

    /// <summary>Marks the workers to be asked: the owners of the keys, and those that may hold an error at the peek's time.</summary>
    /// <param name="indexes">The number of each of this process's workers among the <paramref name="peers"/> of the replica.</param>
    /// <param name="asked">One for each worker of this process.</param>
    /// <returns>The keys as they lie in the index, null when nothing is known yet and all workers have to be asked.</returns>
    public byte[][]? Choose(PeekRequest request, ReadOnlySpan<int> indexes, int peers, Span<bool> asked)
    {
        if (_shape is not { } shape || request.LiteralKeys is not { } literals)
        {
            asked.Fill(true);
            return null;
        }

        for (var i = 0; i < asked.Length; i++)
            asked[i] = Volatile.Read(ref _faultlessBefore[i]) <= request.Timestamp;
        var keys = Keys(shape, literals);
        foreach (var key in keys)
        {
            var owner = indexes.IndexOf(RowHash.Owner(RowHash.Hash(shape.KeyLayout.Shape, key), peers));
            if (owner >= 0)
                asked[owner] = true;
        }

        return keys;
    }

    /// <summary>The keys that <paramref name="literals"/> are in an index of this shape. One with a null where the index has none is not among them: it can match nothing.</summary>
    public static byte[][] Keys(ArrangementShape shape, ValueArray<ValueArray<Datum>> literals)
    {
        var keys = new List<byte[]>(literals.Count);
        foreach (var literal in literals)
        {
            if (!RowKernels.HasNullWhereNoneFits(shape.KeyColumns, literal))
                keys.Add(RowCodec.Pack(shape.KeyLayout, literal.AsSpan()));
        }

        return [.. keys];
    }
}
