namespace Materialize.SystemTests.RandomSql;

/// <summary>
/// Recursive sets that are finite: a step takes values from the set and from tables as they are, or counts in a small circle. PostgreSQL
/// lets the step name its set once, in a join.
/// </summary>
internal sealed partial class QueryGenerator
{
    private static readonly Kind[] Recurring = [Kind.Int4, Kind.Text, Kind.Bool, Kind.Int8, Kind.Date, Kind.Timestamp];

    private Query Recursive(Kind[] wanted)
    {
        var kinds = Enumerable.Range(0, 1 + _choices.Next(3)).Select(_ => SomeStoredKind()).Select(k => Recurring.Contains(k) ? k : Kind.Int4).ToArray();
        var first = Relation(kinds, Scope.Empty, 1);
        var set = new Named(Name("w"), [.. Outside(first).Select(c => (c.Name, c.Kind, Math.Max(c.Bound, Kinds.MostStored(c.Kind))))]);
        var left = Table(set, Name("a"));
        var right = Table(_choices.Pick(Tables), Name("a"));
        var joined = On(left, right, Scope.Empty, 1, _choices.Of("JOIN", "JOIN", "LEFT JOIN"));
        var scope = new Scope(joined.Atoms, null) { HasSubqueries = false };
        var columns = kinds.Select(k => Leaf(k, scope) is { Kind: Kind.Int4 } number && _choices.Chance(30) ? number with { Text = $"(({number} + 1) % 6)" } : Leaf(k, scope));
        var step = $"SELECT {List(columns)} FROM {joined.Text}{Where(scope, 1)}";
        _with.Add(set);
        var body = Relation(wanted, Scope.Empty, 2);
        _with.Clear();
        if (body.Text.StartsWith("WITH", StringComparison.Ordinal))
            body = Wrapped(body);
        var heading = string.Join(", ", set.Columns.Select(c => $"{c.Name} {Kinds.Type(c.Kind)}"));
        return body with { Text = $"WITH MUTUALLY RECURSIVE {set.Name} ({heading}) AS (({first.Text}) UNION ({step})) {body.Text}" };
    }
}
