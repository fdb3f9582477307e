using Materialize.Core.Collections;

namespace Materialize.Repr;

/// <summary>The kinds of SQL value; numbers are written to disk and wire, so they never change.</summary>
public enum ScalarKind : byte
{
    Bool = 1,
    Int16 = 2,
    Int32 = 3,
    Int64 = 4,
    UInt16 = 5,
    UInt32 = 6,
    UInt64 = 7,
    Float32 = 8,
    Float64 = 9,
    Numeric = 10,
    Date = 11,
    Time = 12,
    Timestamp = 13,
    TimestampTz = 14,
    Interval = 15,
    Bytes = 16,
    String = 17,
    Char = 18,
    VarChar = 19,

    /// <summary>The one-byte <c>"char"</c>.</summary>
    PgLegacyChar = 20,

    /// <summary><c>name</c>, an identifier.</summary>
    PgLegacyName = 21,
    Jsonb = 22,
    Uuid = 23,
    Oid = 24,
    RegProc = 25,
    RegType = 26,
    RegClass = 27,
    Int2Vector = 28,
    MzTimestamp = 29,
    Array = 30,
    List = 31,
    Map = 32,
    Record = 33,
    Range = 34,
    AclItem = 35,
    MzAclItem = 36,
}

/// <summary>A field of a record type.</summary>
public sealed record RecordField(string Name, ColumnType Type);

/// <summary>
/// A SQL type. One record with a kind rather than a closed hierarchy, because nearly every consumer is a table over kinds and
/// only containers carry more than a modifier.
/// </summary>
public sealed record SqlType(ScalarKind Kind)
{
    /// <summary>Element of an array, list or range; value of a map.</summary>
    public SqlType? Element { get; init; }

    /// <summary>Fields of a record.</summary>
    public ValueArray<RecordField> Fields { get; init; }

    /// <summary>numeric: the scale; timestamp, timestamptz: the fractional digits; char, varchar: the length; null: unconstrained.</summary>
    public int? Modifier { get; init; }

    /// <summary>The user's named type this is, which only equals itself.</summary>
    public GlobalId? CustomId { get; init; }

    public static readonly SqlType Bool = new(ScalarKind.Bool);
    public static readonly SqlType Int16 = new(ScalarKind.Int16);
    public static readonly SqlType Int32 = new(ScalarKind.Int32);
    public static readonly SqlType Int64 = new(ScalarKind.Int64);
    public static readonly SqlType UInt16 = new(ScalarKind.UInt16);
    public static readonly SqlType UInt32 = new(ScalarKind.UInt32);
    public static readonly SqlType UInt64 = new(ScalarKind.UInt64);
    public static readonly SqlType Float32 = new(ScalarKind.Float32);
    public static readonly SqlType Float64 = new(ScalarKind.Float64);
    public static readonly SqlType Numeric = new(ScalarKind.Numeric);
    public static readonly SqlType Date = new(ScalarKind.Date);
    public static readonly SqlType Time = new(ScalarKind.Time);
    public static readonly SqlType Timestamp = new(ScalarKind.Timestamp);
    public static readonly SqlType TimestampTz = new(ScalarKind.TimestampTz);
    public static readonly SqlType Interval = new(ScalarKind.Interval);
    public static readonly SqlType Bytes = new(ScalarKind.Bytes);
    public static readonly SqlType String = new(ScalarKind.String);
    public static readonly SqlType Jsonb = new(ScalarKind.Jsonb);
    public static readonly SqlType Uuid = new(ScalarKind.Uuid);
    public static readonly SqlType Oid = new(ScalarKind.Oid);
    public static readonly SqlType RegProc = new(ScalarKind.RegProc);
    public static readonly SqlType RegType = new(ScalarKind.RegType);
    public static readonly SqlType RegClass = new(ScalarKind.RegClass);
    public static readonly SqlType Int2Vector = new(ScalarKind.Int2Vector);
    public static readonly SqlType MzTimestamp = new(ScalarKind.MzTimestamp);
    public static readonly SqlType PgLegacyChar = new(ScalarKind.PgLegacyChar);
    public static readonly SqlType PgLegacyName = new(ScalarKind.PgLegacyName);
    public static readonly SqlType AclItem = new(ScalarKind.AclItem);
    public static readonly SqlType MzAclItem = new(ScalarKind.MzAclItem);

    /// <summary>numeric(39, <paramref name="scale"/>).</summary>
    public static SqlType NumericOf(int? scale) => Numeric with { Modifier = scale };

    public static SqlType VarCharOf(int? length) => new(ScalarKind.VarChar) { Modifier = length };

    public static SqlType CharOf(int? length) => new(ScalarKind.Char) { Modifier = length };

    public static SqlType ArrayOf(SqlType element) => new(ScalarKind.Array) { Element = element };

    public static SqlType ListOf(SqlType element) => new(ScalarKind.List) { Element = element };

    public static SqlType MapOf(SqlType value) => new(ScalarKind.Map) { Element = value };

    public static SqlType RangeOf(SqlType element) => new(ScalarKind.Range) { Element = element };

    public static SqlType RecordOf(params ReadOnlySpan<RecordField> fields) => new(ScalarKind.Record) { Fields = ValueArray.Create(fields) };

    /// <summary>Whether two types hold the same values, modifiers aside.</summary>
    public bool BaseEquals(SqlType other) =>
        Kind == other.Kind
        && CustomId == other.CustomId
        && (Element is null ? other.Element is null : other.Element is not null && Element.BaseEquals(other.Element))
        && Fields.Count == other.Fields.Count
        && Fields.Zip(other.Fields).All(f => f.First.Type.Type.BaseEquals(f.Second.Type.Type));

    /// <summary>This type as a column that may hold nulls, or may not.</summary>
    public ColumnType Nullable(bool nullable = true) => new(this, nullable);
}

/// <summary>A type, and whether null is one of its values.</summary>
public readonly record struct ColumnType(SqlType Type, bool IsNullable);

/// <summary>The columns of a relation, and its keys: sets of columns that no two rows share.</summary>
public sealed record RelationType(ValueArray<ColumnType> Columns, ValueArray<ValueArray<int>> Keys)
{
    public static readonly RelationType Empty = new([], []);

    public int Arity => Columns.Count;

    public RelationType(ValueArray<ColumnType> columns) : this(columns, [])
    {
    }
}

/// <summary>A relation type with column names.</summary>
public sealed record RelationDesc(RelationType Type, ValueArray<string> Names)
{
    public static readonly RelationDesc Empty = new(RelationType.Empty, []);

    public int Arity => Names.Count;

    public static RelationDesc Of(params ReadOnlySpan<(string Name, ColumnType Type)> columns)
    {
        var names = new string[columns.Length];
        var types = new ColumnType[columns.Length];
        for (var i = 0; i < columns.Length; i++)
            (names[i], types[i]) = columns[i];
        return new RelationDesc(new RelationType(ValueArray.Create<ColumnType>(types)), ValueArray.Create<string>(names));
    }
}
