namespace Materialize.Interchange;

/// <summary>How rows are laid out in COPY data.</summary>
public enum CopyTextFormat
{
    /// <summary>A line a row, tabs between, backslash escapes.</summary>
    Text,

    /// <summary>Comma-separated values, quoted where needed.</summary>
    Csv,

    /// <summary>Postgres's binary file format.</summary>
    Binary,
}

/// <summary>How COPY data is read; <paramref name="Delimiter"/>, <paramref name="Quote"/> and <paramref name="Escape"/> are ASCII.</summary>
/// <param name="Header">The first line is skipped.</param>
public sealed record CopyTextOptions(CopyTextFormat Format, char Delimiter, string NullMarker, char Quote, char Escape, bool Header)
{
    public static readonly CopyTextOptions TextDefault = new(CopyTextFormat.Text, '\t', "\\N", '"', '"', false);

    public static readonly CopyTextOptions CsvDefault = new(CopyTextFormat.Csv, ',', "", '"', '"', false);
}

/// <summary>Rows decoded from COPY data: canonical rows back to back, and the offset just past each.</summary>
public readonly record struct CopyPage(ReadOnlyMemory<byte> Data, ReadOnlyMemory<int> Ends);
