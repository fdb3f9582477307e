// CREATE TABLE, VIEW, MATERIALIZED VIEW, INDEX, TYPE.
using Materialize.Core.Collections;
using Materialize.Expr;
using Materialize.Repr;
using Materialize.Sql.Parser;

namespace Materialize.Sql;

public static partial class Planner
{
    private static StatementPlan PlanCreateTable(StatementContext context, Ast.Statement.CreateTable x)
    {
        var target = TargetOf(context, x.Name, x.Temporary, x.IfNotExists, mayReplace: false);
        CheckColumns(x.Columns.Select(c => c.Name.Value), x.Position());
        if (x.Constraints.Count > 0 && !IsAllowed(context, "unsafe_enable_table_keys") && !IsAllowed(context, "unsafe_enable_table_foreign_key"))
            throw SqlException.Unsupported("CREATE TABLE with constraints", x.Position());
        var (desc, defaults) = ColumnsOf(context, x.Columns, x.Constraints);
        var options = new OptionReader("CREATE TABLE", x.Options);
        CheckPartitionBy(options, desc);
        return new StatementPlan.CreateTable(target.Name, NameNormalizer.StoredSql(context, x), x.IfNotExists, desc, defaults)
        {
            SchemaId = target.SchemaId,
            Existing = x.IfNotExists ? target.Existing?.Id : null,
            IsTemporary = x.Temporary,
            RetainHistory = options.RetainHistory(),
        };
    }

    /// <summary>Whether gated syntax may be used: flags guard what users make anew, not what the catalog holds already.</summary>
    private static bool IsAllowed(StatementContext context, string flag) => context.Catalog.IsEnabled(flag) || context.Catalog.Session.IsSystem;

    private static (RelationDesc Desc, ValueArray<string?> Defaults) ColumnsOf(
        StatementContext context, IReadOnlyList<Ast.ColumnDef> columns, IReadOnlyList<Ast.TableConstraint> constraints)
    {
        var planner = new QueryPlanner(new StatementContext(context.Catalog, QueryLifetime.OneShot) { AllowParameters = false });
        List<(string, ColumnType)> result = [];
        List<string?> defaults = [];
        List<ValueArray<int>> keys = [];
        var index = 0;
        foreach (var column in columns)
        {
            var type = TypeResolution.Resolve(context, column.Type);
            if (column.Collation is not null && column.Collation.Item.Value is not ("default" or "C"))
                throw SqlException.Unsupported("CREATE TABLE with column collation", column.Position());
            var nullable = true;
            string? fallback = null;
            foreach (var option in column.Options)
            {
                switch (option)
                {
                    case Ast.ColumnOption.NotNull:
                        nullable = false;
                        break;
                    case Ast.ColumnOption.Default x:
                        planner.CheckDefault(x.Value, type, column.Name.Value);
                        fallback = AstPrinter.ToSql(x.Value, PrintMode.Stable);
                        break;
                    case Ast.ColumnOption.Unique x when IsAllowed(context, "unsafe_enable_table_keys"):
                        keys.Add([index]);
                        nullable &= !x.Primary;
                        break;
                    case Ast.ColumnOption.References when IsAllowed(context, "unsafe_enable_table_foreign_key"):
                    case Ast.ColumnOption.Check when IsAllowed(context, "unsafe_enable_table_check_constraint"):
                        break;
                    case Ast.ColumnOption.Null or Ast.ColumnOption.Version:
                        break;
                    default:
                        throw SqlException.Unsupported("CREATE TABLE with column constraint", column.Position());
                }
            }

            result.Add((column.Name.Value, type.Nullable(nullable)));
            defaults.Add(fallback);
            index++;
        }

        var names = result.Select(c => c.Item1).ToList();
        foreach (var unique in constraints.OfType<Ast.TableConstraint.Unique>())
        {
            var key = unique.Columns.Select(c => names.IndexOf(c.Value) is >= 0 and var at
                ? at
                : throw SqlException.Plan($"unknown column in unique constraint: {c.Value}", unique.Position())).ToValueArray();
            foreach (var at in key)
            {
                if (unique.Primary)
                    result[at] = (result[at].Item1, result[at].Item2 with { IsNullable = false });
            }

            if (key.All(k => !result[k].Item2.IsNullable) || unique.NullsNotDistinct)
                keys.Add(key);
        }

        var desc = RelationDesc.Of([.. result]);
        return (desc with { Type = desc.Type with { Keys = keys.ToValueArray() } }, defaults.ToValueArray());
    }

    private static void CheckPartitionBy(OptionReader options, RelationDesc desc)
    {
        var names = options.Texts("PARTITION BY");
        for (var i = 0; i < names.Count; i++)
        {
            if (i >= desc.Arity || desc.Names[i] != names[i])
                throw SqlException.Plan("PARTITION BY columns should be a prefix of the relation's columns");
            if (desc.Type.Columns[i].Type.Kind is ScalarKind.Float32 or ScalarKind.Float64 or ScalarKind.Numeric or ScalarKind.VarChar or ScalarKind.Char
                or ScalarKind.Jsonb or ScalarKind.Array or ScalarKind.List or ScalarKind.Map or ScalarKind.Range)
                throw SqlException.Plan($"PARTITION BY column {names[i]} has unsupported type");
        }
    }

    private static StatementContext DefinitionContext(StatementContext context, QueryLifetime lifetime) =>
        new(context.Catalog, lifetime) { AllowParameters = false };

    private static QueryPlan PlanDefinition(StatementContext context, Ast.Query query, IReadOnlyList<Ast.Ident> columns, string name, int? position)
    {
        var plan = PlanQuery(context, query);
        if (columns.Count > plan.Desc.Arity)
        {
            throw SqlException.Plan(
                $"{name} definition names {columns.Count} column{(columns.Count == 1 ? "" : "s")}, but {name} has {plan.Desc.Arity} column{(plan.Desc.Arity == 1 ? "" : "s")}", position);
        }

        if (columns.Count > 0)
            plan = plan with { Desc = plan.Desc with { Names = [.. columns.Select(c => c.Value), .. plan.Desc.Names.Skip(columns.Count)] } };
        HashSet<string> seen = [];
        foreach (var column in plan.Desc.Names)
        {
            if (!seen.Add(column))
                throw SqlException.Plan($"column \"{column}\" specified more than once", position);
        }

        if (plan.Desc.Arity > MaxColumns)
            throw SqlException.Plan($"number of columns ({plan.Desc.Arity}) exceeds limit ({MaxColumns})", position);
        return plan;
    }

    private static StatementPlan PlanCreateView(StatementContext context, Ast.Statement.CreateView x)
    {
        var definition = DefinitionContext(context, QueryLifetime.View);
        var target = TargetOf(definition, x.Name, x.Temporary, x.IfNotExists, x.OrReplace);
        foreach (var notice in definition.Notices)
            context.Notices.Add(notice);
        var plan = PlanDefinition(definition, x.Query, x.Columns, target.Name.ToString(), x.Position());
        CheckTemporaryDependencies(context, definition, x.Temporary, x.Position());
        return new StatementPlan.CreateView(target.Name, NameNormalizer.StoredSql(definition, x with { OrReplace = false, IfNotExists = false }), x.IfNotExists, plan)
        {
            SchemaId = target.SchemaId,
            Existing = x.IfNotExists ? target.Existing?.Id : null,
            Replaces = Replaced(context, definition, target, x.OrReplace, CatalogItemKind.View, x.Position()),
            IsTemporary = x.Temporary,
            DependsOn = definition.Dependencies,
        };
    }

    private static void CheckTemporaryDependencies(StatementContext context, StatementContext definition, bool temporary, int? position)
    {
        foreach (var id in definition.Dependencies)
        {
            if (!temporary && context.Catalog.GetItem(id) is { IsTemporary: true } item)
                throw SqlException.Plan($"non-temporary items cannot depend on temporary item \"{item.Name.Item}\"", position);
        }
    }

    private static ValueArray<GlobalId> Replaced(
        StatementContext context, StatementContext definition, Target target, bool orReplace, CatalogItemKind kind, int? position)
    {
        if (!orReplace || target.Existing is not { } existing)
            return [];
        if (existing.Kind != kind)
            throw SqlException.Plan($"{existing.Name} is not a {KindNames.Of(kind)}", position);
        if (definition.Dependencies.Contains(existing.Id))
            throw SqlException.Plan($"cannot replace {KindNames.Of(kind)} {existing.Name}: depended upon by new {existing.Name} definition", position);
        var drops = new DropCollector(context.Catalog);
        drops.Add(new ObjectId.Item(existing.Id), cascade: false);
        return drops.All.OfType<ObjectId.Item>().Select(i => i.Id).ToValueArray();
    }

    private static StatementPlan PlanCreateMaterializedView(StatementContext context, Ast.Statement.CreateMaterializedView x)
    {
        var cluster = ClusterOf(context, x.InCluster);
        if (x.InReplica is not null)
            throw SqlException.Unsupported("CREATE MATERIALIZED VIEW … IN CLUSTER … REPLICA", x.Position());
        var definition = DefinitionContext(context, QueryLifetime.MaterializedView);
        var target = TargetOf(definition, x.Name, false, x.IfNotExists, x.OrReplace);
        foreach (var notice in definition.Notices)
            context.Notices.Add(notice);
        var plan = PlanDefinition(definition, x.Query, x.Columns, target.Name.ToString(), x.Position());
        CheckTemporaryDependencies(context, definition, false, x.Position());
        GlobalId? replacement = null;
        if (x.ReplacementFor is not null)
        {
            var replaced = definition.ResolveItem(x.ReplacementFor);
            if (replaced.Kind != CatalogItemKind.MaterializedView)
                throw SqlException.Plan($"{replaced.Name} is not a materialized view", x.ReplacementFor.Position());
            replacement = replaced.Id;
        }

        List<int> asserted = [];
        List<ulong> at = [];
        List<RefreshEvery> every = [];
        var onCommit = false;
        TimeSpan? retain = null;
        foreach (var option in x.Options)
        {
            switch (option.Name)
            {
                case "ASSERT NOT NULL":
                    var name = OptionReader.AsText(option);
                    var column = plan.Desc.Names.AsSpan().IndexOf(name);
                    if (column < 0)
                        throw SqlException.Plan($"column \"{name}\" in ASSERT NOT NULL option not found", option.Position());
                    if (asserted.Contains(column))
                        throw SqlException.Plan($"duplicate column {name} in ASSERT NOT NULL options", option.Position());
                    asserted.Add(column);
                    break;
                case "RETAIN HISTORY":
                    retain = new OptionReader("CREATE MATERIALIZED VIEW", [option]).RetainHistory();
                    break;
                case "PARTITION BY":
                    CheckPartitionBy(new OptionReader("CREATE MATERIALIZED VIEW", [option]), plan.Desc);
                    break;
                case "REFRESH":
                    onCommit |= option.Value is Ast.OptionValue.RefreshOnCommit;
                    ReadRefresh(context, option, at, every);
                    break;
            }
        }

        if (at.Count + every.Count > 0)
        {
            if (onCommit)
                throw SqlException.Plan("REFRESH ON COMMIT cannot be specified together with any of the other REFRESH options", x.Position());
            if (!context.Catalog.IsEnabled("enable_refresh_every_mvs") && !context.Catalog.Session.IsSystem)
                throw SqlException.Plan("REFRESH EVERY and REFRESH AT materialized views is not available", x.Position());
        }

        if (asserted.Count > 0)
        {
            var columns = plan.Desc.Type.Columns;
            foreach (var column in asserted)
                columns = columns.Set(column, columns[column] with { IsNullable = false });
            plan = plan with { Desc = plan.Desc with { Type = plan.Desc.Type with { Columns = columns } } };
        }

        var stored = NameNormalizer.StoredSql(definition, x with { OrReplace = false, IfNotExists = false, InCluster = ClusterById(cluster) });
        return new StatementPlan.CreateMaterializedView(target.Name, stored, x.IfNotExists, cluster.Id, plan, asserted.ToValueArray())
        {
            SchemaId = target.SchemaId,
            Existing = x.IfNotExists ? target.Existing?.Id : null,
            Replaces = Replaced(context, definition, target, x.OrReplace, CatalogItemKind.MaterializedView, x.Position()),
            Refresh = at.Count + every.Count == 0 ? null : new RefreshSchedule(at.ToValueArray(), every.ToValueArray()),
            RetainHistory = retain,
            AsOfMs = x.AsOf,
            ReplacementFor = replacement,
            DependsOn = definition.Dependencies,
        };
    }

    private static void ReadRefresh(StatementContext context, Ast.SqlOption option, List<ulong> at, List<RefreshEvery> every)
    {
        var now = (ulong)context.Catalog.Session.Now.ToUnixTimeMilliseconds();
        switch (option.Value)
        {
            case Ast.OptionValue.RefreshAtCreation:
                at.Add(now);
                break;
            case Ast.OptionValue.RefreshAt x:
                at.Add(PlanTimestamp(context, x.Time, "REFRESH AT"));
                break;
            case Ast.OptionValue.RefreshEvery x:
                var interval = ((HirScalarExpr.Literal)Constants.Interval(x.Interval, option.Position())).Value.AsInterval;
                if (interval.Months != 0)
                    throw SqlException.Plan("REFRESH interval must not involve units larger than days", option.Position());
                var ms = ((interval.Days * 86_400_000L) + (interval.Micros / 1000));
                if (ms <= 0)
                    throw SqlException.Plan("REFRESH interval must be positive", option.Position());
                every.Add(new RefreshEvery((ulong)ms, x.AlignedTo is null ? now : PlanTimestamp(context, x.AlignedTo, "REFRESH EVERY … ALIGNED TO")));
                break;
        }
    }

    private static StatementPlan PlanCreateIndex(StatementContext context, Ast.Statement.CreateIndex x)
    {
        var definition = DefinitionContext(context, QueryLifetime.MaterializedView);
        var on = definition.ResolveItem(x.On);
        if (!on.IsRelation || on.Desc is null)
            throw SqlException.Plan($"index cannot be created on {on.Name} because it is a {KindNames.Of(on.Kind)}", x.On.Position());
        var cluster = ClusterOf(context, x.InCluster);
        var columns = on.Desc.Type.Columns;
        var table = new PartialName(on.Name.Database, on.Name.Schema, on.Name.Item);
        var items = on.Desc.Names.Select((n, i) => new ScopeItem(table, n, columns[i])).ToList();
        ValueArray<MirScalarExpr> keys;
        string suffix;
        IReadOnlyList<Ast.Expr> keyExprs;
        if (x.Key is null)
        {
            // The default key: a unique one if one is known, else all columns.
            var unique = on.Desc.Type.Keys.OrderBy(k => k.Count).FirstOrDefault(ValueArray.Range(on.Desc.Arity));
            keys = unique.Select(MirScalarExpr (i) => new MirScalarExpr.Column(i));
            keyExprs = unique.Select(i => new Ast.Expr.Identifier([new Ast.Ident(on.Desc.Names[i])])).ToList();
            suffix = "primary";
        }
        else
        {
            var planner = new QueryPlanner(definition);
            keyExprs = x.Key;
            keys = x.Key.Select(k => k is Ast.Expr.NumberLiteral number && int.TryParse(number.Text, out var n)
                ? n >= 1 && n <= on.Desc.Arity
                    ? new MirScalarExpr.Column(n - 1)
                    : throw SqlException.Plan($"column reference {n} in CREATE INDEX is out of range (1 - {on.Desc.Arity})", k.Position())
                : HirLowering.LowerScalar(planner.PlanOver(k, items, "CREATE INDEX"))).ToValueArray();
            suffix = string.Join('_', keys.Select(k => k is MirScalarExpr.Column column ? on.Desc.Names[column.Index] : "expr"));
            if (x.Key.Count == 0)
            {
                context.Notices.Add(new PlanNotice("01000", "Index with an empty key")
                {
                    Severity = "NOTICE",
                    Hint = "An index with an empty key can only serve full scans.",
                });
            }
        }

        var name = x.Name?.Value;
        if (name is null)
        {
            var stem = $"{on.Name.Item}_{(suffix.Length == 0 ? "" : suffix + "_")}idx";
            name = stem;
            for (var i = 1; Exact(context.Catalog, on.Name with { Item = name }) is not null; i++)
                name = $"{stem}{i}";
        }

        // An index is in the schema of its relation.
        var full = on.Name with { Item = name };
        var existing = Exact(context.Catalog, full);
        if (existing is not null && !context.Catalog.Session.IsSystem)
        {
            if (!x.IfNotExists)
                throw SqlException.Plan($"catalog item '{name}' already exists", x.Position());
            Exists(context, "index", name, SqlState.DuplicateTable);
        }

        var stored = NameNormalizer.StoredSql(
            definition, x with { Name = new Ast.Ident(name), InCluster = ClusterById(cluster), IfNotExists = false, Key = Ast.AstList.ToAstList(keyExprs) });
        return new StatementPlan.CreateIndex(full, stored, x.IfNotExists, on.Id, keys, cluster.Id)
        {
            SchemaId = on.SchemaId,
            Existing = x.IfNotExists ? existing?.Id : null,
            RetainHistory = new OptionReader("CREATE INDEX", x.Options).RetainHistory(),
            DependsOn = definition.Dependencies,
        };
    }

    private static StatementPlan PlanCreateType(StatementContext context, Ast.Statement.CreateType x)
    {
        var target = TargetOf(context, x.Name, false, false, false, isType: true);
        SqlType type;
        switch (x.Definition)
        {
            case Ast.TypeDefinition.List list:
                type = SqlType.ListOf(TypeOption(context, list.Options, "ELEMENT TYPE", "list", x.Position()));
                break;
            case Ast.TypeDefinition.Map map:
                if (TypeOption(context, map.Options, "KEY TYPE", "map", x.Position()).Kind != ScalarKind.String)
                    throw SqlException.Plan("map keys must be of type text", x.Position());
                type = SqlType.MapOf(TypeOption(context, map.Options, "VALUE TYPE", "map", x.Position()));
                break;
            default:
                var columns = ((Ast.TypeDefinition.Record)x.Definition).Columns;
                CheckColumns(columns.Select(c => c.Name.Value), x.Position());
                type = new SqlType(ScalarKind.Record)
                {
                    Fields = columns.Select(c => new RecordField(c.Name.Value, TypeResolution.Resolve(context, c.Type).Nullable())).ToValueArray(),
                };
                break;
        }

        return new StatementPlan.CreateType(target.Name, NameNormalizer.StoredSql(context, x), false, type) { SchemaId = target.SchemaId };
    }

    private static SqlType TypeOption(StatementContext context, IEnumerable<Ast.SqlOption> options, string name, string what, int? position)
    {
        var option = options.FirstOrDefault(o => o.Name == name) ?? throw SqlException.Plan($"{name} option is required for {what} types", position);
        var type = option.Value switch
        {
            Ast.OptionValue.Type x => x.Value,
            Ast.OptionValue.Name x => new Ast.DataType.Named(x.Value, []) { Span = option.Span },
            _ => throw OptionReader.Invalid(option, "expected a type"),
        };
        if (type is not Ast.DataType.Named)
            throw SqlException.Plan($"CREATE TYPE … AS {what} option {name} can only use named data types, but found unnamed data type", option.Position(), "Use CREATE TYPE to give it a name first.");
        var resolved = TypeResolution.Resolve(context, type);
        return resolved.Kind == ScalarKind.Char ? throw SqlException.Unsupported($"embedding char type in a {what}", option.Position()) : resolved;
    }
}
