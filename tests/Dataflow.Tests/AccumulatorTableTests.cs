using Materialize.Core.Hashing;
using Materialize.Core.Memory;
using Materialize.Core.Rows;
using Materialize.Dataflow.Operators;
using Materialize.Dataflow.Runtime;

namespace Materialize.Dataflow.Tests;

public sealed class AccumulatorTableTests
{
    [Theory]
    [InlineData(8, 8, 30)]        // one small page
    [InlineData(8, 8, 20_000)]    // parts split
    [InlineData(8, 8, 200_000)]   // on huge pages
    [InlineData(8, 40, 20_000)]
    [InlineData(8, 2_000, 2_000)] // few records a page
    [InlineData(16, 16, 20_000)]  // keys that are not their hashes
    [InlineData(-1, 8, 20_000)]
    [InlineData(-1, 8, 100_000)]  // the arena of keys is rewritten
    public void Agrees_with_a_dictionary_through_upserts_removals_and_growth(int keyWidth, int accumulatorBytes, int keys)
    {
        var random = new Random(keys + accumulatorBytes);
        using var table = new Modelled(keyWidth < 0 ? RowShape.Variable : new RowShape(keyWidth), accumulatorBytes);

        // It grows, loses most of its keys, and grows beyond; then keys are few.
        foreach (var (operations, removed, range) in new[] { (2 * keys, 0.1, keys), (2 * keys, 0.8, keys), (2 * keys, 0.2, 2 * keys), (keys, 0.5, (keys / 4) + 1) })
        {
            for (var i = 0; i < operations; i++)
            {
                var key = (ulong)random.Next(range);
                if (random.NextDouble() < removed)
                    table.Remove(key);
                else
                    table.Set(key, (ulong)random.NextInt64(), marks: random.Next(2) == 0);
                if (i % 64 == 0)
                    table.CollectKeys(random.Next(300));
            }

            table.Check();
        }
    }

    [Theory]
    [InlineData(8, 8)]
    [InlineData(8, 16)]
    [InlineData(8, 100)]
    [InlineData(16, 8)]
    [InlineData(-1, 8)]
    public void Finds_and_adds_many_keys_at_once_as_one_by_one(int keyWidth, int accumulatorBytes)
    {
        var random = new Random(keyWidth + accumulatorBytes);
        using var table = new Modelled(keyWidth < 0 ? RowShape.Variable : new RowShape(keyWidth), accumulatorBytes);
        foreach (var range in new[] { 10, 1000, 100_000 })
        {
            for (var i = 0; i < 100; i++)
                table.SetMany([.. Enumerable.Range(0, random.Next(1, 1000)).Select(_ => (ulong)random.Next(range))]);
            for (var i = 0; i < range; i += 3)
                table.Remove((ulong)i);
            table.Check();
        }
    }

    [Fact]
    public void Holds_any_number_of_keys_with_equal_hashes()
    {
        using var table = new Modelled(RowShape.Variable, 8) { HashOf = _ => 0x0123456789ABCDEF };
        for (var i = 0UL; i < 9000; i++)
            table.Set(i, i + 1, marks: i % 3 == 0);
        for (var i = 0UL; i < 9000; i += 7)
            table.Remove(i);
        table.Check();
    }

    [Fact]
    public void Tells_the_key_whose_hash_is_zero_from_a_free_slot()
    {
        using var table = new Modelled(new RowShape(8), 8);
        Assert.Equal(0UL, RowHash.Mix(0));
        table.Set(0, 5, marks: true);
        table.Set(1, 6, marks: false);
        table.Check();
        table.Remove(0);
        table.Check();
        table.Set(0, 7, marks: false);
        for (var i = 2UL; i < 5000; i++)
            table.Set(i, i, marks: i % 2 == 0);
        table.Check();
    }

    [Fact]
    public void Grows_by_one_part_at_a_time()
    {
        using var table = new Modelled(new RowShape(8), 8) { CountsMoves = true };
        for (var i = 0UL; i < 60_000; i++)
            table.Set(i, i, marks: false);

        // A part has eight pages of a thousand slots at most; the rest stays where it is.
        Assert.True(table.MovedMax <= 8 * 1024, $"{table.MovedMax} records moved at once");
        Assert.True(table.MovedMax > 0, "the table grew");
        table.Check();
    }

    [Fact]
    public void A_log_returns_its_entries_and_lets_go_of_those_done_with()
    {
        unsafe
        {
            foreach (var stride in new[] { 8, 24, 2000, 100_000 })
            {
                using var log = new EntryLog(stride);
                var before = SlabPool.BytesInUse;
                foreach (var count in new[] { 1, 100, 7000 / (1 + (stride / 2000)), 3 })
                {
                    for (var i = 0; i < count; i++)
                        *(long*)log.Add() = i;
                    Assert.Equal(count, log.Count);
                    for (var i = 0; i < count; i++)
                    {
                        Assert.Equal(i, *(long*)log[i]);
                        if (i % 10 == 0)
                            log.ReleaseBefore(i);
                        if (i % 1000 == 0)
                            CheckMemory(before, log.Measure);
                    }

                    log.ReleaseBefore(count);
                    CheckMemory(before, log.Measure);
                    log.Clear();
                    CheckMemory(before, log.Measure);
                }
            }
        }
    }

    private static void CheckMemory(long before, Action<StateMeter> measure)
    {
        var meter = new StateMeter();
        measure(meter);
        Assert.Equal(SlabPool.BytesInUse - before, meter.Take().CapacityBytes);
    }

    /// <summary>A table and what should be in it: for each key a number, which its accumulator begins and ends with, and whether it is marked.</summary>
    private sealed unsafe class Modelled : IDisposable
    {
        private readonly RowShape _shape;
        private readonly AccumulatorTable _table;
        private readonly long _before = SlabPool.BytesInUse;
        private readonly Dictionary<ulong, (ulong Number, bool IsMarked)> _model = [];
        private readonly byte[] _identity;

        public Modelled(RowShape shape, int accumulatorBytes)
        {
            _shape = shape;
            _table = new AccumulatorTable(shape, accumulatorBytes);
            _identity = new byte[_table.IdentityBytes];
            HashOf = key => RowHash.Hash(shape, BytesOf(key));
        }

        public Func<ulong, ulong> HashOf { get; init; }

        public bool CountsMoves { get; init; }

        /// <summary>Most records found elsewhere after one growth, where they are counted.</summary>
        public int MovedMax { get; private set; }

        public void Set(ulong key, ulong number, bool marks)
        {
            var hash = HashOf(key);
            var keyBytes = BytesOf(key);
            fixed (byte* bytes = keyBytes)
            {
                _table.Prefetch(hash);
                _table.PrefetchKey(hash);
                var record = _table.TryFindOrAdd(hash, bytes, keyBytes.Length, out var isNew);
                while (record == null)
                {
                    var sample = CountsMoves ? Addresses() : [];
                    _table.Grow(hash);
                    if (CountsMoves)
                        MovedMax = Math.Max(MovedMax, Addresses().Count(a => !sample.Contains(a)));
                    record = _table.TryFindOrAdd(hash, bytes, keyBytes.Length, out isNew);
                }

                Assert.Equal(!_model.TryGetValue(key, out var before), isNew);
                var accumulator = new Span<byte>(_table.Accumulator(record), _table.AccumulatorBytes);
                if (isNew)
                    Assert.False(accumulator.ContainsAnyExcept((byte)0), "a new accumulator is zero");
                Write(accumulator, number);
                if (marks)
                    Assert.Equal(!before.IsMarked, AccumulatorTable.Mark(record));
                else
                    AccumulatorTable.Unmark(record);
                _model[key] = (number, marks);
            }
        }

        /// <summary>Numbers the keys by their places in the list; keys occur more than once.</summary>
        public void SetMany(ulong[] keys)
        {
            using var rows = new RowWriter(_shape);
            var hashes = new ulong[keys.Length];
            for (var i = 0; i < keys.Length; i++)
            {
                rows.Append(BytesOf(keys[i]));
                hashes[i] = HashOf(keys[i]);
            }

            fixed (ulong* h = hashes)
            fixed (nint* records = new nint[keys.Length])
            {
                for (var done = 0; done < keys.Length;)
                {
                    var found = _table.FindOrAdd(h, rows.Peek(), 0, records, done, keys.Length);
                    for (var i = done; i < found; i++)
                    {
                        Assert.Equal(!_model.TryGetValue(keys[i], out var before), (records[i] & 1) != 0);
                        Write(new Span<byte>(_table.Accumulator((byte*)(records[i] & ~1)), _table.AccumulatorBytes), (ulong)i);
                        _model[keys[i]] = before with { Number = (ulong)i };
                    }

                    if (found < keys.Length)
                        Assert.True(_table.Grow(hashes[found]) > 0, "a full part has records");
                    done = found;
                }
            }
        }

        public void Remove(ulong key)
        {
            if (_model.Remove(key))
                _table.Remove(HashOf(key), Find(key));
        }

        public void CollectKeys(int records) => _table.CollectKeys(records);

        public void Check()
        {
            Assert.Equal(_model.Count, _table.Count);
            var numbers = 0UL;
            _table.ForEach(accumulator => numbers += *(ulong*)accumulator);
            Assert.Equal(_model.Values.Aggregate(0UL, (sum, v) => sum + v.Number), numbers);
            var expected = new byte[_table.AccumulatorBytes];
            foreach (var (key, (number, isMarked)) in _model)
            {
                var record = Find(key);
                Write(expected, number);
                if (!new Span<byte>(_table.Accumulator(record), expected.Length).SequenceEqual(expected))
                    Assert.Fail($"the accumulator of {key} is another");
                fixed (byte* identity = _identity)
                {
                    _table.CopyIdentity(HashOf(key), record, identity);
                    if (_table.Find(identity) != record)
                        Assert.Fail($"the record of {key} is not found by identity");
                    ulong scratch;
                    var bytes = _table.Key(identity, &scratch);
                    if (!new Span<byte>(bytes, _table.KeyLength(identity)).SequenceEqual(BytesOf(key)))
                        Assert.Fail($"the key {key} is another");
                }

                if (AccumulatorTable.Mark(record) == isMarked)
                    Assert.Fail($"the mark of {key} is another");
                if (!isMarked)
                    AccumulatorTable.Unmark(record);
            }

            CheckMemory(_before, _table.Measure);
        }

        public void Dispose()
        {
            _table.Dispose();
            Assert.Equal(_before, SlabPool.BytesInUse);
        }

        private HashSet<nint> Addresses()
        {
            var addresses = new HashSet<nint>();
            _table.ForEach(accumulator => addresses.Add(accumulator));
            return addresses;
        }

        private byte* Find(ulong key)
        {
            var keyBytes = BytesOf(key);
            fixed (byte* bytes = keyBytes)
            {
                var record = _table.TryFindOrAdd(HashOf(key), bytes, keyBytes.Length, out var isNew);
                Assert.False(isNew, "a key is there until it is removed");
                return record;
            }
        }

        // The last byte last: a wide accumulator is copied to its end.
        private static void Write(Span<byte> accumulator, ulong number)
        {
            accumulator.Clear();
            BitConverter.TryWriteBytes(accumulator, number);
            if (accumulator.Length > sizeof(ulong))
                accumulator[^1] = (byte)number;
        }

        private byte[] BytesOf(ulong key) => _shape.Width == 8 ? BitConverter.GetBytes(key)
            : _shape.IsFixed ? [.. BitConverter.GetBytes(key), .. BitConverter.GetBytes(~key)]
            : System.Text.Encoding.UTF8.GetBytes($"{key}{new string('x', (int)(key % 5))}");
    }
}
