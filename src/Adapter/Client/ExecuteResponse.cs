using Materialize.Repr;

namespace Materialize.Adapter;

/// <summary>What came of starting a statement.</summary>
public abstract record ExecuteResponse
{
    private ExecuteResponse()
    {
    }

    public sealed record EmptyQuery : ExecuteResponse;

    /// <summary>Done; <paramref name="Tag"/> is the command tag, for example <c>INSERT 0 3</c>.</summary>
    public sealed record Completed(string Tag) : ExecuteResponse;

    /// <summary>
    /// Rows follow. The tag is <paramref name="Command"/> and the number of rows sent.
    /// Dispose the rows when done, also when not read to the end: that drops a subscribe's dataflow.
    /// </summary>
    public sealed record Rows(RelationDesc Columns, IResultRows Source, string Command) : ExecuteResponse;

    /// <summary>Rows follow as COPY data.</summary>
    public sealed record CopyOut(RelationDesc Columns, IResultRows Source, CopyFormat Format) : ExecuteResponse;

    /// <summary>The client is to send COPY data.</summary>
    public sealed record CopyIn(RelationDesc Columns, CopyInOptions Options, ICopyTarget Target) : ExecuteResponse;
}

/// <summary>A stream of result rows. One reader.</summary>
public interface IResultRows : IAsyncDisposable
{
    /// <summary>The layout of all pages' rows: the result's columns.</summary>
    RowLayout Layout { get; }

    /// <summary>
    /// The next page, or null at the end. May take for ever (SUBSCRIBE): what was written before should be flushed unless the
    /// returned task is complete.
    /// </summary>
    /// <exception cref="AdapterException">The query failed or was cancelled.</exception>
    ValueTask<ResultPage?> NextAsync(CancellationToken cancel);
}

/// <summary>Some rows, in order, back to back in the result's layout; multiplicities are already written out.</summary>
/// <param name="Ends">Offset just past each row.</param>
public sealed record ResultPage(ReadOnlyMemory<byte> Data, ReadOnlyMemory<int> Ends)
{
    public int Count => Ends.Length;

    public ReadOnlySpan<byte> Row(int index)
    {
        var ends = Ends.Span;
        var start = index == 0 ? 0 : ends[index - 1];
        return Data.Span[start..ends[index]];
    }
}

public enum CopyFormat
{
    Text,
    Csv,
    Binary,
}

/// <summary>How COPY data is written; defaults already filled in.</summary>
public sealed record CopyInOptions(CopyFormat Format, char Delimiter, string NullMarker, char Quote, char Escape, bool Header);

/// <summary>Takes the rows of a COPY FROM; all of them become visible together, at <see cref="CompleteAsync"/>, or none.</summary>
public interface ICopyTarget
{
    /// <summary>Rows of the columns that were asked for, back to back in their layout. Waits while too much is outstanding.</summary>
    ValueTask AppendAsync(ResultPage rows, CancellationToken cancel);

    /// <summary>Commits; gives the command tag.</summary>
    ValueTask<string> CompleteAsync(CancellationToken cancel);

    /// <summary>The client gave up or sent garbage: nothing is written.</summary>
    ValueTask AbortAsync();
}

/// <summary>An error or a notice, as the wire sends it.</summary>
/// <param name="Severity">ERROR, FATAL, WARNING, NOTICE, INFO, DEBUG or LOG.</param>
/// <param name="Position">1-based character position in the statement's text.</param>
public sealed record ErrorReport(string Severity, string SqlState, string Message, string? Detail = null, string? Hint = null, int? Position = null);

/// <summary>A statement failed; the one exception that leaves the adapter on purpose.</summary>
public sealed class AdapterException(ErrorReport report, Exception? inner = null) : Exception(report.Message, inner)
{
    public ErrorReport Report { get; } = report;
}
