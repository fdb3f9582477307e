using System.Diagnostics;
using Materialize.Sql.Parser.Ast;

namespace Materialize.Sql.Parser;

internal sealed partial class SqlWriter
{
    /// <summary>True when the statement changed, dropped or granted something, now written.</summary>
    private bool Alter(Statement statement)
    {
        switch (statement)
        {
            case Statement.AlterRename x:
                Altered(x.Kind, x.IfExists, x.Name, " RENAME TO ");
                Ident(x.To);
                break;
            case Statement.AlterSwap x:
                Altered(x.Kind, false, x.Name, " SWAP WITH ");
                Ident(x.With);
                break;
            case Statement.AlterOwner x:
                Altered(x.Kind, x.IfExists, x.Name, " OWNER TO ");
                Role(x.Owner);
                break;
            case Statement.AlterSetOptions x:
                Altered(x.Kind, x.IfExists, x.Name, " SET ");
                Options(x.Options);
                break;
            case Statement.AlterResetOptions x:
                Altered(x.Kind, x.IfExists, x.Name, " RESET ");
                Parens(x.Options, n => W(n));
                break;
            case Statement.AlterSetCluster x:
                Altered(x.Kind, x.IfExists, x.Name, " SET CLUSTER ");
                Cluster(x.Cluster);
                break;
            case Statement.AlterTableAddColumn x:
                Altered(ObjectKind.Table, x.IfExists, x.Table, " ADD COLUMN ");
                If(x.IfColumnNotExists, "IF NOT EXISTS ");
                Word(x.Column);
                W(" ");
                Type(x.Type);
                break;
            case Statement.AlterApplyReplacement x:
                Altered(ObjectKind.MaterializedView, x.IfExists, x.Name, " APPLY REPLACEMENT ");
                Name(x.Replacement);
                break;
            case Statement.AlterSourceAddSubsource x:
                Altered(ObjectKind.Source, x.IfExists, x.Source, " ADD SUBSOURCE ");
                List(x.References, Reference);
                With(x.Options);
                break;
            case Statement.AlterSourceDropSubsource x:
                Altered(ObjectKind.Source, x.IfExists, x.Source, " DROP SUBSOURCE ");
                List(x.Subsources, Name);
                If(x.Cascade, " CASCADE");
                break;
            case Statement.AlterSourceRefreshReferences x: Altered(ObjectKind.Source, x.IfExists, x.Source, " REFRESH REFERENCES"); break;
            case Statement.AlterSinkSetFrom x:
                Altered(ObjectKind.Sink, x.IfExists, x.Sink, " SET FROM ");
                Name(x.From);
                break;
            case Statement.AlterConnection x:
                Altered(ObjectKind.Connection, x.IfExists, x.Name, " ");
                List(x.Actions, a =>
                {
                    switch (a)
                    {
                        case ConnectionAction.RotateKeys: W("ROTATE KEYS"); break;
                        case ConnectionAction.Set set:
                            W("SET (");
                            Option(set.Option);
                            W(")");
                            break;
                        case ConnectionAction.Drop drop: W("DROP (").W(drop.Option).W(")"); break;
                    }
                });
                With(x.WithOptions);
                break;
            case Statement.AlterSecret x:
                Altered(ObjectKind.Secret, x.IfExists, x.Name, "");
                Clause(" AS ", x.Value);
                break;
            case Statement.AlterClusterSet x:
                Altered(ObjectKind.Cluster, x.IfExists, x.Name, " SET ");
                Options(x.Options);
                With(x.WithOptions);
                break;
            case Statement.AlterClusterReset x:
                Altered(ObjectKind.Cluster, x.IfExists, x.Name, " RESET ");
                Parens(x.Options, n => W(n));
                break;
            case Statement.AlterRoleAttributes x:
                Altered(ObjectKind.Role, false, x.Name, "");
                Attributes(x.Attributes);
                break;
            case Statement.AlterRoleVariable x:
                Altered(ObjectKind.Role, false, x.Name, x.Value is null ? " RESET " : " SET ");
                Word(x.Variable);
                if (x.Value is not null)
                {
                    W(" = ");
                    Set(x.Value);
                }
                break;
            case Statement.AlterNetworkPolicy x:
                Altered(ObjectKind.NetworkPolicy, false, x.Name, " SET ");
                Options(x.Options);
                break;
            case Statement.AlterSystemSet x:
                W("ALTER SYSTEM SET ");
                Word(x.Name);
                W(" = ");
                Set(x.Value);
                break;
            case Statement.AlterSystemReset x:
                W("ALTER SYSTEM RESET ");
                Word(x.Name);
                break;
            case Ast.Statement.AlterSystemResetAll: W("ALTER SYSTEM RESET ALL"); break;
            case Statement.AlterDefaultPrivileges x:
                W("ALTER DEFAULT PRIVILEGES FOR ");
                if (x.TargetRoles is null)
                {
                    W("ALL ROLES");
                }
                else
                {
                    W("ROLE ");
                    List(x.TargetRoles, Role);
                }
                Scope(x.Scope);
                W(x.Revoke ? " REVOKE " : " GRANT ");
                Privileges(x.Privileges);
                W(" ON ").W(Parser.GrantWords(x.Kind)).W(x.Revoke ? " FROM " : " TO ");
                List(x.Grantees, Role);
                break;
            case Statement.DropObjects x:
                W("DROP ").W(Parser.KindWords(x.Kind)).W(" ").If(x.IfExists, "IF EXISTS ");
                List(x.Names, Name);
                Cascade(x.Cascade);
                break;
            case Statement.DropOwned x:
                W("DROP OWNED BY ");
                List(x.Roles, Role);
                Cascade(x.Cascade);
                break;
            case Statement.ReassignOwned x:
                W("REASSIGN OWNED BY ");
                List(x.From, Role);
                W(" TO ");
                Role(x.To);
                break;
            case Statement.GrantRole x: Granted("GRANT ", x.Roles, " TO ", x.Members); break;
            case Statement.RevokeRole x: Granted("REVOKE ", x.Roles, " FROM ", x.Members); break;
            case Statement.GrantPrivileges x: Granted("GRANT ", x.Privileges, x.Target, " TO ", x.Roles); break;
            case Statement.RevokePrivileges x: Granted("REVOKE ", x.Privileges, x.Target, " FROM ", x.Roles); break;
            default: return false;
        }
        return true;
    }

    private void Altered(ObjectKind kind, bool ifExists, ObjectName name, string action)
    {
        W("ALTER ").W(Parser.KindWords(kind)).W(" ").If(ifExists, "IF EXISTS ");
        Name(name);
        W(action);
    }

    private void Altered(ObjectKind kind, bool ifExists, Ident name, string action) => Altered(kind, ifExists, new ObjectName([name]), action);

    private void Cascade(bool? cascade) => If(cascade == true, " CASCADE").If(cascade == false, " RESTRICT");

    private void Granted(string verb, IReadOnlyList<RoleName> roles, string preposition, IReadOnlyList<RoleName> members)
    {
        W(verb);
        // A role may be called like a privilege.
        List(roles, r =>
        {
            if (r.Name is { } name)
                Word(name);
            else
                Role(r);
        });
        W(preposition);
        List(members, Role);
    }

    private void Granted(string verb, Privileges privileges, GrantTarget target, string preposition, IReadOnlyList<RoleName> roles)
    {
        W(verb);
        Privileges(privileges);
        W(" ON ");
        switch (target)
        {
            case GrantTarget.System: W("SYSTEM"); break;
            case GrantTarget.Objects x:
                W(Parser.KindWords(x.Kind)).W(" ");
                List(x.Names, Name);
                break;
            case GrantTarget.All x:
                W("ALL ").W(Parser.GrantWords(x.Kind));
                Scope(x.Scope);
                break;
            default: throw new UnreachableException(target.GetType().Name);
        }
        W(preposition);
        List(roles, Role);
    }

    private void Privileges(Privileges privileges)
    {
        if (privileges.All)
            W("ALL PRIVILEGES");
        else
            List(privileges.Items, p => W(Parser.PrivilegeWord(p)));
    }

    private void Scope(GrantScope scope)
    {
        switch (scope)
        {
            case GrantScope.Anywhere: break;
            case GrantScope.Databases x: Clause(x.Names, " IN DATABASE ", Ident); break;
            case GrantScope.Schemas x: Clause(x.Names, " IN SCHEMA ", Name); break;
            default: throw new UnreachableException(scope.GetType().Name);
        }
    }
}
