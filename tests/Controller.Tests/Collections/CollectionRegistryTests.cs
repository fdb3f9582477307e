namespace Materialize.Controller.Tests.Collections;

/// <summary>Where collections may be read, and who says so.</summary>
public sealed class CollectionRegistryTests
{
    private static readonly GlobalId A = GlobalId.User(1);
    private static readonly GlobalId B = GlobalId.User(2);

    private readonly CollectionRegistry _registry = new();
    private readonly List<(GlobalId Id, Frontier Since)> _announced = [];

    public CollectionRegistryTests() => _registry.SinceAdvanced += (id, since) => _announced.Add((id, since));

    [Fact]
    public void A_since_follows_its_upper_at_the_distance_of_the_window()
    {
        Register(A, 10, 11, window: 5);
        _registry.AdvanceUpper(A, Frontier.At(14));
        Assert.Equal(10UL, Since(A));
        _registry.AdvanceUpper(A, Frontier.At(31));
        Assert.Equal(25UL, Since(A));   // in steps of the window
        _registry.AdvanceUpper(A, Frontier.At(20));
        Assert.Equal(31UL, _registry.Frontiers(A)!.Value.Upper.Time);
        Assert.Equal([(A, Frontier.At(25))], _announced);
    }

    [Fact]
    public void A_sealed_collection_stays_readable_at_its_last_times()
    {
        Register(A, 10, 11, window: 1);
        _registry.AdvanceUpper(A, Frontier.At(20));
        _registry.AdvanceUpper(A, Frontier.Empty);
        Assert.Equal(19UL, Since(A));
    }

    [Fact]
    public void A_hold_keeps_the_since_back_until_it_moves_or_is_released()
    {
        Register(A, 10, 11, window: 1);
        var first = Assert.Single(_registry.Acquire([A])!);
        var second = Assert.Single(_registry.Acquire([A])!);
        _registry.AdvanceUpper(A, Frontier.At(100));
        Assert.Equal(10UL, Since(A));
        first.DowngradeTo(Frontier.At(50));
        first.DowngradeTo(Frontier.At(40));
        Assert.Equal(50UL, first.At.Time);
        Assert.Equal(10UL, Since(A));
        second.Dispose();
        second.Dispose();
        Assert.Equal(50UL, Since(A));
        first.Dispose();
        Assert.Equal(99UL, Since(A));
    }

    /// <summary>
    /// A start: uppers are heard of before the dataflows that read their past are there again. Without <c>KeepSinces</c> the hold that
    /// is acquired then is at 98, and a view whose shard ends at 21 cannot go on.
    /// </summary>
    [Fact]
    public void Sinces_do_not_follow_uppers_before_a_start_has_made_its_holds()
    {
        Register(A, 20, 21, window: 1);
        Register(B, 20, 21, window: 1);
        ReadHold hold;
        using (_registry.KeepSinces())
        {
            _registry.AdvanceUppers([A, B], Frontier.At(99));
            hold = Assert.Single(_registry.Acquire([A])!);
            Assert.Equal(20UL, hold.At.Time);
            Assert.Empty(_announced);
        }

        Assert.Equal(20UL, Since(A));
        Assert.Equal(98UL, Since(B));
        hold.Dispose();
        Assert.Equal(98UL, Since(A));
    }

    [Fact]
    public void Nobody_new_may_read_what_was_dropped_and_it_goes_with_its_last_reader()
    {
        Register(A, 1, 2, window: 1);
        Register(B, 1, 2, window: 1);
        var hold = Assert.Single(_registry.Acquire([A])!);
        _registry.Drop(A);
        Assert.Null(_registry.Acquire([B, A]));
        Assert.True(_registry.Contains(A));
        _registry.AdvanceUpper(A, Frontier.At(50));
        Assert.Equal(1UL, Since(A));
        hold.Dispose();
        Assert.False(_registry.Contains(A));
        Assert.Equal([(A, Frontier.Empty)], _announced);

        // The refused acquisition held nothing of B.
        _registry.AdvanceUpper(B, Frontier.At(50));
        Assert.Equal(49UL, Since(B));
    }

    [Fact]
    public async Task Who_waits_for_an_upper_is_told_when_it_is_past_or_never_will_be()
    {
        Register(A, 1, 2, window: 1);
        Register(B, 1, 2, window: 1);
        var past = _registry.WaitForUpperPastAsync(A, 5, CancellationToken.None);
        var never = _registry.WaitForUpperPastAsync(B, 5, CancellationToken.None);
        using var cancel = new CancellationTokenSource();
        var cancelled = _registry.WaitForUpperPastAsync(B, 5, cancel.Token);
        _registry.AdvanceUpper(A, Frontier.At(5));
        Assert.False(past.IsCompleted);
        _registry.AdvanceUpper(A, Frontier.At(6));
        Assert.True(await past.WaitAsync(Waiting.Patience));
        await cancel.CancelAsync();
        await Assert.ThrowsAnyAsync<OperationCanceledException>(() => cancelled);
        _registry.Drop(B);
        Assert.False(await never.WaitAsync(Waiting.Patience));
    }

    /// <summary>Against the definition: the least of the policy's time and of all holds, written down naively.</summary>
    [Fact]
    public void A_since_is_the_least_of_policy_and_holds_whatever_happens()
    {
        for (var seed = 0; seed < 200; seed++)
        {
            var random = new Random(seed);
            var registry = new CollectionRegistry();
            var announced = 0UL;
            registry.SinceAdvanced += (_, since) =>
            {
                Assert.True(since.Value > announced, $"seed {seed}");
                announced = since.Value;
            };
            var window = (ulong)random.Next(1, 30);
            var (upper, implied) = (1UL, 0UL);
            registry.Register(A, Frontier.Minimum, Frontier.At(upper), window);
            var holds = new List<ReadHold>();
            IDisposable? keeping = null;
            for (var step = 0; step < 100; step++)
            {
                switch (random.Next(6))
                {
                    case 0 or 1:
                        upper += (ulong)random.Next(0, 40);
                        registry.AdvanceUpper(A, Frontier.At(upper));
                        break;
                    case 2:
                        holds.Add(Assert.Single(registry.Acquire([A])!));
                        break;
                    case 3 when holds.Count > 0:
                        holds[random.Next(holds.Count)].DowngradeTo(Frontier.At((ulong)random.Next((int)upper + 20)));
                        break;
                    case 4 when holds.Count > 0:
                        var at = random.Next(holds.Count);
                        holds[at].Dispose();
                        holds.RemoveAt(at);
                        break;
                    case 5 when keeping is null && random.Next(4) == 0:
                        keeping = registry.KeepSinces();
                        break;
                    case 5:
                        keeping?.Dispose();
                        keeping = null;
                        break;
                }

                var stride = Math.Clamp(window, 1, 1000);
                if (keeping is null && upper > window)
                    implied = Math.Max(implied, (upper - window) / stride * stride);
                var expected = holds.Select(h => h.At.Value).Append(implied).Min();
                Assert.True(expected == registry.Frontiers(A)!.Value.Since.Value, $"seed {seed}, step {step}");
                Assert.Equal(expected, announced);
            }
        }
    }

    private void Register(GlobalId id, ulong since, ulong upper, ulong window) =>
        _registry.Register(id, Frontier.At(since), Frontier.At(upper), window);

    private ulong? Since(GlobalId id) => _registry.Frontiers(id)?.Since.Time;
}
