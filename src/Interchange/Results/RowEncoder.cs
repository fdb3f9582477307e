using Materialize.Repr;

namespace Materialize.Interchange;

/// <summary>
/// Writes canonical rows as the body of DataRow messages. The encoder of each column is chosen once per result; a row costs no
/// allocation. One thread.
/// </summary>
public sealed class RowEncoder
{
    private readonly ColumnSlot[] _slots;
    private readonly ValueEncoder[] _encoders;

    private RowEncoder(ColumnSlot[] slots, ValueEncoder[] encoders)
    {
        _slots = slots;
        _encoders = encoders;
    }

    /// <param name="formats">As Bind gives them: none (all text), one for all columns, or one for each; 0 text, 1 binary.</param>
    public static RowEncoder For(RowLayout layout, short[] formats)
    {
        var encoders = new ValueEncoder[layout.Columns.Count];
        for (var i = 0; i < encoders.Length; i++)
            encoders[i] = ValueEncoder.For(layout.Columns[i].Type, FormatOf(formats, i) == 1);
        return new RowEncoder(ColumnSlot.Of(layout), encoders);
    }

    /// <summary>The format that a list of format codes gives the item at <paramref name="index"/>.</summary>
    public static short FormatOf(short[] formats, int index) => formats.Length switch
    {
        0 => 0,
        1 => formats[0],
        _ => index < formats.Length ? formats[index] : (short)0,
    };

    /// <summary>Number of columns, then length and bytes of each; −1 for null.</summary>
    public void WriteDataRow(ReadOnlySpan<byte> row, WireBuffer output)
    {
        output.WriteInt16((short)_slots.Length);
        for (var i = 0; i < _slots.Length; i++)
        {
            ref readonly var slot = ref _slots[i];
            if (slot.IsNull(row))
            {
                output.WriteInt32(-1);
                continue;
            }

            var at = output.Length;
            output.WriteInt32(0);
            _encoders[i].Write(slot.Value(row), output);
            output.PatchInt32(at, output.Length - at - 4);
        }
    }
}
