namespace Materialize.Sql;

/// <summary>A database, as the catalog prints it: <c>u1</c>.</summary>
public readonly record struct DatabaseId(string Value)
{
    public override string ToString() => Value;
}

/// <summary>A schema, <c>u3</c>; system schemas <c>s1</c>… belong to no database.</summary>
public readonly record struct SchemaId(string Value)
{
    public override string ToString() => Value;
}

/// <summary>A cluster, <c>u1</c> or <c>s2</c>.</summary>
public readonly record struct ClusterId(string Value)
{
    public override string ToString() => Value;
}

/// <summary>A replica of a cluster.</summary>
public readonly record struct ReplicaId(string Value)
{
    public override string ToString() => Value;
}

/// <summary>A role: <c>u1</c> user, <c>s1</c> system, <c>g1</c> predefined, <c>p</c> PUBLIC.</summary>
public readonly record struct RoleId(string Value)
{
    public static readonly RoleId Public = new("p");

    public override string ToString() => Value;
}

/// <summary>A network policy.</summary>
public readonly record struct NetworkPolicyId(string Value)
{
    public override string ToString() => Value;
}
