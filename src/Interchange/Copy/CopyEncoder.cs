using Materialize.Repr;

namespace Materialize.Interchange;

/// <summary>Writes canonical rows as COPY TO data, one call a row, one row a CopyData message. Options are Postgres's defaults.</summary>
public abstract class CopyEncoder
{
    private CopyEncoder()
    {
    }

    public static CopyEncoder For(RowLayout layout, CopyTextFormat format) => format switch
    {
        CopyTextFormat.Text => new Text(layout),
        CopyTextFormat.Csv => new Csv(layout),
        _ => new Binary(layout),
    };

    /// <summary>What comes before the first row.</summary>
    public virtual void WriteHeader(WireBuffer output)
    {
    }

    public abstract void WriteRow(ReadOnlySpan<byte> row, WireBuffer output);

    /// <summary>What comes after the last row.</summary>
    public virtual void WriteTrailer(WireBuffer output)
    {
    }

    private static ValueEncoder[] Encoders(RowLayout layout, bool binary)
    {
        var encoders = new ValueEncoder[layout.Columns.Count];
        for (var i = 0; i < encoders.Length; i++)
            encoders[i] = ValueEncoder.For(layout.Columns[i].Type, binary);
        return encoders;
    }

    private sealed class Text(RowLayout layout) : CopyEncoder
    {
        private static readonly System.Buffers.SearchValues<byte> Special = System.Buffers.SearchValues.Create("\\\b\t\n\v\f\r"u8);
        private readonly ColumnSlot[] _slots = ColumnSlot.Of(layout);
        private readonly ValueEncoder[] _encoders = Encoders(layout, binary: false);
        private readonly WireBuffer _scratch = new();

        public override void WriteRow(ReadOnlySpan<byte> row, WireBuffer output)
        {
            for (var i = 0; i < _slots.Length; i++)
            {
                if (i > 0)
                    output.WriteByte((byte)'\t');
                if (_slots[i].IsNull(row))
                {
                    output.Write("\\N"u8);
                    continue;
                }

                var at = output.Length;
                _encoders[i].Write(_slots[i].Value(row), output);
                if (output.Written[at..].ContainsAny(Special))
                    Escape(at, output);
            }

            output.WriteByte((byte)'\n');
        }

        private void Escape(int at, WireBuffer output)
        {
            _scratch.Clear();
            _scratch.Write(output.Written[at..]);
            output.Truncate(at);
            foreach (var b in _scratch.Written)
            {
                var letter = b switch
                {
                    (byte)'\\' => (byte)'\\',
                    (byte)'\b' => (byte)'b',
                    (byte)'\t' => (byte)'t',
                    (byte)'\n' => (byte)'n',
                    (byte)'\v' => (byte)'v',
                    (byte)'\f' => (byte)'f',
                    (byte)'\r' => (byte)'r',
                    _ => (byte)0,
                };
                if (letter != 0)
                    output.WriteByte((byte)'\\');
                output.WriteByte(letter != 0 ? letter : b);
            }
        }
    }

    private sealed class Csv(RowLayout layout) : CopyEncoder
    {
        private readonly ColumnSlot[] _slots = ColumnSlot.Of(layout);
        private readonly ValueEncoder[] _encoders = Encoders(layout, binary: false);
        private readonly WireBuffer _scratch = new();

        public override void WriteRow(ReadOnlySpan<byte> row, WireBuffer output)
        {
            for (var i = 0; i < _slots.Length; i++)
            {
                if (i > 0)
                    output.WriteByte((byte)',');
                if (_slots[i].IsNull(row))
                    continue;
                var at = output.Length;
                _encoders[i].Write(_slots[i].Value(row), output);
                var field = output.Written[at..];
                // An empty field would read as null, and a lone \. as the end of the data.
                if (field.Length == 0 || field.IndexOfAny(",\"\n\r"u8) >= 0 || (_slots.Length == 1 && field.SequenceEqual("\\."u8)))
                    Quote(at, output);
            }

            output.WriteByte((byte)'\n');
        }

        private void Quote(int at, WireBuffer output)
        {
            _scratch.Clear();
            _scratch.Write(output.Written[at..]);
            output.Truncate(at);
            output.WriteByte((byte)'"');
            foreach (var b in _scratch.Written)
            {
                if (b == '"')
                    output.WriteByte((byte)'"');
                output.WriteByte(b);
            }

            output.WriteByte((byte)'"');
        }
    }

    private sealed class Binary(RowLayout layout) : CopyEncoder
    {
        private readonly RowEncoder _encoder = RowEncoder.For(layout, [1]);

        public override void WriteHeader(WireBuffer output)
        {
            output.Write("PGCOPY\n"u8);
            output.WriteByte(0xff);
            output.Write("\r\n\0"u8);
            output.WriteInt32(0);
            output.WriteInt32(0);
        }

        // A tuple is written as a DataRow's body is.
        public override void WriteRow(ReadOnlySpan<byte> row, WireBuffer output) => _encoder.WriteDataRow(row, output);

        public override void WriteTrailer(WireBuffer output) => output.WriteInt16(-1);
    }
}
