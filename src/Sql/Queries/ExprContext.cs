using Materialize.Core.Collections;
using Materialize.Repr;

namespace Materialize.Sql;

/// <summary>Where an expression stands: what it can name and what it may contain.</summary>
internal sealed record ExprContext(string Clause, Scope Scope)
{
    /// <summary>Takes the aggregates; null where there can be none.</summary>
    public AggregateCollector? Aggregates { get; init; }

    /// <summary>Why aggregates cannot stand here, if it is not the clause.</summary>
    public bool InAggregate { get; init; }

    public bool AllowSubqueries { get; init; } = true;

    public bool AllowWindows { get; init; }

    /// <summary>The OVER clause of the aggregate being planned: its aggregates are computed over windows.</summary>
    public WindowExpr? Over { get; init; }

    /// <summary>Calls of table functions that were joined to the relation already, and their column.</summary>
    public IReadOnlyDictionary<Ast.Expr, int>? TableFunctions { get; init; }

    /// <summary>What <c>$n</c> means inside a macro.</summary>
    public MacroFrame? Macro { get; init; }
}

/// <summary>A macro being expanded: its arguments as planned where it was called.</summary>
/// <param name="Depth">How many scopes there were; deeper uses shift the arguments.</param>
/// <param name="Distinct">The call's DISTINCT and FILTER go to each aggregate of the macro's text.</param>
internal sealed record MacroFrame(ValueArray<HirScalarExpr> Args, int Depth, bool Distinct, HirScalarExpr? Filter);

/// <summary>
/// The aggregates of one SELECT. While its expressions are planned they are columns that follow the relation's own; once all are
/// known the grouping puts them in their place.
/// </summary>
internal sealed class AggregateCollector(int arity)
{
    private readonly List<HirAggregate> _aggregates = [];

    public IReadOnlyList<HirAggregate> Aggregates => _aggregates;

    /// <summary>The columns before the first aggregate.</summary>
    public int Arity { get; } = arity;

    public HirScalarExpr Add(HirAggregate aggregate)
    {
        var at = _aggregates.IndexOf(aggregate);
        if (at < 0)
        {
            at = _aggregates.Count;
            _aggregates.Add(aggregate);
        }

        return new HirScalarExpr.Column(0, Arity + at, aggregate.Output);
    }
}
