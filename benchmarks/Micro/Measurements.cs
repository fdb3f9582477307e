using System.Text.Json;
using Materialize.Micro.Floors;
using Materialize.Micro.Kernels;

namespace Materialize.Micro;

/// <summary>What tables are made of: each run, measured when it is first asked for, in a process of its own. Kept in a file, it can be gone on with.</summary>
/// <param name="passes">Of each run.</param>
/// <param name="file">What it has is not measured again; null: nothing is kept.</param>
internal sealed class Measurements(int passes, string? file)
{
    private readonly Content _content = file is not null && File.Exists(file) ? JsonSerializer.Deserialize<Content>(File.ReadAllText(file))! : new Content();
    private readonly List<RunResult> _asked = [];

    /// <param name="kernels">Are known already.</param>
    public Measurements(int passes, KernelResults kernels)
        : this(passes, (string?)null)
    {
        _content.Kernels = kernels;
    }

    /// <summary>A workload as <see cref="RunSpec"/> writes it.</summary>
    public RunResult this[string run] => Of(run, passes);

    public KernelResults Kernels
    {
        get
        {
            if (_content.Kernels is null)
            {
                _content.Kernels = WorkloadRunner.Apart<KernelResults>(["kernels"]);
                Keep();
            }

            return _content.Kernels;
        }
    }

    public LargerThanMemory LargerThanMemory
    {
        get
        {
            if (_content.LargerThanMemory is null)
            {
                _content.LargerThanMemory = LargerThanMemory.Measure(LargerThanMemory.Rows, passes: 1);
                Keep();
            }

            return _content.LargerThanMemory;
        }
    }

    /// <summary>Whether every result that was asked for is right.</summary>
    public bool IsRight => _asked.TrueForAll(r => r.IsRight) && _content.LargerThanMemory is null or { IsRight: true };

    /// <summary>Of the runs that were asked for.</summary>
    public IEnumerable<double> Calibrations => _asked.Select(r => r.Median(p => p.Calibration));

    /// <summary>With a number of passes of its own.</summary>
    public RunResult Of(string run, int passes)
    {
        if (!_content.Runs.TryGetValue(run, out var result))
        {
            result = WorkloadRunner.RunApart(RunSpec.Parse(run), passes);
            _content.Runs.Add(run, result);
            Keep();
        }

        if (!_asked.Contains(result))
            _asked.Add(result);
        return result;
    }

    public double Median(string run, Func<Report, double> figure) => this[run].Median(figure);

    /// <summary>An operation of a kernel, in nanoseconds.</summary>
    public double Nanoseconds(string kernel) => Kernels.Nanoseconds(kernel);

    private void Keep()
    {
        if (file is not null)
            File.WriteAllText(file, JsonSerializer.Serialize(_content));
    }

    private sealed class Content
    {
        public Dictionary<string, RunResult> Runs { get; init; } = [];

        public KernelResults? Kernels { get; set; }

        public LargerThanMemory? LargerThanMemory { get; set; }
    }
}
