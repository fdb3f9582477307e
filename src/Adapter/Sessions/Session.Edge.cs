using Materialize.Core;
using Materialize.Optimizer;
using Materialize.Persist;
using Materialize.Sql;
using Materialize.Sql.Parser;
using Microsoft.Extensions.Logging;

namespace Materialize.Adapter;

/// <summary>The one place where errors of the layers below become what the wire sends.</summary>
internal sealed partial class Session
{
    /// <param name="offset">Where the statement starts in what the client sent: positions are moved by it.</param>
    private async ValueTask<T> EdgeAsync<T>(Func<ValueTask<T>> body, int offset = 0)
    {
        try
        {
            return await body();
        }
        catch (Exception e) when (ReportOf(e, offset) is { } report)
        {
            Fail();
            throw new AdapterException(report, e);
        }
    }

    private T Edge<T>(Func<T> body)
    {
        try
        {
            return body();
        }
        catch (Exception e) when (ReportOf(e, 0) is { } report)
        {
            Fail();
            throw new AdapterException(report, e);
        }
    }

    private ErrorReport? ReportOf(Exception exception, int offset)
    {
        switch (exception)
        {
            case AdapterException e:
                return e.Report;
            case SqlException e:
                return new ErrorReport("ERROR", e.State, e.Message, e.Detail, e.Hint, e.Position + offset);
            case ParseException e:
                return new ErrorReport("ERROR", e.SqlState, e.Message, null, e.Hint, e.Position + offset);
            case OptimizerException e:
                return new ErrorReport("ERROR", e.SqlState, e.Message, e.Detail, e.Hint);
            case OperationCanceledException:
                return new ErrorReport("ERROR", "57014", "canceling statement due to user request");
            case TimeoutException:
                return new ErrorReport("ERROR", "57014", "canceling statement due to statement timeout");
            case DeterminateException e:
                return new ErrorReport("ERROR", "58030", "storage is not available", e.Message);
            case IndeterminateException e:
                return new ErrorReport("ERROR", "58030", "storage did not answer: the statement may or may not have taken effect", e.Message);
            case InvariantViolationException:
                return null;
            default:
                LogInternal(exception);
                return new ErrorReport("ERROR", "XX000", $"internal error: {exception.Message}");
        }
    }

    [LoggerMessage(Level = LogLevel.Error, Message = "a statement failed in a way that it should not")]
    private partial void LogInternal(Exception exception);
}

internal static class ValueTaskExtensions
{
    public static async ValueTask AsUntyped<T>(this ValueTask<T> task) => await task;
}
