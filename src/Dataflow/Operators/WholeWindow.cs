using Materialize.Core.Rows;
using Materialize.Dataflow.Runtime;

namespace Materialize.Dataflow.Operators;

/// <summary>Window functions of a whole partition, for <see cref="GeneralReduceOperator{TTime}"/>: a walk over a partition that was empty and becomes what it is.</summary>
internal sealed unsafe class WholeWindow : IWholeReduction
{
    private readonly WindowChanges _changes = new();
    private readonly WindowTree _tree;
    private readonly WindowWalk _walk;
    private readonly Output _output;
    private readonly byte[] _negativeError;

    public WholeWindow(WindowPlan plan)
    {
        var needs = new WindowNeeds(plan);
        _tree = new WindowTree(plan.Accumulations, needs.CountsGroups);
        _walk = new WindowWalk(needs, _tree);
        _output = new Output(plan, _tree);
        _negativeError = plan.NegativeError.ToArray();
    }

    public long RowsNeeded => long.MaxValue;

    public void Reduce(byte* key, int keyLength, nint* values, int* lengths, long* diffs, int count, RowWriter output, List<long> outputDiffs, RowWriter errors)
    {
        for (var i = 0; i < count; i++)
        {
            if (diffs[i] >= 0)
                continue;
            errors.Append(_negativeError);
            break;
        }

        _changes.Set(values, lengths, diffs, count);
        _output.SetKey(key, keyLies: true);
        (_output.Rows, _output.Diffs, _output.Errors) = (output, outputDiffs, errors);
        var partition = default(WindowRoot);
        _tree.Apply(ref partition, _changes, 0, count);
        _walk.Begin(default, partition, _changes);
        var fuel = long.MaxValue;
        _walk.Run(ref fuel, _output);
        _output.Finish();
        _tree.Drop(ref partition);
        _tree.Collect();
    }

    public void Measure(StateMeter meter)
    {
        _tree.Measure(meter);
        _walk.Measure(meter);
        _output.Measure(meter);
    }

    public void Dispose()
    {
        _walk.Dispose();
        _output.Dispose();
        _tree.Dispose();
    }

    private sealed class Output(WindowPlan plan, WindowTree tree) : WindowOutput(plan, tree)
    {
        public RowWriter Rows { get; set; } = null!;

        public List<long> Diffs { get; set; } = null!;

        public RowWriter Errors { get; set; } = null!;

        protected override void Added(int first, int end)
        {
        }

        protected override void Emit(in RowColumn rows, int* entries, long* diffs, bool allCount)
        {
            Rows.AppendRange(rows, 0, rows.Count); // one side only: none is 0
            for (var i = 0; i < rows.Count; i++)
                Diffs.Add(diffs[i]);
        }

        protected override void EmitError(int entry, ReadOnlySpan<byte> error, long diff) => Errors.Append(error);
    }
}
