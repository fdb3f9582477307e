using System.Runtime.InteropServices;
using Materialize.Clusterd;
using Materialize.Core.Memory;
using Materialize.Protocol;
using Microsoft.Extensions.Logging;
using Microsoft.Extensions.Logging.Console;

CommandLine options;
try
{
    options = CommandLine.Parse(args, Environment.GetEnvironmentVariable);
}
catch (UsageException e)
{
    Console.Error.WriteLine($"clusterd: {e.Message}");
    return 2;
}

using var logs = LoggerFactory.Create(Logging);
var logger = logs.CreateLogger("clusterd");
var stopped = new TaskCompletionSource<int>(TaskCreationOptions.RunContinuationsAsynchronously);
using var terminate = PosixSignalRegistration.Create(PosixSignal.SIGTERM, Stop);
using var interrupt = PosixSignalRegistration.Create(PosixSignal.SIGINT, Stop);
if (options.WatchStandardInput)
    _ = Task.Run(WatchParentAsync);

try
{
    await using var trimmer = new MemoryTrimmer(TimeProvider.System);
    if (options.ScratchDirectory is { } scratch)
        UseScratch(scratch);
    await using var persist = PersistLocations.Open(options, TimeProvider.System, logs);
    await using var host = await ClusterdHost.StartAsync(
        new ClusterdOptions
        {
            Transport = new SocketTransport(),
            ComputeAddress = options.ComputeAddress,
            StorageAddress = options.StorageAddress,
            Workers = options.Workers,
            PinWorkers = options.PinWorkers,
            Process = options.Process,
            MeshAddresses = options.MeshAddresses,
            Persist = persist.Client,
            Host = options.Host,
            Time = TimeProvider.System,
            Logs = logs,
            // What is broken is not torn down in order: it could hang. A fresh process is rebuilt from commands and shards.
            Fatal = e => Environment.Exit(70),
        },
        CancellationToken.None);
    await using var http = await InternalHttp.StartAsync(options.HttpAddress, host, TimeProvider.System, Logging);
    logger.LogInformation(
        "process {Process} with {Workers} workers listens on {Compute} (compute) and {Storage} (storage)",
        options.Process, options.Workers, host.ComputeAddress, host.StorageAddress);
    return await stopped.Task;
}
catch (UsageException e)
{
    Console.Error.WriteLine($"clusterd: {e.Message}");
    return 2;
}
catch (IOException e)
{
    logger.LogCritical("cannot start: {Reason}", e.Message);
    return 1;
}

void UseScratch(string directory)
{
    // Half of the memory for what is kept in slabs: the rest is for the managed heap, code, and what of the files is in use.
    var memory = (options.MemoryLimit ?? GC.GetGCMemoryInfo().TotalAvailableMemoryBytes) / 2;
    try
    {
        SlabPool.UseScratch(new ScratchOptions(
            directory, memory, long.MaxValue, reason => logger.LogError("state stays in memory that should be in scratch files: {Reason}", reason)));
    }
    catch (DirectoryNotFoundException e)
    {
        throw new UsageException($"--scratch-directory: {e.Message}");
    }

    logger.LogInformation("state beyond {Memory} bytes goes to scratch files in {Directory}", memory, directory);
}

void Stop(PosixSignalContext context)
{
    context.Cancel = true;
    stopped.TrySetResult(0);
}

async Task WatchParentAsync()
{
    // Whoever started us holds the other end: it closes when that process ends, however it ends.
    await using var input = Console.OpenStandardInput();
    var buffer = new byte[256];
    while (await input.ReadAsync(buffer) > 0)
    {
    }

    stopped.TrySetResult(0);
}

void Logging(ILoggingBuilder builder)
{
    builder.SetMinimumLevel(Enum.TryParse<LogLevel>(options.LogFilter, ignoreCase: true, out var level)
        ? level
        : options.LogFilter switch
        {
            "info" => LogLevel.Information,
            "warn" => LogLevel.Warning,
            "off" => LogLevel.None,
            _ => LogLevel.Information,
        });
    builder.AddFilter("Microsoft", LogLevel.Warning);
    builder.AddSimpleConsole(console =>
    {
        console.SingleLine = true;
        console.TimestampFormat = "yyyy-MM-ddTHH:mm:ss.fffZ ";
        console.UseUtcTimestamp = true;
        console.ColorBehavior = LoggerColorBehavior.Disabled;
    });
}
