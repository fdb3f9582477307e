using Materialize.Core.Collections;
using Materialize.Expr;
using Materialize.Protocol;
using Materialize.Repr;

namespace Materialize.Optimizer;

/// <summary>An index that the target cluster maintains.</summary>
public sealed record AvailableIndex(GlobalId Id, GlobalId OnId, ArrangementKey Key);

/// <summary>Which arrangements exist already: the optimizer prefers them to building new ones.</summary>
public interface IIndexOracle
{
    /// <summary>The usable indexes on a collection, oldest first; empty if there are none.</summary>
    IReadOnlyList<AvailableIndex> IndexesOn(GlobalId id);
}

/// <summary>An <see cref="IIndexOracle"/> over a fixed list.</summary>
public sealed class IndexList(IEnumerable<AvailableIndex> indexes) : IIndexOracle
{
    public static readonly IndexList None = new([]);

    private readonly ILookup<GlobalId, AvailableIndex> _byCollection = indexes.ToLookup(x => x.OnId);

    public IReadOnlyList<AvailableIndex> IndexesOn(GlobalId id) => [.. _byCollection[id]];
}

/// <summary>What a global id stands for, as far as plans are concerned.</summary>
public abstract record CollectionSource
{
    private CollectionSource()
    {
    }

    /// <summary>Rows in storage: a table, a source, a materialized view.</summary>
    public sealed record Storage(RelationType Type) : CollectionSource;

    /// <summary>A view: computed where it is used, unless an index has it.</summary>
    public sealed record View(MirRelationExpr Plan) : CollectionSource;
}

/// <summary>What the optimizer needs to know of the catalog.</summary>
public interface IDataflowCatalog : IIndexOracle
{
    CollectionSource Describe(GlobalId id);
}
