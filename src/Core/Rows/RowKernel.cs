namespace Materialize.Core.Rows;

/// <summary>
/// What one call of a <see cref="RowKernel"/> reads and writes. One instance per operator, reused for every call, so that
/// generated code sees fixed field offsets and a call allocates nothing.
/// </summary>
/// <remarks>
/// An input row is a tuple of <em>parts</em>: the bytes of a whole row, or of a key and one or more values (a join's match is
/// key, left value, right value). <c>Parts[p][i]</c> is the address of part p of input i; a part is a canonical row whose
/// layout was fixed when the kernel was generated. Source of the idea: design §4 and §5, expression code over <c>nint</c>.
/// </remarks>
public sealed unsafe class KernelIo
{
    /// <summary>Most inputs in one call; arrays below have room for this many.</summary>
    public const int Capacity = 1024;

    /// <summary>Inputs of this call, at most <see cref="Capacity"/>.</summary>
    public int Count;

    /// <summary><c>Parts[p]</c> points at <see cref="Count"/> addresses of part p.</summary>
    public nint*[] Parts = [];

    /// <summary>
    /// Where rows go. A plain kernel has one output; an arranging kernel has two, key and value, and appends to both or neither.
    /// </summary>
    public RowWriter[] Outputs = [];

    /// <summary>Where encoded evaluation errors go.</summary>
    public RowWriter? Errors;

    /// <summary>Set by the kernel: output row j came from input <c>Selected[j]</c>, for j below <see cref="Emitted"/>; ascending.</summary>
    public int* Selected;

    /// <summary>Set by the kernel: rows appended to each of <see cref="Outputs"/>.</summary>
    public int Emitted;

    /// <summary>Set by the kernel: error j came from input <c>ErrorSelected[j]</c>, for j below <see cref="ErrorsEmitted"/>.</summary>
    public int* ErrorSelected;

    /// <summary>Set by the kernel: errors appended to <see cref="Errors"/>.</summary>
    public int ErrorsEmitted;

    /// <summary>
    /// For a kernel with a temporal filter: output row j is present from <c>ValidFrom[j]</c> up to and excluding
    /// <c>ValidUntil[j]</c>, both in the time of the outermost scope; <see cref="ulong.MaxValue"/> is "for ever". Null otherwise.
    /// </summary>
    public ulong* ValidFrom;

    /// <summary>See <see cref="ValidFrom"/>.</summary>
    public ulong* ValidUntil;
}

/// <summary>
/// A compiled batch loop over <see cref="KernelIo.Count"/> inputs: map, filter and project, or the split into key and value.
/// Each input gives at most one row or one error. Never throws on data; sets <see cref="KernelIo.Emitted"/> and
/// <see cref="KernelIo.ErrorsEmitted"/>.
/// </summary>
public delegate void RowKernel(KernelIo io);

/// <summary>
/// Adds rows to accumulators: for each i below <paramref name="count"/>, folds the row at <c>values[i]</c>, taken
/// <c>diffs[i]</c> times, into the accumulator at <c>accumulators[i]</c>. Negative diffs undo what was added, exactly.
/// The same accumulator may occur several times in one call. Accumulators start as zero bytes.
/// </summary>
public unsafe delegate void AccumulateKernel(nint* keys, nint* values, long* diffs, nint* accumulators, int count);

/// <summary>
/// Computes the output values of one group from all its input values. Called again, from scratch, when a group changes.
/// </summary>
/// <param name="key">The group's key row.</param>
/// <param name="values">Addresses of its distinct values, in the arrangement's value order.</param>
/// <param name="diffs">Their multiplicities, never zero; negative ones are an upstream error to be reported, not a crash.</param>
/// <param name="count">How many values.</param>
/// <param name="output">Receives zero or more output values, each with multiplicity one.</param>
/// <param name="errors">Receives encoded errors.</param>
public unsafe delegate void GroupKernel(nint key, nint* values, long* diffs, int count, RowWriter output, RowWriter errors);
