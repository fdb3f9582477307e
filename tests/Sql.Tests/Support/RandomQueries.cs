namespace Materialize.Sql.Tests;

/// <summary>
/// Random queries over t (a int NOT NULL, b int, c int), u (a int, x int), e (z int): joins of all kinds, correlated subqueries
/// in all places, grouping, set operations. All values are small integers, so that nulls, matches and misses are all common.
/// </summary>
internal sealed class RandomQueries(int seed)
{
    private static readonly (string Name, string[] Columns)[] Tables = [("t", ["a", "b", "c"]), ("u", ["a", "x"]), ("e", ["z"])];

    private readonly Random _random = new(seed);
    private int _aliases;

    public string Next()
    {
        _aliases = 0;
        return Chance(0.2) ? SetOperation() : Select([], 2, 0).Sql;
    }

    private bool Chance(double p) => _random.NextDouble() < p;

    private T Pick<T>(IReadOnlyList<T> items) => items[_random.Next(items.Count)];

    private string SetOperation()
    {
        var op = Pick((string[])["UNION", "UNION ALL", "EXCEPT", "EXCEPT ALL", "INTERSECT", "INTERSECT ALL"]);
        var arity = _random.Next(1, 3);
        return $"({Select([], 1, arity).Sql}) {op} ({Select([], 1, arity).Sql})";
    }

    /// <param name="outer">Columns that a subquery may refer to.</param>
    /// <param name="arity">0: any.</param>
    private (string Sql, int Arity) Select(List<string> outer, int depth, int arity)
    {
        var (from, columns) = From(outer, depth);
        var scope = outer.Concat(columns).ToList();
        var where = Chance(0.6) ? $" WHERE {Predicate(scope, depth)}" : "";
        arity = arity == 0 ? _random.Next(1, 4) : arity;
        if (Chance(0.3))
        {
            var keys = columns.OrderBy(_ => _random.Next()).Take(_random.Next(0, 3)).ToList();
            var outputs = Enumerable.Range(0, arity).Select(_ => keys.Count > 0 && Chance(0.5) ? Pick(keys) : Aggregate(columns)).ToList();
            if (keys.Count == 0 && outputs.TrueForAll(o => !o.Contains('(')))
                outputs[0] = "count(*)";
            var group = keys.Count > 0 ? $" GROUP BY {string.Join(", ", keys)}" : "";
            var having = Chance(0.3) ? $" HAVING {Aggregate(columns)} > {_random.Next(3)}" : "";
            return ($"SELECT {string.Join(", ", outputs)}{from}{where}{group}{having}", arity);
        }

        var distinct = Chance(0.2) ? "DISTINCT " : "";
        return ($"SELECT {distinct}{string.Join(", ", Enumerable.Range(0, arity).Select(_ => Scalar(scope, depth)))}{from}{where}", arity);
    }

    private string Aggregate(List<string> columns)
    {
        var argument = columns.Count == 0 ? "1" : Pick(columns);
        return Pick((string[])["count(*)", $"count({argument})", $"sum({argument})", $"min({argument})", $"max({argument})", $"count(DISTINCT {argument})", $"count(*) FILTER (WHERE {argument} > 1)"]);
    }

    private (string Sql, List<string> Columns) From(List<string> outer, int depth)
    {
        var (sql, columns) = Factor(outer, depth, lateral: false);
        var count = _random.Next(0, 3);
        for (var i = 0; i < count; i++)
        {
            var kind = Pick((string[])["JOIN", "LEFT JOIN", "RIGHT JOIN", "FULL JOIN", "CROSS JOIN", "LATERAL", "LEFT LATERAL"]);
            if (kind is "LATERAL" or "LEFT LATERAL")
            {
                var (right, rightColumns) = Derived(outer.Concat(columns).ToList(), depth - 1);
                sql = kind == "LATERAL" ? $"{sql} CROSS JOIN LATERAL {right}" : $"{sql} LEFT JOIN LATERAL {right} ON {On(columns, rightColumns, full: false)}";
                columns = [.. columns, .. rightColumns];
            }
            else
            {
                var (right, rightColumns) = Factor(outer, depth, lateral: false);
                sql = kind == "CROSS JOIN" ? $"{sql} CROSS JOIN {right}" : $"{sql} {kind} {right} ON {On(columns, rightColumns, full: kind == "FULL JOIN")}";
                columns = [.. columns, .. rightColumns];
            }
        }

        return ($" FROM {sql}", columns);
    }

    private (string Sql, List<string> Columns) Factor(List<string> outer, int depth, bool lateral)
    {
        _ = lateral;
        if (depth > 0 && Chance(0.15))
            return Derived(outer, depth - 1);
        var (name, columns) = Pick(Tables);
        var alias = $"q{_aliases++}";
        return ($"{name} AS {alias}", columns.Select(c => $"{alias}.{c}").ToList());
    }

    private (string Sql, List<string> Columns) Derived(List<string> outer, int depth)
    {
        var (sql, arity) = Select(outer, Math.Max(depth, 0), 0);
        var alias = $"q{_aliases++}";
        var names = Enumerable.Range(0, arity).Select(i => $"k{i}").ToList();
        return ($"({sql}) AS {alias} ({string.Join(", ", names)})", names.Select(n => $"{alias}.{n}").ToList());
    }

    private string On(List<string> left, List<string> right, bool full)
    {
        var equation = $"{Pick(left)} = {Pick(right)}";

        // Postgres runs full joins only for conditions that can be hashed or merged.
        if (full || Chance(0.5))
            return equation;
        var more = Chance(0.5) ? $"{equation} AND {Pick(Chance(0.5) ? left : right)} > {_random.Next(3)}" : $"{Pick(left)} < {Pick(right)}";
        return Chance(0.1) ? Pick((string[])["true", "false"]) : more;
    }

    private string Scalar(List<string> scope, int depth)
    {
        if (depth > 0 && Chance(0.15))
            return Chance(0.5) ? $"({ScalarQuery(scope, depth - 1)})" : $"CASE WHEN {Predicate(scope, depth - 1)} THEN 1 ELSE 0 END";
        return Chance(0.15)
            ? Pick((string[])[$"coalesce({Column(scope)}, 7)", $"{Column(scope)} + {Column(scope)}", $"nullif({Column(scope)}, 1)", _random.Next(4).ToString()])
            : Column(scope);
    }

    private string Column(List<string> scope) => scope.Count == 0 ? _random.Next(4).ToString() : Pick(scope);

    private string ScalarQuery(List<string> scope, int depth)
    {
        var (from, columns) = From(scope, Math.Max(depth, 0));
        var where = Chance(0.8) ? $" WHERE {Predicate(scope.Concat(columns).ToList(), Math.Max(depth, 0))}" : "";
        return Chance(0.7)
            ? $"SELECT {Aggregate(columns)}{from}{where}"
            : $"SELECT {Pick(columns)}{from}{where} ORDER BY 1 LIMIT 1";
    }

    private string Predicate(List<string> scope, int depth)
    {
        if (depth > 0 && Chance(0.5))
        {
            switch (_random.Next(7))
            {
                case 0:
                    return $"{(Chance(0.4) ? "NOT " : "")}EXISTS ({Select(scope, depth - 1, 1).Sql})";
                case 1 or 2:
                    return $"{Column(scope)} {(Chance(0.5) ? "NOT " : "")}IN ({Select(scope, depth - 1, 1).Sql})";
                case 3:
                    return $"{Column(scope)} {Pick((string[])["<", ">=", "<>", "="])} {Pick((string[])["ANY", "ALL"])} ({Select(scope, depth - 1, 1).Sql})";
                case 4:
                    return $"{Column(scope)} = ({ScalarQuery(scope, depth - 1)})";
                case 5:
                    return $"({Predicate(scope, depth - 1)} OR {Predicate(scope, depth - 1)})";
                default:
                    return $"({Predicate(scope, depth - 1)} AND {Predicate(scope, depth - 1)})";
            }
        }

        return _random.Next(6) switch
        {
            0 => $"{Column(scope)} IS {(Chance(0.5) ? "NOT " : "")}NULL",
            1 => $"{Column(scope)} > {_random.Next(3)}",
            2 => $"NOT ({Column(scope)} = {Column(scope)})",
            3 => $"{Column(scope)} IS DISTINCT FROM {Column(scope)}",
            _ => $"{Column(scope)} = {Column(scope)}",
        };
    }
}
