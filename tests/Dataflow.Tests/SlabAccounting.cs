using System.Reflection;
using Materialize.Core.Memory;
using Xunit.v3;

[assembly: Materialize.Dataflow.Tests.NoSlabsLeft]
[assembly: CollectionBehavior(DisableTestParallelization = true)]

namespace Materialize.Dataflow.Tests;

/// <summary>Each test ends with as much native memory handed out as it began with. With MATERIALIZE_TRACK_SLABS=1 the failure says who asked for what is left.</summary>
[AttributeUsage(AttributeTargets.Assembly)]
public sealed class NoSlabsLeftAttribute : BeforeAfterTestAttribute
{
    private long _before;
    private long _mark;

    public override void Before(MethodInfo methodUnderTest, IXunitTest test)
    {
        _before = SlabPool.BytesInUse;
        _mark = SlabPool.Mark();
    }

    public override void After(MethodInfo methodUnderTest, IXunitTest test)
    {
        // A test that failed half-way has not freed what it held, and says so itself.
        if (TestContext.Current.TestState?.Result == TestResult.Failed || methodUnderTest.IsDefined(typeof(BreaksOperatorsAttribute)))
            return;
        var left = SlabPool.BytesInUse - _before;
        Assert.True(left == 0, $"{methodUnderTest.Name} leaves {left} bytes of slabs\n{string.Join('\n', SlabPool.Outstanding(_mark).Take(3))}");
    }
}

/// <summary>A test that makes operators throw in the middle of their work, which then holds what it held.</summary>
[AttributeUsage(AttributeTargets.Method)]
public sealed class BreaksOperatorsAttribute : Attribute;
