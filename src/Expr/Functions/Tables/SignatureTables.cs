using System.Collections.Frozen;

namespace Materialize.Expr.Functions;

/// <summary>Every name that SQL can call; the notation is <see cref="FunctionCatalog"/>'s.</summary>
internal static partial class SignatureTables
{
    public static IEnumerable<string> Functions => [Aggregates, TableFunctions, Numbers, Strings, Times, Containers, Hashes, Session, Compatibility, MzInternal];

    /// <summary>Functions that planners make from syntax and no name reaches.</summary>
    public const string Internal = """
        and ~
        or ~
        not
        is_null ~%
        is_true ~%
        is_false ~%
        eq &
        not_eq &
        lt
        lte
        gt
        gte
        is_not_distinct_from ~%&
        coalesce ~
        greatest ~
        least ~
        error_if_null ~!
        array_create ~!%
        array_index ?
        list_create ~%
        list_index ?
        list_slice !
        map_create ~%
        record_create ~%
        record_get ?
        any_of ~?!
        all_of ~?!
        timestamp_to_mz_timestamp_round_up !
        numeric_sum_to_int8 !
        """;

    /// <summary>How a function that syntax makes is printed between its arguments.</summary>
    public static readonly FrozenDictionary<string, string> Infix = new Dictionary<string, string>
    {
        ["and"] = "AND",
        ["or"] = "OR",
        ["eq"] = "=",
        ["not_eq"] = "!=",
        ["lt"] = "<",
        ["lte"] = "<=",
        ["gt"] = ">",
        ["gte"] = ">=",
    }.ToFrozenDictionary();

    /// <summary>Predicates that are each other's negation where neither is null.</summary>
    public static readonly FrozenDictionary<string, string> Negations = new Dictionary<string, string>
    {
        ["eq"] = "not_eq",
        ["not_eq"] = "eq",
        ["lt"] = "gte",
        ["gte"] = "lt",
        ["gt"] = "lte",
        ["lte"] = "gt",
        ["like"] = "not_like",
        ["not_like"] = "like",
        ["ilike"] = "not_ilike",
        ["not_ilike"] = "ilike",
        ["regexp_is_match"] = "not_regexp_is_match",
        ["not_regexp_is_match"] = "regexp_is_match",
        ["regexp_is_match_ci"] = "not_regexp_is_match_ci",
        ["not_regexp_is_match_ci"] = "regexp_is_match_ci",
    }.ToFrozenDictionary();
}
