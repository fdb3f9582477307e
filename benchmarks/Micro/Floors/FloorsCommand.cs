using System.Text.Json;
using Materialize.Micro.Kernels;

namespace Materialize.Micro.Floors;

/// <summary>Measures all that the table of floors needs, each workload in a process of its own, and renders it.</summary>
internal static class FloorsCommand
{
    /// <param name="figures">Keeps what was measured; what it has is not measured again. Null: all is measured.</param>
    public static Measured Measure(int passes, string? figures, TextWriter log)
    {
        var measured = figures is not null && File.Exists(figures) ? JsonSerializer.Deserialize<Measured>(File.ReadAllText(figures))! : new Measured();
        foreach (var run in FloorTable.Rows.SelectMany(r => r.Runs).Where(r => r != "larger-than-memory").Distinct())
        {
            if (measured.Runs.ContainsKey(run))
                continue;
            measured.Runs[run] = WorkloadRunner.RunApart(RunSpec.Parse(run), run == FloorTable.Steady ? 1 : passes);
            Keep();
        }

        if (measured.Kernels is null)
        {
            measured.Kernels = new Measured.KernelsOf(WorkloadRunner.Apart<KernelResults>(["kernels"]));
            Keep();
        }

        if (measured.LargerThanMemory is null)
        {
            measured.LargerThanMemory = LargerThanMemory.Measure(LargerThanMemory.Rows, passes: 1);
            log.WriteLine(measured.LargerThanMemory);
            Keep();
        }

        return measured;

        void Keep()
        {
            if (figures is not null)
                File.WriteAllText(figures, JsonSerializer.Serialize(measured));
        }
    }

    public static bool IsRight(Measured measured) => measured.Runs.Values.All(r => r.IsRight) && measured.LargerThanMemory!.IsRight;

    public static IEnumerable<string> Render(Measured measured)
    {
        var calibrations = measured.Runs.Values.Select(r => r.Median(p => p.Calibration)).Append(measured.Kernels!.Results.Calibration).ToList();
        return
        [
            $"{Machine.Description} CAL {calibrations.Min():F0} to {calibrations.Max():F0} ms. Medians; rates are of the worker's processor time, those of two workers by the clock. The ratio says how much better the figure is than the floor; below 1 it is missed.",
            "",
            "| what | floor | figure | ratio | by |",
            "|---|---|---|---|---|",
            .. FloorTable.Rows.Select(r => r.Render(measured)),
        ];
    }
}
