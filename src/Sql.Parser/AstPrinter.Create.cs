using System.Diagnostics;
using Materialize.Sql.Parser.Ast;

namespace Materialize.Sql.Parser;

internal sealed partial class SqlWriter
{
    /// <summary>True when the statement was a CREATE, now written.</summary>
    private bool Create(Statement statement)
    {
        switch (statement)
        {
            case Statement.CreateDatabase x:
                W("CREATE DATABASE ").If(x.IfNotExists, "IF NOT EXISTS ");
                Ident(x.Name);
                break;
            case Statement.CreateSchema x:
                W("CREATE SCHEMA ").If(x.IfNotExists, "IF NOT EXISTS ");
                Name(x.Name);
                break;
            case Statement.CreateTable x:
                W("CREATE ").If(x.Temporary, "TEMPORARY ").W("TABLE ").If(x.IfNotExists, "IF NOT EXISTS ");
                Name(x.Name);
                W(" ");
                ColumnsAndConstraints(x.Columns, [], x.Constraints);
                With(x.Options);
                break;
            case Statement.CreateTableFromSource x:
                W("CREATE TABLE ").If(x.IfNotExists, "IF NOT EXISTS ");
                Name(x.Name);
                if (x.Columns.Count + x.ColumnNames.Count + x.Constraints.Count > 0)
                {
                    W(" ");
                    ColumnsAndConstraints(x.Columns, x.ColumnNames, x.Constraints);
                }
                W(" FROM SOURCE ");
                Name(x.Source);
                if (x.Reference is not null)
                {
                    W(" (REFERENCE = ");
                    Name(x.Reference);
                    W(")");
                }
                Decoding(x.Format, x.Include, x.Envelope);
                With(x.Options);
                break;
            case Statement.CreateView x:
                W("CREATE ").If(x.OrReplace, "OR REPLACE ").If(x.Temporary, "TEMPORARY ").W("VIEW ").If(x.IfNotExists, "IF NOT EXISTS ");
                Name(x.Name);
                OptionalColumns(x.Columns);
                W(" AS ");
                Query(x.Query);
                break;
            case Statement.CreateMaterializedView x: MaterializedView(x); break;
            case Statement.CreateIndex x:
                W("CREATE ").If(x.Key is null, "DEFAULT ").W("INDEX").If(x.IfNotExists, " IF NOT EXISTS");
                if (x.Name is not null)
                {
                    W(" ");
                    Ident(x.Name);
                }
                InCluster(x.InCluster);
                W(" ON ");
                Name(x.On);
                if (x.Key is not null)
                {
                    W(" ");
                    Parens(x.Key, Expr);
                }
                With(x.Options);
                break;
            case Statement.CreateType x:
                W("CREATE TYPE ");
                Name(x.Name);
                W(" AS ");
                switch (x.Definition)
                {
                    case TypeDefinition.List d:
                        W("LIST ");
                        Options(d.Options);
                        break;
                    case TypeDefinition.Map d:
                        W("MAP ");
                        Options(d.Options);
                        break;
                    case TypeDefinition.Record d: Parens(d.Columns, Column); break;
                }
                break;
            case Statement.CreateSecret x:
                W("CREATE SECRET ").If(x.IfNotExists, "IF NOT EXISTS ");
                Name(x.Name);
                Clause(" AS ", x.Value);
                break;
            case Statement.CreateConnection x:
                W("CREATE CONNECTION ").If(x.IfNotExists, "IF NOT EXISTS ");
                Name(x.Name);
                W(" TO ").W(Parser.ConnectionWords(x.Type)).W(" ");
                Options(x.Options);
                With(x.WithOptions);
                break;
            case Statement.CreateSource x: Source(x); break;
            case Statement.CreateSubsource x:
                W("CREATE SUBSOURCE ").If(x.IfNotExists, "IF NOT EXISTS ");
                Name(x.Name);
                W(" ");
                ColumnsAndConstraints(x.Columns, [], x.Constraints);
                if (x.OfSource is not null)
                {
                    W(" OF SOURCE ");
                    Name(x.OfSource);
                }
                With(x.Options);
                break;
            case Statement.CreateWebhookSource x: Webhook(x); break;
            case Statement.CreateSink x: Sink(x); break;
            case Statement.CreateCluster x:
                W("CREATE CLUSTER ");
                Ident(x.Name);
                W(" ");
                Options(x.Options);
                OptionalOptions(" FEATURES ", x.Features);
                break;
            case Statement.CreateClusterReplica x:
                W("CREATE CLUSTER REPLICA ");
                Ident(x.Name.Cluster);
                W(".");
                Ident(x.Name.Replica);
                W(" ");
                Options(x.Options);
                break;
            case Statement.CreateRole x:
                W("CREATE ROLE ");
                Ident(x.Name);
                Attributes(x.Attributes);
                break;
            case Statement.CreateNetworkPolicy x:
                W("CREATE NETWORK POLICY ");
                Ident(x.Name);
                W(" ");
                Options(x.Options);
                break;
            default: return false;
        }
        return true;
    }

    private void MaterializedView(Statement.CreateMaterializedView x)
    {
        W("CREATE ").If(x.OrReplace, "OR REPLACE ").If(x.ReplacementFor is not null, "REPLACEMENT ").W("MATERIALIZED VIEW ").If(x.IfNotExists, "IF NOT EXISTS ");
        Name(x.Name);
        OptionalColumns(x.Columns);
        if (x.ReplacementFor is not null)
        {
            W(" FOR ");
            Name(x.ReplacementFor);
        }
        InCluster(x.InCluster);
        if (x.InReplica is not null)
        {
            W(x.InCluster is null ? " IN REPLICA " : " REPLICA ");
            Ident(x.InReplica);
        }
        With(x.Options);
        W(" AS ");
        Query(x.Query);
        if (x.AsOf is { } asOf)
            W($" AS OF {asOf}");
    }

    private void Attributes(IReadOnlyList<RoleAttribute> attributes)
    {
        foreach (var attribute in attributes)
        {
            W(" ");
            switch (attribute)
            {
                case RoleAttribute.Flag x: If(!x.Enabled, "NO").W(x.Kind.ToString().ToUpperInvariant()); break;
                case RoleAttribute.Password { Value: null }: W("PASSWORD NULL"); break;
                case RoleAttribute.Password x:
                    W("PASSWORD ");
                    Str(x.Value!);
                    break;
                default: throw new UnreachableException(attribute.GetType().Name);
            }
        }
    }

    private void ColumnsAndConstraints(IReadOnlyList<ColumnDef> columns, IReadOnlyList<Ident> names, IReadOnlyList<TableConstraint> constraints)
    {
        W("(");
        List(columns, Column);
        List(names, Word);
        If(columns.Count + names.Count > 0 && constraints.Count > 0, ", ");
        List(constraints, Constraint);
        W(")");
    }

    public void Column(ColumnDef column)
    {
        Word(column.Name);
        W(" ");
        Type(column.Type);
        if (column.Collation is not null)
        {
            W(" COLLATE ");
            Name(column.Collation);
        }
        foreach (var option in column.Options)
        {
            W(" ");
            ConstraintName(option.ConstraintName);
            switch (option)
            {
                case ColumnOption.Null: W("NULL"); break;
                case ColumnOption.NotNull: W("NOT NULL"); break;
                case ColumnOption.Default x: Clause("DEFAULT ", x.Value); break;
                case ColumnOption.Unique x: W(x.Primary ? "PRIMARY KEY" : "UNIQUE"); break;
                case ColumnOption.References x:
                    W("REFERENCES ");
                    Name(x.Table);
                    OptionalColumns(x.Columns);
                    break;
                case ColumnOption.Check x:
                    Clause("CHECK (", x.Condition);
                    W(")");
                    break;
                case ColumnOption.Version x: W(x.Dropped ? "VERSION DROPPED " : "VERSION ADDED ").W(x.Number.ToString()); break;
                default: throw new UnreachableException(option.GetType().Name);
            }
        }
    }

    private void ConstraintName(Ident? name)
    {
        if (name is null)
            return;
        W("CONSTRAINT ");
        Word(name);
        W(" ");
    }

    private void Constraint(TableConstraint constraint)
    {
        ConstraintName(constraint.Name);
        switch (constraint)
        {
            case TableConstraint.Unique x:
                W(x.Primary ? "PRIMARY KEY " : "UNIQUE ").If(x.NullsNotDistinct, "NULLS NOT DISTINCT ");
                Columns(x.Columns);
                break;
            case TableConstraint.ForeignKey x:
                W("FOREIGN KEY ");
                Columns(x.Columns);
                W(" REFERENCES ");
                Name(x.Table);
                OptionalColumns(x.Referred);
                break;
            case TableConstraint.Check x:
                Clause("CHECK (", x.Condition);
                W(")");
                break;
            default: throw new UnreachableException(constraint.GetType().Name);
        }
    }
}
