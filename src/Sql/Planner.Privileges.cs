// GRANT, REVOKE, default privileges, REASSIGN OWNED.
using Materialize.Core.Collections;
using Materialize.Repr;

namespace Materialize.Sql;

public static partial class Planner
{
    private static StatementPlan PlanPrivileges(StatementContext context, Ast.Statement statement)
    {
        switch (statement)
        {
            case Ast.Statement.GrantRole x:
                return new StatementPlan.GrantRole(Roles(context, x.Roles), Roles(context, x.Members));
            case Ast.Statement.RevokeRole x:
                return new StatementPlan.RevokeRole(Roles(context, x.Roles), Roles(context, x.Members));
            case Ast.Statement.GrantPrivileges x:
                return new StatementPlan.AlterPrivileges(true, Targets(context, x.Target, x.Privileges, x.Position()), Roles(context, x.Roles));
            case Ast.Statement.RevokePrivileges x:
                return new StatementPlan.AlterPrivileges(false, Targets(context, x.Target, x.Privileges, x.Position()), Roles(context, x.Roles));
            case Ast.Statement.AlterDefaultPrivileges x:
                return PlanDefaultPrivileges(context, x);
            case Ast.Statement.ReassignOwned x:
                {
                    var from = Roles(context, x.From);
                    return new StatementPlan.ReassignOwned(from, ResolveRole(context, x.To), from.SelectMany(r => OwnedBy(context.Catalog, r)).ToValueArray());
                }

            default:
                throw new System.Diagnostics.UnreachableException();
        }
    }

    private static ValueArray<RoleId> Roles(StatementContext context, IEnumerable<Ast.RoleName> names) => names.Select(n => ResolveRole(context, n)).ToValueArray();

    private static string PrivilegeText(Ast.Privilege privilege) => privilege.ToString().ToUpperInvariant();

    /// <summary>What can be granted on a kind of object.</summary>
    private static string[] PrivilegesOf(string type) => type switch
    {
        "table" => ["SELECT", "INSERT", "UPDATE", "DELETE"],
        "view" or "materialized view" or "source" => ["SELECT"],
        "type" or "secret" => ["USAGE"],
        "connection" => ["USAGE"],
        "cluster" or "database" or "schema" => ["USAGE", "CREATE"],
        "system" => ["CREATEROLE", "CREATEDB", "CREATECLUSTER", "CREATENETWORKPOLICY"],
        _ => [],
    };

    private static ObjectPrivileges Privileges(StatementContext context, ObjectId id, string type, Ast.Privileges privileges, bool lenient, int? position)
    {
        var allowed = PrivilegesOf(type);
        if (privileges.All)
            return new ObjectPrivileges(id, allowed.ToValueArray());
        var wanted = privileges.Items.Select(PrivilegeText).ToList();
        foreach (var privilege in wanted)
        {
            // ON TABLE covers views and sources, where only some of a table's privileges mean anything.
            var coveredByTable = type is "view" or "materialized view" or "source" && PrivilegesOf("table").Contains(privilege);
            if (allowed.Contains(privilege) || coveredByTable)
                continue;
            if (!lenient)
                throw SqlException.Plan($"invalid privilege types {privilege} for {type.ToUpperInvariant()} {QuotedName(context, id)}", position);
        }

        return new ObjectPrivileges(id, wanted.Where(allowed.Contains).ToValueArray());
    }

    private static string QuotedName(StatementContext context, ObjectId id) => id is ObjectId.System ? "" : Describe(context.Catalog, id) is var text && text.IndexOf('"') is >= 0 and var at ? text[at..] : "";

    private static string TypeOf(StatementContext context, ObjectId id) => id switch
    {
        ObjectId.Item x => context.Catalog.GetItem(x.Id) is { } item ? KindNames.Of(item.Kind) : "type",
        ObjectId.Database => "database",
        ObjectId.Schema => "schema",
        ObjectId.Cluster => "cluster",
        _ => "system",
    };

    private static ValueArray<ObjectPrivileges> Targets(StatementContext context, Ast.GrantTarget target, Ast.Privileges privileges, int? position)
    {
        switch (target)
        {
            case Ast.GrantTarget.System:
                return [Privileges(context, new ObjectId.System(), "system", privileges, lenient: false, position)];
            case Ast.GrantTarget.Objects x:
                if (x.Kind is Ast.ObjectKind.View or Ast.ObjectKind.MaterializedView or Ast.ObjectKind.Source)
                {
                    throw new SqlException(SqlState.InternalError, $"cannot specify {KindText(x.Kind)} in a GRANT or REVOKE")
                    {
                        Hint = "Omit the object type: TABLE covers tables, views, materialized views and sources.",
                        Position = position,
                    };
                }

                return x.Names.Select(n =>
                {
                    var id = x.Kind == Ast.ObjectKind.Table
                        ? new ObjectId.Item(context.ResolveItem(n).Id)
                        : ResolveObject(context, x.Kind, n) ?? throw UnknownObject(context, x.Kind, n);
                    return Privileges(context, id, TypeOf(context, id), privileges, lenient: false, position);
                }).ToValueArray();
            case Ast.GrantTarget.All x:
                return ObjectsOf(context, x.Kind, x.Scope).Select(id => Privileges(context, id, TypeOf(context, id), privileges, lenient: true, position)).ToValueArray();
            default:
                throw new System.Diagnostics.UnreachableException();
        }
    }

    private static List<ObjectId> ObjectsOf(StatementContext context, Ast.GrantObjectKind kind, Ast.GrantScope scope)
    {
        var catalog = context.Catalog;
        var schemas = SchemasOf(context, scope);
        bool Within(SchemaId schema) => schemas is null || schemas.Contains(schema);
        IEnumerable<ObjectId> Items(params CatalogItemKind[] kinds) =>
            catalog.Items.Where(i => i.Id.IsUser && kinds.Contains(i.Kind) && Within(i.SchemaId)).Select(i => new ObjectId.Item(i.Id));
        return [.. kind switch
        {
            Ast.GrantObjectKind.Tables => Items(CatalogItemKind.Table, CatalogItemKind.View, CatalogItemKind.MaterializedView, CatalogItemKind.Source),
            Ast.GrantObjectKind.Types => Items(CatalogItemKind.Type),
            Ast.GrantObjectKind.Secrets => Items(CatalogItemKind.Secret),
            Ast.GrantObjectKind.Connections => Items(CatalogItemKind.Connection),
            Ast.GrantObjectKind.Clusters => catalog.Clusters.Where(c => !c.IsSystem).Select(ObjectId (c) => new ObjectId.Cluster(c.Id)),
            Ast.GrantObjectKind.Databases => catalog.Databases.Select(ObjectId (d) => new ObjectId.Database(d.Id)),
            Ast.GrantObjectKind.Schemas => catalog.Schemas.Where(s => !s.IsSystem && Within(s.Id)).Select(ObjectId (s) => new ObjectId.Schema(s.Id)),
            _ => throw SqlException.Plan($"cannot GRANT or REVOKE on all {kind.ToString().ToUpperInvariant()}"),
        }];
    }

    private static HashSet<SchemaId>? SchemasOf(StatementContext context, Ast.GrantScope scope)
    {
        var catalog = context.Catalog;
        switch (scope)
        {
            case Ast.GrantScope.Databases x:
                var databases = x.Names.Select(n => catalog.ResolveDatabase(n.Value)?.Id ?? throw SqlException.Plan($"unknown database '{n.Value}'", n.Position())).ToHashSet();
                return catalog.Schemas.Where(s => s.DatabaseId is { } id && databases.Contains(id)).Select(s => s.Id).ToHashSet();
            case Ast.GrantScope.Schemas x:
                return x.Names.Select(n => ((ObjectId.Schema?)ResolveObject(context, Ast.ObjectKind.Schema, n))?.Id ?? throw SqlException.Plan($"unknown schema '{n}'", n.Position())).ToHashSet();
            default:
                return null;
        }
    }

    private static StatementPlan PlanDefaultPrivileges(StatementContext context, Ast.Statement.AlterDefaultPrivileges x)
    {
        var catalog = context.Catalog;
        var type = x.Kind.ToString().ToLowerInvariant().TrimEnd('s');
        if (x.Kind is not (Ast.GrantObjectKind.Tables or Ast.GrantObjectKind.Types or Ast.GrantObjectKind.Secrets or Ast.GrantObjectKind.Connections
            or Ast.GrantObjectKind.Clusters or Ast.GrantObjectKind.Databases or Ast.GrantObjectKind.Schemas))
            throw SqlException.Plan($"cannot change default privileges of {type}s", x.Position(), hint: "TABLES covers tables, views, materialized views and sources.");
        IReadOnlyList<RoleId?> roles = x.TargetRoles is null ? [null] : [.. x.TargetRoles.Select(r => (RoleId?)ResolveRole(context, r))];
        List<(DatabaseId?, SchemaId?)> places = x.Scope switch
        {
            Ast.GrantScope.Databases d => [.. d.Names.Select(n => ((DatabaseId?)(catalog.ResolveDatabase(n.Value)?.Id ?? throw SqlException.Plan($"unknown database '{n.Value}'", n.Position())), (SchemaId?)null))],
            Ast.GrantScope.Schemas s => [.. s.Names.Select(n =>
            {
                var id = ((ObjectId.Schema?)ResolveObject(context, Ast.ObjectKind.Schema, n))?.Id ?? throw SqlException.Plan($"unknown schema '{n}'", n.Position());
                return (catalog.Schemas.First(c => c.Id == id).DatabaseId, (SchemaId?)id);
            })],
            _ => [(null, null)],
        };
        var privileges = x.Privileges.All ? PrivilegesOf(type) : [.. x.Privileges.Items.Select(PrivilegeText)];
        foreach (var privilege in privileges)
        {
            if (!PrivilegesOf(type).Contains(privilege))
                throw SqlException.Plan($"invalid privilege types {privilege} for {type.ToUpperInvariant()}", x.Position());
        }

        var targets = roles.SelectMany(r => places.Select(p => new DefaultPrivilegeTarget(r, p.Item1, p.Item2, type))).ToValueArray();
        return new StatementPlan.AlterDefaultPrivileges(!x.Revoke, targets, privileges.ToValueArray(), Roles(context, x.Grantees));
    }
}
