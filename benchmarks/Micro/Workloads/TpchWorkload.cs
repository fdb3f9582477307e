using Materialize.Core.Rows;
using Materialize.Dataflow;
using Materialize.Dataflow.Traces;

namespace Materialize.Micro;

/// <summary>tpch3 P F R: TPC-H's third query without its limit, orders coming and going with their lines.</summary>
internal sealed unsafe class TpchWorkload(long[] sizes) : SharedWorkload("tpch3", sizes)
{
    private const ulong Date = 1169;
    private InputHandle<Time> _customers = null!;
    private InputHandle<Time> _orders = null!;
    private InputHandle<Time> _lines = null!;
    private TraceHandle<Time> _trace = null!;
    private Rng _inserts = new(43);
    private Rng _deletes = new(43);
    private ulong _nextInsert = 1;
    private ulong _nextDelete = 1;
    private long _rows;
    private long _loaded;

    public override long LoadRows => _loaded;

    public override int Rounds => (int)Sizes[2];

    public override long UpdatesPerRound => (_rows - _loaded) / Math.Max(1, Rounds);

    private ulong Customers => (ulong)Sizes[0] / 10;

    public override void Build(Scope<Time> scope)
    {
        (_customers, var customers) = scope.NewInput("customers", new RowShape(16), 0); // custkey, segment
        (_orders, var orders) = scope.NewInput("orders", new RowShape(32), 0);          // custkey, orderkey, orderdate, shippriority
        (_lines, var lines) = scope.NewInput("lines", new RowShape(32), 0);             // orderkey, extendedprice, discount, shipdate
        var key = new RowShape(8);
        var building = customers.Map("segment = 0", Segment, key).Ok.Arrange("customers", null, default, default).Arranged;
        var early = orders.Map("orderdate", Early, new RowShape(32)).Ok.Arrange("orders by customer", ColumnKernels.Split(1, 3), key, new RowShape(24)).Arranged;
        var late = lines.Map("shipdate", Late, new RowShape(16)).Ok.Arrange("lines", ColumnKernels.Split(1, 1), key, key).Arranged;
        var theirs = early.Join("orders of customers", building, Order, new RowShape(24)).Ok.Arrange("orders", ColumnKernels.Split(1, 2), key, new RowShape(16)).Arranged;
        var revenue = theirs.Join("lines of orders", late, Line, new RowShape(32)).Ok;
        var sums = revenue.ReduceAccumulable("revenue", ColumnKernels.Split(3, 1), new RowShape(24), key, 16, ColumnKernels.CountAndSum, Finish, new RowShape(32)).Ok;
        var output = sums.Arrange("output", ColumnKernels.Split(3, 1), new RowShape(24), key).Arranged;
        _trace = output.Trace();
        Probe = output.AsStream("nothing", io => io.Emitted = 0, key).Ok.Probe();
    }

    public override void Load()
    {
        var rng = new Rng(42);
        for (var custkey = 1UL; custkey <= Customers; custkey++)
        {
            var segment = rng.Below(5);
            if (IsMine((long)custkey))
                Send(_customers, 0, 1, custkey, segment);
        }

        _rows = (long)Customers;
        for (var i = 0L; i < Sizes[0]; i++)
        {
            Order(ref _inserts, ref _nextInsert, 0, 1);
            Breathe((4 * i) + 3);
        }

        _loaded = _rows;
        Advance(1);
    }

    public override void Round(ulong time)
    {
        for (var i = 0L; i < Sizes[1]; i++)
        {
            Order(ref _inserts, ref _nextInsert, time, 1);
            Order(ref _deletes, ref _nextDelete, time, -1);
        }

        Advance(time + 1);
        _trace.AdvanceSince(time);
    }

    public override Check Final()
    {
        var check = default(Check);
        using var cursor = _trace.OpenCursor(ulong.MaxValue - 1);
        while (cursor.NextRow())
            check.Add(cursor.Diff, Read(cursor.Key, 0), Read(cursor.Key, 1), Read(cursor.Key, 2), Read(cursor.Value, 0));
        return check;
    }

    public override Check Plain()
    {
        var rng = new Rng(42);
        var segments = new ulong[Customers + 1];
        for (var custkey = 1UL; custkey <= Customers; custkey++)
            segments[custkey] = rng.Below(5);
        rng = new Rng(43);
        var gone = (ulong)(Sizes[1] * Sizes[2]);
        var check = default(Check);
        for (var orderkey = 1UL; orderkey <= (ulong)Sizes[0] + gone; orderkey++)
        {
            var custkey = 1 + rng.Below(Customers);
            var (orderdate, shippriority) = (rng.Below(2406), rng.Below(2));
            var (lines, late, revenue) = (1 + rng.Below(7), 0, 0UL);
            for (var line = 0UL; line < lines; line++)
            {
                var price = (90_000 + rng.Below(10_000_000)) * (100 - rng.Below(11));
                if (orderdate + 1 + rng.Below(121) <= Date)
                    continue;
                late++;
                revenue += price;
            }

            if (orderkey > gone && segments[custkey] == 0 && orderdate < Date && late > 0)
                check.Add(1, orderkey, orderdate, shippriority, revenue);
        }

        return check;
    }

    public override void Close()
    {
        _trace.Dispose();
        _customers.Dispose();
        _orders.Dispose();
        _lines.Dispose();
    }

    private void Order(ref Rng rng, ref ulong next, ulong time, long diff)
    {
        var orderkey = next++;
        var custkey = 1 + rng.Below(Customers);
        var orderdate = rng.Below(2406);
        var shippriority = rng.Below(2);
        var count = 1 + rng.Below(7);
        var mine = IsMine((long)orderkey);
        if (mine)
            Send(_orders, time, diff, custkey, orderkey, orderdate, shippriority);
        for (var line = 0UL; line < count; line++)
        {
            var price = 90_000 + rng.Below(10_000_000);
            var discount = rng.Below(11);
            var shipdate = orderdate + 1 + rng.Below(121);
            if (mine)
                Send(_lines, time, diff, orderkey, price, discount, shipdate);
        }

        _rows += 1 + (long)count;
    }

    private static void Send(InputHandle<Time> input, ulong time, long diff, ulong a, ulong b, ulong c, ulong d)
    {
        var row = (ulong*)input.Rows.Reserve(32);
        row[0] = a;
        row[1] = b;
        row[2] = c;
        row[3] = d;
        input.Rows.Commit(32);
        input.Commit(time, diff);
    }

    private void Advance(ulong time)
    {
        _customers.AdvanceTo(time);
        _orders.AdvanceTo(time);
        _lines.AdvanceTo(time);
    }

    private static void Segment(KernelIo io)
    {
        var n = 0;
        for (var i = 0; i < io.Count; i++)
        {
            var row = (ulong*)io.Parts[0][i];
            if (row[1] != 0)
                continue;
            *(ulong*)io.Outputs[0].AppendFixed(1) = row[0];
            io.Selected[n++] = i;
        }

        io.Emitted = n;
    }

    private static void Early(KernelIo io)
    {
        var n = 0;
        for (var i = 0; i < io.Count; i++)
        {
            var row = (ulong*)io.Parts[0][i];
            if (row[2] >= Date)
                continue;
            var to = (ulong*)io.Outputs[0].AppendFixed(1);
            for (var c = 0; c < 4; c++)
                to[c] = row[c];
            io.Selected[n++] = i;
        }

        io.Emitted = n;
    }

    // (orderkey, revenue) of lines shipped late.
    private static void Late(KernelIo io)
    {
        var n = 0;
        for (var i = 0; i < io.Count; i++)
        {
            var row = (ulong*)io.Parts[0][i];
            if (row[3] <= Date)
                continue;
            var to = (ulong*)io.Outputs[0].AppendFixed(1);
            to[0] = row[0];
            to[1] = row[1] * (100 - row[2]);
            io.Selected[n++] = i;
        }

        io.Emitted = n;
    }

    // (orderkey, orderdate, shippriority)
    private static void Order(KernelIo io)
    {
        var to = (ulong*)io.Outputs[0].AppendFixed(io.Count);
        for (var i = 0; i < io.Count; i++)
        {
            for (var c = 0; c < 3; c++)
                *to++ = ((ulong*)io.Parts[1][i])[c];
            io.Selected[i] = i;
        }

        io.Emitted = io.Count;
    }

    // (orderkey, orderdate, shippriority, revenue)
    private static void Line(KernelIo io)
    {
        var to = (ulong*)io.Outputs[0].AppendFixed(io.Count);
        for (var i = 0; i < io.Count; i++)
        {
            var order = (ulong*)io.Parts[1][i];
            *to++ = *(ulong*)io.Parts[0][i];
            *to++ = order[0];
            *to++ = order[1];
            *to++ = *(ulong*)io.Parts[2][i];
            io.Selected[i] = i;
        }

        io.Emitted = io.Count;
    }

    private static void Finish(KernelIo io)
    {
        var to = (ulong*)io.Outputs[0].AppendFixed(io.Count);
        for (var i = 0; i < io.Count; i++)
        {
            for (var c = 0; c < 3; c++)
                *to++ = ((ulong*)io.Parts[0][i])[c];
            *to++ = ((ulong*)io.Parts[1][i])[1];
            io.Selected[i] = i;
        }

        io.Emitted = io.Count;
    }
}
