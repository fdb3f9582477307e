using Materialize.Compute.Logging;
using Materialize.Repr;

namespace Materialize.Compute.Workers;

// Logs: fed each interval while a dataflow has them, and at once when somebody comes to read one.
internal sealed partial class ComputeWorker
{
    private readonly List<DataflowInstance> _logging = [];
    private DateTimeOffset _nextTick;

    /// <summary>How often logs are brought up to date unasked; zero: never.</summary>
    public TimeSpan LoggingInterval { get; set; } = TimeSpan.FromSeconds(1);

    /// <summary>How long the worker may sleep when it has nothing to do.</summary>
    public TimeSpan ParkTime
    {
        get
        {
            var most = TimeSpan.FromSeconds(1);
            if (_logging.Count == 0)
                return most;
            var left = _nextTick - time.GetUtcNow();
            return left < TimeSpan.FromMilliseconds(1) ? TimeSpan.FromMilliseconds(1) : left < most ? left : most;
        }
    }

    /// <summary>Exports, in id order.</summary>
    public IEnumerable<CollectionState> Collections => _collections.Values;

    /// <summary>How far each import of an export's dataflow has come at this worker.</summary>
    public IEnumerable<(GlobalId Import, Frontier Frontier)> ImportFrontiers(CollectionState state)
    {
        foreach (var input in state.Instance.Inputs)
            yield return (input.Id, input.Frontier);
        foreach (var import in state.Instance.Plan.Description.IndexImports)
        {
            if (_collections.GetValueOrDefault(import.Id)?.Trace is { } trace)
                yield return (import.Id, trace.Upper);
        }
    }

    private void StartLogging(DataflowInstance instance)
    {
        _logging.Add(instance);
        _nextTick = default;
        worker.Accounting = true;
        instance.Released = () =>
        {
            _logging.Remove(instance);
            worker.Accounting = _logging.Count > 0;
        };
    }

    /// <summary>Somebody comes to read: logs are made to flow at once, so that the reader need not wait for the interval to end.</summary>
    private void NoteReader(CollectionState collection)
    {
        if (!collection.Instance.Logs.IsEmpty)
            _nextTick = default;
    }

    private void TickLogs()
    {
        if (_logging.Count == 0)
            return;
        var now = time.GetUtcNow();
        if (now < _nextTick)
            return;
        _nextTick = LoggingInterval > TimeSpan.Zero ? now + LoggingInterval : DateTimeOffset.MaxValue;
        var snapshot = new LogSnapshot(worker, this);
        foreach (var instance in _logging)
            instance.Logs.Tick(snapshot, (ulong)now.ToUnixTimeMilliseconds());
    }
}
