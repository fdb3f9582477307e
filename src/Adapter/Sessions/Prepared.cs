using Materialize.Core.Collections;
using Materialize.Repr;
using Materialize.Sql;
using Materialize.Sql.Parser.Ast;

namespace Materialize.Adapter;

/// <summary>A parsed statement of a simple query.</summary>
internal sealed class ParsedSimpleStatement(Statement statement, string sql, int offset, bool isOnly) : SimpleStatement
{
    public Statement Statement { get; } = statement;

    public string Sql { get; } = sql;

    /// <summary>Where it starts in the text that the client sent; error positions count from there.</summary>
    public int Offset { get; } = offset;

    /// <summary>Whether the query has no other statement.</summary>
    public bool IsOnly { get; } = isOnly;

    /// <summary>How to run it when the same text comes again.</summary>
    public CachedRead? Read { get; set; }
}

/// <summary>A prepared statement; null statement: the empty one.</summary>
internal sealed class PreparedStatement(Statement? statement, string sql, StatementDesc description)
{
    public Statement? Statement { get; } = statement;

    public string Sql { get; } = sql;

    public StatementDesc Description { get; set; } = description;

    /// <summary>The revision of the catalog that <see cref="Description"/> was made at.</summary>
    public ulong Revision { get; set; }

    /// <summary>How to run it again, if it reads.</summary>
    public CachedRead? Read { get; set; }

    /// <summary>How to run it again, if it is an INSERT that has run before.</summary>
    public CachedInsert? Insert { get; set; }
}

/// <summary>A bound statement, or a cursor.</summary>
internal sealed class Portal(PreparedStatement prepared, ValueArray<Datum> parameters)
{
    public PreparedStatement Prepared { get; } = prepared;

    public ValueArray<Datum> Parameters { get; } = parameters;

    /// <summary>While suspended: what it goes on with.</summary>
    public ExecuteResponse? Suspended { get; set; }

    /// <summary>For a cursor: rows fetched from the source and not yet given out.</summary>
    public CursorRows? Cursor { get; set; }
}
