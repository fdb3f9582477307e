namespace Materialize.Storage;

/// <summary>A source cannot go on for now, for a reason that its owner can do something about. The message is for a person and names no secret.</summary>
internal sealed class SourceException(string message, string? hint = null, Exception? inner = null) : Exception(message, inner)
{
    public string? Hint { get; } = hint;
}

/// <summary>The ingestion's view of the world is out of date: begin again from what is durable, at once.</summary>
internal sealed class RestartException(string message) : Exception(message);

/// <summary>Something upstream can never be followed for one table, however often it is tried: the table fails, the source goes on.</summary>
internal sealed class DefiniteException(string message, string? detail = null) : Exception(message)
{
    public string? Detail { get; } = detail;
}
