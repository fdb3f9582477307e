using Materialize.Repr;

namespace Materialize.Catalog;

/// <summary>A relation that every environment has. Ids are fixed here and never reused; they print as <c>s</c> and the number.</summary>
/// <param name="Number">Of the id.</param>
/// <param name="Oid">At least 16384 for our own; Postgres' for its relations.</param>
public abstract record Builtin(ulong Number, uint Oid, string Schema, string Name)
{
    public GlobalId Id => GlobalId.System(Number);

    /// <summary>A table that the adapter writes as the catalog changes: an ordinary maintained collection.</summary>
    public sealed record Table(ulong Number, uint Oid, string Schema, string Name, RelationDesc Desc) : Builtin(Number, Oid, Schema, Name);

    /// <summary>A log that each replica keeps of itself; read on the active cluster.</summary>
    public sealed record Log(ulong Number, uint Oid, string Schema, string Name, RelationDesc Desc) : Builtin(Number, Oid, Schema, Name);

    /// <summary>A view over other built-in relations.</summary>
    /// <param name="Sql">The SELECT; names in it are qualified.</param>
    /// <param name="Columns">Names of the columns, if not those of the SELECT.</param>
    public sealed record View(ulong Number, uint Oid, string Schema, string Name, string Sql, params string[] Columns) : Builtin(Number, Oid, Schema, Name);
}
