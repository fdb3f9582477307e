using Materialize.Micro;
using Materialize.Micro.Floors;
using Materialize.Micro.Kernels;
using Materialize.Micro.Operators;

namespace Materialize.Dataflow.Tests;

/// <summary>The benchmarks in small: that their results are right. What they take is no test's concern.</summary>
[Collection("memory is counted process-wide")]
public sealed class BenchmarkTests
{
    public static TheoryData<string> Workloads => [.. Catalogue.Small];

    public static TheoryData<string> Operators => [.. OperatorCatalogue.All.Select(o => OperatorTable.Run(o, small: true).ToString())];

    [Theory]
    [MemberData(nameof(Workloads))]
    [MemberData(nameof(Operators))]
    public void Workloads_give_what_plain_code_gives(string run)
    {
        var result = WorkloadRunner.RunHere(RunSpec.Parse(run), passes: 1, TextWriter.Null);
        Assert.Equal(result.First.Expected, result.First.Found);
    }

    [Fact]
    public void Two_workers_give_what_one_gives()
    {
        foreach (var run in Catalogue.Small.Where(r => r.EndsWith("workers=2", StringComparison.Ordinal)))
        {
            var two = RunSpec.Parse(run);
            Assert.Equal(Found(two with { Workers = 1 }), Found(two));
        }
    }

    [Fact]
    public void A_join_larger_than_its_memory_gives_what_it_gives_in_memory()
    {
        var run = RunSpec.Parse("join 400000 400000 1000 20");
        var free = WorkloadRunner.RunHere(run, passes: 1, TextWriter.Null).First;
        var limited = WorkloadRunner.RunHere(run with { BudgetMb = Math.Max(1, (free.HeldBytes / LargerThanMemory.TimesTheBudget) >> 20) }, passes: 1, TextWriter.Null).First;
        Assert.Equal(free.Found, limited.Found);
        Assert.True(free.IsRight);
    }

    [Fact]
    public void A_result_that_is_wrong_is_seen()
    {
        var report = WorkloadRun.Run(() => new Forgetful());
        Assert.False(report.IsRight);
    }

    [Fact]
    public void Every_run_of_the_tables_can_be_parsed()
    {
        foreach (var run in FloorTable.Rows.SelectMany(r => r.Runs).Where(r => r != LargerThanMemory.Command).Concat(Catalogue.Main).Concat(Catalogue.Sizes).Concat(Catalogue.Windows))
            Assert.Equal(run, RunSpec.Parse(run).ToString());
    }

    [Fact]
    public void Every_kernel_that_a_floor_names_exists_and_runs()
    {
        var kernels = KernelBenchmarks.Run([], small: true);
        var measured = new Measurements(passes: 1, kernels);
        foreach (var row in FloorTable.Rows.Where(r => r.Runs.Length == 0))
            Assert.True(double.IsFinite(row.Figure(measured)), row.What);
    }

    [Theory]
    [InlineData("foo")]
    [InlineData("workload", "foo", "1")]
    [InlineData("workload", "count", "10", "10")]
    [InlineData("workload", "count", "10", "10", "1", "x")]
    [InlineData("workload", "count", "10", "10", "1", "1", "workers=3")]
    [InlineData("workload", "count", "10", "10", "1", "1", "color=3")]
    [InlineData("workloads", "most")]
    [InlineData("operators", "foo")]
    [InlineData("floors", "passes=none")]
    [InlineData("churn", "passes=3")]
    public void A_command_line_that_says_nothing_known_is_refused(params string[] words) => Assert.Throws<UsageException>(() => Commands.Run(words, TextWriter.Null));

    [Fact]
    public void Help_names_every_workload_and_command()
    {
        var help = new StringWriter();
        Assert.Equal(0, Commands.Run(["--help"], help));
        foreach (var word in Catalogue.Small.Select(r => r.Split(' ')[0]).Append("operators").Append("floors").Append(LargerThanMemory.Command))
            Assert.Contains(word, help.ToString(), StringComparison.Ordinal);
    }

    [Fact]
    public void Sums_of_floats_are_rounded_to_the_nearest()
    {
        Assert.Equal(0.1 + 0.2, OperatorRows.FloatSum([0.1, 0.2]));
        Assert.Equal(1e-300, OperatorRows.FloatSum([1e300, 1e-300, -1e300]));
        Assert.Equal(double.Epsilon, OperatorRows.FloatSum([double.Epsilon, -1, 1]));
        Assert.Equal(9007199254740992.0, OperatorRows.FloatSum([9007199254740992.0, 1.0]));
        Assert.Equal(9007199254740996.0, OperatorRows.FloatSum([9007199254740992.0, 3.0]));
        Assert.Equal(-0.75, OperatorRows.FloatSum([0.25, -1]));
        Assert.Equal(0.0, OperatorRows.FloatSum([1, -1]));
    }

    private static string Found(RunSpec run) => WorkloadRunner.RunHere(run, passes: 1, TextWriter.Null).First.Found;

    /// <summary>A count whose plain evaluation forgets the rounds.</summary>
    private sealed class Forgetful : Workload
    {
        private readonly CountWorkload _count = new([1000, 10, 10, 5]);
        private readonly CountWorkload _loadOnly = new([1000, 10, 10, 0]);

        public override long LoadRows => _count.LoadRows;

        public override int Rounds => _count.Rounds;

        public override long UpdatesPerRound => _count.UpdatesPerRound;

        public override void Build(Scope<Time> scope)
        {
            _count.At(Worker);
            _count.Build(scope);
            Probe = _count.Probe;
        }

        public override void Load() => _count.Load();

        public override void Round(ulong time) => _count.Round(time);

        public override Check Final() => _count.Final();

        public override Check Plain() => _loadOnly.Plain();

        public override void Close() => _count.Close();
    }
}
