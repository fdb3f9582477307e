using Materialize.Sql;

namespace Materialize.Adapter;

/// <summary>
/// The variables of one session: SET LOCAL over SET over what the client asked for at startup over the system's value over the
/// default. Used by its session only.
/// </summary>
internal sealed class SessionVariables(Func<string, string?> systemValue)
{
    private readonly Dictionary<Variable, string> _startup = [];
    private readonly Dictionary<Variable, string> _session = [];
    private readonly Dictionary<Variable, string> _local = [];
    private readonly Queue<KeyValuePair<string, string>> _changes = new();
    private Dictionary<Variable, string>? _atBegin;

    /// <summary>Changes with every change of a variable of this session: what was derived under another version is stale.</summary>
    public ulong Version { get; private set; }

    /// <summary>The value in force; null for an unknown variable.</summary>
    public string? Get(string name) => VariableTable.Find(name) is { } variable ? Get(variable) : null;

    public string Get(Variable variable) =>
        _local.TryGetValue(variable, out var value)
        || _session.TryGetValue(variable, out value)
        || _startup.TryGetValue(variable, out value)
            ? value
            : systemValue(variable.Name) ?? variable.Default;

    public bool IsOn(string name) => Get(name) == "on";

    public IReadOnlyList<string> SearchPath =>
        [.. VariableText.Names(Get("search_path")!)];

    public TimeSpan StatementTimeout => VariableText.TryDuration(Get("statement_timeout")!, out var value) ? value : TimeSpan.Zero;

    public ulong MaxResultBytes
    {
        get
        {
            VariableText.TryByteSize(Get("max_query_result_size")!, out var session);
            VariableText.TryByteSize(systemValue("max_result_size") ?? "1GB", out var system);
            return Math.Min(session, system);
        }
    }

    public bool IsStrictSerializable => Get("transaction_isolation") == "strict serializable";

    /// <summary>From the startup message; false for an unknown variable.</summary>
    public bool TrySetAtStartup(string name, string value)
    {
        if (VariableTable.Find(name) is not { IsSystem: false } variable)
            return false;
        _startup[variable] = VariableText.Normalize(variable, variable.Kind == VariableKind.StringList ? [.. VariableText.Names(value)] : [value]);
        Version++;
        return true;
    }

    /// <summary>What the server knows of the session; not for users to change.</summary>
    public void SetDerived(string name, string value)
    {
        _startup[VariableTable.Find(name)!] = value;
        Version++;
    }

    /// <param name="values">Null: DEFAULT.</param>
    public void Set(string name, IReadOnlyList<string>? values, bool isLocal)
    {
        var variable = VariableTable.Find(name)
            ?? throw new SqlException("42704", $"unrecognized configuration parameter \"{name}\"");
        if (variable.IsReadOnly)
            throw new SqlException("55P02", $"parameter \"{variable.Name}\" cannot be changed");
        if (variable.IsSystem)
            throw new SqlException("55P02", $"parameter \"{variable.Name}\" cannot be changed now") { Hint = "Use ALTER SYSTEM SET." };
        var before = Get(variable);
        Version++;
        if (values is null)
        {
            _session.Remove(variable);
            _local.Remove(variable);
        }
        else
        {
            (isLocal ? _local : _session)[variable] = VariableText.Normalize(variable, values);
            if (!isLocal)
                _local.Remove(variable);
        }

        Report(variable, before);
    }

    public void ResetAll()
    {
        foreach (var variable in _session.Keys.Concat(_local.Keys).Distinct().ToList())
            Set(variable.Name, null, isLocal: false);
    }

    /// <summary>An explicit transaction begins: SET in it is undone by ROLLBACK.</summary>
    public void Begin() => _atBegin = new Dictionary<Variable, string>(_session);

    public void End(bool committed)
    {
        if (_local.Count == 0 && (committed || _atBegin is null))
        {
            _atBegin = null;
            return;
        }

        Version++;
        var touched = VariableTable.Variables.Where(v => v.IsReported).Select(v => (Variable: v, Before: Get(v))).ToList();
        _local.Clear();
        if (!committed && _atBegin is { } before)
        {
            _session.Clear();
            foreach (var (variable, value) in before)
                _session.Add(variable, value);
        }

        _atBegin = null;
        foreach (var (variable, value) in touched)
            Report(variable, value);
    }

    public bool TryTakeChange(out KeyValuePair<string, string> change) => _changes.TryDequeue(out change);

    private void Report(Variable variable, string before)
    {
        var now = Get(variable);
        if (variable.IsReported && now != before)
            _changes.Enqueue(new KeyValuePair<string, string>(variable.Name, now));
    }
}
