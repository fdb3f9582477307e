using Materialize.Core.Rows;
using Materialize.Dataflow;

namespace Materialize.Dataflow.Tests;

/// <summary>The hard cases of small top-k: deletes that use up what is remembered, many times at once, hot keys.</summary>
public sealed unsafe class TopKTests
{
    private static readonly Codec Number = new(8);

    [Theory, InlineData(1, 0, 1), InlineData(3, 2, 1), InlineData(1, 0, 400)]
    public void Deleting_the_first_again_and_again_shows_the_next(int limit, int offset, int timesAtOnce)
    {
        using var top = new Top(limit, offset);
        var present = new SortedSet<ulong>();
        for (var i = 0; i < 40_000; i++)
            top.Add((ulong)i * 7919 % 1_000_003, 0, 1, present);
        top.CompleteTo(1);
        top.MustShow(0, present);
        var random = new Random(limit + timesAtOnce);
        var time = 1UL;
        for (var round = 0; round < 2400 / timesAtOnce; round++)
        {
            var wanted = new List<(ulong Time, ulong[] Rows)>();
            for (var t = 0; t < timesAtOnce; t++, time++)
            {
                // The first goes; now and then a run of those behind it, or the row that went comes back, or a row far away changes.
                var gone = present.Min;
                top.Add(gone, time, -1, present);
                if (random.Next(30) == 0)
                {
                    foreach (var next in present.Take(random.Next(40)).ToList())
                        top.Add(next, time, -1, present);
                }

                if (random.Next(5) == 0)
                    top.Add(gone, time, 1, present);
                if (random.Next(3) == 0)
                    top.Add(2_000_000 + time, time, 1, present);
                wanted.Add((time, [.. present.Skip(offset).Take(limit)]));
            }

            top.CompleteTo(time);
            foreach (var (t, rows) in wanted)
                top.MustShow(t, rows);
        }
    }

    [Fact]
    public void Copies_and_negative_multiplicities_count_as_they_should()
    {
        using var top = new Top(2, 0);
        top.Add(5, 0, 3);
        top.Add(3, 0, -1);
        top.CompleteTo(1);
        Assert.Equal([(5UL, 2L)], top.At(0));
        top.Add(3, 1, 2);
        top.CompleteTo(2);
        Assert.Equal([(3UL, 1L), (5UL, 1L)], top.At(1));
        top.Add(3, 2, -1);
        top.Add(5, 2, -3);
        top.CompleteTo(3);
        Assert.Equal([], top.At(2));
        top.Add(9, 3, 1);
        top.CompleteTo(4);
        Assert.Equal([(9UL, 1L)], top.At(3));
    }

    /// <summary>One key, values as sort keys.</summary>
    private sealed class Top : IDisposable
    {
        private readonly Rig _rig = new(1);
        private readonly List<(ulong Value, ulong Time, long Diff)> _changes = [];
        private readonly SortedDictionary<ulong, long> _shown = [];
        private readonly int _limit;
        private readonly int _offset;
        private int _applied;
        private InputHandle<Time> _input = null!;

        public Top(int limit, int offset)
        {
            (_limit, _offset) = (limit, offset);
            _rig.Build((scope, _) =>
            {
                (_input, var rows) = scope.NewInput("input", Number.Shape, 0);
                var top = rows.TopK("top", Split, RowShape.Empty, Number.Shape, RowShape.Empty, limit, offset, Finish, Number.Shape).Ok;
                top.ForEach("see", batch =>
                {
                    for (var i = 0; i < batch.Count; i++)
                        _changes.Add((Number.Decode(batch[i]), batch.TimeAt(i).Value, batch.DiffAt(i)));
                });
            });
        }

        public void Add(ulong value, ulong time, long diff, SortedSet<ulong>? present = null)
        {
            _input.Send(Number.Encode(value), time, diff);
            if (diff > 0)
                present?.Add(value);
            else
                present?.Remove(value);
        }

        public void CompleteTo(ulong time)
        {
            _input.AdvanceTo(time);
            _rig.Run();
            _changes.Sort(_applied, _changes.Count - _applied, Comparer<(ulong Value, ulong Time, long Diff)>.Create((a, b) => a.Time.CompareTo(b.Time)));
        }

        public List<(ulong, long)> At(ulong time)
        {
            for (; _applied < _changes.Count && _changes[_applied].Time <= time; _applied++)
            {
                var (value, _, diff) = _changes[_applied];
                _shown.TryGetValue(value, out var count);
                if (count + diff == 0)
                    _shown.Remove(value);
                else
                    _shown[value] = count + diff;
            }

            return [.. _shown.Select(r => (r.Key, r.Value))];
        }

        public void MustShow(ulong time, SortedSet<ulong> present) => MustShow(time, present.Skip(_offset).Take(_limit).ToArray());

        public void MustShow(ulong time, ulong[] rows) => Assert.Equal(rows.Select(r => (r, 1L)), At(time));

        public void Dispose()
        {
            _input.Dispose();
            _rig.Dispose();
        }

        private static void Split(KernelIo io)
        {
            io.Outputs[0].AppendFixed(io.Count);
            io.Outputs[2].AppendFixed(io.Count);
            for (var i = 0; i < io.Count; i++)
            {
                io.Outputs[1].Append(new ReadOnlySpan<byte>((void*)io.Parts[0][i], 8));
                io.Selected[i] = i;
            }

            io.Emitted = io.Count;
        }

        private static void Finish(KernelIo io)
        {
            for (var i = 0; i < io.Count; i++)
            {
                io.Outputs[0].Append(new ReadOnlySpan<byte>((void*)io.Parts[2][i], 8));
                io.Selected[i] = i;
            }

            io.Emitted = io.Count;
        }
    }
}
