using System.Text.RegularExpressions;

namespace Materialize.SystemTests.RandomSql;

/// <summary>An expression of a type, with a bound on how large its numbers can be (days or other units for intervals).</summary>
internal readonly record struct Ex(string Text, Kind Kind, double Bound)
{
    public override string ToString() => Text;
}

/// <summary>What an expression may name: a column, or an expression of GROUP BY. Subqueries may name it if it is a simple column.</summary>
internal sealed record Atom(Ex Ex, bool IsSimple)
{
    public Kind Kind => Ex.Kind;
}

/// <summary>What a place in a query can name.</summary>
/// <param name="Atoms">Of the query itself.</param>
/// <param name="Outer">Of all queries around it, if it may be correlated.</param>
internal sealed record Scope(IReadOnlyList<Atom> Atoms, Scope? Outer)
{
    public static Scope Empty { get; } = new([], null);

    /// <summary>Where the arguments of aggregates come from; null where there can be none.</summary>
    public Scope? Grouped { get; init; }

    /// <summary>False where PostgreSQL takes no subquery, or where one would only be noise.</summary>
    public bool HasSubqueries { get; init; } = true;

    /// <summary>This scope as a subquery in it sees it.</summary>
    public Scope Inner() => new([.. Atoms.Where(a => a.IsSimple), .. Outer?.Atoms ?? []], null);
}

/// <summary>A relation that FROM can name: a table, or a query of WITH.</summary>
internal sealed record Named(string Name, IReadOnlyList<(string Name, Kind Kind, double Bound)> Columns);

/// <summary>A query in text, with its columns c0, c1, …. An open one ends where ORDER BY may follow.</summary>
internal sealed partial record Query(string Text, IReadOnlyList<Ex> Columns, bool IsOpen)
{
    /// <summary>The same for PostgreSQL, whose recursive queries have another heading and take the types of their columns from what they begin with.</summary>
    public string PostgresText => RecursiveHead().Replace(Text, head => $"WITH RECURSIVE {head.Groups[1]} ({Typed().Replace(head.Groups[2].Value, "$1")}) AS");

    [GeneratedRegex(@"WITH MUTUALLY RECURSIVE (\w+) \(([^)]*)\) AS")]
    private static partial Regex RecursiveHead();

    [GeneratedRegex(@"(\w+) \w+")]
    private static partial Regex Typed();
}
