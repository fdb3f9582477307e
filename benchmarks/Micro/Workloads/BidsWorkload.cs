using Materialize.Core.Rows;
using Materialize.Dataflow;

namespace Materialize.Micro;

/// <summary>bids A N B R: the average-price query of an auction site, in sums and counts.</summary>
/// <remarks>With <paramref name="text"/>, auctions are known by texts: keys of variable width.</remarks>
internal sealed unsafe class BidsWorkload(long[] sizes, bool text = false) : SharedWorkload("bids", sizes)
{
    private readonly Dictionary<(ulong, ulong, ulong), long> _view = [];
    private InputHandle<Time> _auctions = null!;
    private InputHandle<Time> _bids = null!;
    private Rng _rng = new(43);
    private ulong _next;

    public override long LoadRows => Sizes[0] + Sizes[1];

    public override int Rounds => (int)Sizes[3];

    public override long UpdatesPerRound => Sizes[2];

    public override void Build(Scope<Time> scope)
    {
        if (text)
        {
            BuildText(scope);
            return;
        }

        (_auctions, var auctions) = scope.NewInput("auctions", new RowShape(24), 0); // id, category, expires
        (_bids, var bids) = scope.NewInput("bids", new RowShape(24), 0);             // auction, price, time
        var a = auctions.Arrange("auctions", ColumnKernels.Split(1, 2), new RowShape(8), new RowShape(16)).Arranged;
        var b = bids.Arrange("bids", ColumnKernels.Split(1, 2), new RowShape(8), new RowShape(16)).Arranged;
        var live = a.Join("live", b, Live, new RowShape(24)).Ok; // (id, category, price)
        var best = live.TopK("best", ByPrice, new RowShape(16), new RowShape(8), RowShape.Empty, limit: 1, finish: Best, shape: new RowShape(16)).Ok; // (category, price)
        var sums = best.ReduceAccumulable("by category", ColumnKernels.Split(1, 1), new RowShape(8), new RowShape(8), 16, ColumnKernels.CountAndSum, Finish, new RowShape(24)).Ok;
        View(sums);
    }

    private void BuildText(Scope<Time> scope)
    {
        (_auctions, var auctions) = scope.NewInput("auctions", RowShape.Variable, 0); // id, then category, expires
        (_bids, var bids) = scope.NewInput("bids", RowShape.Variable, 0);             // auction, then price, time
        var a = auctions.Arrange("auctions", SplitText, RowShape.Variable, new RowShape(16)).Arranged;
        var b = bids.Arrange("bids", SplitText, RowShape.Variable, new RowShape(16)).Arranged;
        var live = a.Join("live", b, LiveText, RowShape.Variable).Ok; // id, then category, price
        var best = live.TopK("best", ByPriceText, RowShape.Variable, new RowShape(8), RowShape.Empty, limit: 1, finish: BestText, shape: new RowShape(16)).Ok;
        View(best.ReduceAccumulable("by category", ColumnKernels.Split(1, 1), new RowShape(8), new RowShape(8), 16, ColumnKernels.CountAndSum, Finish, new RowShape(24)).Ok);
    }

    private void View(Stream<Time> sums)
    {
        sums.ForEach("view", batch =>
        {
            for (var i = 0; i < batch.Count; i++)
            {
                var row = (ulong*)batch.RowAddress(i);
                var key = (row[0], row[1], row[2]);
                _view.TryGetValue(key, out var count);
                if (count + batch.DiffAt(i) == 0)
                    _view.Remove(key);
                else
                    _view[key] = count + batch.DiffAt(i);
            }
        });
        Probe = sums.Probe();
    }

    public override void Load()
    {
        var rng = new Rng(42);
        for (var id = 0UL; id < (ulong)Sizes[0]; id++)
        {
            var (category, expires) = Auction(ref rng);
            if (IsMine((long)id))
                SendRow(_auctions, 0, id, category, expires);
            Breathe((long)id);
        }

        for (var i = 0L; i < Sizes[1]; i++)
        {
            Bid(ref _rng, ref _next, 0);
            Breathe(i);
        }

        Advance(1);
    }

    public override void Round(ulong time)
    {
        var rng = _rng; // it lies beside the other worker's, perhaps in a line of its cache
        var next = _next;
        for (var i = 0L; i < Sizes[2]; i++)
            Bid(ref rng, ref next, time);
        (_rng, _next) = (rng, next);
        Advance(time + 1);
    }

    public override Check Final()
    {
        var check = default(Check);
        foreach (var ((category, sum, count), copies) in _view)
            check.Add(copies, category, sum, count);
        return check;
    }

    public override Check Plain()
    {
        var rng = new Rng(42);
        var auctions = new (ulong Category, ulong Expires, ulong Best)[Sizes[0]];
        for (var id = 0L; id < Sizes[0]; id++)
        {
            var (category, expires) = Auction(ref rng);
            auctions[id] = (category, expires, 0);
        }

        rng = new Rng(43);
        for (var number = 0UL; number < (ulong)(Sizes[1] + (Sizes[2] * Sizes[3])); number++)
        {
            var (auction, price) = Bid(ref rng);
            ref var of = ref auctions[auction];
            if (number <= of.Expires)
                of.Best = Math.Max(of.Best, price);
        }

        var check = default(Check);
        foreach (var category in auctions.Where(a => a.Best > 0).GroupBy(a => a.Category))
            check.Add(1, category.Key, category.Aggregate(0UL, (sum, a) => sum + a.Best), (ulong)category.LongCount());
        return check;
    }

    public override void Close()
    {
        _auctions.Dispose();
        _bids.Dispose();
    }

    private static void Live(KernelIo io)
    {
        var n = 0;
        var rows = io.Outputs[0];
        for (var i = 0; i < io.Count; i++)
        {
            var auction = (ulong*)io.Parts[1][i];
            var bid = (ulong*)io.Parts[2][i];
            if (bid[1] > auction[1])
                continue;
            var row = (ulong*)rows.Reserve(24);
            row[0] = *(ulong*)io.Parts[0][i];
            row[1] = auction[0];
            row[2] = bid[0];
            rows.Commit(24);
            io.Selected[n++] = i;
        }

        io.Emitted = n;
    }

    // Group: (id, category); order: price descending; nothing else.
    private static void ByPrice(KernelIo io)
    {
        var keys = (ulong*)io.Outputs[0].AppendFixed(io.Count);
        var sorts = (ulong*)io.Outputs[1].AppendFixed(io.Count);
        io.Outputs[2].AppendFixed(io.Count);
        for (var i = 0; i < io.Count; i++)
        {
            var row = (ulong*)io.Parts[0][i];
            keys[2 * i] = row[0];
            keys[(2 * i) + 1] = row[1];
            sorts[i] = ColumnKernels.Sorted(row[2], descending: true);
            io.Selected[i] = i;
        }

        io.Emitted = io.Count;
    }

    // (category, price) from the group's key and the sort key.
    private static void Best(KernelIo io)
    {
        var rows = (ulong*)io.Outputs[0].AppendFixed(io.Count);
        for (var i = 0; i < io.Count; i++)
        {
            rows[2 * i] = ((ulong*)io.Parts[0][i])[1];
            rows[(2 * i) + 1] = ColumnKernels.Sorted(*(ulong*)io.Parts[2][i], descending: true);
            io.Selected[i] = i;
        }

        io.Emitted = io.Count;
    }

    private static void Finish(KernelIo io)
    {
        var rows = (ulong*)io.Outputs[0].AppendFixed(io.Count);
        for (var i = 0; i < io.Count; i++)
        {
            var accumulator = (ulong*)io.Parts[1][i];
            rows[3 * i] = *(ulong*)io.Parts[0][i];
            rows[(3 * i) + 1] = accumulator[1];
            rows[(3 * i) + 2] = accumulator[0];
            io.Selected[i] = i;
        }

        io.Emitted = io.Count;
    }

    private void SendRow(InputHandle<Time> input, ulong time, ulong id, ulong a, ulong b)
    {
        if (!text)
        {
            Send(input, time, id, a, b);
            return;
        }

        AppendText(input.Rows, id, a, b);
        input.Commit(time, 1);
    }

    private static void AppendText(RowWriter rows, ulong id, ulong a, ulong b)
    {
        var row = rows.Reserve(TextRow.Bytes(1) + 16);
        *(ushort*)row = (ushort)TextRow.Bytes(1);
        TextRow.Write(row, 1, 0, id);
        *(ulong*)(row + TextRow.Bytes(1)) = a;
        *(ulong*)(row + TextRow.Bytes(1) + 8) = b;
        rows.Commit(TextRow.Bytes(1) + 16);
    }

    private static void SplitText(KernelIo io)
    {
        var values = (ulong*)io.Outputs[1].AppendFixed(io.Count);
        for (var i = 0; i < io.Count; i++)
        {
            var row = (byte*)io.Parts[0][i];
            io.Outputs[0].Append(row, TextRow.Bytes(1));
            *values++ = *(ulong*)(row + TextRow.Bytes(1));
            *values++ = *(ulong*)(row + TextRow.Bytes(1) + 8);
            io.Selected[i] = i;
        }

        io.Emitted = io.Count;
    }

    private static void LiveText(KernelIo io)
    {
        var n = 0;
        var bytes = TextRow.Bytes(1);
        for (var i = 0; i < io.Count; i++)
        {
            var auction = (ulong*)io.Parts[1][i];
            var bid = (ulong*)io.Parts[2][i];
            if (bid[1] > auction[1])
                continue;
            var row = io.Outputs[0].Reserve(bytes + 16);
            System.Runtime.CompilerServices.Unsafe.CopyBlockUnaligned(row, (byte*)io.Parts[0][i], (uint)bytes);
            *(ulong*)(row + bytes) = auction[0];
            *(ulong*)(row + bytes + 8) = bid[0];
            io.Outputs[0].Commit(bytes + 16);
            io.Selected[n++] = i;
        }

        io.Emitted = n;
    }

    // Group: id, then category.
    private static void ByPriceText(KernelIo io)
    {
        var sorts = (ulong*)io.Outputs[1].AppendFixed(io.Count);
        io.Outputs[2].AppendFixed(io.Count);
        for (var i = 0; i < io.Count; i++)
        {
            var row = (byte*)io.Parts[0][i];
            io.Outputs[0].Append(row, TextRow.Bytes(1) + 8);
            sorts[i] = ColumnKernels.Sorted(*(ulong*)(row + TextRow.Bytes(1) + 8), descending: true);
            io.Selected[i] = i;
        }

        io.Emitted = io.Count;
    }

    private static void BestText(KernelIo io)
    {
        var rows = (ulong*)io.Outputs[0].AppendFixed(io.Count);
        for (var i = 0; i < io.Count; i++)
        {
            rows[2 * i] = *(ulong*)(io.Parts[0][i] + TextRow.Bytes(1));
            rows[(2 * i) + 1] = ColumnKernels.Sorted(*(ulong*)io.Parts[2][i], descending: true);
            io.Selected[i] = i;
        }

        io.Emitted = io.Count;
    }

    private void Bid(ref Rng rng, ref ulong next, ulong time)
    {
        var number = next++;
        if (!IsMine((long)number))
        {
            rng.Skip(3);
            return;
        }

        var (auction, price) = Bid(ref rng);
        SendRow(_bids, time, auction, price, number);
    }

    private (ulong Auction, ulong Price) Bid(ref Rng rng)
    {
        var auction = rng.Below((ulong)Sizes[0]);
        rng.Below(100_000);
        return (auction, 100 + rng.Below(1_000_000));
    }

    private (ulong Category, ulong Expires) Auction(ref Rng rng)
    {
        rng.Below(((ulong)Sizes[0] / 4) + 1);
        var category = rng.Below(20);
        return (category, rng.Below(2 * (ulong)Sizes[1]));
    }

    private void Advance(ulong time)
    {
        _auctions.AdvanceTo(time);
        _bids.AdvanceTo(time);
    }
}
