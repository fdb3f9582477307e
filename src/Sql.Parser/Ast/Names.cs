namespace Materialize.Sql.Parser.Ast;

/// <summary>One part of a name, as the catalog stores it: unquoted input already folded to lower case, quotes removed. At most 255 bytes of UTF-8.</summary>
public sealed record Ident(string Value) : AstNode
{
    /// <summary>The bare value, unquoted.</summary>
    public override string ToString() => Value;
}

/// <summary>
/// A name of one or more parts: <c>item</c>, <c>schema.item</c>, <c>database.schema.item</c>; or, in normalised text, a resolved
/// <c>[u1 AS database.schema.item]</c>, where <see cref="Id"/> is <c>u1</c> and <see cref="Version"/> an optional <c>VERSION n</c>.
/// The parser does not limit the number of parts: that is name resolution's error.
/// </summary>
public sealed record ObjectName(AstList<Ident> Parts, string? Id = null, int? Version = null) : AstNode
{
    /// <summary>The last part.</summary>
    public Ident Item => Parts[^1];

    /// <summary>A one-part name.</summary>
    public static ObjectName Of(string item) => new([new Ident(item)]);

    /// <summary>The parts joined by dots, unquoted: for messages.</summary>
    public override string ToString() => string.Join(".", Parts.Select(p => p.Value));
}

/// <summary>A cluster (or network policy, or replica) by name, or in normalised text by id: <c>IN CLUSTER c</c>, <c>IN CLUSTER [u1]</c>. Exactly one is set.</summary>
public sealed record ClusterName(Ident? Name, string? Id) : AstNode;

/// <summary>A replica as <c>cluster.replica</c>.</summary>
public sealed record ReplicaName(Ident Cluster, Ident Replica) : AstNode;

/// <summary>A type as written. Synonyms are already folded: <c>int</c> is Named(int4), <c>double precision</c> Named(float8), <c>character(3)</c> Named(bpchar, 3).</summary>
public abstract record DataType : AstNode
{
    private DataType() { }   // closed

    /// <summary>A type by name, with its modifiers: <c>numeric(10, 2)</c>. <c>char</c> without a length arrives as <c>bpchar(1)</c>.</summary>
    public sealed record Named(ObjectName Name, AstList<long> Modifiers) : DataType;

    /// <summary><c>element[]</c>; further dimensions and sizes are not kept.</summary>
    public sealed record Array(DataType Element) : DataType;

    /// <summary><c>element list</c>.</summary>
    public sealed record List(DataType Element) : DataType;

    /// <summary><c>map[key => value]</c>.</summary>
    public sealed record Map(DataType Key, DataType Value) : DataType;
}

/// <summary>An operator, bare (<c>+</c>) or as <c>OPERATOR(schema.+)</c>; keyword operators are nodes of their own.</summary>
/// <param name="Schema">The qualification, empty for a bare operator.</param>
public sealed record Operator(string Name, AstList<Ident> Schema) : AstNode
{
    /// <summary>A bare operator.</summary>
    public static Operator Bare(string name) => new(name, []);
}
