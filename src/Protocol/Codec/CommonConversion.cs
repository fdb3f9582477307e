using System.Runtime.CompilerServices;
using System.Runtime.InteropServices;
using Google.Protobuf;
using Google.Protobuf.Collections;
using Materialize.Core.Collections;
using Materialize.Expr;
using Materialize.Repr;

namespace Materialize.Protocol.Codec;

/// <summary>Ids, types, values and rows: what all messages are made of. <c>ToWire</c> and <c>FromWire</c> are inverses.</summary>
internal static class CommonConversion
{
    /// <summary>A message field that the sender always sets.</summary>
    public static T Required<T>(T? message, [CallerArgumentExpression(nameof(message))] string name = "") where T : class =>
        message ?? throw new ProtocolException($"missing field: {name}");

    public static ProtocolException Unknown(string what, object value) => new($"unknown {what}: {value}");

    public static T ParseEnum<T>(string name, string what) where T : struct, Enum =>
        Enum.TryParse<T>(name, out var value) && Enum.IsDefined(value) ? value : throw Unknown(what, name);

    public static RepeatedField<TWire> AddAll<T, TWire>(this RepeatedField<TWire> field, ValueArray<T> items, Func<T, TWire> toWire)
    {
        field.Capacity = items.Count;
        foreach (var item in items.AsSpan())
            field.Add(toWire(item));
        return field;
    }

    public static ValueArray<T> ToArray<T, TWire>(this RepeatedField<TWire> field, Func<TWire, T> fromWire)
    {
        var items = new T[field.Count];
        for (var i = 0; i < items.Length; i++)
            items[i] = fromWire(field[i]);
        return ValueArray.Create<T>(items);
    }

    public static RepeatedField<uint> AddAll(this RepeatedField<uint> field, ValueArray<int> items) => field.AddAll(items, i => checked((uint)i));

    public static ValueArray<int> ToArray(this RepeatedField<uint> field) => field.ToArray(Index);

    public static int Index(uint value) => value <= int.MaxValue ? (int)value : throw Unknown("index", value);

    public static Wire.GlobalId ToWire(GlobalId id) => new() { Space = (uint)id.Space, Number = id.Number };

    public static GlobalId FromWire(Wire.GlobalId? id)
    {
        Required(id);
        return id!.Space <= (uint)GlobalIdSpace.Explain
            ? new GlobalId((GlobalIdSpace)id.Space, id.Number)
            : throw Unknown("id space", id.Space);
    }

    public static ByteString ToWire(Guid id) => ByteString.CopyFrom(id.ToByteArray(bigEndian: true));

    public static Guid GuidFromWire(ByteString bytes) =>
        bytes.Length == 16 ? new Guid(bytes.Span, bigEndian: true) : throw new ProtocolException($"a uuid of {bytes.Length} bytes");

    public static Wire.Frontier FrontierToWire(ulong? time)
    {
        var frontier = new Wire.Frontier();
        if (time is { } t)
            frontier.Time = t;
        return frontier;
    }

    public static ulong? FromWire(Wire.Frontier? frontier) => Required(frontier).HasTime ? frontier!.Time : null;

    public static Wire.SqlType ToWire(SqlType type)
    {
        RuntimeHelpers.EnsureSufficientExecutionStack();
        var wire = new Wire.SqlType { Kind = (uint)type.Kind };
        if (type.Element is { } element)
            wire.Element = ToWire(element);
        wire.Fields.AddAll(type.Fields, f => new Wire.RecordField { Name = f.Name, Type = ToWire(f.Type) });
        if (type.Modifier is { } modifier)
            wire.Modifier = modifier;
        if (type.CustomId is { } id)
            wire.CustomId = ToWire(id);
        return wire;
    }

    public static SqlType FromWire(Wire.SqlType? type)
    {
        RuntimeHelpers.EnsureSufficientExecutionStack();
        var kind = (ScalarKind)Required(type).Kind;
        if (type!.Kind > byte.MaxValue || !Enum.IsDefined(kind))
            throw Unknown("type", type.Kind);
        return new SqlType(kind)
        {
            Element = type.Element is null ? null : FromWire(type.Element),
            Fields = type.Fields.ToArray(f => new RecordField(f.Name, FromWire(f.Type))),
            Modifier = type.HasModifier ? type.Modifier : null,
            CustomId = type.CustomId is null ? null : FromWire(type.CustomId),
        };
    }

    public static Wire.ColumnType ToWire(ColumnType type) => new() { Type = ToWire(type.Type), Nullable = type.IsNullable };

    public static ColumnType FromWire(Wire.ColumnType? type) => new(FromWire(Required(type).Type), type!.Nullable);

    public static Wire.RelationType ToWire(RelationType type)
    {
        var wire = new Wire.RelationType();
        wire.Columns.AddAll(type.Columns, ToWire);
        wire.Keys.AddAll(type.Keys, key =>
        {
            var set = new Wire.ColumnSet();
            set.Columns.AddAll(key);
            return set;
        });
        return wire;
    }

    public static RelationType FromWire(Wire.RelationType? type) =>
        new(Required(type).Columns.ToArray(FromWire), type!.Keys.ToArray(key => key.Columns.ToArray()));

    public static Wire.RelationDesc ToWire(RelationDesc desc)
    {
        var wire = new Wire.RelationDesc { Type = ToWire(desc.Type) };
        wire.Names.AddAll(desc.Names, n => n);
        return wire;
    }

    public static RelationDesc FromWire(Wire.RelationDesc? desc) => new(FromWire(Required(desc).Type), desc!.Names.ToArray(n => n));

    public static Wire.EvalError ToWire(EvalError error)
    {
        var wire = new Wire.EvalError { SqlState = error.SqlState, Message = error.Message };
        if (error.Detail is { } detail)
            wire.Detail = detail;
        if (error.Hint is { } hint)
            wire.Hint = hint;
        return wire;
    }

    public static EvalError FromWire(Wire.EvalError? error) => new(Required(error).SqlState, error!.Message)
    {
        Detail = error.HasDetail ? error.Detail : null,
        Hint = error.HasHint ? error.Hint : null,
    };

    public static Wire.Datum ToWire(Datum datum)
    {
        RuntimeHelpers.EnsureSufficientExecutionStack();
        if (datum.IsNull)
            return new Wire.Datum();
        var (low, high, reference) = datum.Parts;
        return reference switch
        {
            null when high == 0 => new Wire.Datum { Small = low },
            null => new Wire.Datum { Bits = new Wire.Bits { Low = low, High = high } },
            Numeric n => new Wire.Datum
            {
                Numeric = new Wire.Numeric { Low = (ulong)n.Low, Middle = (ulong)(n.Low >> 64), High = n.High, Scale = n.Scale, Kind = (uint)n.Kind },
            },
            string text => new Wire.Datum { Text = text },
            byte[] bytes => new Wire.Datum { Binary = UnsafeByteOperations.UnsafeWrap(bytes) },
            ValueArray<Datum> list => new Wire.Datum { List = ToWire(list) },
            ArrayDatum array => new Wire.Datum { Array = ToWire(array) },
            ValueArray<KeyValuePair<string, Datum>> map => new Wire.Datum { Map = ToWire(map) },
            RangeDatum range => new Wire.Datum
            {
                Range = new Wire.RangeValue
                {
                    IsEmpty = range.IsEmpty,
                    Lower = ToWire(range.Lower),
                    LowerInclusive = range.LowerInclusive,
                    Upper = ToWire(range.Upper),
                    UpperInclusive = range.UpperInclusive,
                },
            },
            _ => throw new ArgumentException($"a datum that holds a {reference.GetType()}"),
        };
    }

    public static Datum FromWire(Wire.Datum? datum)
    {
        RuntimeHelpers.EnsureSufficientExecutionStack();
        switch (Required(datum).ValueCase)
        {
            case Wire.Datum.ValueOneofCase.None:
                return Datum.Null;
            case Wire.Datum.ValueOneofCase.Small:
                return Datum.FromParts(datum!.Small, 0, null);
            case Wire.Datum.ValueOneofCase.Bits:
                return Datum.FromParts(datum!.Bits.Low, datum.Bits.High, null);
            case Wire.Datum.ValueOneofCase.Numeric:
                return Datum.FromNumeric(FromWire(datum!.Numeric));
            case Wire.Datum.ValueOneofCase.Text:
                return Datum.FromString(datum!.Text);
            case Wire.Datum.ValueOneofCase.Binary:
                return Datum.FromBytes(datum!.Binary.ToByteArray());
            case Wire.Datum.ValueOneofCase.List:
                return Datum.FromList(FromWire(datum!.List));
            case Wire.Datum.ValueOneofCase.Array:
                return Datum.FromArray(FromWire(datum!.Array));
            case Wire.Datum.ValueOneofCase.Map:
                if (datum!.Map.Keys.Count != datum.Map.Values.Count)
                    throw new ProtocolException("a map with a different number of keys and values");
                return Datum.FromMap(datum.Map.Keys.Zip(datum.Map.Values, (k, v) => KeyValuePair.Create(k, FromWire(v))).ToValueArray());
            case Wire.Datum.ValueOneofCase.Range:
                var range = datum!.Range;
                return Datum.FromRange(
                    new RangeDatum(range.IsEmpty, FromWire(range.Lower), range.LowerInclusive, FromWire(range.Upper), range.UpperInclusive));
            default:
                throw Unknown("datum", datum!.ValueCase);
        }
    }

    public static Wire.Row ToWire(ValueArray<Datum> row)
    {
        var wire = new Wire.Row();
        wire.Values.AddAll(row, ToWire);
        return wire;
    }

    public static ValueArray<Datum> FromWire(Wire.Row? row) => Required(row).Values.ToArray(FromWire);

    public static Wire.RowBatch ToWire(RowBatch batch)
    {
        var wire = new Wire.RowBatch
        {
            Count = (uint)batch.Count,
            Data = UnsafeByteOperations.UnsafeWrap(batch.Data),
            Ends = Numbers(batch.Ends),
            Times = Numbers(batch.Times),
        };
        if (batch.Diffs.AsSpan().ContainsAnyExcept(1L))
            wire.Diffs = Numbers(batch.Diffs);
        return wire;
    }

    public static RowBatch FromWire(Wire.RowBatch? batch)
    {
        var count = Index(Required(batch).Count);
        var ends = Numbers<int>(batch!.Ends);
        var times = Numbers<ulong>(batch.Times);
        var diffs = Numbers<long>(batch.Diffs);
        if (diffs.Length == 0 && count > 0)
        {
            diffs = new long[ends.Length];
            diffs.AsSpan().Fill(1);
        }

        if (ends.Length != count || diffs.Length != count || (times.Length != 0 && times.Length != count))
            throw new ProtocolException("the columns of a row batch differ in length");
        var last = 0;
        foreach (var end in ends)
        {
            if (end < last)
                throw new ProtocolException("the rows of a row batch are not in order");
            last = end;
        }

        if (last != batch.Data.Length)
            throw new ProtocolException("the rows of a row batch do not fill it");
        return new RowBatch(batch.Data.Memory, ends, times, diffs);
    }

    private static Wire.ArrayValue ToWire(ArrayDatum array)
    {
        var wire = new Wire.ArrayValue();
        wire.LowerBounds.AddAll(array.Dimensions, d => d.LowerBound);
        wire.Lengths.AddAll(array.Dimensions, d => d.Length);
        wire.Elements.AddAll(array.Elements, ToWire);
        return wire;
    }

    private static ArrayDatum FromWire(Wire.ArrayValue array)
    {
        if (array.LowerBounds.Count != array.Lengths.Count)
            throw new ProtocolException("an array with a different number of bounds and lengths");
        return new ArrayDatum(
            array.LowerBounds.Zip(array.Lengths, (lower, length) => new ArrayDimension(lower, length)).ToValueArray(),
            array.Elements.ToArray(FromWire));
    }

    private static Wire.MapValue ToWire(ValueArray<KeyValuePair<string, Datum>> map)
    {
        var wire = new Wire.MapValue();
        wire.Keys.AddAll(map, e => e.Key);
        wire.Values.AddAll(map, e => ToWire(e.Value));
        return wire;
    }

    private static Numeric FromWire(Wire.Numeric numeric)
    {
        if (numeric.Scale > 39 || numeric.Kind > (uint)NumericKind.NaN)
            throw new ProtocolException("a numeric that is none");
        return new Numeric
        {
            Low = new UInt128(numeric.Middle, numeric.Low),
            High = numeric.High,
            Scale = (byte)numeric.Scale,
            Kind = (NumericKind)numeric.Kind,
        };
    }

    // Little-endian on the wire is the memory of every machine we run on.
    private static ByteString Numbers<T>(T[] numbers) where T : unmanaged => ByteString.CopyFrom(MemoryMarshal.AsBytes(numbers.AsSpan()));

    private static T[] Numbers<T>(ByteString bytes) where T : unmanaged
    {
        var size = Unsafe.SizeOf<T>();
        if (bytes.Length % size != 0)
            throw new ProtocolException($"a column of {bytes.Length} bytes");
        return MemoryMarshal.Cast<byte, T>(bytes.Span).ToArray();
    }
}
