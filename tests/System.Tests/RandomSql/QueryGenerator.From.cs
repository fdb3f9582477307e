namespace Materialize.SystemTests.RandomSql;

/// <summary>FROM: joins of tables, subqueries, lists of values and series.</summary>
internal sealed partial class QueryGenerator
{
    /// <summary>A FROM item: its text, what it lets be named, and the columns a join by name can take, which only tables have.</summary>
    private sealed record Item(string Text, List<Atom> Atoms, IReadOnlyList<(string Alias, Named Table)> Tables);

    /// <summary>A FROM clause with its blank before it, or nothing.</summary>
    private (string Text, List<Atom> Atoms) From(Scope outer, int depth)
    {
        if (_choices.Chance(4))
            return ("", []);
        var item = Joined(outer, depth, 1 + _choices.Next(depth > 1 ? 3 : 2));
        if (_choices.Chance(12))
        {
            var more = Leaf(outer, item.Atoms, depth);
            item = new Item($"{item.Text}, {more.Text}", [.. item.Atoms.Where(a => a.IsSimple), .. more.Atoms], []);
        }

        return ($" FROM {item.Text}", item.Atoms);
    }

    private Item Joined(Scope outer, int depth, int count)
    {
        var left = Leaf(outer, null, depth);
        for (var i = 1; i < count; i++)
            left = _choices.Chance(15) ? JoinNested(left, outer, depth) : Join(left, outer, depth);
        return left;
    }

    private Item JoinNested(Item left, Scope outer, int depth)
    {
        var right = Joined(outer, depth - 1, 2);
        return On(left, right with { Text = $"({right.Text})" }, outer, depth, _choices.Of("JOIN", "LEFT JOIN", "RIGHT JOIN", "FULL JOIN"));
    }

    private Item Join(Item left, Scope outer, int depth)
    {
        var kind = _choices.Of("JOIN", "JOIN", "LEFT JOIN", "LEFT JOIN", "RIGHT JOIN", "FULL JOIN", "CROSS JOIN");
        var isLateral = kind is "JOIN" or "LEFT JOIN" or "CROSS JOIN" && _choices.Chance(20);
        var right = Leaf(outer, isLateral ? left.Atoms : null, depth);
        if (kind == "CROSS JOIN")
            return new Item($"{left.Text} CROSS JOIN {right.Text}", [.. left.Atoms.Concat(right.Atoms).Where(a => a.IsSimple)], []);
        return isLateral || !_choices.Chance(25) || Using(left, right, kind) is not { } joined ? On(left, right, outer, depth, kind) : joined;
    }

    private Item On(Item left, Item right, Scope outer, int depth, string kind)
    {
        // Merged columns of a join by name could be ambiguous from here on.
        List<Atom> atoms = [.. left.Atoms.Concat(right.Atoms).Where(a => a.IsSimple)];
        var scope = new Scope(atoms, outer) { HasSubqueries = kind != "FULL JOIN" && _choices.Chance(30) };
        var conditions = new List<string>();
        var pairs = (from l in left.Atoms where l.IsSimple from r in right.Atoms where r.IsSimple && (l.Kind == r.Kind || (Kinds.IsNumber(l.Kind) && Kinds.IsNumber(r.Kind))) select (l, r)).ToList();
        if (pairs.Count > 0 && (kind == "FULL JOIN" || _choices.Chance(80)))
        {
            var (l, r) = _choices.Pick(pairs);
            conditions.Add($"{l.Ex} = {r.Ex}");
        }
        else if (kind == "FULL JOIN")
        {
            kind = "LEFT JOIN";
        }

        if (conditions.Count == 0 || _choices.Chance(30))
            conditions.Add(_choices.Chance(15) ? "true" : Condition(scope, Math.Min(depth - 1, 2)));
        return new Item($"{left.Text} {kind} {right.Text} ON {string.Join(" AND ", conditions)}", atoms, []);
    }

    /// <summary>A join of two tables by the columns that both have, if there are some. The merged ones have no table's name before them.</summary>
    private Item? Using(Item left, Item right, string kind)
    {
        if (left.Tables is not [var (_, leftTable)] || right.Tables is not [var (_, rightTable)])
            return null;
        var shared = leftTable.Columns.Where(c => rightTable.Columns.Any(r => r.Name == c.Name)).Select(c => c.Name).ToList();
        if (shared.Count == 0 || shared.Exists(name => leftTable.Columns.First(c => c.Name == name).Kind != rightTable.Columns.First(c => c.Name == name).Kind))
            return null;
        var natural = _choices.Chance(20);
        var named = natural ? shared : [.. shared.Take(1 + _choices.Next(2))];
        var text = natural ? $"{left.Text} NATURAL {kind} {right.Text}" : $"{left.Text} {kind} {right.Text} USING ({string.Join(", ", named)})";
        var merged = leftTable.Columns.Where(c => named.Contains(c.Name)).Select(c => new Atom(new Ex(c.Name, c.Kind, c.Bound), IsSimple: false));
        return new Item(text, [.. left.Atoms, .. right.Atoms, .. merged], []);
    }

    /// <param name="outer">Around the whole FROM.</param>
    /// <param name="beside">What a lateral item may name besides; null if it must not.</param>
    /// <param name="depth">How deep a subquery may still be.</param>
    private Item Leaf(Scope outer, List<Atom>? beside, int depth)
    {
        var name = Name("a");
        var around = beside is null ? outer : new Scope([.. beside.Where(a => a.IsSimple), .. outer.Atoms], outer.Outer);
        switch (_choices.Next(14))
        {
            case 9 when _with.Count > 0:
            case 10 when _with.Count > 0:
            case 8 when _with.Count > 0:
                return Table(_choices.Pick(_with), name);
            case 11 when depth > 0 && Spend():
            case 12 when depth > 0 && Spend():
                return Derived(around, beside, depth, name);
            case 13 when _choices.Chance(50):
                var (first, bound) = beside is not null && around.Atoms.FirstOrDefault(a => a.Kind == Kind.Int4) is { } atom ? (atom.Ex.Text, 1000) : ("1", 4);
                var series = first == "1" ? $"generate_series(1, {_choices.Of("3", "2", "0")})" : $"generate_series(1, least({first}, 3))";
                return new Item($"{series} AS {name} (c0)", [new Atom(new Ex($"{name}.c0", Kind.Int4, bound), IsSimple: true)], []);
            case 13:
                return Values(name);
            default:
                return beside is not null && depth > 0 && Spend() ? Derived(around, beside, depth, name) : Table(_choices.Pick(Tables), name);
        }
    }

    private Item Derived(Scope around, List<Atom>? beside, int depth, string name)
    {
        var kinds = Enumerable.Range(0, 1 + _choices.Next(3)).Select(_ => SomeStoredKind()).ToArray();
        var query = Relation(kinds, around, depth - 1);
        return new Item($"{(beside is null ? "" : "LATERAL ")}({query.Text}) AS {name}", Atoms(name, Outside(query)), []);
    }

    private Item Values(string name)
    {
        var kinds = Enumerable.Range(0, 1 + _choices.Next(2)).Select(_ => SomeStoredKind()).ToArray();
        var rows = Enumerable.Range(0, 1 + _choices.Next(3)).Select(r => $"({string.Join(", ", kinds.Select(k => r > 0 && _choices.Chance(20) ? "NULL" : _kinds.Literal(_choices, k)))})").ToList();
        (string Name, Kind Kind, double Bound)[] columns = [.. kinds.Select((k, i) => ($"c{i}", k, Kinds.Most(k)))];
        return new Item($"(VALUES {string.Join(", ", rows)}) AS {name} ({string.Join(", ", columns.Select(c => c.Name))})", Atoms(name, columns), []);
    }

    private static Item Table(Named table, string name) => new($"{table.Name} AS {name}", Atoms(name, table.Columns), [(name, table)]);

    private static List<Atom> Atoms(string name, IEnumerable<(string Name, Kind Kind, double Bound)> columns) =>
        [.. columns.Select(c => new Atom(new Ex($"{name}.{c.Name}", c.Kind, c.Bound), IsSimple: true))];
}
