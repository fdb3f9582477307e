using System.Globalization;
using System.Text.RegularExpressions;
using Materialize.Core.Collections;
using Materialize.Expr.Functions;
using Materialize.Repr;
using Calendar = Materialize.Repr.Calendar;

namespace Materialize.Expr;

/// <summary>A row that a table function gives, with its multiplicity: 1 but for repeat_row.</summary>
public readonly record struct TableRow(Datum[] Values, long Diff);

/// <summary>What table functions compute.</summary>
public static class TableFunctions
{
    private static readonly Dictionary<char, string> PrivilegeNames = new()
    {
        ['a'] = "INSERT",
        ['r'] = "SELECT",
        ['w'] = "UPDATE",
        ['d'] = "DELETE",
        ['U'] = "USAGE",
        ['C'] = "CREATE",
        ['R'] = "CREATEROLE",
        ['B'] = "CREATEDB",
        ['N'] = "CREATECLUSTER",
        ['P'] = "CREATENETWORKPOLICY",
    };

    /// <summary>The rows of <paramref name="func"/> over its arguments, lazily; none if an argument is null.</summary>
    /// <param name="types">The arguments' types.</param>
    /// <param name="inner">For <see cref="TableFunc.WithOrdinality"/>: the function that is numbered; the number is the last column.</param>
    /// <exception cref="EvalException">From the enumeration: the arguments are invalid.</exception>
    public static IEnumerable<TableRow> Eval(TableFunc func, IReadOnlyList<Datum> args, IReadOnlyList<SqlType> types, TableFunc? inner = null)
    {
        if (func == TableFunc.WithOrdinality)
            return Numbered(Eval(inner!.Value, args, types));
        if (args.Any(a => a.IsNull))
            return [];
        var rows = func switch
        {
            TableFunc.GenerateSeriesInt32 => Series(args, int.MinValue, int.MaxValue),
            TableFunc.GenerateSeriesInt64 => Series(args, long.MinValue, long.MaxValue),
            TableFunc.GenerateSeriesTimestamp or TableFunc.GenerateSeriesTimestampTz => Timestamps(args),
            TableFunc.GenerateSubscripts => Subscripts(args),
            TableFunc.UnnestArray => (types[0].Kind == ScalarKind.Int2Vector ? args[0].AsList : args[0].AsArray.Elements).Select(One),
            TableFunc.UnnestList => args[0].AsList.Select(One),
            TableFunc.UnnestMap => args[0].AsMap.Select(e => new[] { Datum.FromString(e.Key), e.Value }),
            TableFunc.JsonbEach => Entries(args[0], asText: false),
            TableFunc.JsonbEachText => Entries(args[0], asText: true),
            TableFunc.JsonbObjectKeys => Entries(args[0], asText: false).Select(e => One(e[0])),
            TableFunc.JsonbArrayElements => Elements(args[0], asText: false),
            TableFunc.JsonbArrayElementsText => Elements(args[0], asText: true),
            TableFunc.RegexpExtract => Extract(args[0].AsString, args[1].AsString),
            TableFunc.RegexpMatches => Matches(args),
            TableFunc.RegexpSplitToTable => ScalarImplementations.Split([.. args]).Select(p => One(Datum.FromString(p))),
            TableFunc.CsvExtract => Csv(args[0].AsInt64, args[1].AsString),
            TableFunc.AclExplode => Explode(args[0], types[0].Element!.Kind),
            TableFunc.RepeatRow => null,
            _ => throw new ArgumentOutOfRangeException(nameof(func), func, "not a table function"),
        };
        return rows is null ? Repeat(args[0].AsInt64) : rows.Select(r => new TableRow(r, 1));
    }

    /// <summary>
    /// The columns of the functions whose literal arguments decide them: capture groups of <c>regexp_extract(pattern, text)</c>,
    /// named where the pattern names them, and <c>csv_extract(n, text)</c>.
    /// </summary>
    /// <exception cref="EvalException">The pattern is invalid or has no group, or n is out of range.</exception>
    public static ValueArray<(string Name, ColumnType Type)> Columns(TableFunc func, Datum literal)
    {
        if (func == TableFunc.CsvExtract)
        {
            var n = literal.IsNull ? -1 : literal.AsInt64;
            if (n is < 1 or > 8192)
                throw new EvalException(new EvalError("22023", $"csv_extract number of columns out of range: {n}"));
            return Enumerable.Range(1, (int)n).Select(i => ($"column{i}", SqlType.String.Nullable(false))).ToValueArray();
        }

        var regex = ScalarImplementations.Pattern(literal.AsString, ignoreCase: false);
        var names = regex.GetGroupNames()[1..];
        if (names.Length == 0)
            throw new EvalException(new EvalError("22023", "regexp_extract must specify at least one capture group"));
        return names.Select((name, i) => (int.TryParse(name, out _) ? $"column{i + 1}" : name, SqlType.String.Nullable())).ToValueArray();
    }

    private static Datum[] One(Datum value) => [value];

    private static IEnumerable<TableRow> Numbered(IEnumerable<TableRow> rows)
    {
        long number = 0;
        foreach (var (values, diff) in rows)
        {
            for (long i = 0; i < diff; i++)
                yield return new TableRow([.. values, Datum.FromInt64(++number)], 1);
        }
    }

    private static IEnumerable<TableRow> Repeat(long times)
    {
        if (times != 0)
            yield return new TableRow([], times);
    }

    private static IEnumerable<Datum[]> Series(IReadOnlyList<Datum> args, long min, long max)
    {
        var (start, stop, step) = (args[0].AsInt64, args[1].AsInt64, args.Count > 2 ? args[2].AsInt64 : 1);
        if (step == 0)
            throw ZeroStep();
        for (Int128 i = start; (step > 0 ? i <= stop : i >= stop) && i >= min && i <= max; i += step)
            yield return One(Datum.FromInt64((long)i));
    }

    private static IEnumerable<Datum[]> Timestamps(IReadOnlyList<Datum> args)
    {
        var (at, stop, step) = (args[0].AsInt64, args[1].AsInt64, args[2].AsInterval);
        var sign = (step.Months, step.Days, step.Micros).CompareTo((0, 0, 0L));
        if (sign == 0)
            throw ZeroStep();
        while (sign > 0 ? at <= stop : at >= stop)
        {
            yield return One(Datum.FromInt64(at));
            // A step of mixed signs may stand still; it then never ends, so it ends here.
            if (!Calendar.TryAdd(at, step, out var next) || next == at)
                yield break;
            at = next;
        }
    }

    private static EvalException ZeroStep() => new(new EvalError("22023", "step size cannot equal zero"));

    private static IEnumerable<Datum[]> Subscripts(IReadOnlyList<Datum> args)
    {
        var dimensions = args[0].AsArray.Dimensions;
        var wanted = args[1].AsInt64;
        if (wanted < 1 || wanted > dimensions.Count)
            yield break;
        var (lower, length) = dimensions[(int)wanted - 1];
        for (var i = 0; i < length; i++)
            yield return One(Datum.FromInt64(lower + i));
    }

    private static List<Datum[]> Entries(Datum value, bool asText)
    {
        var rows = new List<Datum[]>();
        var json = new Jsonb(value.AsBytes);
        if (json.Kind != JsonbKind.Object)
            return rows;
        foreach (var entry in json)
            rows.Add([Datum.FromString(entry.KeyText), asText ? ScalarImplementations.JsonText(entry.Value) : Datum.FromBytes(entry.Value.Bytes.ToArray())]);
        return rows;
    }

    private static List<Datum[]> Elements(Datum value, bool asText)
    {
        var rows = new List<Datum[]>();
        var json = new Jsonb(value.AsBytes);
        if (json.Kind != JsonbKind.Array)
            return rows;
        foreach (var item in json)
            rows.Add([asText ? ScalarImplementations.JsonText(item.Value) : Datum.FromBytes(item.Value.Bytes.ToArray())]);
        return rows;
    }

    private static IEnumerable<Datum[]> Extract(string pattern, string text)
    {
        var match = ScalarImplementations.Pattern(pattern, ignoreCase: false).Match(text);
        if (match.Success)
            yield return [.. match.Groups.Values.Skip(1).Select(g => g.Success ? Datum.FromString(g.Value) : Datum.Null)];
    }

    private static IEnumerable<Datum[]> Matches(IReadOnlyList<Datum> args)
    {
        var (ignoreCase, all) = ScalarImplementations.Flags([.. args], 2, "g");
        foreach (Match match in ScalarImplementations.Pattern(args[1].AsString, ignoreCase).Matches(args[0].AsString))
        {
            yield return One(ScalarImplementations.TextArray(ScalarImplementations.Groups(match)));
            if (!all)
                yield break;
        }
    }

    /// <summary>Lines of CSV with exactly <paramref name="columns"/> fields; others are left out.</summary>
    private static IEnumerable<Datum[]> Csv(long columns, string text)
    {
        var fields = new List<Datum>();
        var field = new System.Text.StringBuilder();
        var quoted = false;
        for (var i = 0; i <= text.Length; i++)
        {
            var end = i == text.Length;
            if (!end && quoted)
            {
                if (text[i] == '"' && i + 1 < text.Length && text[i + 1] == '"')
                    field.Append(text[i++]);
                else if (text[i] == '"')
                    quoted = false;
                else
                    field.Append(text[i]);
            }
            else if (!end && text[i] == '"')
            {
                quoted = true;
            }
            else if (end || text[i] is ',' or '\n')
            {
                if (end && fields.Count == 0 && field.Length == 0)
                    yield break;
                fields.Add(Datum.FromString(field.ToString().TrimEnd('\r')));
                field.Clear();
                if (!end && text[i] == ',')
                    continue;
                if (fields.Count == columns)
                    yield return [.. fields];
                fields.Clear();
            }
            else
            {
                field.Append(text[i]);
            }
        }
    }

    private static IEnumerable<Datum[]> Explode(Datum items, ScalarKind kind)
    {
        foreach (var item in items.AsArray.Elements)
        {
            if (item.IsNull)
                continue;
            var (grantee, privileges, grantor) = AclText.Split(item.AsString);
            foreach (var letter in privileges)
                yield return [Role(grantor), Role(grantee), Datum.FromString(PrivilegeNames[letter]), Datum.False];
        }

        Datum Role(string role) => kind == ScalarKind.MzAclItem
            ? Datum.FromString(role.Length == 0 ? "p" : role)
            : Datum.FromInt64(uint.TryParse(role, NumberStyles.None, CultureInfo.InvariantCulture, out var oid) ? oid : 0);
    }
}
