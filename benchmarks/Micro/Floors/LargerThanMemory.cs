namespace Materialize.Micro.Floors;

/// <summary>A join whose state is three times the memory that it may have, against the same in memory.</summary>
/// <param name="StateBytes">What the join keeps.</param>
/// <param name="BudgetMb">The memory it had.</param>
/// <param name="LoadTimes">How much longer the load took, by the clock.</param>
/// <param name="LoadCpuTimes">By processor time.</param>
/// <param name="PeakMb">Resident, unlimited.</param>
/// <param name="LimitedPeakMb">Resident, limited.</param>
internal sealed record LargerThanMemory(
    string Run, long StateBytes, long BudgetMb, double LoadTimes, double LoadCpuTimes, double RoundTimes, double RoundCpuTimes, long PeakMb, long LimitedPeakMb, bool IsRight)
{
    public const string Command = "larger-than-memory";

    public const int TimesTheBudget = 3;

    /// <summary>Rows a side.</summary>
    public const int Rows = 12_000_000;

    /// <param name="passes">Of each; medians count. Each in a process of its own.</param>
    public static LargerThanMemory Measure(int rows, int passes)
    {
        var run = RunSpec.Parse($"join {rows} {rows} 1000 200");
        var free = WorkloadRunner.RunApart(run, passes);
        var state = free.First.HeldBytes;
        var limited = run with { BudgetMb = Math.Max(1, (state / TimesTheBudget) >> 20) };
        var slow = WorkloadRunner.RunApart(limited, passes);
        return new LargerThanMemory(
            run.ToString(), state, limited.BudgetMb.Value, Times(r => r.LoadRate), Times(r => r.LoadCpuRate), Times(r => r.UpdateRate), Times(r => r.UpdateCpuRate), free.First.PeakMb, slow.First.PeakMb,
            free.IsRight && slow.IsRight && free.First.Found == slow.First.Found);

        double Times(Func<Report, double> rate) => free.Median(rate) / slow.Median(rate);
    }

    public override string ToString() => FormattableString.Invariant(
        $"{Run}: {StateBytes >> 20} MB of state within {BudgetMb} MB: load takes {LoadTimes:F2} times as long (processor {LoadCpuTimes:F2}), rounds {RoundTimes:F2} (processor {RoundCpuTimes:F2}), peak {PeakMb} → {LimitedPeakMb} MB, {(IsRight ? "right" : "WRONG")}");
}
