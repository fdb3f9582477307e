using System.Buffers.Binary;
using Materialize.Core.Rows;
using Materialize.Dataflow;
using Materialize.Dataflow.Runtime;

namespace Materialize.Dataflow.Tests;

/// <summary>Numbers as bytes of a chosen width; −1 is a variable width whose first byte is the length. Order-preserving for fixed widths (big-endian).</summary>
internal readonly record struct Codec(int Width)
{
    public RowShape Shape => new(Width);

    public byte[] Encode(ulong x)
    {
        if (Width == 0)
            return [];
        if (Width > 0)
        {
            var bytes = new byte[Width];
            Span<byte> full = stackalloc byte[8];
            BinaryPrimitives.WriteUInt64BigEndian(full, x);
            if (Width <= 8)
                full[(8 - Width)..].CopyTo(bytes);
            else
                full.CopyTo(bytes.AsSpan(Width - 8));
            return bytes;
        }

        var length = (int)(x % 23) + 9;
        var text = new byte[length];
        text[0] = (byte)length;
        BinaryPrimitives.WriteUInt64BigEndian(text.AsSpan(1), x);
        text.AsSpan(9).Fill((byte)('a' + (x % 26)));
        return text;
    }

    public unsafe ulong Decode(nint address) => Decode(new ReadOnlySpan<byte>((void*)address, LengthAt(address)));

    public ulong Decode(ReadOnlySpan<byte> bytes)
    {
        if (Width == 0)
            return 0;
        if (Width < 0)
            return BinaryPrimitives.ReadUInt64BigEndian(bytes[1..]);
        if (Width > 8)
            return BinaryPrimitives.ReadUInt64BigEndian(bytes[(Width - 8)..]);
        Span<byte> full = stackalloc byte[8];
        full.Clear();
        bytes[..Width].CopyTo(full[(8 - Width)..]);
        return BinaryPrimitives.ReadUInt64BigEndian(full);
    }

    public unsafe int LengthAt(nint address) => Width >= 0 ? Width : *(byte*)address;
}

/// <summary>Rows of two numbers (a, b), both in one codec.</summary>
internal readonly record struct PairRows(Codec Codec)
{
    public static PairRows Fixed => new(new Codec(8));

    public static PairRows Text => new(new Codec(-1));

    public RowShape Shape => Codec.Width < 0 ? RowShape.Variable : new RowShape(2 * Codec.Width);

    public byte[] Encode(ulong a, ulong b) => [.. Codec.Encode(a), .. Codec.Encode(b)];

    public (ulong A, ulong B) Decode(nint row) => (Codec.Decode(row), Codec.Decode(row + Codec.LengthAt(row)));

    public unsafe (ulong A, ulong B) Decode(ReadOnlySpan<byte> row)
    {
        fixed (byte* p = row)
            return Decode((nint)p);
    }
}

/// <summary>A collection of pairs as it should be.</summary>
internal sealed class Bag : Dictionary<(ulong A, ulong B), long>
{
    public Bag()
    {
    }

    public Bag(IEnumerable<((ulong, ulong) Row, long Count)> rows)
    {
        foreach (var (row, count) in rows)
            Add(row, count, 0);
    }

    public void Add((ulong, ulong) row, long count, int _)
    {
        TryGetValue(row, out var old);
        if (old + count == 0)
            Remove(row);
        else
            this[row] = old + count;
    }

    public static Bag At(IEnumerable<(ulong A, ulong B, ulong Time, long Diff)> updates, ulong time)
    {
        var bag = new Bag();
        foreach (var u in updates)
        {
            if (u.Time <= time)
                bag.Add((u.A, u.B), u.Diff, 0);
        }

        return bag;
    }

    public void MustEqual(Bag actual, string what)
    {
        var wrong = new List<string>();
        foreach (var (row, count) in this)
        {
            actual.TryGetValue(row, out var other);
            if (other != count)
                wrong.Add($"{row}: expected {count}, got {other}");
        }

        foreach (var (row, count) in actual)
        {
            if (!ContainsKey(row))
                wrong.Add($"{row}: expected none, got {count}");
        }

        Assert.True(wrong.Count == 0, $"{what}: {wrong.Count} rows differ; {string.Join("; ", wrong.Take(5))}");
    }
}

/// <summary>Workers without threads, dataflows of pairs, and what came out of them.</summary>
internal sealed class Rig : IDisposable
{
    /// <param name="fuelMax">Most rows of an operator's run: small, and all stop in the midst of their work.</param>
    public Rig(int workers, long fuelMax = long.MaxValue)
    {
        Group = new WorkerGroup(workers, 0, workers, null, WorkerSettings.Default with { FuelMax = fuelMax }, startThreads: false);
    }

    public WorkerGroup Group { get; }

    public List<DataflowGraph> Graphs { get; } = [];

    public void Build(Action<Scope<Time>, int> build)
    {
        foreach (var worker in Group.Workers)
            Graphs.Add(worker.BuildDataflow("test", scope => build(scope, worker.Index)));
    }

    public void Run()
    {
        for (var steps = 0; Group.StepAll(); steps++)
            Assert.True(steps < 1_000_000, "the workers never come to rest");
    }

    public void Dispose()
    {
        foreach (var graph in Graphs)
            graph.Drop();
        Group.Dispose();
    }
}

/// <summary>Updates that came out of a stream of pairs, of all workers.</summary>
internal sealed class Captured
{
    public List<(ulong A, ulong B, ulong Time, long Diff)> Updates { get; } = [];

    public Dictionary<int, Frontier<Time>> Frontiers { get; } = [];

    public Frontier<Time> Frontier
    {
        get
        {
            var least = Frontier<Time>.Closed;
            foreach (var f in Frontiers.Values)
                least = Frontier<Time>.Min(least, f);
            return least;
        }
    }

    public void Attach(Stream<Time> stream, PairRows rows, int worker)
    {
        stream.ForEach(
            "capture",
            batch =>
            {
                for (var i = 0; i < batch.Count; i++)
                {
                    var (a, b) = rows.Decode(batch[i]);
                    lock (Updates) // workers of some tests have threads
                    {
                        Assert.False(Frontiers.TryGetValue(worker, out var f) && f.HasPassed(batch.TimeAt(i)), "an update came behind the frontier");
                        Updates.Add((a, b, batch.TimeAt(i).Value, batch.DiffAt(i)));
                    }
                }
            },
            frontier =>
            {
                lock (Updates)
                    Frontiers[worker] = frontier;
            });
    }

    public Bag At(ulong time) => Bag.At(Updates, time);
}

internal static class Kernels
{
    /// <summary>Key a, value b of a pair, or of what <paramref name="map"/> makes of it; a pair for which <paramref name="fails"/> holds gives the error row of the pair, as text.</summary>
    public static RowKernel Split(PairRows rows, Codec key, Codec value, Func<ulong, ulong, (ulong, ulong)>? map = null, Func<ulong, ulong, bool>? fails = null) => io =>
    {
        unsafe
        {
            var (n, e) = (0, 0);
            for (var i = 0; i < io.Count; i++)
            {
                var (a, b) = rows.Decode(io.Parts[0][i]);
                if (fails?.Invoke(a, b) == true)
                {
                    io.Errors!.Append(PairRows.Text.Encode(a, b));
                    io.ErrorSelected[e++] = i;
                    continue;
                }

                if (map is not null)
                    (a, b) = map(a, b);
                io.Outputs[0].Append(key.Encode(a));
                if (io.Outputs.Length > 1)
                    io.Outputs[1].Append(value.Encode(b));
                io.Selected[n++] = i;
            }

            (io.Emitted, io.ErrorsEmitted) = (n, e);
        }
    };

    /// <summary>A pair from key and value.</summary>
    public static RowKernel Pair(Codec key, Codec value, PairRows rows) => io =>
    {
        unsafe
        {
            for (var i = 0; i < io.Count; i++)
            {
                io.Outputs[0].Append(rows.Encode(key.Decode(io.Parts[0][i]), value.Decode(io.Parts[1][i])));
                io.Selected[i] = i;
            }

            io.Emitted = io.Count;
        }
    };

    /// <summary>Any map of a pair; null drops it; a pair for which <paramref name="fails"/> holds gives the error row of the pair, as text.</summary>
    public static RowKernel Map(PairRows from, PairRows to, Func<ulong, ulong, (ulong, ulong)?> map, Func<ulong, ulong, bool>? fails = null) => io =>
    {
        unsafe
        {
            var n = 0;
            var e = 0;
            for (var i = 0; i < io.Count; i++)
            {
                var (a, b) = from.Decode(io.Parts[0][i]);
                if (fails?.Invoke(a, b) == true)
                {
                    io.Errors!.Append(PairRows.Text.Encode(a, b));
                    io.ErrorSelected[e++] = i;
                }
                else if (map(a, b) is { } row)
                {
                    io.Outputs[0].Append(to.Encode(row.Item1, row.Item2));
                    io.Selected[n++] = i;
                }
            }

            io.Emitted = n;
            io.ErrorsEmitted = e;
        }
    };

    /// <summary>A pair from key, left and right value: (key, left · 1000 + right).</summary>
    public static RowKernel Joined(Codec key, Codec left, Codec right, PairRows rows) => io =>
    {
        unsafe
        {
            for (var i = 0; i < io.Count; i++)
            {
                var l = left.Decode(io.Parts[1][i]);
                var r = right.Decode(io.Parts[2][i]);
                io.Outputs[0].Append(rows.Encode(key.Decode(io.Parts[0][i]), (l * 1000) + r));
                io.Selected[i] = i;
            }

            io.Emitted = io.Count;
        }
    };
}

/// <summary>Random changes of a bag: inserts, and deletes of what is there.</summary>
internal sealed class Script(int seed, int keys, int values)
{
    private readonly Random _random = new(seed);
    private readonly List<(ulong A, ulong B)> _present = [];

    public List<(ulong A, ulong B, ulong Time, long Diff)> Updates { get; } = [];

    /// <summary>Updates at times [time, time + spread).</summary>
    public List<(ulong A, ulong B, ulong Time, long Diff)> Round(ulong time, int count, int spread = 1, double deletes = 0.45)
    {
        var made = new List<(ulong, ulong, ulong, long)>();
        for (var i = 0; i < count; i++)
        {
            if (_present.Count > 0 && _random.NextDouble() < deletes)
            {
                var at = _random.Next(_present.Count);
                var (a, b) = _present[at];
                _present[at] = _present[^1];
                _present.RemoveAt(_present.Count - 1);
                made.Add((a, b, time + (ulong)(spread - 1), -1));
            }
            else
            {
                // A few keys are hot.
                var a = (ulong)(_random.Next(4) == 0 ? _random.Next(2) : _random.Next(keys));
                var b = (ulong)_random.Next(values);
                made.Add((a, b, time + (ulong)_random.Next(spread), 1));
                _present.Add((a, b));
            }
        }

        Updates.AddRange(made);
        return made;
    }
}
