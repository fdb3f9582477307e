using Materialize.Sql.Parser.Ast;

namespace Materialize.Sql.Parser;

internal sealed partial class Parser
{
    /// <summary>Behind ALTER.</summary>
    private Statement ParseAlter(int start)
    {
        if (Accept("SYSTEM"))
            return ParseAlterSystem();
        if (Accept("DEFAULT PRIVILEGES"))
            return ParseAlterDefaultPrivileges();
        var kind = ParseObjectKind();
        var ifExists = ParseIfExists();
        switch (kind)
        {
            case ObjectKind.Role:
                return ParseAlterRole();
            case ObjectKind.Function or ObjectKind.Subsource:
                throw ErrorAt(start, $"ALTER {KindWords(kind)} is not supported");
        }
        var name = kind switch
        {
            ObjectKind.Cluster or ObjectKind.NetworkPolicy => ParseOnePartName(),
            ObjectKind.ClusterReplica => ParseReplicaObjectName(),
            _ => ParseObjectName(),
        };
        if (Accept("RENAME TO"))
            return new Statement.AlterRename(kind, ifExists, name, ParseIdent());
        if (Accept("OWNER TO"))
            return new Statement.AlterOwner(kind, ifExists, name, ParseRoleName());
        if (kind is ObjectKind.Schema or ObjectKind.Cluster && Accept("SWAP WITH"))
            return new Statement.AlterSwap(kind, name, ParseIdent());
        return kind switch
        {
            ObjectKind.Cluster => ParseAlterCluster(ifExists, name),
            ObjectKind.Connection => ParseAlterConnection(ifExists, name),
            ObjectKind.NetworkPolicy => ParseAlterNetworkPolicy(name),
            ObjectKind.Secret when Accept("AS") => new Statement.AlterSecret(ifExists, name, ParseExpr()),
            ObjectKind.Table when Accept("ADD COLUMN") => ParseAddColumn(ifExists, name),
            ObjectKind.MaterializedView when Accept("APPLY REPLACEMENT") => new Statement.AlterApplyReplacement(ifExists, name, ParseObjectName()),
            ObjectKind.Sink when Accept("SET FROM") => new Statement.AlterSinkSetFrom(ifExists, name, ParseObjectName()),
            ObjectKind.Source when AcceptOneOf("ADD SUBSOURCE", "ADD TABLE") is not null => ParseAddSubsource(ifExists, name),
            ObjectKind.Source when AcceptOneOf("DROP SUBSOURCE", "DROP TABLE") is not null => ParseDropSubsource(ifExists, name),
            ObjectKind.Source when Accept("REFRESH REFERENCES") => new Statement.AlterSourceRefreshReferences(ifExists, name),
            ObjectKind.Table or ObjectKind.View or ObjectKind.MaterializedView or ObjectKind.Source or ObjectKind.Sink or ObjectKind.Index
                => ParseAlterOptions(kind, ifExists, name),
            _ => throw ExpectedOneOf(["RENAME", "OWNER"]),
        };
    }

    private ObjectName ParseOnePartName()
    {
        var ident = ParseIdent();
        return new ObjectName([ident]) { Span = ident.Span };
    }

    private ObjectName ParseReplicaObjectName()
    {
        var replica = ParseReplicaName();
        return new ObjectName([replica.Cluster, replica.Replica]) { Span = replica.Span };
    }

    private Statement ParseAlterOptions(ObjectKind kind, bool ifExists, ObjectName name)
    {
        if (Accept("SET CLUSTER"))
            return new Statement.AlterSetCluster(kind, ifExists, name, ParseClusterName());
        if (Accept("SET"))
            return new Statement.AlterSetOptions(kind, ifExists, name, ParseOptionList(OptionNames.AlterItem));
        if (Accept("RESET"))
            return new Statement.AlterResetOptions(kind, ifExists, name, Parenthesized(() => ParseOptionName(OptionNames.AlterItem)));
        throw ExpectedOneOf(["SET", "RENAME", "OWNER", "RESET"]);
    }

    private Statement ParseAddColumn(bool ifExists, ObjectName table)
    {
        var unless = ParseIfNotExists();
        var column = ParseIdent();
        return new Statement.AlterTableAddColumn(ifExists, table, unless, column, ParseDataType());
    }

    private Statement ParseAddSubsource(bool ifExists, ObjectName source)
    {
        var references = CommaSeparated(ParseExternalReference);
        return new Statement.AlterSourceAddSubsource(ifExists, source, references, ParseOptionalWithOptions(OptionNames.AddSubsource));
    }

    private Statement ParseDropSubsource(bool ifExists, ObjectName source)
    {
        ParseIfExists();
        var names = CommaSeparated(ParseObjectName);
        return new Statement.AlterSourceDropSubsource(ifExists, source, names, ParseOptionalCascade() ?? false);
    }

    private Statement ParseAlterCluster(bool ifExists, ObjectName name)
    {
        if (Accept("SET"))
        {
            var options = ParseOptionList(OptionNames.Cluster);
            return new Statement.AlterClusterSet(ifExists, name.Item, options, ParseOptionalWithOptions(OptionNames.AlterClusterWith));
        }
        if (Accept("RESET"))
            return new Statement.AlterClusterReset(ifExists, name.Item, Parenthesized(() => ParseOptionName(OptionNames.Cluster)));
        throw ExpectedOneOf(["OWNER", "RENAME", "RESET", "SET", "SWAP"]);
    }

    private Statement ParseAlterConnection(bool ifExists, ObjectName name)
    {
        var actions = CommaSeparated(() =>
        {
            var start = Current.Start;
            var word = ExpectOneOf("ROTATE KEYS", "SET", "DROP", "RESET");
            if (word == "ROTATE KEYS")
                return new ConnectionAction.RotateKeys { Span = SpanFrom(start) };
            var parens = Accept(TokenKind.LParen);
            ConnectionAction action = word == "SET"
                ? new ConnectionAction.Set(ParseOption(OptionNames.Connection))
                : new ConnectionAction.Drop(ParseOptionName(OptionNames.Connection));
            if (parens)
                Expect(TokenKind.RParen);
            return action with { Span = SpanFrom(start) };
        });
        return new Statement.AlterConnection(ifExists, name, actions, ParseOptionalWithOptions(OptionNames.Validate));
    }

    private Statement ParseAlterNetworkPolicy(ObjectName name)
    {
        Expect("SET");
        return new Statement.AlterNetworkPolicy(name.Item, ParseOptionList(OptionNames.NetworkPolicy));
    }

    private Statement ParseAlterRole()
    {
        var name = ParseIdent();
        if (Accept("OWNER TO"))
            return new Statement.AlterOwner(ObjectKind.Role, false, new ObjectName([name]) { Span = name.Span }, ParseRoleName());
        if (Accept("RENAME TO"))
            return new Statement.AlterRename(ObjectKind.Role, false, new ObjectName([name]) { Span = name.Span }, ParseIdent());
        if (Accept("SET"))
        {
            var (variable, value) = ParseVariableAssignment();
            return new Statement.AlterRoleVariable(name, variable, value);
        }
        if (Accept("RESET"))
            return new Statement.AlterRoleVariable(name, ParseVariableName(), null);
        return new Statement.AlterRoleAttributes(name, ParseRoleAttributes());
    }

    private (Ident Variable, SetValue Value) ParseVariableAssignment()
    {
        var variable = ParseVariableName();
        if (!Accept(TokenKind.Eq) && !Accept("TO"))
            throw Expected("equals sign or TO");
        return (variable, ParseSetValue());
    }

    private Statement ParseAlterSystem()
    {
        if (Accept("RESET ALL"))
            return new Statement.AlterSystemResetAll();
        if (ExpectOneOf("SET", "RESET") == "RESET")
            return new Statement.AlterSystemReset(ParseVariableName());
        var (variable, value) = ParseVariableAssignment();
        return new Statement.AlterSystemSet(variable, value);
    }

    // DROP, ownership.

    private bool? ParseOptionalCascade() => AcceptOneOf("CASCADE", "RESTRICT") switch { "CASCADE" => true, "RESTRICT" => false, _ => null };

    private Statement ParseDrop()
    {
        if (Accept("OWNED"))
        {
            Expect("BY");
            var roles = CommaSeparated(ParseRoleName);
            return new Statement.DropOwned(roles, ParseOptionalCascade());
        }
        var start = Current.Start;
        var kind = ParseObjectKind();
        if (kind is ObjectKind.Function or ObjectKind.Subsource)
            throw ErrorAt(start, $"DROP {KindWords(kind)} is not supported");
        var ifExists = ParseIfExists();
        var names = kind == ObjectKind.Database ? [ParseObjectName()] : CommaSeparated(ParseObjectName);
        return new Statement.DropObjects(kind, ifExists, names, ParseOptionalCascade());
    }

    private Statement ParseReassign()
    {
        Expect("OWNED BY");
        var from = CommaSeparated(ParseRoleName);
        Expect("TO");
        return new Statement.ReassignOwned(from, ParseRoleName());
    }

    // Privileges.

    private static readonly (string Word, Privilege Privilege)[] PrivilegeWords =
    [
        ("SELECT", Privilege.Select), ("INSERT", Privilege.Insert), ("UPDATE", Privilege.Update), ("DELETE", Privilege.Delete),
        ("USAGE", Privilege.Usage), ("CREATE", Privilege.Create), ("CREATEROLE", Privilege.CreateRole), ("CREATEDB", Privilege.CreateDb),
        ("CREATECLUSTER", Privilege.CreateCluster), ("CREATENETWORKPOLICY", Privilege.CreateNetworkPolicy),
    ];

    internal static string PrivilegeWord(Privilege privilege) => Array.Find(PrivilegeWords, p => p.Privilege == privilege).Word;

    private bool StartsPrivileges()
    {
        if (IsWord("ALL"))
            return true;
        foreach (var (word, _) in PrivilegeWords)
            if (IsWord(word))
                return true;
        return false;
    }

    private Privileges ParsePrivileges()
    {
        var start = Current.Start;
        if (Accept("ALL"))
        {
            Accept("PRIVILEGES");
            return new Privileges(true, []) { Span = SpanFrom(start) };
        }
        var items = CommaSeparated(() =>
        {
            foreach (var (word, privilege) in PrivilegeWords)
                if (Accept(word))
                    return privilege;
            throw ExpectedOneOf(PrivilegeWords.Select(p => p.Word).ToArray());
        });
        return new Privileges(false, items) { Span = SpanFrom(start) };
    }

    private AstList<RoleName> ParseGrantees() => CommaSeparated(() =>
    {
        if (IsWord("GROUP") && Ahead(1).IsName)
            at++;
        return ParseRoleName();
    });

    private Statement ParseGrant(bool revoke)
    {
        var preposition = revoke ? "FROM" : "TO";
        if (!StartsPrivileges())
        {
            var roles = CommaSeparated(ParseRoleName);
            Expect(preposition);
            var members = ParseGrantees();
            return revoke ? new Statement.RevokeRole(roles, members) : new Statement.GrantRole(roles, members);
        }
        var privileges = ParsePrivileges();
        Expect("ON");
        var start = Current.Start;
        var target = ParseGrantTarget() with { Span = SpanFrom(start) };
        Expect(preposition);
        var grantees = ParseGrantees();
        return revoke
            ? new Statement.RevokePrivileges(privileges, target, grantees)
            : new Statement.GrantPrivileges(privileges, target, grantees);
    }

    private GrantTarget ParseGrantTarget()
    {
        if (Accept("SYSTEM"))
            return new GrantTarget.System();
        if (Accept("ALL"))
        {
            var kinds = ParseGrantKind();
            return new GrantTarget.All(kinds, ParseGrantScope());
        }
        // The kind's word may also be the name of a table: then the preposition follows it.
        var kind = Ahead(1).Is("TO") || Ahead(1).Is("FROM") ? null : AcceptObjectKind();
        return new GrantTarget.Objects(kind ?? ObjectKind.Table, CommaSeparated(ParseObjectName));
    }

    private GrantScope ParseGrantScope()
    {
        var start = Current.Start;
        GrantScope scope =
            Accept("IN DATABASE") ? new GrantScope.Databases(CommaSeparated(ParseIdent))
            : Accept("IN SCHEMA") ? new GrantScope.Schemas(CommaSeparated(ParseObjectName))
            : new GrantScope.Anywhere();
        return scope with { Span = SpanFrom(start) };
    }

    private Statement ParseAlterDefaultPrivileges()
    {
        AstList<RoleName>? targets = null;
        if (!Accept("FOR ALL ROLES"))
        {
            Expect("FOR");
            ExpectOneOf("ROLE", "USER");
            targets = CommaSeparated(ParseRoleName);
        }
        var scope = ParseGrantScope();
        var revoke = ExpectOneOf("GRANT", "REVOKE") == "REVOKE";
        var privileges = ParsePrivileges();
        Expect("ON");
        var kind = ParseGrantKind();
        Expect(revoke ? "FROM" : "TO");
        var grantees = ParseGrantees();
        return new Statement.AlterDefaultPrivileges(targets, scope, revoke, privileges, kind, grantees);
    }
}
