using Materialize.Core.Collections;
using Materialize.Expr;
using Materialize.Repr;

namespace Materialize.Sql;

/// <summary>The columns of a table function's call; for two of them a literal argument decides.</summary>
internal static class TableFunctionShape
{
    public static (IReadOnlyList<string> Names, ValueArray<ColumnType> Types) Of(FunctionTarget.Table table, SelectedFunction selected, string name, int? position)
    {
        switch (table.Func)
        {
            case TableFunc.RepeatRow:
                return ([], []);
            case TableFunc.CsvExtract:
                {
                    if (selected.Args[0] is not HirScalarExpr.Literal { Value: { IsNull: false, AsInt64: >= 1 and <= 8192 and var count } })
                    {
                        // The literal is an int4 that was cast.
                        if (selected.Args[0] is HirScalarExpr.Call { Args: [HirScalarExpr.Literal { Value: { IsNull: false, AsInt64: >= 1 and <= 8192 and var inner } }] })
                            count = inner;
                        else
                            throw SqlException.Plan("csv_extract number of columns must be a positive integer literal", position);
                    }

                    var columns = Enumerable.Range(1, (int)count).Select(i => $"column{i}").ToList();
                    return (columns, columns.Select(_ => SqlType.String.Nullable()).ToValueArray());
                }

            case TableFunc.RegexpExtract:
                {
                    if (selected.Args[0] is not HirScalarExpr.Literal { Value: { IsNull: false } pattern })
                        throw SqlException.Plan("regexp_extract requires a string literal as its first argument", position);
                    return OfRegex(pattern.AsString, position);
                }
        }

        if (selected.Result is { Kind: ScalarKind.Record, CustomId: null } record && table.Columns.Count == record.Fields.Count)
            return ([.. table.Columns], record.Fields.Select(f => f.Type));
        var column = table.Columns is [var only] ? only : name;
        return ([column], [selected.Result.Nullable(table.Func is not (TableFunc.GenerateSeriesInt32 or TableFunc.GenerateSeriesInt64
            or TableFunc.GenerateSeriesTimestamp or TableFunc.GenerateSeriesTimestampTz or TableFunc.GenerateSubscripts or TableFunc.JsonbObjectKeys))]);
    }

    private static (IReadOnlyList<string>, ValueArray<ColumnType>) OfRegex(string pattern, int? position)
    {
        System.Text.RegularExpressions.Regex regex;
        try
        {
            regex = new System.Text.RegularExpressions.Regex(
                pattern.Replace("(?P<", "(?<", StringComparison.Ordinal), System.Text.RegularExpressions.RegexOptions.NonBacktracking);
        }
        catch (Exception e) when (e is ArgumentException or NotSupportedException)
        {
            throw SqlException.Plan($"invalid regular expression: {e.Message}", position);
        }

        var names = regex.GetGroupNames().Skip(1).Select((n, i) => int.TryParse(n, out _) ? $"column{i + 1}" : n).ToList();
        if (names.Count == 0)
            throw SqlException.Plan("regexp_extract must specify at least one capture group", position);
        return (names, names.Select(_ => SqlType.String.Nullable()).ToValueArray());
    }
}
