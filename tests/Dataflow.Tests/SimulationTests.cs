using Materialize.Dataflow.Tests.Simulation;

namespace Materialize.Dataflow.Tests;

/// <summary>Whole replicas on one thread, run by a seed (<see cref="Simulator"/>); and that the checks find what they are for.</summary>
public sealed class SimulationTests
{
    [Fact]
    public void Replicas_answer_right_whatever_the_order_of_events() => Seeds.Run(Seeds.First, Seeds.Count(300), Seeds.Simulate);

    [Fact]
    public void A_seed_replays_exactly()
    {
        for (var seed = 0; seed < 40; seed++)
        {
            var first = Once(seed);
            Assert.Equal(first, Once(seed));
        }

        static (ulong, long) Once(long seed)
        {
            using var simulator = new Simulator(seed);
            simulator.Run();
            return (simulator.Trace.Hash, simulator.Events);
        }
    }

    /// <summary>Not every run is hurt by a fault, some are over before: a few must be, and in the way that the fault suggests.</summary>
    [Theory]
    [InlineData("DropProgress", "nothing happens any more")]
    [InlineData("ReorderProgress", "can still come")]
    [InlineData("SplitProgress", "can still come")]
    [InlineData("RepeatProgress", "can still come")]
    [InlineData("DropData", "is not what worker")]
    [InlineData("EpochsLookAlike", "")]
    public void Faults_of_the_runtime_are_found(string fault, string complaint)
    {
        var mutation = Enum.Parse<Mutation>(fault);
        var complaints = new List<string>();
        for (var seed = 0; seed < 200 && complaints.Count < 3; seed++)
        {
            using var simulator = new Simulator(seed, mutation);
            if (simulator.Peers == 1)
                continue;
            try
            {
                simulator.Run();
            }
            catch (Exception e)
            {
                if (e.Message.Contains(complaint, StringComparison.Ordinal))
                    complaints.Add(e.Message);
            }
        }

        Assert.True(complaints.Count >= 3, $"{fault} was found {complaints.Count} times only");
    }
}
