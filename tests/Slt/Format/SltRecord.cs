namespace Materialize.Slt.Format;

/// <summary>How results are sorted before they are compared.</summary>
public enum SortMode
{
    None,
    Rows,
    Values,
}

/// <summary>One record of an .slt file.</summary>
/// <param name="Line">1-based line of its directive.</param>
public abstract record SltRecord(int Line)
{
    /// <summary>For reports, as the totals by kind name it.</summary>
    public abstract string Kind { get; }

    /// <param name="Count">The number the command tag must end in.</param>
    /// <param name="Error">A pattern: the statement must fail, and the error text must contain a match.</param>
    public sealed record Statement(int Line, string Sql, long? Count, string? Error) : SltRecord(Line)
    {
        public override string Kind => Error is null ? "statement_ok" : "statement_error";
    }

    public sealed record QueryError(int Line, string Sql, string Error) : SltRecord(Line)
    {
        public override string Kind => "query_error";
    }

    /// <param name="Types">A letter for each column.</param>
    /// <param name="ColumnNames">Null: not checked.</param>
    /// <param name="Hash">Number of values and MD5 of all; null: compare with <paramref name="Expected"/>.</param>
    public sealed record Query(
        int Line, string Sql, string Types, SortMode Sort, bool IsCockroach, IReadOnlyList<string>? ColumnNames, IReadOnlyList<string> Expected, (int Count, string Md5)? Hash)
        : SltRecord(Line)
    {
        public override string Kind => "query_ok";
    }

    public sealed record Simple(int Line, string Sql, string? Connection, string? User, string? Password, bool IsSorted, IReadOnlyList<string> Expected) : SltRecord(Line)
    {
        public override string Kind => "simple";
    }

    public sealed record Copy(int Line, string Table, string Path) : SltRecord(Line)
    {
        public override string Kind => "copy";
    }

    public sealed record Reset(int Line) : SltRecord(Line)
    {
        public override string Kind => "reset";
    }

    /// <summary>A record that could not be read: counts as a failure.</summary>
    public sealed record Unreadable(int Line, string Why) : SltRecord(Line)
    {
        public override string Kind => "bad";
    }
}
