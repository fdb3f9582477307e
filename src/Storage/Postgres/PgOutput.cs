using System.Buffers.Binary;
using System.Text;

namespace Materialize.Storage;

/// <summary>A column as upstream describes it before its first change.</summary>
internal sealed record RelationColumn(string Name, uint TypeOid, int TypeModifier);

/// <summary>A table as upstream describes it before its first change.</summary>
/// <param name="ReplicaIdentity">d default, n nothing, f full, i index.</param>
internal sealed record Relation(uint Oid, string Schema, string Name, char ReplicaIdentity, IReadOnlyList<RelationColumn> Columns);

/// <summary>
/// Reads messages of the pgoutput plugin, protocol version 1 in text mode, in place.
/// Source: PostgreSQL manual, "Logical Replication Message Formats".
/// </summary>
internal ref struct PgOutputReader(ReadOnlySpan<byte> message)
{
    private ReadOnlySpan<byte> _rest = message;

    public byte Byte()
    {
        var value = _rest[0];
        _rest = _rest[1..];
        return value;
    }

    public int Int16()
    {
        var value = BinaryPrimitives.ReadInt16BigEndian(_rest);
        _rest = _rest[2..];
        return value;
    }

    public int Int32()
    {
        var value = BinaryPrimitives.ReadInt32BigEndian(_rest);
        _rest = _rest[4..];
        return value;
    }

    public uint Oid() => (uint)Int32();

    public ulong Lsn()
    {
        var value = BinaryPrimitives.ReadUInt64BigEndian(_rest);
        _rest = _rest[8..];
        return value;
    }

    public string Text()
    {
        var length = _rest.IndexOf((byte)0);
        var text = Encoding.UTF8.GetString(_rest[..length]);
        _rest = _rest[(length + 1)..];
        return text;
    }

    public Relation Relation()
    {
        var oid = Oid();
        var schema = Text();
        var name = Text();
        var identity = (char)Byte();
        var columns = new RelationColumn[Int16()];
        for (var i = 0; i < columns.Length; i++)
        {
            Byte();   // whether it is part of the key
            columns[i] = new RelationColumn(Text(), Oid(), Int32());
        }

        return new Relation(oid, schema.Length == 0 ? "pg_catalog" : schema, name, identity, columns);
    }

    /// <summary>The fields of a row, pointing into the message.</summary>
    /// <param name="start">Where the message lies in its buffer, so that offsets can be kept.</param>
    public void Tuple(PgTuple tuple, int messageLength)
    {
        var count = Int16();
        tuple.Reset(count);
        for (var i = 0; i < count; i++)
        {
            var kind = Byte();
            var length = kind is (byte)'t' or (byte)'b' ? Int32() : 0;
            tuple.Set(i, kind, messageLength - _rest.Length, length);
            _rest = _rest[length..];
        }
    }
}

/// <summary>The fields of one row within a message. Reused for row after row.</summary>
internal sealed class PgTuple
{
    private byte[] _kinds = [];
    private int[] _offsets = [];
    private int[] _lengths = [];

    public int Count { get; private set; }

    public void Reset(int count)
    {
        Count = count;
        if (_kinds.Length >= count)
            return;
        _kinds = new byte[count];
        _offsets = new int[count];
        _lengths = new int[count];
    }

    public void Set(int index, byte kind, int offset, int length)
    {
        _kinds[index] = kind;
        _offsets[index] = offset;
        _lengths[index] = length;
    }

    public bool IsNull(int index) => _kinds[index] == 'n';

    /// <summary>A large value that an update left alone: it is in the old row.</summary>
    public bool IsUnchanged(int index) => _kinds[index] == 'u';

    public ReadOnlySpan<byte> Text(ReadOnlySpan<byte> message, int index) => message.Slice(_offsets[index], _lengths[index]);
}
