using Materialize.Core.Rows;
using Materialize.Dataflow.Operators;
using Materialize.Dataflow.Runtime;

namespace Materialize.Dataflow;

/// <summary>
/// A changing multiset of rows inside one dataflow, as this worker sees it: updates (row, time, diff), not consolidated. The whole
/// collection is the union over workers. A handle for building only; methods add operators to the scope.
/// </summary>
/// <remarks>
/// All workers must call the same methods in the same order. Kernels are called on the worker's thread, reuse is theirs to
/// arrange; rows given to them are valid during the call. An operator that says it is <em>sealed</em> emits at a time only when
/// its input frontier has passed it, consolidated; the others emit as updates come.
/// </remarks>
public sealed partial class Stream<TTime> where TTime : unmanaged, ITime<TTime>
{
    internal Stream(Scope<TTime> scope, OutputPort<UpdateBatch<TTime>> output, RowShape shape)
    {
        Scope = scope;
        Output = output;
        Shape = shape;
    }

    public Scope<TTime> Scope { get; }

    public RowShape Shape { get; }

    internal OutputPort<UpdateBatch<TTime>> Output { get; }

    /// <summary>
    /// One output row or error for each row at most: map, filter, project. <c>Parts[0]</c> is the row, <c>Outputs[0]</c> the result.
    /// </summary>
    /// <param name="kernel">Called with up to <see cref="KernelIo.Capacity"/> rows.</param>
    /// <param name="shape">Shape of the rows that the kernel writes.</param>
    /// <param name="temporal">
    /// Whether the kernel fills <see cref="KernelIo.ValidFrom"/> and <see cref="KernelIo.ValidUntil"/>: a row is then emitted at the
    /// join of its time and ValidFrom, and retracted at the join of its time and ValidUntil, if that is later. Changes that lie ahead
    /// of the input frontier are kept and emitted when it reaches them. State is O(scheduled changes).
    /// </param>
    public OkErr<TTime> Map(string name, RowKernel kernel, RowShape shape, bool temporal = false) =>
        MapOperator<TTime>.Build(this, name, kernel, shape, temporal);

    /// <summary>
    /// Any number of output rows for each row. <paramref name="function"/> appends to <see cref="FlatMapOutput"/>; the operator multiplies
    /// diffs and yields after a bounded number of output rows, between input rows.
    /// </summary>
    public OkErr<TTime> FlatMap(string name, FlatMapFunction function, RowShape shape) =>
        FlatMapOperator<TTime>.Build(this, name, function, shape);

    /// <summary>The sum with <paramref name="others"/>, which have the same shape. Batches are passed on, not copied.</summary>
    public Stream<TTime> Concat(params ReadOnlySpan<Stream<TTime>> others) => ConcatOperator<TTime>.Build(this, others);

    /// <summary>The same rows with opposite diffs.</summary>
    public Stream<TTime> Negate() => NegateOperator<TTime>.Build(this);

    /// <summary>The same collection, sealed: equal updates of a time are added up, zeros dropped. Exchanged by row. State is O(updates not yet complete).</summary>
    public Stream<TTime> Consolidate(string name = "consolidate") => ConsolidateOperator<TTime>.Build(this, name);

    /// <summary>The same collection, each row at the worker that owns the hash of the key that <paramref name="key"/> computes (<c>Outputs[0]</c>, one for each row); with null, of the whole row.</summary>
    public Stream<TTime> Exchange(RowKernel? key = null, RowShape keyShape = default) => ExchangeOperator<TTime>.ByHash(this, key, keyShape);

    /// <summary>
    /// The same collection, batch by batch at whichever worker was sent the fewest rows so far: shares out what comes in at few workers, whatever its keys. A row and its deletion may end up at different workers:
    /// for operators that keep no state, or that exchange by key themselves.
    /// </summary>
    public Stream<TTime> Rebalance() => ExchangeOperator<TTime>.ToLeastLoaded(this);

    /// <summary>All rows at one worker.</summary>
    public Stream<TTime> Gather(int worker = 0) => ExchangeOperator<TTime>.ToWorker(this, worker);

    /// <summary>All rows at every worker: the multiset is multiplied by the number of workers.</summary>
    public Stream<TTime> Broadcast() => ExchangeOperator<TTime>.ToAll(this);

    /// <summary>
    /// Times moved to <c>join(time, asOf)</c>: what a dataflow that shows nothing before <paramref name="asOf"/> makes of older updates.
    /// </summary>
    public Stream<TTime> AdvanceTo(TTime asOf) => AdvanceOperator<TTime>.Build(this, asOf);

    /// <summary>
    /// Indexes the collection by key: <c>Outputs[0]</c> receives the key, <c>Outputs[1]</c> the value. Exchanged by key hash. The arrangement
    /// maintains a trace while anybody holds it (<see cref="Arranged{TTime}.Trace"/>, or a consuming operator).
    /// </summary>
    /// <param name="split">Writes key and value of <c>Parts[0]</c>, or an error. Null: the row is the key, the value is empty.</param>
    public ArrangedErr<TTime> Arrange(string name, RowKernel? split, RowShape keyShape, RowShape valueShape) =>
        ArrangeOperator<TTime>.Build(this, name, split, keyShape, valueShape);

    /// <summary>
    /// Half of a delta join: each update (row, t, d) looks up its key in <paramref name="arranged"/> and gives (kernel(key, payload, value), t, d·d')
    /// for the values accumulated over times before t (<see cref="HalfJoinTimes.Strict"/>) or up to t (<see cref="HalfJoinTimes.Inclusive"/>).
    /// </summary>
    /// <remarks>
    /// Contract: in a delta join over relations 0..n, the path of relation i uses Strict for relations j &lt; i and Inclusive for j &gt; i
    /// (any fixed order does), so that each combination of updates is counted at its latest member exactly once. Updates wait until the
    /// arrangement is complete at their time. Yields after bounded output. Needs a total order (<see cref="ITime{TSelf}.IsTotal"/>).
    /// </remarks>
    /// <param name="lookup">Writes key (<c>Outputs[0]</c>) and payload (<c>Outputs[1]</c>) of <c>Parts[0]</c>, or an error.</param>
    /// <param name="payloadShape">Shape of payloads.</param>
    /// <param name="arranged">Keyed as <paramref name="lookup"/> writes keys.</param>
    /// <param name="kernel">Parts: key, payload, arranged value.</param>
    /// <param name="shape">Shape of the result.</param>
    public OkErr<TTime> HalfJoin(
        string name, RowKernel lookup, RowShape payloadShape, Arranged<TTime> arranged, HalfJoinTimes times, RowKernel kernel, RowShape shape) =>
        HalfJoinOperator<TTime>.Build(this, name, lookup, payloadShape, arranged, times, kernel, shape);

    /// <summary>
    /// One row for each group that has records. Sealed; the accumulator's first 8 bytes are the number of records (a signed number that the
    /// kernel maintains) and a group is absent while it is 0.
    /// </summary>
    /// <remarks>State: one accumulator a group, no history. Work: O(updates). Total order only. Retractions give the inverse of what was emitted before.</remarks>
    /// <param name="split">Writes group key and aggregated value of <c>Parts[0]</c>, or an error. Exchanged by key hash.</param>
    /// <param name="accumulatorBytes">Width of accumulators, at least 8; they start as zero bytes.</param>
    /// <param name="accumulate">See <see cref="AccumulateKernel"/>.</param>
    /// <param name="finish">Parts: key, accumulator. Writes the group's row (whole row, key included as wanted) or an error.</param>
    public OkErr<TTime> ReduceAccumulable(
        string name, RowKernel split, RowShape keyShape, RowShape valueShape, int accumulatorBytes, AccumulateKernel accumulate, RowKernel finish, RowShape shape) =>
        AccumulableOperator<TTime>.Build(this, name, split, keyShape, valueShape, accumulatorBytes, accumulate, finish, shape);

    /// <summary>Each row of positive multiplicity once. Sealed, exchanged by row. State: a count for each distinct row.</summary>
    public Stream<TTime> Distinct(string name = "distinct") => ThresholdOperator<TTime>.Build(this, name, distinct: true);

    /// <summary>Each row as often as its multiplicity says if that is positive, else not at all. Sealed. State: a count for each distinct row.</summary>
    public Stream<TTime> Threshold(string name = "threshold") => ThresholdOperator<TTime>.Build(this, name, distinct: false);

    /// <summary>
    /// For each group, the rows from <paramref name="offset"/> up to <paramref name="offset"/> + <paramref name="limit"/> in the order of their sort
    /// keys, copies counted; rows of equal sort key in the order of their bytes. Sealed. Min and max are the case limit 1.
    /// </summary>
    /// <remarks>
    /// State: all rows, indexed by group and order, and with offset + limit of at most 32 the beginning of each group apart, so that a change costs O(offset + limit), and O(log) more when deletes have used
    /// up what is remembered. Otherwise O(log + offset + limit) row visits before and after, plus rows cancelled but not yet merged away. Negative multiplicities are skipped and show in no answer.
    /// </remarks>
    /// <param name="split">Writes group key (<c>Outputs[0]</c>), sort key (<c>Outputs[1]</c>, memcomparable and prefix-free) and row (<c>Outputs[2]</c>).</param>
    /// <param name="rowShape">Shape of <c>Outputs[2]</c> and of the result.</param>
    /// <param name="limit">Most rows of a group; null is no limit.</param>
    /// <param name="finish">Parts: group key, row, sort key. Writes the result's row; never an error. So that a row need not repeat what its keys say. Null: the row itself.</param>
    /// <param name="shape">Of what <paramref name="finish"/> writes.</param>
    public OkErr<TTime> TopK(
        string name, RowKernel split, RowShape keyShape, RowShape sortKeyShape, RowShape rowShape, long? limit, long offset = 0, RowKernel? finish = null, RowShape shape = default) =>
        TopKOperator<TTime>.Build(this, name, split, keyShape, sortKeyShape, rowShape, limit, offset, finish, shape);

    /// <summary>Calls back with every batch as it comes and with every change of the frontier, in this order. The stream itself is passed on for chaining.</summary>
    /// <param name="onBatch">Borrows the batch during the call; may be null.</param>
    /// <param name="onFrontier">Called with the frontier of what comes at this worker, after all batches before it were seen; the last call has a closed frontier. A <see cref="Probe"/> tells when all workers have come so far.</param>
    public Stream<TTime> ForEach(string name, Action<UpdateBatch<TTime>>? onBatch, Action<Frontier<TTime>>? onFrontier = null) =>
        ForEachOperator<TTime>.Build(this, name, onBatch, onFrontier);

    /// <summary>Follows the frontier of this stream and <paramref name="others"/>, which need not have its shape: what is complete at all workers in all of them.</summary>
    public Probe<TTime> Probe(params ReadOnlySpan<Stream<TTime>> others) => ProbeOperator<TTime>.Build([this, .. others]);
}

/// <summary>An operator's rows and its encoded evaluation errors (always of variable shape).</summary>
public readonly record struct OkErr<TTime>(Stream<TTime> Ok, Stream<TTime> Errors) where TTime : unmanaged, ITime<TTime>;

/// <summary>An arrangement and the errors met while splitting rows into key and value.</summary>
public readonly record struct ArrangedErr<TTime>(Arranged<TTime> Arranged, Stream<TTime> Errors) where TTime : unmanaged, ITime<TTime>;

/// <summary>Which updates of the arrangement a half join sees.</summary>
public enum HalfJoinTimes
{
    /// <summary>Those before the time of the stream's update.</summary>
    Strict,

    /// <summary>Those before or at it.</summary>
    Inclusive,
}

/// <summary>Computes any number of rows from one. Appends rows to <c>output.Rows</c> and encoded errors to <c>output.Errors</c>, never throws on data.</summary>
/// <remarks>A function whose result is large or endless may return after a part of it with <see cref="FlatMapOutput.More"/> set; it is then called again with
/// the same row and <see cref="FlatMapOutput.Position"/> as it left it.</remarks>
public delegate void FlatMapFunction(nint row, FlatMapOutput output);

/// <summary>Where a <see cref="FlatMapFunction"/> writes.</summary>
public sealed class FlatMapOutput
{
    internal FlatMapOutput(RowWriter rows, RowWriter errors)
    {
        Rows = rows;
        Errors = errors;
    }

    public RowWriter Rows { get; }

    public RowWriter Errors { get; }

    /// <summary>Multiplicities of the rows appended in this call, relative to the input row's diff. Leave empty for one each; else append one for each row.</summary>
    public List<long> Diffs { get; } = [];

    /// <summary>Free for the function's use across calls for the same row; 0 at the first.</summary>
    public long Position { get; set; }

    /// <summary>Set when the same row is to be continued later.</summary>
    public bool More { get; set; }
}

/// <summary>The frontier of a stream, readable at any time on the worker's thread.</summary>
public sealed class Probe<TTime> where TTime : unmanaged, ITime<TTime>
{
    internal Probe()
    {
    }

    public Frontier<TTime> Frontier { get; internal set; } = Frontier<TTime>.At(TTime.Minimum);

    /// <summary>Whether everything at <paramref name="time"/> has been seen, at all workers.</summary>
    public bool HasPassed(TTime time) => Frontier.HasPassed(time);
}
