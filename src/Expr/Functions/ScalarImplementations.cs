using System.Collections.Frozen;
using System.Diagnostics.CodeAnalysis;
using Materialize.Repr;

namespace Materialize.Expr.Functions;

/// <summary>What the functions compute, by id; the parts of this class fill the table.</summary>
internal static partial class ScalarImplementations
{
    /// <summary>Longest text a function may make.</summary>
    private const int MaxStringBytes = 100 * 1024 * 1024;

    public static ScalarImplementation? Find(string id) => Filled.Table.GetValueOrDefault(id);

    /// <summary>Apart, so that it is filled after the static fields of all parts of this class have their values.</summary>
    private static class Filled
    {
        public static readonly FrozenDictionary<string, ScalarImplementation> Table = Build();
    }

    private static FrozenDictionary<string, ScalarImplementation> Build()
    {
        var table = new Dictionary<string, ScalarImplementation>();
        AddLogic(table);
        AddIntegers(table);
        AddFloats(table);
        AddNumerics(table);
        AddTimes(table);
        AddDateParts(table);
        AddStrings(table);
        AddPatterns(table);
        AddBytes(table);
        AddJson(table);
        AddArrays(table);
        AddLists(table);
        AddRanges(table);
        AddCasts(table);
        AddContainerCasts(table);
        AddSystem(table);
        return table.ToFrozenDictionary();
    }

    private static Datum Bool(bool value) => Datum.FromBool(value);

    private static Datum Int(long value) => Datum.FromInt64(value);

    private static Datum Text(string value) => Datum.FromString(value);

    private static EvalException Fail(string sqlState, string message) => new(new EvalError(sqlState, message));

    private static EvalException OutOfRange(string what) => new(EvalError.OutOfRange(what));

    private static EvalException InvalidParameter(string message) => Fail("22023", message);

    [DoesNotReturn]
    private static Datum DivideByZero() => throw new EvalException(EvalError.DivisionByZero);
}
