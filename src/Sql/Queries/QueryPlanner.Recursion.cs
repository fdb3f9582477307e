using System.Globalization;
using Materialize.Core.Collections;
using Materialize.Expr;
using Materialize.Repr;

namespace Materialize.Sql;

// WITH MUTUALLY RECURSIVE. All names are in sight in all definitions, which is why their types are part of the syntax; what a definition
// gives is cast to what it declares, as an INSERT would.
internal sealed partial class QueryPlanner
{
    /// <summary>The bindings, which stay in sight; the body is still to come.</summary>
    private HirRelationExpr.LetRec PlanRecursion(Ast.WithClause.MutuallyRecursive with, Scope outer)
    {
        var limit = RecursionLimitOf(with);
        var declared = new List<(int Id, ValueArray<ColumnType> Columns)>();
        HashSet<string> seen = [];
        foreach (var cte in with.Ctes)
        {
            var name = cte.Name.Value;
            if (!seen.Add(name))
                throw SqlException.Plan($"WITH query name \"{name}\" specified more than once", cte.Position());
            var items = cte.Columns
                .Select(c => new ScopeItem(new PartialName(null, null, name), c.Name.Value, new ColumnType(TypeResolution.Resolve(_statement, c.Type), true)))
                .ToList();
            declared.Add((_statement.NextLocalId(), items.Select(i => i.Type).ToValueArray()));
            _ctes = _ctes.SetItem(name, new CteBinding(declared[^1].Id, items));
        }

        var bindings = with.Ctes.Select((cte, i) => new HirRecursiveBinding(
            declared[i].Id, cte.Name.Value, AsDeclared(PlanQuery(cte.Query, outer).ToRelation(), declared[i].Columns, cte), declared[i].Columns));
        return new HirRelationExpr.LetRec(bindings.ToValueArray(), limit, HirRelationExpr.Constant.Unit);
    }

    private HirRelationExpr AsDeclared(HirRelationExpr relation, ValueArray<ColumnType> declared, Ast.RecursiveCte cte)
    {
        var given = relation.Type.Columns;
        var casts = given.Count == declared.Count
            ? given.Select((c, i) => Coercion.TryCast(_statement, CastContext.Assignment, new HirScalarExpr.Column(0, i, c), declared[i].Type)).ToList()
            : [null];
        if (casts.Contains(null))
        {
            throw SqlException.Plan(
                $"WITH MUTUALLY RECURSIVE query \"{cte.Name.Value}\" declared types ({Types(declared)}), but query returns types ({Types(given)})", cte.Position());
        }

        return casts.All(c => c is HirScalarExpr.Column)
            ? relation
            : new HirRelationExpr.Project(
                new HirRelationExpr.Map(relation, casts.Select(c => c!).ToValueArray()), Enumerable.Range(relation.Arity, declared.Count).ToValueArray());

        static string Types(ValueArray<ColumnType> columns) => string.Join(", ", columns.Select(c => c.Type.ToSql()));
    }

    private static RecursionLimit? RecursionLimitOf(Ast.WithClause.MutuallyRecursive with)
    {
        foreach (var repeated in with.Options.GroupBy(o => o.Name).Where(g => g.Count() > 1))
            throw SqlException.Plan($"{repeated.Key} specified more than once", with.Position());
        if (with.Options.Count > 1)
        {
            throw SqlException.Plan(
                "Invalid WITH MUTUALLY RECURSIVE recursion limit. More than one recursion limit given. Please give at most one of RECURSION LIMIT, ERROR AT RECURSION LIMIT, RETURN AT RECURSION LIMIT.",
                with.Position());
        }

        if (with.Options.Count == 0)
            return null;
        var option = with.Options[0];
        var rounds = Rounds(option);
        if (rounds == 0)
            throw SqlException.Plan("Invalid WITH MUTUALLY RECURSIVE recursion limit. Recursion limit has to be greater than 0.", option.Position());
        return new RecursionLimit((uint)Math.Min(rounds, uint.MaxValue - 1), option.Name != "ERROR AT RECURSION LIMIT");
    }

    private static ulong Rounds(Ast.SqlOption option)
    {
        var reason = "cannot use value as number";
        switch (option.Value)
        {
            case null:
                reason = "must provide an unsigned integer value";
                break;
            case Ast.OptionValue.Literal { Value: Ast.Expr.NumberLiteral number }:
                if (ulong.TryParse(number.Text, NumberStyles.None, CultureInfo.InvariantCulture, out var rounds))
                    return rounds;
                reason = "invalid unsigned numeric value: invalid digit found in string";
                break;
        }

        throw SqlException.Plan($"invalid {option.Name}: {reason}", option.Position());
    }
}
