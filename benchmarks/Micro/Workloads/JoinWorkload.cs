using Materialize.Core.Rows;
using Materialize.Dataflow;

namespace Materialize.Micro;

/// <summary>join N K B R: two inputs of (key, value) joined by key.</summary>
/// <param name="text">With keys and values of variable width.</param>
internal sealed unsafe class JoinWorkload(long[] sizes, bool text = false) : SharedWorkload("join", sizes)
{
    private readonly Rng[] _inserts = [new(42), new(43)];
    private readonly Rng[] _deletes = [new(42), new(43)];
    private readonly InputHandle<Time>[] _inputs = new InputHandle<Time>[2];
    private Check _check;

    public override long LoadRows => 2 * Sizes[0];

    public override int Rounds => (int)Sizes[3];

    public override long UpdatesPerRound => 2 * Sizes[2];

    public override void Build(Scope<Time> scope)
    {
        var (row, part, output) = text ? (RowShape.Variable, RowShape.Variable, RowShape.Variable) : (new RowShape(16), new RowShape(8), new RowShape(24));
        (_inputs[0], var left) = scope.NewInput("left", row, 0);
        (_inputs[1], var right) = scope.NewInput("right", row, 0);
        var split = text ? SplitText : ColumnKernels.Split(1, 1);
        var l = left.Arrange("left", split, part, part).Arranged;
        var r = right.Arrange("right", split, part, part).Arranged;
        var joined = l.Join("join", r, text ? PairText : Pair, output).Ok;
        joined.ForEach("check", batch =>
        {
            for (var i = 0; i < batch.Count; i++)
            {
                if (text)
                {
                    var row = (byte*)batch.RowAddress(i);
                    _check.Add(batch.DiffAt(i), TextRow.Number(row, 3, 0), TextRow.Number(row, 3, 1), TextRow.Number(row, 3, 2));
                }
                else
                {
                    var row = (ulong*)batch.RowAddress(i);
                    _check.Add(batch.DiffAt(i), row[0], row[1], row[2]);
                }
            }
        });
        Probe = joined.Probe();
    }

    public override void Load()
    {
        for (var i = 0L; i < Sizes[0]; i++)
        {
            for (var side = 0; side < 2; side++)
                Change(side, ref _inserts[side], i, 0, 1);
            Breathe((2 * i) + 1);
        }

        Advance(1);
    }

    public override void Round(ulong time)
    {
        for (var i = 0L; i < Sizes[2] / 2; i++)
        {
            for (var side = 0; side < 2; side++)
            {
                Change(side, ref _inserts[side], i, time, 1);
                Change(side, ref _deletes[side], i, time, -1);
            }
        }

        Advance(time + 1);
    }

    public override Check Final() => _check;

    public override Check Plain()
    {
        var gone = Sizes[3] * (Sizes[2] / 2);
        var sides = new[] { 42UL, 43UL }.Select(seed =>
        {
            var rng = new Rng(seed);
            var rows = new List<(ulong Key, ulong Value)>();
            for (var i = 0L; i < Sizes[0] + gone; i++)
            {
                var row = (rng.Below((ulong)Sizes[1]), rng.Next());
                if (i >= gone)
                    rows.Add(row);
            }

            return rows;
        }).ToList();
        var right = sides[1].ToLookup(row => row.Key, row => row.Value);
        var check = default(Check);
        foreach (var (key, value) in sides[0])
        {
            foreach (var other in right[key])
                check.Add(1, key, value, other);
        }

        return check;
    }

    public override void Close()
    {
        _inputs[0].Dispose();
        _inputs[1].Dispose();
    }

    private static void Pair(KernelIo io)
    {
        var rows = (ulong*)io.Outputs[0].AppendFixed(io.Count);
        var keys = io.Parts[0];
        var left = io.Parts[1];
        var right = io.Parts[2];
        for (var i = 0; i < io.Count; i++)
        {
            rows[0] = *(ulong*)keys[i];
            rows[1] = *(ulong*)left[i];
            rows[2] = *(ulong*)right[i];
            rows += 3;
            io.Selected[i] = i;
        }

        io.Emitted = io.Count;
    }

    private static void SplitText(KernelIo io)
    {
        for (var i = 0; i < io.Count; i++)
        {
            var row = (byte*)io.Parts[0][i];
            for (var part = 0; part < 2; part++)
            {
                TextRow.Copy(TextRow.Begin(io.Outputs[part], 1), 1, 0, row, 2, part);
                TextRow.End(io.Outputs[part], 1);
            }

            io.Selected[i] = i;
        }

        io.Emitted = io.Count;
    }

    private static void PairText(KernelIo io)
    {
        for (var i = 0; i < io.Count; i++)
        {
            var row = TextRow.Begin(io.Outputs[0], 3);
            for (var part = 0; part < 3; part++)
                TextRow.Copy(row, 3, part, (byte*)io.Parts[part][i], 1, 0);
            TextRow.End(io.Outputs[0], 3);
            io.Selected[i] = i;
        }

        io.Emitted = io.Count;
    }

    private void Change(int side, ref Rng rng, long number, ulong time, long diff)
    {
        if (!IsMine(number))
        {
            rng.Skip(2);
            return;
        }

        var key = rng.Below((ulong)Sizes[1]);
        var value = rng.Next();
        if (!text)
        {
            Send(_inputs[side], time, diff, key, value);
            return;
        }

        var row = TextRow.Begin(_inputs[side].Rows, 2);
        TextRow.Write(row, 2, 0, key);
        TextRow.Write(row, 2, 1, value);
        TextRow.End(_inputs[side].Rows, 2);
        _inputs[side].Commit(time, diff);
    }

    private void Advance(ulong time)
    {
        _inputs[0].AdvanceTo(time);
        _inputs[1].AdvanceTo(time);
    }
}
