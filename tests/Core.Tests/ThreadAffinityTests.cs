using Materialize.Core;

namespace Materialize.Core.Tests;

public sealed class ThreadAffinityTests
{
    [Fact]
    public void A_pinned_thread_may_run_on_one_processor_and_others_as_before()
    {
        Assert.SkipUnless(OperatingSystem.IsLinux(), "affinity is Linux's");
        var before = Allowed();
        string? first = null, last = null;
        OnThread(() =>
        {
            Assert.True(ThreadAffinity.TryPin(0));
            first = Allowed();
        });
        OnThread(() =>
        {
            Assert.True(ThreadAffinity.TryPin(Environment.ProcessorCount - 1));
            last = Allowed();
        });
        Assert.True(int.TryParse(first, out _), $"allowed are {first}");
        Assert.True(int.TryParse(last, out _), $"allowed are {last}");
        Assert.Equal(Environment.ProcessorCount == 1, first == last);
        Assert.Equal(before, Allowed());
    }

    private static string Allowed() =>
        File.ReadLines("/proc/thread-self/status").Single(line => line.StartsWith("Cpus_allowed_list:", StringComparison.Ordinal))["Cpus_allowed_list:".Length..].Trim();

    private static void OnThread(Action action)
    {
        Exception? failed = null;
        var thread = new Thread(() =>
        {
            try
            {
                action();
            }
            catch (Exception e)
            {
                failed = e;
            }
        });
        thread.Start();
        thread.Join();
        Assert.Null(failed);
    }
}
