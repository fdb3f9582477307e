using Materialize.Core.Rows;
using Materialize.Dataflow.Runtime;
using Materialize.Dataflow.Traces;

namespace Materialize.Dataflow.Operators;

// What becomes of one key: the times at which its output may have changed, and what is wrong with the output at each.
internal sealed unsafe partial class GeneralReduceOperator<TTime>
{
    private void Correct(KeyAddress key, Snapshot<TTime> inputs, Snapshot<TTime> outputs, Frontier<TTime> frontier)
    {
        _work++;
        Close(key, inputs, frontier);
        _times.Sort();
        _produced.Clear();
        _producedTimes.Clear();
        foreach (var time in _times)
        {
            _wanted.Clear();
            _wantedErrors.Clear();
            _wantedDiffs.Clear();
            var count = ReadGroup(inputs, key, time, _floor, _reduction.RowsNeeded);
            if (count > 0)
            {
                _reduction.Reduce(
                    key.Address, key.Length, (nint*)System.Runtime.CompilerServices.Unsafe.AsPointer(ref _values[0]),
                    (int*)System.Runtime.CompilerServices.Unsafe.AsPointer(ref _lengths[0]),
                    (long*)System.Runtime.CompilerServices.Unsafe.AsPointer(ref _diffs[0]), count, _wanted, _wantedDiffs, _wantedErrors);
            }

            EmitCorrection(key, time, outputs);
        }
    }

    // Times at which the output may change because of updates at _times: closed under joins with each other and with the history's.
    private void Close(KeyAddress key, Snapshot<TTime> inputs, Frontier<TTime> frontier)
    {
        if (TTime.IsTotal)
            return;
        ReadHistory(inputs, key);
        for (var i = 0; i < _times.Count; i++) // grows meanwhile
        {
            for (var h = 0; h < _history.Count; h++)
                Note(TTime.Join(_times[i], _history[h]), key, frontier);
            for (var j = 0; j < i; j++)
                Note(TTime.Join(_times[i], _times[j]), key, frontier);
        }
    }

    private void Note(TTime time, KeyAddress key, Frontier<TTime> frontier)
    {
        if (_times.Contains(time))
            return;
        if (frontier.HasPassed(time))
        {
            _times.Add(time);
            return;
        }

        if (!_later.TryGetValue(time, out var keys))
            _later.Add(time, keys = []);
        keys.Add(key.ToBytes());
    }

    private void AddTime(TTime time)
    {
        if (!_times.Contains(time))
            _times.Add(time);
    }

    private void ReadHistory(Snapshot<TTime> inputs, KeyAddress key)
    {
        _history.Clear();
        foreach (var batch in inputs.Batches)
        {
            if (IsPast(batch.TimeBound) || !batch.Find(key.Hash, key.Address, key.Length, out var from, out var to))
                continue;
            if (batch.Times == null)
                AddHistory(batch.UniformTime);
            for (var row = from; batch.Times != null && row < to; row++)
                AddHistory(batch.Times[row]);
        }

        if (inputs.Recent is not { } recent || IsPast(recent.TimeBound))
            return;
        for (var row = recent.First(key.Hash, inputs.RecentCount); row >= 0; row = recent.Next(row))
        {
            if (recent.KeyEquals(row, key.Address, key.Length))
                AddHistory(recent.TimeAt(row));
        }
    }

    // Whether all times up to a bound are at or before each of those to be evaluated: their joins with these are these. The rule during a load, when only rounds advance.
    private bool IsPast(TTime bound)
    {
        foreach (var time in _times)
        {
            if (!TTime.LessEqual(bound, time))
                return false;
        }

        return true;
    }

    private void AddHistory(TTime time)
    {
        time = TTime.Join(time, _floor);
        if ((_history.Count == 0 || !_history[^1].Equals(time)) && !_history.Contains(time))
            _history.Add(time);
    }

    private int ReadGroup(Snapshot<TTime> snapshot, KeyAddress key, TTime time, TTime floor, long rowsNeeded)
    {
        _reader.Start();
        _reader.Limit(time, strict: false, floor);
        _reader.Add(snapshot, key.Hash, key.Address, key.Length, filtered: true);
        var count = 0;
        while (rowsNeeded > 0 && _reader.Next(out var value, out var length, out var diff))
        {
            if (count == _values.Length)
            {
                _values = Grow(_values);
                _lengths = Grow(_lengths);
                _diffs = Grow(_diffs);
            }

            _work++;
            _values[count] = (nint)value;
            _lengths[count] = length;
            _diffs[count++] = diff;
            if (diff > 0 && rowsNeeded != long.MaxValue)
                rowsNeeded -= diff;
        }

        return count;

        static T[] Grow<T>(T[] old) where T : unmanaged
        {
            var grown = GC.AllocateArray<T>(old.Length * 2, pinned: true);
            old.CopyTo(grown, 0);
            return grown;
        }
    }

    // Wanted − accumulated, by value: all in one list, sorted, added up.
    private void EmitCorrection(KeyAddress key, TTime time, Snapshot<TTime> outputs)
    {
        _tagged.Clear();
        _entries.Clear();
        var accumulated = ReadGroup(outputs, key, time, TTime.Minimum, long.MaxValue);
        for (var i = 0; i < accumulated; i++)
            _entries.Add((_values[i], _lengths[i], -_diffs[i]));
        for (var i = 0; i < _produced.Count; i++)
        {
            if (TTime.LessEqual(_producedTimes[i].Time, time))
                _entries.Add(((nint)_produced.AddressOf(i), _produced.LengthOf(i), -_producedTimes[i].Diff));
        }

        for (var i = 0; i < _wanted.Count; i++)
            Tag(_wanted[i], IsRow);
        for (var i = 0; i < _wantedErrors.Count; i++)
            Tag(_wantedErrors[i], IsError);
        for (var i = 0; i < _tagged.Count; i++)
            _entries.Add(((nint)_tagged.AddressOf(i), _tagged.LengthOf(i), i < _wantedDiffs.Count ? _wantedDiffs[i] : 1));
        if (_entries.Count > 1)
            _entries.Sort(static (a, b) => BytesVariable.Compare((byte*)a.Value, a.Length, (byte*)b.Value, b.Length));

        // Copied apart first: what is produced at this time joins _produced, which moves.
        _made.Clear();
        _madeDiffs.Clear();
        for (var i = 0; i < _entries.Count;)
        {
            var (value, length, sum) = _entries[i];
            for (i++; i < _entries.Count && BytesVariable.Compare((byte*)value, length, (byte*)_entries[i].Value, _entries[i].Length) == 0; i++)
                sum += _entries[i].Diff;
            if (sum == 0)
                continue;
            _made.Append((byte*)value, length);
            _madeDiffs.Add(sum);
        }

        for (var i = 0; i < _made.Count; i++)
        {
            var value = _made.AddressOf(i);
            var length = _made.LengthOf(i);
            _produced.Append(value, length);
            _producedTimes.Add((time, _madeDiffs[i]));
            _newOutputs.Keys?.Append(key.Address, key.Length);
            _newOutputs.Rows.Append(value, length);
            _newOutputs.AddHash(key.Hash);
            _newOutputs.Add(time, _madeDiffs[i]);
            var to = value[length - 1] == IsRow ? _rows : _errorRows;
            to.Rows.Append(value, length - 1);
            to.Add(time, _madeDiffs[i]);
        }
    }

    private void Tag(ReadOnlySpan<byte> row, byte tag)
    {
        var to = _tagged.Reserve(row.Length + 1);
        row.CopyTo(new Span<byte>(to, row.Length));
        to[row.Length] = tag;
        _tagged.Commit(row.Length + 1);
    }
}
