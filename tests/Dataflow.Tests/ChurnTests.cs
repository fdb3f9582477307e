using Materialize.Micro;

namespace Materialize.Dataflow.Tests;

/// <summary>Twenty seconds of what <c>benchmarks/Micro churn</c> does for half an hour.</summary>
[Collection("memory is counted process-wide")]
public sealed class ChurnTests
{
    [Fact]
    public void Dataflows_that_come_and_go_leave_memory_flat()
    {
        using var churn = new Churn();
        var log = new StringWriter();
        Assert.True(churn.Run(TimeSpan.FromSeconds(20), log) is not { } growth, $"memory grew:\n{log}");
    }
}
