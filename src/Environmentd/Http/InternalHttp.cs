using System.Net;
using System.Text;
using Materialize.Adapter;
using Microsoft.AspNetCore.Builder;
using Microsoft.AspNetCore.Hosting;
using Microsoft.AspNetCore.Http;
using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.Hosting;
using Microsoft.Extensions.Logging;

namespace Materialize.Environmentd;

/// <summary>Health and metrics over HTTP, on the external and the internal port.</summary>
internal sealed class InternalHttp : IAsyncDisposable
{
    private readonly WebApplication _app;

    private InternalHttp(WebApplication app)
    {
        _app = app;
    }

    public IEnumerable<string> Addresses => _app.Urls;

    /// <param name="environment">Null until sessions can be opened.</param>
    /// <param name="replicas">What there is to say of replicas, for metrics.</param>
    public static async Task<InternalHttp> StartAsync(
        IReadOnlyList<IPEndPoint> endPoints, Func<MaterializeEnvironment?> environment, Func<IEnumerable<(string Name, string Help, long Value)>> replicas, CancellationToken cancel)
    {
        // Empty: a fuller builder watches every file below the current directory for configuration, the data directory's among them.
        var builder = WebApplication.CreateEmptyBuilder(new());
        builder.Services.AddRoutingCore();

        // Signals are the program's business, which may be another than ours.
        builder.Services.AddSingleton<IHostLifetime, ForeignLifetime>();
        builder.WebHost.UseKestrelCore().ConfigureKestrel(kestrel =>
        {
            kestrel.AddServerHeader = false;
            foreach (var endPoint in endPoints)
                kestrel.Listen(endPoint);
        });
        var app = builder.Build();
        app.MapGet("/api/livez", () => Results.Text("OK"));
        app.MapGet("/api/readyz", () => environment() is not null ? Results.Text("ready") : Results.Text("starting", statusCode: StatusCodes.Status503ServiceUnavailable));
        app.MapGet("/metrics", () => Results.Text(Metrics(environment(), replicas()), "text/plain; version=0.0.4"));
        await app.StartAsync(cancel);
        return new InternalHttp(app);
    }

    public async ValueTask DisposeAsync()
    {
        await _app.StopAsync();
        await _app.DisposeAsync();
    }

    /// <summary>Prometheus' text format.</summary>
    private static string Metrics(MaterializeEnvironment? environment, IEnumerable<(string Name, string Help, long Value)> replicas)
    {
        var text = new StringBuilder();
        Gauge("mz_process_resident_memory_bytes", "Resident memory.", Environment.WorkingSet);
        Gauge("mz_dotnet_gc_heap_bytes", "Managed heap.", GC.GetTotalMemory(forceFullCollection: false));
        Counter("mz_dotnet_gc_pause_ms_total", "Time the process stood still for the collector.", (long)GC.GetTotalPauseDuration().TotalMilliseconds);
        foreach (var (name, help, value) in replicas)
            Gauge(name, help, value);
        if (environment is not null)
        {
            Gauge("mz_sessions", "Open sessions.", environment.SessionCount);
            foreach (var (name, help, value) in environment.Metrics())
                Counter(name, help, value);
        }

        return text.ToString();

        void Gauge(string name, string help, long value) => Write(name, help, "gauge", value);

        void Counter(string name, string help, long value) => Write(name, help, "counter", value);

        void Write(string name, string help, string type, long value) =>
            text.Append($"# HELP {name} {help}\n# TYPE {name} {type}\n{name} {value}\n");
    }

    private sealed class ForeignLifetime : IHostLifetime
    {
        public Task WaitForStartAsync(CancellationToken cancellationToken) => Task.CompletedTask;

        public Task StopAsync(CancellationToken cancellationToken) => Task.CompletedTask;
    }
}
