using System.Globalization;

namespace Materialize.Sql;

/// <summary>Reads the options of a statement, each at most once, and checks that their values are of the right kind.</summary>
internal sealed class OptionReader
{
    private readonly Dictionary<string, Ast.SqlOption> _options = [];

    public OptionReader(string what, IEnumerable<Ast.SqlOption> options)
    {
        foreach (var option in options)
        {
            if (!_options.TryAdd(option.Name, option))
                throw SqlException.Plan($"{option.Name} specified more than once", option.Position(), hint: $"An option of {what} can be given once.");
        }
    }

    public bool Has(string name) => _options.ContainsKey(name);

    public IEnumerable<Ast.SqlOption> All => _options.Values;

    public Ast.OptionValue? Value(string name) => _options.GetValueOrDefault(name)?.Value;

    /// <summary>Named without a value: true.</summary>
    public bool? Bool(string name)
    {
        if (!_options.TryGetValue(name, out var option))
            return null;
        return option.Value switch
        {
            null => true,
            Ast.OptionValue.Literal { Value: Ast.Expr.BooleanLiteral literal } => literal.Value,
            _ => AsText(option).ToLowerInvariant() switch
            {
                "true" or "on" or "t" or "yes" or "1" => true,
                "false" or "off" or "f" or "no" or "0" => false,
                _ => throw Invalid(option, "cannot use value as boolean"),
            },
        };
    }

    public string? Text(string name) => _options.TryGetValue(name, out var option) ? AsText(option) : null;

    public ulong? UInt64(string name)
    {
        if (!_options.TryGetValue(name, out var option))
            return null;
        return ulong.TryParse(AsText(option), NumberStyles.None, CultureInfo.InvariantCulture, out var value)
            ? value
            : throw Invalid(option, "cannot use value as number");
    }

    public TimeSpan? Duration(string name) => _options.TryGetValue(name, out var option) ? Durations.Parse(AsText(option), option.Position(), name) : null;

    /// <summary>RETAIN HISTORY = FOR 'd'.</summary>
    public TimeSpan? RetainHistory()
    {
        if (!_options.TryGetValue("RETAIN HISTORY", out var option))
            return null;
        if (option.Value is not Ast.OptionValue.RetainHistoryFor retain)
            throw Invalid(option, "expected FOR and an interval");
        var value = Durations.Parse(ExprText(retain.Value) ?? throw Invalid(option, "cannot use value as interval"), option.Position(), "RETAIN HISTORY");
        return value >= TimeSpan.FromSeconds(1) ? value : throw SqlException.Plan("RETAIN HISTORY cannot be set lower than 1000ms", option.Position());
    }

    /// <summary>A list of names or texts; dots between the parts of a name.</summary>
    public List<string> Texts(string name)
    {
        if (!_options.TryGetValue(name, out var option) || option.Value is null)
            return [];
        return option.Value is Ast.OptionValue.Sequence sequence
            ? sequence.Items.Select(i => AsText(new Ast.SqlOption(name, i))).ToList()
            : [AsText(option)];
    }

    /// <summary>The value as text, whatever literal or bare word it is.</summary>
    public static string AsText(Ast.SqlOption option) => option.Value switch
    {
        Ast.OptionValue.Literal x => ExprText(x.Value) ?? throw Invalid(option, "cannot use value as string"),
        Ast.OptionValue.Name x => x.Value.ToString(),
        Ast.OptionValue.Expression x => ExprText(x.Value) ?? throw Invalid(option, "cannot use value as string"),
        null => throw Invalid(option, "requires a value"),
        Ast.OptionValue.Secret => throw SqlException.Plan("SECRET values are not supported here", option.Position()),
        _ => throw Invalid(option, "cannot use value as string"),
    };

    public static string? ExprText(Ast.Expr expr) => expr switch
    {
        Ast.Expr.StringLiteral x => x.Value,
        Ast.Expr.NumberLiteral x => x.Text,
        Ast.Expr.BooleanLiteral x => x.Value ? "true" : "false",
        Ast.Expr.IntervalLiteral x => x.Value.Text,
        Ast.Expr.Identifier x => string.Join('.', x.Parts.Select(p => p.Value)),
        Ast.Expr.Unary { Op.Name: "-", Input: Ast.Expr.NumberLiteral x } => "-" + x.Text,
        Ast.Expr.Cast x => ExprText(x.Input),
        _ => null,
    };

    public static SqlException Invalid(Ast.SqlOption option, string why) =>
        SqlException.Plan($"invalid {option.Name}: {why}", option.Position());
}

/// <summary>Durations of options: an interval without months.</summary>
internal static class Durations
{
    public static TimeSpan Parse(string text, int? position, string what)
    {
        var value = Constants.Evaluate(Constants.ParseLiteral(text, Repr.SqlType.Interval, position), what, position);
        var interval = value.AsInterval;
        if (interval.Months != 0)
            throw SqlException.Plan($"invalid {what}: cannot convert interval with months to a duration", position);
        var micros = checked((interval.Days * 86_400_000_000L) + interval.Micros);
        return micros >= 0 ? TimeSpan.FromMicroseconds(micros) : throw SqlException.Plan($"invalid {what}: must not be negative", position);
    }
}
