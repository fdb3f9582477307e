using System.Globalization;

namespace Materialize.SystemTests.RandomSql;

/// <summary>The types that the random tables have.</summary>
internal enum Kind
{
    Int4,
    Text,
    Bool,
    Int8,
    Int2,
    Numeric,
    Float8,
    Date,
    Timestamp,
    Interval,
    Jsonb,
}

/// <summary>
/// What the types are called and which few values they have. The values are such that both systems mean the same by them: floats are
/// multiples of a quarter (sums are exact), intervals have one unit (Materialize compares the units one after another, PostgreSQL their
/// sum), JSON numbers have no fraction, its keys one letter, and its nested values the key n.
/// </summary>
internal sealed class Kinds
{
    public static readonly Kind[] All = Enum.GetValues<Kind>();
    public static readonly Kind[] Ordered = [.. All.Where(k => k != Kind.Jsonb)];
    public static readonly Kind[] Numbers = [Kind.Int4, Kind.Int8, Kind.Int2, Kind.Numeric, Kind.Float8];

    private readonly Dictionary<Kind, string[]> _values;

    /// <summary>The values of one run: the unit of its intervals and whether floats may be NaN are the run's.</summary>
    public Kinds(Choices choices)
    {
        HasNaN = choices.Chance(15);
        var unit = choices.Of("day", "hour", "month");
        _values = new Dictionary<Kind, string[]>
        {
            [Kind.Int4] = ["0", "1", "2", "3", "-1", "7", "10"],
            [Kind.Int8] = ["0", "1", "2", "-2", "40"],
            [Kind.Int2] = ["0", "1", "2", "-3", "5"],
            [Kind.Numeric] = ["0", "1", "1.5", "2.50", "-0.75", "3.1"],
            [Kind.Float8] = HasNaN ? ["0", "1", "1.5", "-2.25", "NaN", "3"] : ["0", "1", "1.5", "-2.25", "3"],
            [Kind.Text] = ["", "a", "b", "ab", "Abc", " x", "a%b", "éa", "12"],
            [Kind.Bool] = ["false", "true"],
            [Kind.Date] = ["2024-01-31", "2024-02-29", "2023-12-31", "1999-07-01"],
            [Kind.Timestamp] = ["2024-01-31 00:00:00", "2024-02-29 12:30:00", "2023-12-31 23:59:59.5", "1999-07-01 06:00:00"],
            [Kind.Interval] = [$"0 {unit}", $"1 {unit}", $"2 {unit}", $"-1 {unit}", $"30 {unit}"],
            [Kind.Jsonb] = ["null", "1", "\"a\"", "{\"a\":1}", "{\"a\":\"x\",\"b\":null}", "{\"b\":true,\"n\":{\"a\":2}}", "[1,2]", "[]", "{}", "[\"a\",null,{\"n\":[1]}]"],
        };
    }

    public bool HasNaN { get; }

    public static bool IsInteger(Kind kind) => kind is Kind.Int2 or Kind.Int4 or Kind.Int8;

    public static bool IsNumber(Kind kind) => IsInteger(kind) || kind is Kind.Numeric or Kind.Float8;

    /// <summary>The largest number an expression of this type is let grow to, by the bounds kept for expressions.</summary>
    public static double Limit(Kind kind) => kind switch
    {
        Kind.Int2 => 30_000,
        Kind.Int4 => 2_000_000_000,
        Kind.Int8 => 9e18,
        Kind.Numeric => 1e15,
        Kind.Float8 => 1e9,
        Kind.Interval => 10_000,
        _ => double.PositiveInfinity,
    };

    /// <summary>The most that a value of the pool is, in units of the bounds.</summary>
    public static double Most(Kind kind) => kind == Kind.Interval ? 30 : kind == Kind.Int8 ? 40 : 10;

    /// <summary>The largest that a column of a table may come to be.</summary>
    public static double MostStored(Kind kind) => kind == Kind.Interval ? 100 : 1000;

    public static string Type(Kind kind) => kind switch
    {
        Kind.Int4 => "int4",
        Kind.Int8 => "int8",
        Kind.Int2 => "int2",
        Kind.Numeric => "numeric",
        Kind.Float8 => "float8",
        Kind.Text => "text",
        Kind.Bool => "bool",
        Kind.Date => "date",
        Kind.Timestamp => "timestamp",
        Kind.Interval => "interval",
        _ => "jsonb",
    };

    /// <summary>A constant as SQL, of just this type.</summary>
    public string Literal(Choices choices, Kind kind)
    {
        var value = choices.Pick(_values[kind]);
        return kind switch
        {
            Kind.Bool => value,
            Kind.Int4 => value.StartsWith('-') ? $"({value})" : value,
            Kind.Int2 or Kind.Int8 or Kind.Numeric => $"({value})::{Type(kind)}",
            _ => $"'{value}'::{Type(kind)}",
        };
    }

    /// <summary>The text of a value as both systems agree on it: without a numeric's trailing zeros, a float's sign of zero, a JSON's blanks, and with months in full.</summary>
    public static string Normal(Kind kind, string text) => kind switch
    {
        Kind.Numeric => Trimmed(text),
        Kind.Float8 => text == "-0" ? "0" : text,
        Kind.Interval => text.Replace("mon", "month", StringComparison.Ordinal).Replace("monthth", "month", StringComparison.Ordinal),
        Kind.Jsonb => System.Text.Json.JsonSerializer.Serialize(System.Text.Json.JsonDocument.Parse(text).RootElement),
        _ => text,
    };

    private static string Trimmed(string text)
    {
        if (text.Contains('.', StringComparison.Ordinal))
            text = text.TrimEnd('0').TrimEnd('.');
        return text == "-0" ? "0" : text;
    }

    /// <summary>A number as an SQL literal.</summary>
    public static string Number(double number) => number.ToString("F0", CultureInfo.InvariantCulture);
}
