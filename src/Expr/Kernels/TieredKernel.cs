using Materialize.Core.Rows;

namespace Materialize.Expr.Kernels;

/// <summary>
/// A kernel that interprets its first rows and is compiled, beside the running work, once it has seen enough of them that compiling
/// pays: a lookup never does, a hydration does within a millisecond. Any number of threads may run it at once.
/// </summary>
/// <remarks>Compiling takes some milliseconds, as long as interpreting several thousand rows.</remarks>
internal sealed class TieredKernel
{
    /// <summary>Rows that are interpreted before compilation begins.</summary>
    public const int RowsBeforeCompiling = 2048;

    private readonly SlowPath _interpreted;
    private readonly Func<RowKernel> _compile;
    private volatile RowKernel? _compiled;
    private Task<RowKernel>? _compiling;
    private int _rows;

    public TieredKernel(KernelInput input, MfpProgram program, KernelOutput[] outputs, Func<RowKernel> compile)
    {
        _interpreted = new SlowPath(input, program, outputs);
        _compile = compile;
        Kernel = Run;
    }

    /// <summary>To be run like a compiled one.</summary>
    public RowKernel Kernel { get; }

    public bool IsCompiled => _compiled is not null;

    private void Run(KernelIo io)
    {
        if (_compiled is { } compiled)
        {
            compiled(io);
            return;
        }

        io.ErrorsEmitted = 0;
        var emitted = 0;
        for (var i = 0; i < io.Count; i++)
        {
            if (_interpreted.Run(io, i, emitted) == 1)
                emitted++;
        }

        io.Emitted = emitted;
        if (_compiling is { IsCompleted: true } done)
            _compiled = done.GetAwaiter().GetResult();   // a failure to compile is ours: it surfaces here
        else if (Interlocked.Add(ref _rows, io.Count) >= RowsBeforeCompiling && _compiling is null)
            BeginCompiling();
    }

    private void BeginCompiling()
    {
        // Several threads may come here at once: the first one's task is run.
        var task = new Task<RowKernel>(_compile);
        if (Interlocked.CompareExchange(ref _compiling, task, null) is null)
            task.Start(TaskScheduler.Default);
    }
}
