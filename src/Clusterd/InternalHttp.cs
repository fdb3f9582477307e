using System.Diagnostics;
using System.Globalization;
using System.Text;
using Materialize.Core.Memory;
using Materialize.Protocol;
using Microsoft.AspNetCore.Builder;
using Microsoft.AspNetCore.Hosting;
using Microsoft.AspNetCore.Http;
using Microsoft.AspNetCore.Server.Kestrel.Core;
using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.Logging;

namespace Materialize.Clusterd;

/// <summary>Health and metrics for those who run the process.</summary>
internal static class InternalHttp
{
    /// <summary>Starts listening.</summary>
    /// <exception cref="IOException">The address is taken.</exception>
    public static async Task<WebApplication> StartAsync(TransportAddress address, ClusterdHost host, TimeProvider time, Action<ILoggingBuilder> logging)
    {
        // Empty: a fuller builder watches every file below the current directory for configuration.
        var builder = WebApplication.CreateEmptyBuilder(new());
        builder.Services.AddRoutingCore();
        logging(builder.Logging);
        builder.WebHost.UseKestrelCore().ConfigureKestrel(kestrel => Listen(kestrel, address));
        var app = builder.Build();
        var started = time.GetTimestamp();
        app.MapGet("/api/livez", () => Results.Text("ready\n"));
        app.MapGet("/api/readyz", () => Results.Text("ready\n"));
        app.MapGet("/metrics", () => Results.Text(Metrics(host, time.GetElapsedTime(started)), "text/plain; version=0.0.4"));
        app.MapGet("/api/usage-metrics", () => Results.Json(new { disk_bytes = SlabPool.ScratchBytes, memory_bytes = Environment.WorkingSet, swap_bytes = (long?)null, heap_limit = (long?)null }));
        await app.StartAsync();
        return app;
    }

    private static void Listen(KestrelServerOptions kestrel, TransportAddress address)
    {
        switch (address)
        {
            case TransportAddress.Unix unix:
                kestrel.ListenUnixSocket(unix.Path);
                break;
            case TransportAddress.Tcp { Host: "localhost" } tcp:
                kestrel.ListenLocalhost(tcp.Port);
                break;
            case TransportAddress.Tcp tcp when System.Net.IPAddress.TryParse(tcp.Host, out var ip):
                kestrel.Listen(ip, tcp.Port);
                break;
            default:
                throw new UsageException($"--internal-http-listen-addr: cannot listen on \"{address}\"");
        }
    }

    private static string Metrics(ClusterdHost host, TimeSpan uptime)
    {
        using var process = Process.GetCurrentProcess();
        var text = new StringBuilder();
        Add("process_cpu_seconds_total", "counter", "CPU time used.", process.TotalProcessorTime.TotalSeconds);
        Add("process_resident_memory_bytes", "gauge", "Resident memory.", process.WorkingSet64);
        Add("process_threads", "gauge", "Threads.", process.Threads.Count);
        Add("mz_process_uptime_seconds", "gauge", "Time since the process started to serve.", uptime.TotalSeconds);
        Add("mz_compute_collection_count", "gauge", "Indexes and sinks that this process maintains.", host.CollectionCount);
        Add("mz_sink_backlog_bytes", "gauge", "What materialized views have been given and have not written yet.", host.SinkBacklogBytes);
        Add("mz_slab_scratch_bytes", "gauge", "State in scratch files.", SlabPool.ScratchBytes);
        Add("dotnet_gc_heap_bytes", "gauge", "Managed heap.", GC.GetTotalMemory(false));
        Add("dotnet_gc_committed_bytes", "gauge", "Memory that the managed heap holds, garbage and free room included.", GC.GetGCMemoryInfo().TotalCommittedBytes);
        Add("mz_slab_bytes_in_use", "gauge", "Native memory for rows that is in use.", SlabPool.BytesInUse);
        Add("mz_slab_bytes_held", "gauge", "Native memory for rows that the process holds, free slabs included.", SlabPool.BytesHeld);
        return text.ToString();

        void Add(string name, string type, string help, double value) =>
            text.Append(CultureInfo.InvariantCulture, $"# HELP {name} {help}\n# TYPE {name} {type}\n{name} {value}\n");
    }
}
