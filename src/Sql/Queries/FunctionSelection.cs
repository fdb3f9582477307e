// Overload resolution, as in PostgreSQL's manual §10.2–10.3: candidates that the arguments can become; among them those that fit
// exactly in most places, then those with preferred types where something must be converted, then untyped literals decide by
// category, text first.
using Materialize.Core.Collections;
using Materialize.Expr;
using Materialize.Repr;

namespace Materialize.Sql;

/// <summary>A chosen overload, its arguments cast, and its result's type.</summary>
internal sealed record SelectedFunction(FunctionSignature Signature, HirScalarExpr[] Args, SqlType Result);

internal static class FunctionSelection
{
    /// <param name="describe">For errors: <c>function f(integer)</c> or <c>operator: integer + text</c>.</param>
    public static SelectedFunction Select(
        StatementContext context, IReadOnlyList<FunctionSignature> overloads, IReadOnlyList<Coercible> args, bool isOperator, string name, int? position)
    {
        var types = args.Select(a => Coercion.KnownType(context, a)).ToArray();
        var candidates = new List<Candidate>();
        foreach (var overload in overloads)
        {
            if (Candidate.TryMatch(context, overload, args, types) is { } candidate)
                candidates.Add(candidate);
        }

        var chosen = Choose(candidates, types, isOperator);
        if (chosen is null)
        {
            var list = string.Join(", ", args.Select(a => Coercion.TypeName(context, a)));
            var what = isOperator
                ? args.Count == 1 ? $"{name} {list}" : $"{Coercion.TypeName(context, args[0])} {name} {Coercion.TypeName(context, args[1])}"
                : $"{name}({list})";
            if (candidates.Count == 0)
            {
                throw new SqlException(SqlState.InternalError, isOperator ? $"operator does not exist: {what}" : $"function {what} does not exist")
                {
                    Position = position,
                    Hint = $"No {(isOperator ? "operator" : "function")} matches the given name and argument types. You might need to add explicit type casts.",
                };
            }

            throw new SqlException(SqlState.InternalError, isOperator ? $"operator is not unique: {what}" : $"function {what} is not unique")
            {
                Position = position,
                Hint = $"Could not choose a best candidate {(isOperator ? "operator" : "function")}. You might need to add explicit type casts.",
            };
        }

        return chosen.Bind(context, args, position);
    }

    private static Candidate? Choose(List<Candidate> candidates, SqlType?[] types, bool isOperator)
    {
        if (candidates.Count == 1)
            return candidates[0];
        if (candidates.Count == 0)
            return null;
        if (candidates.FirstOrDefault(c => types.Index().All(t => t.Item is not null && c.IsExact(t.Index, t.Item))) is { } exact)
            return exact;

        // An operator with one untyped side: as if both were of the typed one's type.
        if (isOperator && types.Length == 2 && (types[0] is null) != (types[1] is null))
        {
            var known = (types[0] ?? types[1])!;
            if (candidates.FirstOrDefault(c => c.IsExact(0, known) && c.IsExact(1, known)) is { } both)
                return both;
        }

        // A signed and an unsigned integer: as if both were of the type that holds them.
        if (types is [{ } left, { } right] && Coercion.CommonInteger(left, right) is { } common
            && candidates.FirstOrDefault(c => c.IsExact(0, common) && c.IsExact(1, common)) is { } integers)
            return integers;

        // Blank-padded beside varying text: compared as blank-padded, for varying text has no operators of its own in Materialize.
        if (isOperator && types is [{ Kind: ScalarKind.Char or ScalarKind.VarChar } one, { Kind: ScalarKind.Char or ScalarKind.VarChar } other] && one.Kind != other.Kind
            && candidates.FirstOrDefault(c => c.IsExact(0, SqlType.CharOf(null)) && c.IsExact(1, SqlType.CharOf(null))) is { } padded)
            return padded;

        candidates = Best(candidates, c => types.Index().Count(t => t.Item is not null && c.IsExact(t.Index, t.Item)));
        if (candidates.Count == 1)
            return candidates[0];
        candidates = Best(candidates, c => types.Index().Count(t =>
            t.Item is not null && (c.IsExact(t.Index, t.Item) || (Coercion.IsPreferred(c.Types[t.Index]) && PgType.Of(c.Types[t.Index]).Category == PgType.Of(t.Item).Category))));
        if (candidates.Count == 1)
            return candidates[0];

        for (var i = 0; i < types.Length; i++)
        {
            if (types[i] is not null)
                continue;
            var at = i;
            var categories = candidates.Where(c => !c.IsPolymorphic(at)).Select(c => PgType.Of(c.Types[at]).Category).Distinct().ToList();
            char? category = categories.Contains('S') ? 'S' : categories.Count == 1 && candidates.All(c => !c.IsPolymorphic(at)) ? categories[0] : null;
            if (category is null)
                continue;
            var kept = candidates.Where(c => !c.IsPolymorphic(at) && PgType.Of(c.Types[at]).Category == category).ToList();
            if (kept.Any(c => Coercion.IsPreferred(c.Types[at])))
                kept = kept.Where(c => Coercion.IsPreferred(c.Types[at])).ToList();
            if (kept.Count > 0)
                candidates = kept;
        }

        if (candidates.Count == 1)
            return candidates[0];

        // All typed arguments of one type: the untyped ones are taken for that too.
        var distinct = types.OfType<SqlType>().Select(t => t with { Modifier = null }).Distinct().ToList();
        if (distinct.Count == 1 && types.Any(t => t is null))
        {
            var same = candidates.Where(c => types.Index().All(t => t.Item is not null || c.Accepts(t.Index, distinct[0]))).ToList();
            if (same.Count == 1)
                return same[0];
        }

        // Several that differ in nothing the arguments can tell: overloads of a text function over text, char and varchar.
        var first = candidates[0];
        return candidates.All(c => c.Types.SequenceEqual(first.Types)) ? first : null;
    }

    private static List<Candidate> Best(List<Candidate> candidates, Func<Candidate, int> score)
    {
        var best = candidates.Max(score);
        return candidates.Where(c => score(c) == best).ToList();
    }

    /// <summary>An overload with the type each argument would be given.</summary>
    private sealed class Candidate(FunctionSignature signature, ParamType[] parameters, SqlType[] types)
    {
        public SqlType[] Types { get; } = types;

        public bool IsPolymorphic(int i) => parameters[i] is not ParamType.Exact;

        public bool IsExact(int i, SqlType type) => !IsPolymorphic(i) && Types[i].BaseEquals(type);

        public bool Accepts(int i, SqlType type) => Types[i].BaseEquals(type) || Casts.Find(type, Types[i]) is { Context: CastContext.Implicit };

        public SelectedFunction Bind(StatementContext context, IReadOnlyList<Coercible> args, int? position)
        {
            var bound = new HirScalarExpr[args.Count];
            for (var i = 0; i < bound.Length; i++)
            {
                bound[i] = args[i] is Coercible.Typed { Expr: var typed } && typed.Type.Type.BaseEquals(Types[i])
                    ? typed
                    : Coercion.Coerce(context, $"argument {i + 1} of {signature.Name}", CastContext.Implicit, args[i], Types[i], position);
            }

            if (signature.Name == "map_build" && bound[0].Type.Type.Element is { Kind: ScalarKind.Record } entry && (entry.Fields.Count != 2 || entry.Fields[0].Type.Type.Kind != ScalarKind.String))
                throw NotThere();
            try
            {
                return new SelectedFunction(signature, bound, signature.Return(bound.Select(b => b.Type.Type).ToArray()));
            }
            catch (Exception e) when (e is IndexOutOfRangeException or NullReferenceException)
            {
                // A container of the wrong make, such as map_build over records of one field: the parameter types alone cannot say it.
                throw NotThere();
            }

            SqlException NotThere() => new(
                SqlState.InternalError, $"function {signature.Name}({string.Join(", ", bound.Select(b => Coercion.MessageName(b.Type.Type)))}) does not exist")
            { Position = position };
        }

        public static Candidate? TryMatch(StatementContext context, FunctionSignature signature, IReadOnlyList<Coercible> args, SqlType?[] known)
        {
            if (args.Count < signature.Params.Count || (args.Count > signature.Params.Count && signature.Variadic is null))
                return null;
            var parameters = new ParamType[args.Count];
            for (var i = 0; i < parameters.Length; i++)
                parameters[i] = i < signature.Params.Count ? signature.Params[i] : signature.Variadic!;
            if (Solve(context, parameters, args, known) is not { } types)
                return null;
            for (var i = 0; i < types.Length; i++)
            {
                if (known[i] is { } type && !type.BaseEquals(types[i]) && Casts.Find(type, types[i]) is not { Context: CastContext.Implicit })
                    return null;
                if (args[i] is Coercible.Row && known[i] is null && types[i].Kind is not (ScalarKind.Record or ScalarKind.String))
                    return null;
            }

            return new Candidate(signature, parameters, types);
        }

        /// <summary>What the polymorphic parameters stand for; null if the arguments disagree.</summary>
        private static SqlType[]? Solve(StatementContext context, ParamType[] parameters, IReadOnlyList<Coercible> args, SqlType?[] known)
        {
            SqlType? element = null, list = null, map = null, record = null;
            List<Coercible> compatible = [];
            for (var i = 0; i < parameters.Length; i++)
            {
                if (known[i] is not { } type)
                    continue;
                type = type.Kind == ScalarKind.Record ? type : type with { Modifier = null };
                SqlType? part = type;
                switch (parameters[i])
                {
                    case ParamType.AnyElement:
                        break;
                    case ParamType.AnyNonArray:
                        if (type.Kind is ScalarKind.Array)
                            return null;
                        break;
                    case ParamType.AnyArray:
                        part = ArrayElement(type);
                        if (part is null)
                            return null;
                        break;
                    case ParamType.AnyRange:
                        if (type.Kind != ScalarKind.Range)
                            return null;
                        part = type.Element;
                        break;
                    case ParamType.AnyList:
                        if (type.Kind != ScalarKind.List || (list is not null && !list.BaseEquals(type)))
                            return null;
                        list = type;
                        continue;
                    case ParamType.AnyMap:
                        if (type.Kind != ScalarKind.Map || (map is not null && !map.BaseEquals(type)))
                            return null;
                        map = type;
                        continue;
                    case ParamType.AnyRecord:
                        if (type.Kind != ScalarKind.Record)
                            return null;
                        record ??= type;
                        continue;
                    case ParamType.AnyCompatible:
                        compatible.Add(args[i]);
                        continue;
                    case ParamType.AnyCompatibleArray:
                        if (ArrayElement(type) is not { } arrayElement)
                            return null;
                        compatible.Add(HirScalarExpr.Null(arrayElement));
                        continue;
                    case ParamType.AnyCompatibleList:
                        if (type.Kind != ScalarKind.List)
                            return null;
                        compatible.Add(HirScalarExpr.Null(type.Element!));
                        continue;
                    case ParamType.AnyCompatibleMap:
                        if (type.Kind != ScalarKind.Map)
                            return null;
                        compatible.Add(HirScalarExpr.Null(type.Element!));
                        continue;
                    default:
                        continue;
                }

                if (element is not null && !element.BaseEquals(part!))
                    return null;
                element = part;
            }

            var common = compatible.Count == 0 ? null : Coercion.BestTarget(context, compatible);
            var types = new SqlType[parameters.Length];
            for (var i = 0; i < types.Length; i++)
            {
                var type = parameters[i] switch
                {
                    ParamType.Exact x => x.Type,
                    ParamType.Any => known[i] ?? SqlType.String,
                    ParamType.AnyElement or ParamType.AnyNonArray => element ?? SqlType.String,
                    ParamType.AnyArray => known[i] is { } array ? array : element is null ? null : SqlType.ArrayOf(element),
                    ParamType.AnyRange => element is null ? null : SqlType.RangeOf(element),
                    ParamType.AnyList => list,
                    ParamType.AnyMap => map,
                    ParamType.AnyRecord => record,
                    ParamType.AnyCompatible => common ?? SqlType.String,
                    ParamType.AnyCompatibleArray => common is null ? null : SqlType.ArrayOf(common),
                    ParamType.AnyCompatibleList => common is null ? null : known[i] is { CustomId: not null } custom ? custom : SqlType.ListOf(common),
                    ParamType.AnyCompatibleMap => common is null ? null : known[i] is { CustomId: not null } custom ? custom : SqlType.MapOf(common),
                    _ => throw new System.Diagnostics.UnreachableException(),
                };
                if (type is null)
                    return null;
                types[i] = type;
            }

            return types;
        }

        private static SqlType? ArrayElement(SqlType type) => type.Kind switch
        {
            ScalarKind.Array => type.Element,
            ScalarKind.Int2Vector => SqlType.Int16,
            _ => null,
        };
    }
}
