using System.Collections.Frozen;
using Materialize.Expr.Functions;

namespace Materialize.Expr;

/// <summary>All scalar functions by id. The tables that fill it are in <c>Expr/Functions</c>.</summary>
/// <remarks>
/// The named ones are those that planners and the optimizer make or look for by themselves. A comparison is one function over
/// any two values of equal type; <see cref="And"/>, <see cref="Or"/>, <see cref="Coalesce"/>, <see cref="Greatest"/>,
/// <see cref="Least"/> and the constructors take any number of arguments.
/// </remarks>
public static partial class ScalarFunctions
{
    private static readonly FrozenDictionary<string, ScalarFunc> Functions = FunctionCatalog.Instance.Scalars;

    public static ScalarFunc And { get; } = ById("and");

    public static ScalarFunc Or { get; } = ById("or");

    public static ScalarFunc Not { get; } = ById("not");

    public static ScalarFunc IsNull { get; } = ById("is_null");

    /// <summary><c>x IS TRUE</c>: false for null.</summary>
    public static ScalarFunc IsTrue { get; } = ById("is_true");

    /// <summary><c>x IS FALSE</c>: false for null.</summary>
    public static ScalarFunc IsFalse { get; } = ById("is_false");

    public static ScalarFunc Eq { get; } = ById("eq");

    public static ScalarFunc NotEq { get; } = ById("not_eq");

    public static ScalarFunc Lt { get; } = ById("lt");

    public static ScalarFunc Lte { get; } = ById("lte");

    public static ScalarFunc Gt { get; } = ById("gt");

    public static ScalarFunc Gte { get; } = ById("gte");

    /// <summary><c>a IS NOT DISTINCT FROM b</c>: nulls are equal; never null.</summary>
    public static ScalarFunc IsNotDistinctFrom { get; } = ById("is_not_distinct_from");

    /// <summary>The first argument that is not null; later ones are not evaluated.</summary>
    public static ScalarFunc Coalesce { get; } = ById("coalesce");

    public static ScalarFunc Greatest { get; } = ById("greatest");

    public static ScalarFunc Least { get; } = ById("least");

    /// <summary><c>mz_error_if_null(value, message)</c>.</summary>
    public static ScalarFunc ErrorIfNull { get; } = ById("error_if_null");

    /// <summary><c>ARRAY[…]</c>; its output type is the array. Arguments that are arrays make a further dimension.</summary>
    public static ScalarFunc ArrayCreate { get; } = ById("array_create");

    /// <summary><c>array[i, j…]</c> with int8 subscripts; null out of range.</summary>
    public static ScalarFunc ArrayIndex { get; } = ById("array_index");

    public static ScalarFunc ListCreate { get; } = ById("list_create");

    /// <summary><c>list[i][j]…</c> with int8 subscripts; null out of range.</summary>
    public static ScalarFunc ListIndex { get; } = ById("list_index");

    /// <summary><c>list[a:b]…</c>: pairs of int8 bounds, one pair a layer.</summary>
    public static ScalarFunc ListSlice { get; } = ById("list_slice");

    /// <summary>Alternating keys and values; the last of equal keys wins.</summary>
    public static ScalarFunc MapCreate { get; } = ById("map_create");

    public static ScalarFunc RecordCreate { get; } = ById("record_create");

    /// <summary>
    /// <c>(record).field</c>: the second argument is the literal int4 index of the field, from 0.
    /// </summary>
    public static ScalarFunc RecordGet { get; } = ById("record_get");

    /// <summary><c>x = ANY (array or list)</c> and its like: the literal text operator id, the value, the container.</summary>
    public static ScalarFunc AnyOf { get; } = ById("any_of");

    /// <summary><c>x op ALL (array or list)</c>; see <see cref="AnyOf"/>.</summary>
    public static ScalarFunc AllOf { get; } = ById("all_of");

    /// <summary>Every scalar function.</summary>
    public static IReadOnlyCollection<ScalarFunc> All => Functions.Values;

    /// <summary>The function called <paramref name="id"/>.</summary>
    /// <exception cref="KeyNotFoundException">There is none: a plan written by a newer version.</exception>
    public static ScalarFunc ById(string id) => Functions[id];

    public static bool TryGet(string id, out ScalarFunc func) => Functions.TryGetValue(id, out func!);
}
