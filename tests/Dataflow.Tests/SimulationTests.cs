using Materialize.Dataflow.Tests.Simulation;

namespace Materialize.Dataflow.Tests;

/// <summary>Whole replicas on one thread, run by a seed (<see cref="Simulator"/>); and that the checks find what they are for.</summary>
public sealed class SimulationTests
{
    [Fact]
    public void Replicas_answer_right_whatever_the_order_of_events() => Seeds.Run(Seeds.First, Seeds.Count(1500), Seeds.Simulate);

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

    /// <summary>Not every run is hurt by a fault, some are over before: a few must be, and by what the fault does.</summary>
    [Theory, BreaksOperators]
    [InlineData("DropProgress", "nothing happens any more", 3)]
    [InlineData("ReorderProgress", "can still come", 1)]
    [InlineData("SplitProgress", "can still come", 3)]
    [InlineData("RepeatProgress", "can still come", 3)]
    [InlineData("OvertakeData", "can still come", 3)]
    [InlineData("DropData", "is not what worker", 3)]
    [InlineData("EpochsLookAlike", "", 2)]
    public void Faults_of_the_runtime_are_found(string fault, string complaint, int enough)
    {
        var complaints = new Dictionary<string, int>();
        var found = 0;
        for (var seed = 0; seed < 2000 && found < enough; seed++)
        {
            using var simulator = new Simulator(seed, Enum.Parse<Mutation>(fault));
            if (simulator.Peers == 1)
                continue;
            try
            {
                simulator.Run();
            }
            catch (Exception e)
            {
                found += e.Message.Contains(complaint, StringComparison.Ordinal) ? 1 : 0;
                complaints[e.Message] = complaints.GetValueOrDefault(e.Message) + 1;
            }
        }

        Assert.True(found >= enough, $"{fault} was found {found} times only; {string.Join('\n', complaints)}");
    }
}
