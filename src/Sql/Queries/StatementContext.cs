using Materialize.Core.Collections;
using Materialize.Repr;

namespace Materialize.Sql;

/// <summary>What a query becomes: it decides which functions and parameters may stand in it.</summary>
internal enum QueryLifetime
{
    /// <summary>Run once, now.</summary>
    OneShot,

    /// <summary>SUBSCRIBE: run once, but maintained.</summary>
    Subscribe,

    /// <summary>A view's definition.</summary>
    View,

    /// <summary>A materialized view's definition, an index's key.</summary>
    MaterializedView,
}

/// <summary>What is gathered while one statement is planned: parameters, dependencies, resolved names, notices.</summary>
internal sealed class StatementContext(ISqlCatalog catalog, QueryLifetime lifetime)
{
    private readonly SortedDictionary<int, SqlType?> _parameters = [];
    private readonly SortedSet<GlobalId> _dependencies = [];
    private int _nextLocalId;

    public ISqlCatalog Catalog { get; } = catalog;

    public QueryLifetime Lifetime { get; init; } = lifetime;

    /// <summary>Views and other stored definitions cannot have parameters.</summary>
    public bool AllowParameters { get; init; } = true;

    /// <summary>The nodes of the tree that name an item, and what they name: normalising rewrites these.</summary>
    public Dictionary<Ast.AstNode, FullName> ResolvedNames { get; } = new(ReferenceEqualityComparer.Instance);

    public List<PlanNotice> Notices { get; } = [];

    public bool UsesUnmaterializable { get; set; }

    public ValueArray<GlobalId> Dependencies => _dependencies.ToValueArray();

    /// <summary>The type of each parameter seen; null where nothing has decided it.</summary>
    public IReadOnlyDictionary<int, SqlType?> Parameters => _parameters;

    /// <summary>The parameters' values, once there are some; null while a statement is only described.</summary>
    public Params? Values { get; init; }

    /// <summary>The value of <c>$n</c>; null while a statement is only described.</summary>
    /// <exception cref="SqlException">Values were given, but none for this one.</exception>
    public HirScalarExpr? BoundValue(int number)
    {
        if (Values is not { } values)
            return null;
        if (number > values.Types.Count)
            throw new SqlException(SqlState.UndefinedParameter, $"there is no parameter ${number}");
        if (values.AreOpen)
            return new HirScalarExpr.Parameter(number, values.Types[number - 1]);
        return new HirScalarExpr.Literal(values.Values[number - 1], values.Types[number - 1].Nullable(values.Values[number - 1].IsNull));
    }

    public int NextLocalId() => _nextLocalId++;

    /// <summary>Tells the type of <c>$n</c> that the client gave.</summary>
    public void DeclareParameter(int number, SqlType? type) => _parameters[number] = type;

    /// <summary>Notes that <c>$n</c> occurs, and gives its type if that is known.</summary>
    public SqlType? UseParameter(int number)
    {
        if (!_parameters.TryGetValue(number, out var type))
            _parameters.Add(number, type = null);
        return type;
    }

    public void DependOn(GlobalId id) => _dependencies.Add(id);

    /// <summary>The item of that name, to be read or written; noted as a dependency.</summary>
    /// <exception cref="SqlException">There is none, or this version cannot plan it.</exception>
    public CatalogItem ResolveItem(Ast.ObjectName name)
    {
        var item = ResolveText(name);
        if (item.Unplanned is not { } reason)
            return item;
        throw new SqlException(SqlState.ObjectNotInPrerequisiteState, $"{KindNames.Of(item.Kind)} \"{item.Name}\" cannot be used: this version cannot plan its definition")
        {
            Detail = $"Planning it says: {reason}.",
            Hint = "SHOW CREATE gives its definition. Drop it and create it anew, or run the version that made it.",
            Position = name.Position(),
        };
    }

    /// <summary>The item of that name, of which only the statement is wanted; noted as a dependency.</summary>
    /// <exception cref="SqlException">There is none.</exception>
    public CatalogItem ResolveText(Ast.ObjectName name)
    {
        var item = Find(name) ?? throw UnknownItem(name);
        DependOn(item.Id);
        ResolvedNames[name] = item.Name;
        return item;
    }

    /// <summary>The item of that name, or null; noted as nothing.</summary>
    public CatalogItem? Find(Ast.ObjectName name) => name.Id is { } id
        ? GlobalId.TryParse(id, out var globalId) ? Catalog.GetItem(globalId) : null
        : Catalog.ResolveItem(Partial(name));

    public static PartialName Partial(Ast.ObjectName name) => name.Parts switch
    {
        [var item] => new PartialName(null, null, item.Value),
        [var schema, var item] => new PartialName(null, schema.Value, item.Value),
        [var database, var schema, var item] => new PartialName(database.Value, schema.Value, item.Value),
        _ => throw SqlException.Plan($"qualified name did not have between 1 and 3 components: {name}", name.Position()),
    };

    public SqlException UnknownItem(Ast.ObjectName name)
    {
        var partial = Partial(name);
        if (partial.Database is { } database && Catalog.ResolveDatabase(database) is null)
            return SqlException.Plan($"unknown database '{database}'", name.Position());
        if (partial.Schema is { } schema && Catalog.ResolveSchema(partial.Database, schema) is null)
            return SqlException.Plan($"unknown schema '{(partial.Database is null ? schema : partial.Database + "." + schema)}'", name.Position());
        return SqlException.Plan($"unknown catalog item '{name}'", name.Position(), Similar(partial));
    }

    private string? Similar(PartialName name)
    {
        var close = Catalog.Items.Where(i => i.IsRelation && i.Id.IsUser).Select(i => i.Name.Item)
            .Where(n => NameDistance.IsClose(n, name.Item)).Distinct().Order(StringComparer.Ordinal).Take(3).ToList();
        return close.Count == 0 ? null : $"The most similar names are: {string.Join(", ", close.Select(c => $"\"{c}\""))}.";
    }
}

/// <summary>Places of nodes as error messages give them.</summary>
internal static class SpanExtensions
{
    /// <summary>From 1; null for a node that was not read from a text.</summary>
    public static int? Position(this Ast.AstNode node) => node.Span.IsKnown ? node.Span.Start + 1 : null;
}

/// <summary>Which names one may have meant.</summary>
internal static class NameDistance
{
    public static bool IsClose(string candidate, string written) =>
        candidate != written
        && (string.Equals(candidate, written, StringComparison.OrdinalIgnoreCase)
            || Distance(candidate, written) <= Math.Max(1, Math.Min(candidate.Length, written.Length) / 3));

    private static int Distance(string a, string b)
    {
        var row = Enumerable.Range(0, b.Length + 1).ToArray();
        for (var i = 1; i <= a.Length; i++)
        {
            var diagonal = row[0];
            row[0] = i;
            for (var j = 1; j <= b.Length; j++)
            {
                var next = Math.Min(Math.Min(row[j], row[j - 1]) + 1, diagonal + (a[i - 1] == b[j - 1] ? 0 : 1));
                diagonal = row[j];
                row[j] = next;
            }
        }

        return row[^1];
    }
}
