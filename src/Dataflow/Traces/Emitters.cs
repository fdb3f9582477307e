using Materialize.Core.Hashing;
using Materialize.Core.Rows;

namespace Materialize.Dataflow.Traces;

/// <summary>Chooses the emitter for a pair of shapes.</summary>
internal static class Emitters
{
    public static Emitter<TTime> For<TTime>(RowShape keys, RowShape values) where TTime : unmanaged, ITime<TTime> =>
        RowHash.IsBijective(keys) ? ForValues<TTime, NoBytes>(keys, values)
        : keys.Width == 16 ? ForValues<TTime, Bytes16>(keys, values)
        : keys.IsFixed && keys.Width % 8 == 0 ? ForValues<TTime, BytesWords>(keys, values)
        : keys.IsFixed ? ForValues<TTime, BytesFixed>(keys, values)
        : ForValues<TTime, BytesVariable>(keys, values);

    private static Emitter<TTime> ForValues<TTime, TKey>(RowShape keys, RowShape values)
        where TTime : unmanaged, ITime<TTime>
        where TKey : struct, IBytesClass => values.Width switch
        {
            0 => new Emitter<TTime, TKey, NoBytes>(keys.Width, 0),
            8 => new Emitter<TTime, TKey, Bytes8>(keys.Width, 8),
            16 => new Emitter<TTime, TKey, Bytes16>(keys.Width, 16),
            > 0 when values.Width % 8 == 0 => new Emitter<TTime, TKey, BytesWords>(keys.Width, values.Width),
            > 0 => new Emitter<TTime, TKey, BytesFixed>(keys.Width, values.Width),
            _ => new Emitter<TTime, TKey, BytesVariable>(keys.Width, 0),
        };
}
