using Materialize.Expr;
using Materialize.Protocol;
using Materialize.Repr;
using Xunit;

namespace Materialize.Optimizer.Tests;

/// <summary>
/// Goal: no transform, and no lowering, changes the rows of a plan. Method: random plans over small random tables; the MIR interpreter
/// before, the MIR or LIR interpreter after. Both also check what plans claim of types, keys and layouts.
/// </summary>
public sealed class PreservationTests
{
    /// <summary>Set SEEDS for a longer run.</summary>
    private static readonly int Seeds = int.Parse(Environment.GetEnvironmentVariable("SEEDS") ?? "400", System.Globalization.CultureInfo.InvariantCulture);

    public static TheoryData<string> Transforms => [.. Optimizer.All.Select(t => t.Name)];

    [Theory]
    [MemberData(nameof(Transforms))]
    public void Each_transform_keeps_the_rows(string name)
    {
        var transform = Optimizer.All.First(t => t.Name == name);
        for (var seed = 0; seed < Seeds; seed++)
        {
            var random = new RandomPlans(seed);
            var plan = Normalized(random.Plan(4));
            Check(seed, plan, random, p => transform.Apply(p, new TransformContext(random.Indexes)));
        }
    }

    [Fact]
    public void The_optimizer_keeps_the_rows()
    {
        for (var seed = 0; seed < Seeds; seed++)
        {
            var random = new RandomPlans(seed);
            Check(seed, random.Plan(5), random, p => Optimizer.Optimize(p, random.Indexes));
        }
    }

    [Fact]
    public void The_optimizer_keeps_the_rows_of_recursions()
    {
        for (var seed = 0; seed < Seeds; seed++)
        {
            var random = new RandomPlans(seed);
            Check(seed, random.Recursion(3), random, p => Optimizer.Optimize(p, random.Indexes));
            Check(seed, random.Recursion(3), random, p => Optimizer.Optimize(Optimizer.OptimizeLocally(p), random.Indexes));
        }
    }

    [Fact]
    public void Optimizing_twice_changes_nothing_more()
    {
        var unsettled = 0;
        for (var seed = 0; seed < 300; seed++)
        {
            var random = new RandomPlans(seed);
            var once = Optimizer.OptimizeLocally(random.Plan(5));
            if (MirPrinter.Print(Optimizer.OptimizeLocally(once)) != MirPrinter.Print(once))
                unsettled++;
        }

        Assert.Equal(0, unsettled);
    }

    [Theory]
    [InlineData(false, false)]
    [InlineData(true, false)]
    [InlineData(false, true)]
    [InlineData(true, true)]
    public void Lowering_keeps_the_rows(bool optimize, bool recursive)
    {
        for (var seed = 0; seed < Seeds; seed++)
        {
            var random = new RandomPlans(seed);
            var plan = recursive ? random.Recursion(3) : random.Plan(4);
            if (optimize)
                plan = Optimizer.Optimize(plan, random.Indexes);
            if (Expected(plan, random) is not { } expected)
                continue;
            try
            {
                var lowering = new LirLowering(plan, random.Indexes);
                var id = GlobalId.Transient(1);
                var built = new BuildDesc(id, lowering.Lower(plan, plan.TypeOf().Columns));
                var dataflow = DataflowPlanner.Describe("test", lowering, [built], [], []);
                Assert.Equal(plan.TypeOf().Columns, built.Plan.Columns);
                Assert.Equal(expected, new LirInterpreter(random.Collections).Run(dataflow)[id].ToString());
            }
            catch (Exception e)
            {
                throw new InvalidOperationException($"seed {seed}\n{MirPrinter.Print(plan)}", e);
            }
        }
    }

    private static MirRelationExpr Normalized(MirRelationExpr plan) => new NormalizeLets().Apply(plan, TransformContext.Default);

    private static string? Expected(MirRelationExpr plan, RandomPlans random)
    {
        try
        {
            return new MirInterpreter(random.Collections).Eval(plan).ToString();
        }
        catch (TooLargeException)
        {
            return null;
        }
    }

    private static void Check(int seed, MirRelationExpr plan, RandomPlans random, Func<MirRelationExpr, MirRelationExpr> transform)
    {
        if (Expected(plan, random) is not { } expected)
            return;
        var after = plan;
        try
        {
            after = transform(plan);
            Assert.Equal(expected, new MirInterpreter(random.Collections).Eval(after).ToString());
        }
        catch (TooLargeException)
        {
            // It was small before, so another seed will do, too.
        }
        catch (Exception e)
        {
            throw new InvalidOperationException($"seed {seed}\n{MirPrinter.Print(plan)}\nbecame\n{MirPrinter.Print(after)}", e);
        }
    }
}
