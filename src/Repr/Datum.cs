using Materialize.Core.Collections;

namespace Materialize.Repr;

/// <summary>
/// One SQL value outside of rows: in literals, parameters, constant folding and the interpreter. Hot paths never see it: they
/// read columns in place. Which case it is, the column's <see cref="SqlType"/> says; a datum only knows whether it is null.
/// </summary>
/// <remarks>
/// Integers, bool, dates and times live in <see cref="_low"/>; interval and uuid also in <see cref="_high"/>; floats as their
/// bits; numeric, text, bytes, jsonb (its encoding) and containers by reference.
/// </remarks>
public readonly partial struct Datum : IEquatable<Datum>
{
    private readonly object? _reference;
    private readonly long _low;
    private readonly long _high;
    private readonly bool _present;

    private Datum(long low, long high = 0, object? reference = null)
    {
        _low = low;
        _high = high;
        _reference = reference;
        _present = true;
    }

    public static Datum Null => default;

    public static Datum True => FromBool(true);

    public static Datum False => FromBool(false);

    public bool IsNull => !_present;

    /// <summary>The value of a bool.</summary>
    public bool AsBool => _low != 0;

    /// <summary>The value of a signed or unsigned integer up to 64 bits, oid and its kin, date (days since 2000-01-01), time (µs
    /// since midnight), timestamp and timestamptz (µs since 2000-01-01 UTC).</summary>
    public long AsInt64 => _low;

    /// <summary>uint8, mz_timestamp (ms since 1970).</summary>
    public ulong AsUInt64 => (ulong)_low;

    /// <summary>float4 and float8.</summary>
    public double AsDouble => BitConverter.Int64BitsToDouble(_low);

    public Numeric AsNumeric => (Numeric)_reference!;

    /// <summary>text, char, varchar, name.</summary>
    public string AsString => (string)_reference!;

    /// <summary>bytea; jsonb as its encoding.</summary>
    public byte[] AsBytes => (byte[])_reference!;

    public Interval AsInterval => new((int)(_low >> 32), (int)_low, _high);

    /// <summary>16 bytes in text order, big-endian.</summary>
    public UInt128 AsUuid => new((ulong)_high, (ulong)_low);

    /// <summary>Elements of a list, record, int2vector.</summary>
    public ValueArray<Datum> AsList => (ValueArray<Datum>)_reference!;

    public ArrayDatum AsArray => (ArrayDatum)_reference!;

    /// <summary>Entries in ascending key order.</summary>
    public ValueArray<KeyValuePair<string, Datum>> AsMap => (ValueArray<KeyValuePair<string, Datum>>)_reference!;

    public RangeDatum? AsRange => (RangeDatum?)_reference;

    public static Datum FromBool(bool value) => new(value ? 1 : 0);

    public static Datum FromInt64(long value) => new(value);

    public static Datum FromUInt64(ulong value) => new((long)value);

    /// <summary>A float8, or a float4 widened.</summary>
    public static Datum FromDouble(double value) => new(BitConverter.DoubleToInt64Bits(value == 0 ? 0.0 : double.IsNaN(value) ? double.NaN : value));

    public static Datum FromNumeric(Numeric value) => new(0, 0, value);

    public static Datum FromString(string value) => new(0, 0, value);

    public static Datum FromBytes(byte[] value) => new(0, 0, value);

    public static Datum FromInterval(Interval value) => new(((long)value.Months << 32) | (uint)value.Days, value.Micros);

    public static Datum FromUuid(UInt128 value) => new((long)(ulong)value, (long)(ulong)(value >> 64));

    public static Datum FromList(ValueArray<Datum> elements) => new(0, 0, elements);

    public static Datum FromArray(ArrayDatum value) => new(0, 0, value);

    public static Datum FromMap(ValueArray<KeyValuePair<string, Datum>> entries) => new(0, 0, entries);

    public static Datum FromRange(RangeDatum value) => new(0, 0, value);

    /// <summary>
    /// Whether two datums of the same type are the same bits: agrees with SQL equality in grouping, because datums are canonical.
    /// Containers compare deeply.
    /// </summary>
    public bool Equals(Datum other)
    {
        if (_present != other._present || _low != other._low || _high != other._high)
            return false;
        return (_reference, other._reference) switch
        {
            (null, null) => true,
            (byte[] a, byte[] b) => a.AsSpan().SequenceEqual(b),
            (not null, not null) => _reference.Equals(other._reference),
            _ => false,
        };
    }

    public override bool Equals(object? obj) => obj is Datum other && Equals(other);

    public override int GetHashCode()
    {
        var hash = new HashCode();
        hash.Add(_present);
        hash.Add(_low);
        hash.Add(_high);
        if (_reference is byte[] bytes)
            hash.AddBytes(bytes);
        else
            hash.Add(_reference);
        return hash.ToHashCode();
    }

    public static bool operator ==(Datum a, Datum b) => a.Equals(b);

    public static bool operator !=(Datum a, Datum b) => !a.Equals(b);
}

/// <summary>A span of time whose three parts are kept apart: a month has no fixed number of days.</summary>
public readonly record struct Interval(int Months, int Days, long Micros);

/// <summary>A rectangular array; elements in row-major order.</summary>
public sealed record ArrayDatum(ValueArray<ArrayDimension> Dimensions, ValueArray<Datum> Elements);

/// <summary>One dimension of an array; lower bound usually 1.</summary>
public readonly record struct ArrayDimension(int LowerBound, int Length);

/// <summary>A non-empty range has bounds (null: infinite); an empty one has <see cref="IsEmpty"/> only.</summary>
public sealed record RangeDatum(bool IsEmpty, Datum Lower, bool LowerInclusive, Datum Upper, bool UpperInclusive);
