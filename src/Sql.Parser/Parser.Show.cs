using Materialize.Sql.Parser.Ast;

namespace Materialize.Sql.Parser;

internal sealed partial class Parser
{
    private static readonly (string Words, ShowKind Kind)[] ShowKinds =
    [
        ("DATABASES", ShowKind.Databases), ("SCHEMAS", ShowKind.Schemas), ("OBJECTS", ShowKind.Objects), ("TABLES", ShowKind.Tables),
        ("VIEWS", ShowKind.Views), ("MATERIALIZED VIEWS", ShowKind.MaterializedViews), ("SOURCES", ShowKind.Sources),
        ("SUBSOURCES", ShowKind.Subsources), ("SINKS", ShowKind.Sinks), ("CONNECTIONS", ShowKind.Connections), ("SECRETS", ShowKind.Secrets),
        ("TYPES", ShowKind.Types), ("ROLES", ShowKind.Roles), ("USERS", ShowKind.Roles), ("INDEXES", ShowKind.Indexes), ("CLUSTERS", ShowKind.Clusters),
        ("CLUSTER REPLICAS", ShowKind.ClusterReplicas), ("NETWORK POLICIES", ShowKind.NetworkPolicies), ("CONTINUAL TASKS", ShowKind.ContinualTasks),
    ];

    private static readonly (string Words, GrantObjectKind Kind)[] GrantKinds =
    [
        ("TABLES", GrantObjectKind.Tables), ("TYPES", GrantObjectKind.Types), ("SECRETS", GrantObjectKind.Secrets),
        ("CONNECTIONS", GrantObjectKind.Connections), ("CLUSTERS", GrantObjectKind.Clusters), ("DATABASES", GrantObjectKind.Databases),
        ("SCHEMAS", GrantObjectKind.Schemas), ("MATERIALIZED VIEWS", GrantObjectKind.MaterializedViews), ("VIEWS", GrantObjectKind.Views),
        ("SOURCES", GrantObjectKind.Sources), ("SINKS", GrantObjectKind.Sinks), ("INDEXES", GrantObjectKind.Indexes),
        ("NETWORK POLICIES", GrantObjectKind.NetworkPolicies),
    ];

    internal static string ShowWords(ShowKind kind) => Array.Find(ShowKinds, k => k.Kind == kind).Words;

    internal static string GrantWords(GrantObjectKind kind) => Array.Find(GrantKinds, k => k.Kind == kind).Words;

    private GrantObjectKind ParseGrantKind()
    {
        foreach (var (words, kind) in GrantKinds)
            if (Accept(words))
                return kind;
        throw ExpectedOneOf(GrantKinds.Select(k => k.Words).ToArray());
    }

    /// <summary>Behind SHOW.</summary>
    private ShowStatement ParseShow()
    {
        var start = Current.Start;
        return ParseShowBody() with { Span = SpanFrom(start) };
    }

    private ShowStatement ParseShowBody()
    {
        if (Accept("ALL"))
            return new ShowStatement.AllVariables();
        var redacted = IsWords("REDACTED CREATE");
        if (redacted)
            at++;
        if (IsWord("CREATE") && Ahead(1).IsName)
        {
            at++;
            var kind = ParseObjectKind();
            return new ShowStatement.Create(kind, ParseObjectName(), redacted);
        }
        if (Accept("COLUMNS"))
        {
            ExpectOneOf("FROM", "IN");
            var relation = ParseObjectName();
            return new ShowStatement.Columns(relation, ParseShowFilter());
        }
        if (Accept("DEFAULT PRIVILEGES"))
        {
            GrantObjectKind? on = Accept("ON") ? ParseGrantKind() : null;
            var role = Accept("FOR") ? ParseRoleName() : null;
            return new ShowStatement.DefaultPrivileges(on, role, ParseShowFilter());
        }
        if (Accept("PRIVILEGES"))
        {
            var system = Accept("ON SYSTEM");
            GrantObjectKind? on = !system && Accept("ON") ? ParseGrantKind() : null;
            var role = Accept("FOR") ? ParseRoleName() : null;
            return new ShowStatement.Privileges(on, system, role, ParseShowFilter());
        }
        if (Accept("ROLE MEMBERSHIP"))
        {
            var role = Accept("FOR") ? ParseRoleName() : null;
            return new ShowStatement.RoleMembership(role, ParseShowFilter());
        }
        foreach (var (words, kind) in ShowKinds)
            if (Accept(words))
                return ParseShowObjects(kind);
        if (!Current.IsName)
            throw Expected("identifier");
        var name = ParseVariableName();
        return new ShowStatement.Variable(name);
    }

    private ShowStatement ParseShowObjects(ShowKind kind)
    {
        ObjectName? from = null, on = null;
        ClusterName? cluster = null;
        while (true)
        {
            if (cluster is null && Accept("IN CLUSTER"))
                cluster = ParseClusterName();
            else if (from is null && (Accept("FROM") || Accept("IN")))
                from = ParseObjectName();
            else if (on is null && Accept("ON"))
                on = ParseObjectName();
            else
                break;
        }
        return new ShowStatement.Objects(kind, from, on, cluster, ParseShowFilter());
    }

    private ShowFilter? ParseShowFilter()
    {
        var start = Current.Start;
        if (Accept("LIKE"))
        {
            var pattern = ParseString();
            return new ShowFilter.Like(pattern) { Span = SpanFrom(start) };
        }
        if (!Accept("WHERE"))
            return null;
        var condition = ParseExpr();
        return new ShowFilter.Where(condition) { Span = SpanFrom(start) };
    }
}
