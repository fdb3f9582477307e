using System.Buffers.Binary;
using System.Text;
using Materialize.Core.Collections;

namespace Materialize.Repr;

/// <summary>What a jsonb value is; ascending in jsonb's order.</summary>
public enum JsonbKind : byte
{
    False = 1,
    True = 2,
    String = 3,
    Array = 4,
    Object = 5,
    Number = 6,
    Null = 7,
}

/// <summary>
/// A jsonb value over its encoding: a kind byte; then for a number the 24 bytes of the <see cref="Numeric"/>, for a string a u32
/// length and UTF-8, for an array or object a u32 byte length of what follows, a u32 count and the items; an object's item is a
/// key (u32 length, UTF-8) and a value, keys ascending and distinct. Equal values are equal bytes, and a part of a value is a
/// slice of its bytes.
/// </summary>
public readonly ref struct Jsonb(ReadOnlySpan<byte> bytes)
{
    /// <summary>The encoding, exactly this value's.</summary>
    public ReadOnlySpan<byte> Bytes { get; } = bytes[..Length(bytes)];

    public JsonbKind Kind => (JsonbKind)Bytes[0];

    public bool IsScalar => Kind is not (JsonbKind.Array or JsonbKind.Object);

    /// <summary>UTF-8 of a string.</summary>
    public ReadOnlySpan<byte> StringBytes => Bytes.Slice(5, (int)BinaryPrimitives.ReadUInt32LittleEndian(Bytes[1..]));

    public Numeric Number => Numeric.Read(Bytes[1..]);

    /// <summary>Items of an array or object; 0 for scalars.</summary>
    public int Count => IsScalar ? 0 : (int)BinaryPrimitives.ReadUInt32LittleEndian(Bytes[5..]);

    /// <summary>The items of an array, or the entries of an object.</summary>
    public Enumerator GetEnumerator() => new(Bytes);

    /// <summary>The value at a key; false if this is no object or has no such key.</summary>
    public bool TryGet(ReadOnlySpan<byte> key, out Jsonb value)
    {
        if (Kind == JsonbKind.Object)
        {
            foreach (var entry in this)
            {
                if (entry.Key.SequenceEqual(key))
                {
                    value = entry.Value;
                    return true;
                }
            }
        }

        value = default;
        return false;
    }

    /// <summary>The item at an index, from the end if negative; false if this is no array or it is out of range.</summary>
    public bool TryGet(long index, out Jsonb value)
    {
        if (Kind == JsonbKind.Array)
        {
            var wanted = index < 0 ? Count + index : index;
            var i = 0;
            foreach (var entry in this)
            {
                if (i++ == wanted)
                {
                    value = entry.Value;
                    return true;
                }
            }
        }

        value = default;
        return false;
    }

    /// <summary>Total order: false, true, strings, arrays, objects, numbers, null.</summary>
    public static int Compare(Jsonb a, Jsonb b)
    {
        var kinds = a.Kind.CompareTo(b.Kind);
        if (kinds != 0)
            return kinds;
        switch (a.Kind)
        {
            case JsonbKind.String:
                return a.StringBytes.SequenceCompareTo(b.StringBytes);
            case JsonbKind.Number:
                return a.Number.CompareTo(b.Number);
            case JsonbKind.Array or JsonbKind.Object:
                var left = a.GetEnumerator();
                var right = b.GetEnumerator();
                while (true)
                {
                    var more = left.MoveNext();
                    if (more != right.MoveNext())
                        return more ? 1 : -1;
                    if (!more)
                        return 0;
                    var item = left.Current.Key.SequenceCompareTo(right.Current.Key);
                    if (item == 0)
                        item = Compare(left.Current.Value, right.Current.Value);
                    if (item != 0)
                        return item;
                }

            default:
                return 0;
        }
    }

    public string StringValue => Encoding.UTF8.GetString(StringBytes);

    private static int Length(ReadOnlySpan<byte> bytes) => (JsonbKind)bytes[0] switch
    {
        JsonbKind.String or JsonbKind.Array or JsonbKind.Object => 5 + (int)BinaryPrimitives.ReadUInt32LittleEndian(bytes[1..]),
        JsonbKind.Number => 1 + Numeric.Width,
        _ => 1,
    };

    /// <summary>An item; the key is empty for an array's.</summary>
    public readonly ref struct Entry(ReadOnlySpan<byte> key, Jsonb value)
    {
        public ReadOnlySpan<byte> Key { get; } = key;

        public Jsonb Value { get; } = value;

        public string KeyText => Encoding.UTF8.GetString(Key);
    }

    public ref struct Enumerator
    {
        private readonly bool _isObject;
        private ReadOnlySpan<byte> _rest;
        private ReadOnlySpan<byte> _key;
        private ReadOnlySpan<byte> _value;

        internal Enumerator(ReadOnlySpan<byte> bytes)
        {
            _isObject = (JsonbKind)bytes[0] == JsonbKind.Object;
            _rest = (JsonbKind)bytes[0] is JsonbKind.Object or JsonbKind.Array ? bytes[9..] : [];
            _key = [];
            _value = [];
        }

        public readonly Entry Current => new(_key, new Jsonb(_value));

        public bool MoveNext()
        {
            if (_rest.IsEmpty)
                return false;
            if (_isObject)
            {
                var length = (int)BinaryPrimitives.ReadUInt32LittleEndian(_rest);
                _key = _rest.Slice(4, length);
                _rest = _rest[(4 + length)..];
            }

            var size = Length(_rest);
            _value = _rest[..size];
            _rest = _rest[size..];
            return true;
        }
    }
}

/// <summary>Builds jsonb encodings.</summary>
public static class JsonbBuilder
{
    public static byte[] Null { get; } = [(byte)JsonbKind.Null];

    public static byte[] FromBool(bool value) => [(byte)(value ? JsonbKind.True : JsonbKind.False)];

    public static byte[] FromNumber(Numeric value)
    {
        var bytes = new byte[1 + Numeric.Width];
        bytes[0] = (byte)JsonbKind.Number;
        value.Write(bytes.AsSpan(1));
        return bytes;
    }

    public static byte[] FromString(string value) => FromUtf8(Encoding.UTF8.GetBytes(value));

    public static byte[] FromUtf8(ReadOnlySpan<byte> utf8)
    {
        var bytes = new byte[5 + utf8.Length];
        bytes[0] = (byte)JsonbKind.String;
        BinaryPrimitives.WriteUInt32LittleEndian(bytes.AsSpan(1), (uint)utf8.Length);
        utf8.CopyTo(bytes.AsSpan(5));
        return bytes;
    }

    /// <summary>An array of encoded items.</summary>
    public static byte[] FromArray(IReadOnlyCollection<byte[]> items)
    {
        var size = 9 + items.Sum(i => i.Length);
        var bytes = Header(JsonbKind.Array, size, items.Count);
        var at = 9;
        foreach (var item in items)
        {
            item.CopyTo(bytes, at);
            at += item.Length;
        }

        return bytes;
    }

    /// <summary>An object of encoded values; the last of equal keys wins.</summary>
    public static byte[] FromObject(IEnumerable<KeyValuePair<string, byte[]>> entries)
    {
        var sorted = new SortedDictionary<byte[], byte[]>(Utf8Order.Instance);
        foreach (var (key, value) in entries)
            sorted[Encoding.UTF8.GetBytes(key)] = value;
        var bytes = Header(JsonbKind.Object, 9 + sorted.Sum(e => 4 + e.Key.Length + e.Value.Length), sorted.Count);
        var at = 9;
        foreach (var (key, value) in sorted)
        {
            BinaryPrimitives.WriteUInt32LittleEndian(bytes.AsSpan(at), (uint)key.Length);
            key.CopyTo(bytes, at + 4);
            value.CopyTo(bytes, at + 4 + key.Length);
            at += 4 + key.Length + value.Length;
        }

        return bytes;
    }

    private static byte[] Header(JsonbKind kind, int size, int count)
    {
        var bytes = new byte[size];
        bytes[0] = (byte)kind;
        BinaryPrimitives.WriteUInt32LittleEndian(bytes.AsSpan(1), (uint)(size - 5));
        BinaryPrimitives.WriteUInt32LittleEndian(bytes.AsSpan(5), (uint)count);
        return bytes;
    }

    private sealed class Utf8Order : IComparer<byte[]>
    {
        public static readonly Utf8Order Instance = new();

        public int Compare(byte[]? x, byte[]? y) => x.AsSpan().SequenceCompareTo(y);
    }
}
