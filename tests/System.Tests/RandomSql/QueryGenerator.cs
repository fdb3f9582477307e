using System.Globalization;

namespace Materialize.SystemTests.RandomSql;

/// <summary>
/// Random queries over random tables, which PostgreSQL and Materialize are to answer alike: none depends on an order of rows that is not
/// asked for in full, none can fail, and none has what differs by design (see <see cref="Kinds"/>).
/// </summary>
internal sealed partial class QueryGenerator(Choices choices, RandomTables tables)
{
    private readonly Choices _choices = choices;
    private readonly Kinds _kinds = tables.Kinds;
    private readonly List<Named> _with = [];
    private int _names;
    private int _subqueries = 5;

    private List<Named> Tables { get; } =
        [.. tables.Tables.Select(t => new Named(t.Name, [.. t.Columns.Select(c => (c.Name, c.Kind, Kinds.MostStored(c.Kind)))]))];

    /// <summary>A whole query.</summary>
    public Query Next()
    {
        var kinds = Enumerable.Range(0, 1 + _choices.Next(4)).Select(_ => SomeStoredKind()).ToArray();
        if (_choices.Chance(6))
            return Recursive(kinds);
        var query = Relation(kinds, Scope.Empty, 3);
        if (_choices.Chance(20) && kinds.All(k => k != Kind.Jsonb))
            query = Limited(query);
        return query;
    }

    private Kind SomeStoredKind() => _choices.Pick(tables.Tables.SelectMany(t => t.Columns).Select(c => c.Kind).ToArray());

    private bool Spend() => _subqueries-- > 0;

    private string Name(string letter) => letter + (_names++).ToString(CultureInfo.InvariantCulture);

    /// <summary>Any query with columns c0, c1, … of these types.</summary>
    private Query Relation(Kind[] kinds, Scope outer, int depth)
    {
        var form = depth <= 0 ? 0 : _choices.Next(14);
        switch (form)
        {
            case 8 or 9 when Spend():
                return SetOperation(kinds, outer, depth - 1);
            case 10 when Spend():
                return With(kinds, outer, depth - 1);
            case 11 when kinds.All(k => k != Kind.Jsonb) && Spend():
                return Limited(Relation(kinds, outer, depth - 1));
            case 12:
                return DistinctOn(kinds, outer, depth - 1);
            case 4 or 5:
                return GroupQuery(kinds, outer, depth);
            case 6:
                return AggregateQuery(kinds, outer, depth);
            default:
                return Plain(kinds, outer, depth, form == 7 ? "DISTINCT " : "");
        }
    }

    private Query Plain(Kind[] kinds, Scope outer, int depth, string distinct)
    {
        var (from, atoms) = From(outer, depth);
        var scope = new Scope(atoms, outer);
        var columns = kinds.Select(k => atoms.Count > 0 && k != Kind.Jsonb && _choices.Chance(6) ? Windowed(k, scope) : Scalar(k, scope, Math.Min(depth, 2))).ToList();
        return Named($"SELECT {distinct}{List(columns)}{from}{Where(scope, depth)}", columns);
    }

    /// <summary>One row always, unless HAVING takes it.</summary>
    private Query AggregateQuery(Kind[] kinds, Scope outer, int depth)
    {
        var (from, atoms) = From(outer, depth - 1);
        var rows = new Scope(atoms, outer);
        var scope = new Scope([], outer) { Grouped = rows, HasSubqueries = false };
        var columns = kinds.Select(k => Aggregate(k, rows, Math.Min(depth - 1, 1))).ToList();
        var having = _choices.Chance(10) ? $" HAVING {Condition(scope, 1)}" : "";
        return Named($"SELECT {List(columns)}{from}{Where(rows, depth - 1)}{having}", columns);
    }

    private Query GroupQuery(Kind[] kinds, Scope outer, int depth)
    {
        var (from, atoms) = From(outer, depth);
        var rows = new Scope(atoms, outer);
        if (atoms.Count == 0)
            return AggregateQuery(kinds, outer, depth);
        var keys = Enumerable.Range(0, 1 + _choices.Next(2)).Select(_ => Key(rows)).DistinctBy(a => a.Ex.Text).ToList();
        var scope = new Scope(keys, outer) { Grouped = rows };
        var columns = kinds.Select(k => Scalar(k, scope, Math.Min(depth, 2))).ToList();
        var having = _choices.Chance(30) ? $" HAVING {Condition(scope, depth - 1)}" : "";
        return Named($"SELECT {List(columns)}{from}{Where(rows, depth - 1)} GROUP BY {string.Join(", ", keys.Select(k => k.Ex.Text))}{having}", columns);
    }

    // A key that is no column must not be a constant: a number would be a position, and PostgreSQL takes no constant text.
    private Atom Key(Scope rows)
    {
        var atom = _choices.Pick(rows.Atoms);
        if (!_choices.Chance(25))
            return atom;
        var kind = atom.Kind;
        var text = kind switch
        {
            Kind.Text => $"upper({atom.Ex})",
            Kind.Timestamp => $"date_trunc('month', {atom.Ex})",
            Kind.Int4 or Kind.Int8 => $"({atom.Ex} % 2)",
            _ => $"coalesce({atom.Ex}, {_kinds.Literal(_choices, kind)})",
        };
        return new Atom(atom.Ex with { Text = text, Bound = Math.Max(atom.Ex.Bound, Kinds.Most(kind)) }, IsSimple: false);
    }

    private Query SetOperation(Kind[] kinds, Scope outer, int depth)
    {
        var left = Relation(kinds, outer, depth);
        var right = Relation(kinds, outer, depth);
        var op = _choices.Of("UNION ALL", "UNION", "EXCEPT", "EXCEPT ALL", "INTERSECT", "INTERSECT ALL");
        var columns = left.Columns.Zip(right.Columns, (l, r) => l with { Bound = Math.Max(l.Bound, r.Bound) }).ToList();
        return new Query($"({left.Text}) {op} ({right.Text})", columns, IsOpen: true);
    }

    private Query With(Kind[] kinds, Scope outer, int depth)
    {
        var before = _with.Count;
        var definitions = new List<string>();
        for (var i = 1 + _choices.Next(2); i > 0; i--)
        {
            var query = Relation([.. Enumerable.Range(0, 1 + _choices.Next(3)).Select(_ => SomeStoredKind())], outer, depth);
            var name = Name("w");
            definitions.Add($"{name} AS ({query.Text})");
            _with.Add(new Named(name, Outside(query)));
        }

        var body = Relation(kinds, outer, depth);
        _with.RemoveRange(before, _with.Count - before);
        if (body.Text.StartsWith("WITH", StringComparison.Ordinal))
            body = Wrapped(body);
        return body with { Text = $"WITH {string.Join(", ", definitions)} {body.Text}" };
    }

    private Query DistinctOn(Kind[] kinds, Scope outer, int depth)
    {
        if (kinds.Contains(Kind.Jsonb))
            return Plain(kinds, outer, depth, "DISTINCT ");
        var rows = Relation(kinds, outer, depth);
        var name = Name("a");
        var columns = kinds.Select((_, i) => $"{name}.c{i}").ToList();
        var direction = _choices.Of("", " DESC", " NULLS FIRST");
        var query = new Query(
            $"SELECT DISTINCT ON ({columns[0]}) {string.Join(", ", columns)} FROM ({rows.Text}) AS {name} ORDER BY {string.Join(", ", columns.Select((c, i) => i == 0 ? c + direction : c))}",
            rows.Columns,
            IsOpen: false);
        return _choices.Chance(50) ? query : Wrapped(query);
    }

    private Query Wrapped(Query query) => query with { Text = $"SELECT * FROM ({query.Text}) AS {Name("a")}", IsOpen = true };

    private Query Limited(Query query, string? limit = null)
    {
        if (!query.IsOpen || _choices.Chance(30))
            query = Wrapped(query);
        limit ??= _choices.Of("2", "1", "5", "0", "30");
        var offset = _choices.Chance(30) ? $" OFFSET {_choices.Of("1", "2")}" : "";
        return query with { Text = $"{query.Text} {Order(query.Columns.Count)} LIMIT {limit}{offset}", IsOpen = false };
    }

    /// <summary>An order of all columns.</summary>
    private string Order(int columns) => "ORDER BY " + string.Join(
        ", ",
        Enumerable.Range(1, columns).Select(i => $"{i}{_choices.Of("", "", " DESC", " NULLS FIRST", " DESC NULLS LAST")}"));

    private string Where(Scope scope, int depth) => _choices.Chance(55) ? $" WHERE {Condition(scope, Math.Min(depth, 3))}" : "";

    private static string List(IEnumerable<Ex> columns) => string.Join(", ", columns.Select((c, i) => $"{c} AS c{i}"));

    private static Query Named(string text, List<Ex> columns) => new(text, columns, IsOpen: true);

    private static (string Name, Kind Kind, double Bound)[] Outside(Query query) => [.. query.Columns.Select((c, i) => ($"c{i}", c.Kind, c.Bound))];
}
