using Materialize.Dataflow;

namespace Materialize.Micro;

/// <summary>A workload over rows of 8-byte numbers, most of which the Rust baseline has too: with the checks that both must print.</summary>
internal abstract class SharedWorkload : Workload
{
    public static readonly Dictionary<string, string> Checks = new()
    {
        ["count 10000000 1000000 1000 200"] = "999958 3dad73328d351ec3",
        ["count 10000000 1000000 1 5000"] = "999965 bd2578e327cf146c",
        ["count 10000000 1000000 20000 50"] = "999948 424d0ba6ada08731",
        ["join 4000000 4000000 1000 200"] = "3999701 5b996d44e78674e2",
        ["join 4000000 4000000 2 5000"] = "4000120 bea0bfb2af6fac98",
        ["join 4000000 4000000 20000 50"] = "3998683 ade63d6872ac2509",
        ["bids 200000 4000000 1000 200"] = "20 ba41e30607002838",
        ["bids 200000 4000000 1 5000"] = "20 d472d04e45b69b9c",
        ["tpch3 1500000 200 100"] = "11436 f9b2cb365c513081",
        ["reach 1000000 2000000 10 200"] = "796949 227de573fd9be4d4",
        ["cc 500000 1000000 10 200"] = "490889 5aa9b71ab12e6e9e",
        ["bids 200000 4000000 20000 50"] = "20 01f82933ef30c387",

        // Too large to be computed anew each time: what plain C# found.
        ["join 12000000 12000000 1000 200"] = "11999204 b4ddd4787329a839",
    };

    private readonly string _name;

    protected SharedWorkload(string kind, long[] sizes)
    {
        Sizes = sizes;
        _name = kind + " " + string.Join(' ', sizes);
    }

    protected long[] Sizes { get; }

    public override string? Known => Checks.GetValueOrDefault(_name);

    protected static unsafe ulong Read(ReadOnlySpan<byte> row, int column) =>
        System.Runtime.InteropServices.MemoryMarshal.Cast<byte, ulong>(row)[column];

    protected static unsafe void Send(InputHandle<Time> input, ulong time, long diff, ulong a)
    {
        *(ulong*)input.Rows.Reserve(8) = a;
        input.Rows.Commit(8);
        input.Commit(time, diff);
    }

    protected static unsafe void Send(InputHandle<Time> input, ulong time, long diff, ulong a, ulong b)
    {
        var row = (ulong*)input.Rows.Reserve(16);
        row[0] = a;
        row[1] = b;
        input.Rows.Commit(16);
        input.Commit(time, diff);
    }

    protected static unsafe void Send(InputHandle<Time> input, ulong time, ulong a, ulong b, ulong c)
    {
        var row = (ulong*)input.Rows.Reserve(24);
        row[0] = a;
        row[1] = b;
        row[2] = c;
        input.Rows.Commit(24);
        input.Commit(time, 1);
    }
}
