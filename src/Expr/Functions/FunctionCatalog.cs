using System.Collections.Frozen;
using Materialize.Core;
using Materialize.Core.Collections;

namespace Materialize.Expr.Functions;

/// <summary>
/// Reads the signature tables once. A line of a table is <c>name(params) result = target flags</c>, for example
/// <c>left(text, int4) text = left</c>. Targets: a scalar function's id; <c>agg:</c> an <see cref="AggregateFunc"/>;
/// <c>table:</c> a <see cref="TableFunc"/> with its column names; <c>session:</c> an <see cref="UnmaterializableFunc"/>;
/// <c>sql:</c> a macro up to the end of the line. Flags after an id: <c>!</c> may fail, <c>?</c> may introduce null,
/// <c>~</c> sees null arguments, <c>%</c> never null, <c>&amp;</c> commutative. A line <c>schema x</c> sets the schema of the
/// lines below it; <c>for int2 int4: line</c> is one line for each type, written <c>@</c> in it. Lines that begin with <c>--</c> are comments.
/// </summary>
/// <remarks>
/// Text, not code, because a signature in SQL's own notation can be read against the documentation; an unknown type, flag or
/// function stops the process at start-up, and a test builds the whole catalog.
/// </remarks>
internal sealed class FunctionCatalog
{
    private const uint FirstOwnOid = 17_000;

    private readonly Dictionary<string, ScalarFunc> _scalars = [];
    private readonly List<FunctionSignature> _functions = [];
    private readonly List<FunctionSignature> _operators = [];
    private readonly HashSet<uint> _oids = [];
    private uint _nextOid = FirstOwnOid;

    private FunctionCatalog()
    {
        ReadScalars(SignatureTables.Internal);
        ReadSignatures(SignatureTables.Operators, _operators);
        foreach (var table in SignatureTables.Functions)
            ReadSignatures(table, _functions);
        foreach (var (id, couldError) in CastTable.FunctionIds())
            _scalars.TryAdd(id, Bind(new ScalarFunc { Id = id, CouldError = couldError, IntroducesNulls = CastTable.IntroducesNulls(id) }));
        Scalars = _scalars.ToFrozenDictionary();
        FunctionsByName = ByName(_functions);
        OperatorsByName = ByName(_operators);
    }

    public static FunctionCatalog Instance { get; } = new();

    public FrozenDictionary<string, ScalarFunc> Scalars { get; }

    public IReadOnlyList<FunctionSignature> Functions => _functions;

    public IReadOnlyList<FunctionSignature> Operators => _operators;

    public FrozenDictionary<string, IReadOnlyList<FunctionSignature>> FunctionsByName { get; }

    public FrozenDictionary<string, IReadOnlyList<FunctionSignature>> OperatorsByName { get; }

    private static FrozenDictionary<string, IReadOnlyList<FunctionSignature>> ByName(List<FunctionSignature> all) =>
        all.GroupBy(f => f.Name).ToFrozenDictionary(g => g.Key, g => (IReadOnlyList<FunctionSignature>)[.. g]);

    private static IEnumerable<string> Lines(string table) =>
        table.Split('\n').Select(l => l.Trim()).Where(l => l.Length > 0 && !l.StartsWith("--", StringComparison.Ordinal)).SelectMany(Expand);

    private static IEnumerable<string> Expand(string line)
    {
        if (!line.StartsWith("for ", StringComparison.Ordinal))
            return [line];
        var colon = line.IndexOf(':');
        return line[4..colon].Split(' ', StringSplitOptions.RemoveEmptyEntries).Select(t => line[(colon + 1)..].Trim().Replace("@", t, StringComparison.Ordinal));
    }

    /// <summary>Functions that no SQL name reaches: <c>id flags</c>.</summary>
    private void ReadScalars(string table)
    {
        foreach (var line in Lines(table))
            Scalar(line, infix: null);
    }

    private void ReadSignatures(string table, List<FunctionSignature> into)
    {
        var schema = "pg_catalog";
        foreach (var line in Lines(table))
        {
            if (line.StartsWith("schema ", StringComparison.Ordinal))
            {
                schema = line["schema ".Length..];
                continue;
            }

            var equals = line.IndexOf(" = ", line.IndexOf(')'), StringComparison.Ordinal);
            var head = line[..equals];
            var body = line[(equals + 3)..].Trim();
            var open = head.IndexOf('(');
            var name = head[..open];
            var (parameters, variadic, result) = SignatureText.Parse(head[open..]);
            var isOperator = ReferenceEquals(into, _operators);
            var target = Target(body, isOperator && parameters.Count == 2 ? name : null);
            into.Add(new FunctionSignature(name, schema, parameters, variadic, result, target, Oid(name, head[open..], isOperator)));
        }
    }

    private uint Oid(string name, string signature, bool isOperator)
    {
        var known = PgOids.Find(name, signature, isOperator);
        if (known != 0 && _oids.Add(known))
            return known;
        while (!_oids.Add(_nextOid))
            _nextOid++;
        return _nextOid++;
    }

    private FunctionTarget Target(string body, string? infix)
    {
        var colon = body.IndexOf(':');
        var kind = colon < 0 ? "" : body[..colon];
        var rest = colon < 0 ? "" : body[(colon + 1)..].Trim();
        switch (kind)
        {
            case "sql":
                return new FunctionTarget.Macro(rest);
            case "agg":
                return new FunctionTarget.Aggregate(Enum.Parse<AggregateFunc>(rest));
            case "session":
                return new FunctionTarget.Unmaterializable(Enum.Parse<UnmaterializableFunc>(rest));
            case "table":
                var words = rest.Split(' ', StringSplitOptions.RemoveEmptyEntries);
                return new FunctionTarget.Table(Enum.Parse<TableFunc>(words[0]), words[1..].ToValueArray());
            default:
                return new FunctionTarget.Scalar(Scalar(body, infix));
        }
    }

    private ScalarFunc Scalar(string text, string? infix)
    {
        var words = text.Split(' ', StringSplitOptions.RemoveEmptyEntries);
        var id = words[0];
        if (_scalars.TryGetValue(id, out var known))
            return known;
        var flags = words.Length > 1 ? words[1] : "";
        Invariant.Check(words.Length <= 2 && flags.All("!?~%&".Contains), $"flags of {text}");
        var func = new ScalarFunc
        {
            Id = id,
            PropagatesNulls = !flags.Contains('~'),
            IntroducesNulls = flags.Contains('?'),
            NeverNull = flags.Contains('%'),
            CouldError = flags.Contains('!'),
            IsCommutative = flags.Contains('&'),
            Infix = infix ?? SignatureTables.Infix.GetValueOrDefault(id),
            NegatedId = SignatureTables.Negations.GetValueOrDefault(id),
        };
        return _scalars[id] = Bind(func);
    }

    private static ScalarFunc Bind(ScalarFunc func)
    {
        func.Implementation = ScalarImplementations.Find(func.Id);
        return func;
    }
}
