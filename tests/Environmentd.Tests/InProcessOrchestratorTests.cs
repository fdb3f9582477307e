using Materialize.Controller;
using Materialize.Expr;
using Materialize.Persist;
using Materialize.Persist.Location;
using Materialize.Persist.Push;
using Materialize.Protocol;
using Materialize.Repr;
using Microsoft.Extensions.Logging;
using Microsoft.Extensions.Logging.Abstractions;
using Xunit;

namespace Materialize.Environmentd.Tests;

/// <summary>Hosts inside this process live and die as processes do.</summary>
public sealed class InProcessOrchestratorTests : IAsyncDisposable
{
    private static readonly TimeSpan Patience = TimeSpan.FromSeconds(60);
    private static readonly InstanceId Cluster = new("u1");
    private static readonly ColumnType Number = SqlType.Int64.Nullable(false);

    private readonly PersistClient _persist = new(
        new MemoryBlob(), new MemoryConsensus(), new InProcessStatePush(), new PersistConfig(), TimeProvider.System, new Random(1), NullLoggerFactory.Instance);

    private readonly StartCounter _starts = new();
    private readonly InProcessOrchestrator _orchestrator;

    public InProcessOrchestratorTests() => _orchestrator = new InProcessOrchestrator(_persist, null, TimeProvider.System, _starts);

    public async ValueTask DisposeAsync()
    {
        await _orchestrator.DisposeAsync();
        await _persist.DisposeAsync();
    }

    /// <summary>A controller that asks for another configuration than the one before is what a host cannot go on with.</summary>
    [Theory, InlineData(1), InlineData(2)]
    public async Task Hosts_that_cannot_go_on_are_replaced_and_the_replica_answers_again(int processes)
    {
        var endpoints = _orchestrator.EnsureReplica(Cluster, "r1", new ReplicaSize("s", processes, 1));
        await AskAsync(endpoints, new InstanceConfig(1000));
        Assert.Equal(processes, _starts.Count);
        var replaced = _starts.ReachedAsync(2 * processes);
        var answered = AskAsync(endpoints, new InstanceConfig(2000), replaced);
        await replaced.WaitAsync(Patience);
        await answered;
        Assert.Same(endpoints.Compute, _orchestrator.EnsureReplica(Cluster, "r1", new ReplicaSize("s", processes, 1)).Compute);
    }

    [Fact]
    public async Task A_replica_that_was_dropped_is_gone_and_can_be_made_again()
    {
        var size = new ReplicaSize("s", 2, 1);
        await AskAsync(_orchestrator.EnsureReplica(Cluster, "r1", size), new InstanceConfig(1000));
        await AskAsync(_orchestrator.EnsureReplica(Cluster, "r2", size), new InstanceConfig(1000));
        Assert.Equal(4, Running);
        await _orchestrator.DropReplicaAsync(Cluster, "r1");
        Assert.Equal(2, Running);
        await _orchestrator.DropReplicaAsync(Cluster, "r1");
        await AskAsync(_orchestrator.EnsureReplica(Cluster, "r1", size), new InstanceConfig(3000));
        Assert.Equal(4, Running);
    }

    private long Running => _orchestrator.Gauges().Single(g => g.Name == "mz_replica_processes").Value;

    /// <summary>A new controller for the replica: its peek of what is not there is answered, with an error, by all processes.</summary>
    private static async Task AskAsync(ReplicaEndpoints endpoints, InstanceConfig config, Task? first = null)
    {
        var registry = new CollectionRegistry();
        var index = GlobalId.User(1);
        registry.Register(index, Frontier.Minimum, Frontier.At(1), null);
        await using var compute = new ComputeController(registry, config, TimeProvider.System, NullLoggerFactory.Instance);
        compute.CreateInstance(Cluster);
        compute.AddReplica(Cluster, "r1", endpoints.Compute);
        if (first is not null)
            await first.WaitAsync(Patience);
        var request = new PeekRequest(
            Guid.NewGuid(), new PeekTarget.Index(index), null, 0, Mfp.Identity(1), [Number], RowSetFinishing.Trivial(1), 1 << 20);
        var answer = await compute.PeekAsync(Cluster, request, Assert.Single(registry.Acquire([index])!), CancellationToken.None).WaitAsync(Patience);
        Assert.IsType<PeekAnswer.Error>(answer);
    }

    /// <summary>Counts the hosts that were started, by what is logged of them.</summary>
    private sealed class StartCounter : ILoggerFactory, ILogger
    {
        private readonly Lock _gate = new();   // over what follows
        private readonly List<(int Count, TaskCompletionSource Reached)> _waiting = [];
        private int _count;

        public int Count
        {
            get
            {
                lock (_gate)
                    return _count;
            }
        }

        public Task ReachedAsync(int count)
        {
            var reached = new TaskCompletionSource(TaskCreationOptions.RunContinuationsAsynchronously);
            lock (_gate)
                _waiting.Add((count, reached));
            return reached.Task;
        }

        public ILogger CreateLogger(string categoryName) =>
            categoryName == typeof(InProcessOrchestrator).FullName ? this : NullLogger.Instance;

        public void AddProvider(ILoggerProvider provider)
        {
        }

        public IDisposable? BeginScope<TState>(TState state)
            where TState : notnull => null;

        public bool IsEnabled(LogLevel logLevel) => true;

        public void Log<TState>(LogLevel logLevel, EventId eventId, TState state, Exception? exception, Func<TState, Exception?, string> formatter)
        {
            if (logLevel != LogLevel.Information)
                return;
            lock (_gate)
            {
                _count++;
                foreach (var (_, reached) in _waiting.Where(w => w.Count <= _count))
                    reached.TrySetResult();
            }
        }

        public void Dispose()
        {
        }
    }
}
