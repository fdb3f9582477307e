using System.Text;

namespace Materialize.SystemTests.RandomSql;

/// <summary>A column of a random table. Columns of one name have one type in all tables, so that they can be joined by name.</summary>
internal sealed record TableColumn(string Name, Kind Kind, string Type, bool IsNullable, int NullPercent);

internal sealed record RandomTable(string Name, IReadOnlyList<TableColumn> Columns)
{
    public string Ddl => $"CREATE TABLE {Name} ({string.Join(", ", Columns.Select(c => $"{c.Name} {c.Type}{(c.IsNullable ? "" : " NOT NULL")}"))})";
}

/// <summary>A few small tables with few distinct values, and random changes of them that fail nowhere.</summary>
internal sealed class RandomTables
{
    private static readonly (string Name, Kind Kind, string Type)[] Pool =
    [
        ("i0", Kind.Int4, "int4"), ("i1", Kind.Int4, "int4"), ("s0", Kind.Text, "text"), ("b0", Kind.Bool, "bool"), ("l0", Kind.Int8, "int8"),
        ("h0", Kind.Int2, "int2"), ("n0", Kind.Numeric, "numeric(8,2)"), ("n1", Kind.Numeric, "numeric"), ("f0", Kind.Float8, "float8"), ("s1", Kind.Text, "text"),
        ("d0", Kind.Date, "date"), ("m0", Kind.Timestamp, "timestamp"), ("v0", Kind.Interval, "interval"), ("j0", Kind.Jsonb, "jsonb"),
    ];

    private readonly Choices _choices;

    public RandomTables(Choices choices)
    {
        _choices = choices;
        Kinds = new Kinds(choices);
        Tables = [.. Enumerable.Range(0, 2 + choices.Next(2)).Select(Table)];
    }

    public Kinds Kinds { get; }

    public IReadOnlyList<RandomTable> Tables { get; }

    /// <summary>An INSERT for each table that is to begin with rows.</summary>
    public IEnumerable<string> FirstRows()
    {
        foreach (var table in Tables)
        {
            if (_choices.Next(12) is var rows and > 0)
                yield return Insert(table, rows);
        }
    }

    /// <summary>One to three statements that change rows.</summary>
    public List<string> Changes() => [.. Enumerable.Range(0, 1 + _choices.Next(3)).Select(_ => Change(_choices.Pick(Tables)))];

    private RandomTable Table(int number)
    {
        var columns = new List<TableColumn>();
        foreach (var (name, kind, type) in Pool)
        {
            if (_choices.Chance(name is "i0" or "s0" ? 75 : 30))
                columns.Add(new TableColumn(name, kind, type, _choices.Chance(75), 10 + _choices.Next(40)));
        }

        if (columns.Count == 0)
            columns.Add(new TableColumn("i0", Kind.Int4, "int4", true, 20));
        return new RandomTable($"t{number}", columns);
    }

    private string Insert(RandomTable table, int rows)
    {
        var text = new StringBuilder($"INSERT INTO {table.Name} VALUES ");
        for (var i = 0; i < rows; i++)
            text.Append(i == 0 ? "(" : ", (").AppendJoin(", ", table.Columns.Select(Value)).Append(')');
        return text.ToString();
    }

    private string Value(TableColumn column) =>
        column.IsNullable && _choices.Chance(column.NullPercent) ? "NULL" : Kinds.Literal(_choices, column.Kind);

    private string Change(RandomTable table)
    {
        switch (_choices.Next(6))
        {
            case 0 or 1:
                return Insert(table, 1 + _choices.Next(4));
            case 2:
                return $"DELETE FROM {table.Name} WHERE {Condition(table)}";
            case 3 when _choices.Chance(20):
                return $"DELETE FROM {table.Name}";
            case 4 when table.Columns.All(c => c.Kind != Kind.Jsonb):
                var columns = string.Join(", ", table.Columns.Select(c => c.Name));
                return $"INSERT INTO {table.Name} SELECT {columns} FROM {table.Name} WHERE {Condition(table)} ORDER BY {columns} LIMIT 3";
            default:
                var column = _choices.Pick(table.Columns);
                return $"UPDATE {table.Name} SET {column.Name} = {NewValue(column)} WHERE {Condition(table)}";
        }
    }

    // Values stay among the few, so that joins and groups keep meeting.
    private string NewValue(TableColumn column)
    {
        var literal = Kinds.Literal(_choices, column.Kind);
        var value = (_choices.Next(3), column.Kind) switch
        {
            (1, Kind.Int2 or Kind.Int4 or Kind.Int8 or Kind.Numeric) => $"({column.Name} + 1) % 5",
            (1, Kind.Float8) => $"- {column.Name}",
            (1, Kind.Text) => $"left({column.Name} || 'b', 3)",
            (1, Kind.Bool) => $"NOT {column.Name}",
            (1, Kind.Interval) => $"- {column.Name}",
            (2, not Kind.Jsonb) => $"nullif({column.Name}, {literal})",
            _ => column.IsNullable && _choices.Chance(column.NullPercent) ? "NULL" : literal,
        };
        if (column.Kind == Kind.Int2)
            value = $"({value})::int2";
        return column.IsNullable ? value : $"coalesce({value}, {literal})";
    }

    private string Condition(RandomTable table)
    {
        var column = _choices.Pick(table.Columns);
        var literal = Kinds.Literal(_choices, column.Kind);
        return (_choices.Next(5), column.Kind) switch
        {
            (0, _) => $"{column.Name} = {literal}",
            (1, _) => $"{column.Name} IS NULL",
            (2, _) => $"{column.Name} IS DISTINCT FROM {literal}",
            (3, not Kind.Jsonb) => $"{column.Name} < {literal}",
            _ => $"{column.Name} IN ({literal}, {Kinds.Literal(_choices, column.Kind)})",
        };
    }
}
