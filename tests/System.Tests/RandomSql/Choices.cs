namespace Materialize.SystemTests.RandomSql;

/// <summary>
/// The choices that make a random thing, written down as they are made: the same list makes the same thing again, and a list that is
/// shorter or has smaller numbers makes a simpler one. So whatever is generated can be shrunk without knowing what it is.
/// </summary>
internal sealed class Choices
{
    private readonly Random? _random;
    private readonly IReadOnlyList<int> _given;

    private Choices(Random? random, IReadOnlyList<int> given)
    {
        _random = random;
        _given = given;
    }

    /// <summary>Every choice made so far.</summary>
    public List<int> Made { get; } = [];

    public static Choices Random(int seed) => new(new Random(seed), []);

    /// <summary>Choices as given; 0 after the last of them.</summary>
    public static Choices Replay(IReadOnlyList<int> given) => new(null, given);

    /// <summary>A number in [0, <paramref name="count"/>). Zero is to mean the simplest.</summary>
    public int Next(int count)
    {
        var number = _random is not null ? _random.Next(count) : Made.Count < _given.Count ? Math.Min(_given[Made.Count], count - 1) : 0;
        Made.Add(number);
        return number;
    }

    /// <summary>True <paramref name="percent"/> times of a hundred; false is the simpler.</summary>
    public bool Chance(int percent) => Next(100) >= 100 - percent;

    public T Pick<T>(IReadOnlyList<T> items) => items[Next(items.Count)];

    public T Of<T>(params ReadOnlySpan<T> items) => items[Next(items.Length)];

    /// <summary>Shorter and smaller lists for as long as one of them still <paramref name="fails"/>, at most <paramref name="attempts"/> tries.</summary>
    /// <param name="choices">A list that fails.</param>
    /// <param name="attempts">How often <paramref name="fails"/> is asked at most.</param>
    /// <param name="fails">Whether what the list makes still fails; and the choices it really used.</param>
    public static async Task<List<int>> ShrinkAsync(List<int> choices, int attempts, Func<List<int>, Task<List<int>?>> fails)
    {
        var best = choices;
        for (var improved = true; improved && attempts > 0;)
        {
            improved = false;
            for (var size = Math.Max(1, best.Count / 2); size >= 1; size /= 2)
            {
                for (var at = 0; at < best.Count && attempts > 0;)
                {
                    var width = Math.Min(size, best.Count - at);
                    var without = best.Take(at).Concat(best.Skip(at + width)).ToList();
                    var zeroed = best.Take(at).Concat(Enumerable.Repeat(0, width)).Concat(best.Skip(at + width)).ToList();
                    var progress = false;
                    foreach (var candidate in (List<int>[])[without, zeroed])
                    {
                        if (!IsSimpler(candidate, best))
                            continue;
                        attempts--;
                        if (await fails(candidate) is not { } used || !IsSimpler(used, best))
                            continue;
                        best = used;
                        progress = true;
                        break;
                    }

                    improved |= progress;
                    if (!progress)
                        at += size;
                }
            }
        }

        return best;
    }

    private static bool IsSimpler(List<int> one, List<int> other) =>
        one.Count < other.Count || (one.Count == other.Count && one.Sum() < other.Sum());
}
