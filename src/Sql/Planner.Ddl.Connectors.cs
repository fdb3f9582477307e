// CREATE SECRET, CONNECTION, SOURCE, SUBSOURCE, TABLE … FROM SOURCE, webhooks.
using Materialize.Core.Collections;
using Materialize.Repr;

namespace Materialize.Sql;

public static partial class Planner
{
    private static ValueArray<byte> SecretValue(StatementContext context, Ast.Expr expr)
    {
        var planner = new QueryPlanner(context);
        var planned = planner.PlanConstant(expr, "AS");
        var bytes = Constants.Evaluate(planned, "AS", expr.Position());
        if (bytes.IsNull)
            throw SqlException.Plan("secret value can not be null", expr.Position());
        byte[] value = planned.Type.Type.Kind switch
        {
            ScalarKind.Bytes => bytes.AsBytes,

            // A text is read as bytea is: \x… and escapes.
            ScalarKind.String => ((HirScalarExpr.Literal)Constants.ParseLiteral(bytes.AsString, SqlType.Bytes, expr.Position())).Value.AsBytes,
            _ => throw SqlException.Plan($"AS must have type bytea, not type {planned.Type.Type.ToSql()}", expr.Position()),
        };
        return ValueArray.Create<byte>(value);
    }

    private static StatementPlan PlanCreateSecret(StatementContext context, Ast.Statement.CreateSecret x)
    {
        var target = TargetOf(context, x.Name, false, x.IfNotExists, false);
        var value = SecretValue(context, x.Value);
        var stored = NameNormalizer.StoredSql(context, x with { IfNotExists = false, Value = new Ast.Expr.StringLiteral("********") });
        return new StatementPlan.CreateSecret(target.Name, stored, x.IfNotExists, value)
        {
            SchemaId = target.SchemaId,
            Existing = x.IfNotExists ? target.Existing?.Id : null,
        };
    }

    // ---- Connections -----------------------------------------------------------------------------------------------------

    private sealed record ConnectionRules(string Type, string Display, string[] Required, string[] Optional, string[] Secrets);

    private static ConnectionRules RulesOf(Ast.ConnectionType type) => type switch
    {
        Ast.ConnectionType.Postgres => new(
            "postgres", "POSTGRES", ["HOST", "DATABASE", "USER"],
            ["PORT", "PASSWORD", "SSL MODE", "SSL CERTIFICATE", "SSL KEY", "SSL CERTIFICATE AUTHORITY", "SSH TUNNEL", "AWS PRIVATELINK"],
            ["PASSWORD", "SSL KEY"]),
        Ast.ConnectionType.MySql => new(
            "mysql", "MYSQL", ["HOST", "USER"],
            ["PORT", "PASSWORD", "SSL MODE", "SSL CERTIFICATE", "SSL KEY", "SSL CERTIFICATE AUTHORITY", "SSH TUNNEL", "AWS PRIVATELINK", "AWS CONNECTION"],
            ["PASSWORD", "SSL KEY"]),
        Ast.ConnectionType.SqlServer => new(
            "sql-server", "SQL SERVER", ["HOST", "DATABASE", "USER", "PASSWORD"],
            ["PORT", "SSL MODE", "SSL CERTIFICATE AUTHORITY", "SSH TUNNEL", "AWS PRIVATELINK"], ["PASSWORD"]),
        Ast.ConnectionType.Kafka => new(
            "kafka", "KAFKA", [],
            [
                "BROKER", "BROKERS", "AWS PRIVATELINK", "SECURITY PROTOCOL", "SASL MECHANISMS", "SASL USERNAME", "SASL PASSWORD", "SSL CERTIFICATE", "SSL KEY",
                "SSL CERTIFICATE AUTHORITY", "SSH TUNNEL", "AWS CONNECTION", "PROGRESS TOPIC", "PROGRESS TOPIC REPLICATION FACTOR",
            ],
            ["SASL PASSWORD", "SSL KEY"]),
        Ast.ConnectionType.ConfluentSchemaRegistry => new(
            "confluent-schema-registry", "CONFLUENT SCHEMA REGISTRY", ["URL"],
            ["USER", "PASSWORD", "SSL KEY", "SSL CERTIFICATE", "SSL CERTIFICATE AUTHORITY", "PORT", "SSH TUNNEL", "AWS PRIVATELINK"], ["PASSWORD", "SSL KEY"]),
        Ast.ConnectionType.SshTunnel => new("ssh-tunnel", "SSH TUNNEL", ["HOST", "USER"], ["PORT", "PUBLIC KEY 1", "PUBLIC KEY 2"], []),
        Ast.ConnectionType.Aws => new(
            "aws", "AWS", [],
            ["ENDPOINT", "REGION", "ACCESS KEY ID", "SECRET ACCESS KEY", "SESSION TOKEN", "ASSUME ROLE ARN", "ASSUME ROLE SESSION NAME"], ["SECRET ACCESS KEY"]),
        Ast.ConnectionType.AwsPrivateLink => new("aws-privatelink", "AWS PRIVATELINK", ["SERVICE NAME", "AVAILABILITY ZONES"], ["PORT"], []),
        _ => new("iceberg-catalog", "ICEBERG CATALOG", ["CATALOG TYPE", "URL"], ["WAREHOUSE", "AWS CONNECTION", "CREDENTIAL", "SCOPE"], ["CREDENTIAL"]),
    };

    private static ConnectionDetails ConnectionDetailsOf(StatementContext context, Ast.ConnectionType type, IReadOnlyList<Ast.SqlOption> options, int? position)
    {
        var rules = RulesOf(type);
        var reader = new OptionReader("CREATE CONNECTION", options);
        foreach (var option in reader.All)
        {
            if (!rules.Required.Contains(option.Name) && !rules.Optional.Contains(option.Name))
                throw SqlException.Plan($"{rules.Display} connections do not support {option.Name} values", option.Position());
        }

        foreach (var name in rules.Required)
        {
            if (!reader.Has(name))
                throw SqlException.Plan($"{name} option is required", position);
        }

        if (reader.Has("SSH TUNNEL") && reader.Has("AWS PRIVATELINK"))
            throw SqlException.Plan("cannot specify both SSH TUNNEL and AWS PRIVATELINK", position);
        if (type == Ast.ConnectionType.Kafka && new[] { "BROKER", "BROKERS", "AWS PRIVATELINK" }.Count(reader.Has) != 1)
            throw SqlException.Plan("invalid CONNECTION: must set one of BROKER, BROKERS, or AWS PRIVATELINK", position);
        if (reader.Text("SSL MODE") is { } mode)
        {
            string[] allowed = type switch
            {
                Ast.ConnectionType.Postgres => ["disable", "require", "required", "verify_ca", "verify-ca", "verify_full", "verify-full"],
                Ast.ConnectionType.MySql => ["disabled", "required", "verify_ca", "verify-ca", "verify_identity", "verify-identity"],
                _ => ["disabled", "required", "verify", "verify_ca"],
            };
            if (!allowed.Contains(mode.ToLowerInvariant()))
                throw SqlException.Plan($"invalid CONNECTION: unknown SSL MODE \"{mode}\"", position);
        }

        if (reader.Has("PORT") && (reader.UInt64("PORT") is 0 or > 65_535))
            throw SqlException.Plan("invalid PORT: out of range", position);
        if (reader.Has("SSL KEY") != reader.Has("SSL CERTIFICATE"))
            throw SqlException.Plan("invalid CONNECTION: both SSL KEY and SSL CERTIFICATE are required", position);

        var values = reader.All.Select(o => KeyValuePair.Create(o.Name.ToLowerInvariant(), ConnectionValueOf(context, o, rules))).ToValueArray();
        return new ConnectionDetails(rules.Type, values);
    }

    private static ConnectionValue ConnectionValueOf(StatementContext context, Ast.SqlOption option, ConnectionRules rules)
    {
        switch (option.Value)
        {
            case Ast.OptionValue.Secret x:
                {
                    var secret = context.ResolveItem(x.Value);
                    return secret.Kind == CatalogItemKind.Secret
                        ? new ConnectionValue.Secret(secret.Id)
                        : throw SqlException.Plan($"{secret.Name} is not a secret", option.Position());
                }

            case Ast.OptionValue.Name x when option.Name is "SSH TUNNEL" or "AWS PRIVATELINK" or "AWS CONNECTION":
                {
                    var item = context.ResolveItem(x.Value);
                    return item.Kind == CatalogItemKind.Connection
                        ? new ConnectionValue.Item(item.Id)
                        : throw SqlException.Plan($"{item.Name} is not a connection", option.Position());
                }

            case Ast.OptionValue.KafkaBroker x when x.Tunnel is null:
                return new ConnectionValue.Text(x.Address);
            case Ast.OptionValue.Sequence x:
                return new ConnectionValue.Text(string.Join(',', x.Items.Select(i => i is Ast.OptionValue.KafkaBroker { Tunnel: null } broker
                    ? broker.Address
                    : OptionReader.AsText(new Ast.SqlOption(option.Name, i)))));
            case Ast.OptionValue.KafkaBroker or Ast.OptionValue.DefaultPrivateLink:
                throw SqlException.Unsupported("Kafka brokers behind a tunnel", option.Position());
        }

        if (rules.Secrets.Contains(option.Name))
            throw SqlException.Plan($"invalid {option.Name}: must provide a secret value", option.Position());
        return new ConnectionValue.Text(OptionReader.AsText(option));
    }

    private static StatementPlan PlanCreateConnection(StatementContext context, Ast.Statement.CreateConnection x)
    {
        var target = TargetOf(context, x.Name, false, x.IfNotExists, false);
        var details = ConnectionDetailsOf(context, x.Type, x.Options, x.Position());
        var with = new OptionReader("CREATE CONNECTION", x.WithOptions);
        var validates = details.Type is "postgres" or "kafka" or "mysql" or "sql-server" or "confluent-schema-registry" or "iceberg-catalog";
        var stored = NameNormalizer.StoredSql(context, x with { IfNotExists = false, WithOptions = [] });
        return new StatementPlan.CreateConnection(target.Name, stored, x.IfNotExists, details, with.Bool("VALIDATE") ?? validates)
        {
            SchemaId = target.SchemaId,
            Existing = x.IfNotExists ? target.Existing?.Id : null,
        };
    }

    // ---- Sources ---------------------------------------------------------------------------------------------------------

    private static StatementPlan PlanCreateSource(StatementContext context, Ast.Statement.CreateSource x)
    {
        var target = TargetOf(context, x.Name, false, x.IfNotExists, false);
        var cluster = ClusterOf(context, x.InCluster);
        var options = new OptionReader("CREATE SOURCE", x.Options);
        var (connector, desc) = ConnectorOf(context, x);
        var multiple = connector is SourceConnector.Postgres or SourceConnector.MySql or SourceConnector.SqlServer
            || connector is SourceConnector.LoadGenerator { Generator: "auction" or "marketing" or "tpch" };
        if (!multiple && x.References is not null)
            throw SqlException.Plan("FOR TABLES, FOR SCHEMAS and FOR ALL TABLES are not supported for this source", x.Position());
        if (connector is SourceConnector.LoadGenerator && multiple && x.References is null && !context.Catalog.IsEnabled("enable_create_table_from_source"))
            throw SqlException.Plan("multi-output sources require a FOR TABLES (..), FOR SCHEMAS (..) or FOR ALL TABLES statement", x.Position());
        SourceExports? exports = x.References switch
        {
            null => null,
            Ast.ExternalReferences.All => new SourceExports.AllTables(),
            Ast.ExternalReferences.Schemas schemas => new SourceExports.Schemas(schemas.Names.Select(n => n.Value).ToValueArray()),
            Ast.ExternalReferences.Tables tables => new SourceExports.Tables(tables.Items.Select(t => ExportOf(context, target, t)).ToValueArray()),
            _ => throw new System.Diagnostics.UnreachableException(),
        };
        FullName progress;
        if (x.ProgressSubsource is { } named)
        {
            progress = TargetOf(context, named, false, false, false).Name;
        }
        else
        {
            // A free name of our own.
            progress = target.Name with { Item = target.Name.Item + "_progress" };
            for (var i = 1; Exact(context.Catalog, progress) is not null && !context.Catalog.Session.IsSystem; i++)
                progress = target.Name with { Item = $"{target.Name.Item}_progress_{i}" };
        }

        // Subsources and progress are statements of their own in the catalog.
        var stored = NameNormalizer.StoredSql(
            context, x with { IfNotExists = false, InCluster = ClusterById(cluster), References = null, ProgressSubsource = NameNormalizer.ToAst(progress) });
        return new StatementPlan.CreateSource(target.Name, stored, x.IfNotExists, cluster.Id, connector)
        {
            SchemaId = target.SchemaId,
            Existing = x.IfNotExists ? target.Existing?.Id : null,
            Desc = desc,
            Exports = exports,
            ProgressName = progress,
            TimestampInterval = options.Duration("TIMESTAMP INTERVAL"),
            RetainHistory = options.RetainHistory(),
        };
    }

    private static KeyValuePair<string, FullName> ExportOf(StatementContext context, Target source, Ast.ExternalReference reference)
    {
        var name = reference.Alias is null
            ? source.Name with { Item = reference.Reference.Item.Value }
            : TargetOf(context, reference.Alias, false, false, false).Name;
        return KeyValuePair.Create(reference.Reference.ToString(), name);
    }

    private static CatalogItem ConnectionOf(StatementContext context, Ast.ObjectName name, string type, string display)
    {
        var item = context.ResolveItem(name);
        if (item.Kind != CatalogItemKind.Connection)
            throw SqlException.Plan($"{item.Name} is not a connection", name.Position());
        return item.ConnectorType is null || item.ConnectorType == type
            ? item
            : throw SqlException.Plan($"{item.Name} is not a {display} CONNECTION", name.Position());
    }

    private static (SourceConnector Connector, RelationDesc Desc) ConnectorOf(StatementContext context, Ast.Statement.CreateSource x)
    {
        switch (x.Connector)
        {
            case Ast.SourceConnector.Postgres c:
                {
                    NoFormat(x, "POSTGRES");
                    var options = new OptionReader("CREATE SOURCE", c.Options);
                    var publication = options.Text("PUBLICATION") ?? throw SqlException.Plan("PUBLICATION option is required", c.Position());
                    var connection = ConnectionOf(context, c.Connection, "postgres", "POSTGRES");
                    return (
                        new SourceConnector.Postgres(
                            connection.Id, publication, options.Texts("TEXT COLUMNS").ToValueArray(), options.Texts("EXCLUDE COLUMNS").ToValueArray()),
                        RelationDesc.Of(("lsn", SqlType.UInt64.Nullable())));
                }

            case Ast.SourceConnector.LoadGenerator c:
                return LoadGeneratorOf(context, x, c);
            case Ast.SourceConnector.Kafka:
                throw SqlException.Unsupported("Kafka sources", x.Position());
            case Ast.SourceConnector.MySql:
                throw SqlException.Unsupported("MySQL sources", x.Position());
            default:
                throw SqlException.Unsupported("SQL Server sources", x.Position());
        }
    }

    private static void NoFormat(Ast.Statement.CreateSource x, string what)
    {
        if (x.Format is not null)
            throw SqlException.Plan($"{what} sources do not support FORMAT", x.Position());
        if (x.Envelope is not (null or Ast.SourceEnvelope.None))
            throw SqlException.Plan($"{what} sources do not support this ENVELOPE", x.Position());
        if (x.Include.Count > 0)
            throw SqlException.Plan($"{what} sources do not support INCLUDE", x.Position());
    }

    private static (SourceConnector Connector, RelationDesc Desc) LoadGeneratorOf(
        StatementContext context, Ast.Statement.CreateSource x, Ast.SourceConnector.LoadGenerator c)
    {
        NoFormat(x, "LOAD GENERATOR");
        var (name, allowed, desc, flag) = c.Kind switch
        {
            Ast.LoadGeneratorKind.Auction => ("auction", (string[])[], RelationDesc.Empty, null),
            Ast.LoadGeneratorKind.Marketing => ("marketing", [], RelationDesc.Empty, null),
            Ast.LoadGeneratorKind.Tpch => ("tpch", ["SCALE FACTOR"], RelationDesc.Empty, null),
            Ast.LoadGeneratorKind.Counter => ("counter", ["MAX CARDINALITY"], RelationDesc.Of(("counter", SqlType.Int64.Nullable(false))), "enable_load_generator_counter"),
            Ast.LoadGeneratorKind.Clock => ("clock", (string[])[], RelationDesc.Of(("time", SqlType.TimestampTz.Nullable(false))), (string?)"enable_load_generator_clock"),
            Ast.LoadGeneratorKind.Datums => throw SqlException.Unsupported("LOAD GENERATOR DATUMS", c.Position()),
            _ => throw SqlException.Unsupported("LOAD GENERATOR KEY VALUE", c.Position()),
        };
        if (flag is not null && !context.Catalog.IsEnabled(flag) && !context.Catalog.Session.IsSystem)
            throw SqlException.Plan($"LOAD GENERATOR {name.ToUpperInvariant()} is not available", c.Position());
        var reader = new OptionReader("LOAD GENERATOR", c.Options);
        List<KeyValuePair<string, string>> options = [];
        foreach (var option in reader.All)
        {
            if (option.Name is not ("TICK INTERVAL" or "AS OF" or "UP TO") && !allowed.Contains(option.Name))
                throw SqlException.Plan($"{name.ToUpperInvariant()} load generators do not support {option.Name} values", option.Position());
            var value = option.Name == "TICK INTERVAL"
                ? ((long)reader.Duration(option.Name)!.Value.TotalMilliseconds).ToString(System.Globalization.CultureInfo.InvariantCulture)
                : OptionReader.AsText(option);
            options.Add(KeyValuePair.Create(option.Name.ToLowerInvariant(), value));
        }

        return (new SourceConnector.LoadGenerator(name, options.ToValueArray()), desc);
    }

    private static StatementPlan PlanCreateSubsource(StatementContext context, Ast.Statement.CreateSubsource x)
    {
        if (!context.Catalog.Session.IsSystem)
            throw SqlException.NeverSupported("CREATE SUBSOURCE by users", x.Position());
        var target = TargetOf(context, x.Name, false, x.IfNotExists, false);
        var (desc, _) = ColumnsOf(context, x.Columns, []);
        var keys = x.Constraints.OfType<Ast.TableConstraint.Unique>().Select(u => u.Columns.Select(c => desc.Names.AsSpan().IndexOf(c.Value)).ToValueArray());
        desc = desc with { Type = desc.Type with { Keys = keys.ToValueArray() } };
        var options = new OptionReader("CREATE SUBSOURCE", x.Options);
        var source = x.OfSource is null ? default : context.ResolveItem(x.OfSource).Id;
        return new StatementPlan.CreateSubsource(
            target.Name, NameNormalizer.StoredSql(context, x), x.IfNotExists, source, options.Text("EXTERNAL REFERENCE"), desc, options.Bool("PROGRESS") ?? false)
        {
            SchemaId = target.SchemaId,
            TextColumns = options.Texts("TEXT COLUMNS").ToValueArray(),
            ExcludeColumns = options.Texts("EXCLUDE COLUMNS").ToValueArray(),
        };
    }

    private static StatementPlan PlanCreateTableFromSource(StatementContext context, Ast.Statement.CreateTableFromSource x)
    {
        if (!context.Catalog.IsEnabled("enable_create_table_from_source") && !context.Catalog.Session.IsSystem)
            throw SqlException.Plan("CREATE TABLE ... FROM SOURCE is not available", x.Position());
        var target = TargetOf(context, x.Name, false, x.IfNotExists, false);
        var source = context.ResolveItem(x.Source);
        if (source.Kind != CatalogItemKind.Source)
            throw SqlException.Plan($"{source.Name} is not a source", x.Source.Position());
        if (x.Format is not null)
            throw SqlException.Unsupported("FORMAT in CREATE TABLE ... FROM SOURCE", x.Position());
        if (x.Reference is null && source.ConnectorType is "postgres" or "mysql" or "sql-server" or "load-generator")
            throw SqlException.Plan("CREATE TABLE ... FROM SOURCE must specify a REFERENCE for this source", x.Position());
        RelationDesc? desc = null;
        if (x.Columns.Count > 0)
            (desc, _) = ColumnsOf(context, x.Columns, []);
        var options = new OptionReader("CREATE TABLE", x.Options);
        var stored = NameNormalizer.StoredSql(context, x with { IfNotExists = false });
        return new StatementPlan.CreateTableFromSource(
            target.Name, stored, x.IfNotExists, source.Id, x.Reference?.ToString(), desc, null,
            options.Texts("TEXT COLUMNS").ToValueArray(), options.Texts("EXCLUDE COLUMNS").ToValueArray())
        {
            SchemaId = target.SchemaId,
            Existing = x.IfNotExists ? target.Existing?.Id : null,
        };
    }

    private static StatementPlan PlanCreateWebhook(StatementContext context, Ast.Statement.CreateWebhookSource x)
    {
        var target = TargetOf(context, x.Name, false, x.IfNotExists, false);
        if (x.Check is not null)
            throw SqlException.Unsupported("CHECK of a webhook", x.Check.Position());
        if (x.IsTable)
            throw SqlException.Unsupported("CREATE TABLE FROM WEBHOOK", x.Position());
        var cluster = ClusterOf(context, x.InCluster);
        var (body, type) = x.BodyFormat switch
        {
            Ast.FormatSpec.Bare { Format: Ast.Format.Json { Array: true } } => (WebhookBody.JsonArray, SqlType.Jsonb),
            Ast.FormatSpec.Bare { Format: Ast.Format.Json } => (WebhookBody.Json, SqlType.Jsonb),
            Ast.FormatSpec.Bare { Format: Ast.Format.Text } => (WebhookBody.Text, SqlType.String),
            Ast.FormatSpec.Bare { Format: Ast.Format.Bytes } => (WebhookBody.Bytes, SqlType.Bytes),
            _ => throw SqlException.Unsupported("this BODY FORMAT", x.BodyFormat.Position()),
        };
        List<(string, ColumnType)> columns = [("body", type.Nullable(false))];
        if (x.IncludeHeaders)
            columns.Add(("headers", SqlType.MapOf(SqlType.String).Nullable(false)));
        foreach (var header in x.MappedHeaders)
            columns.Add((header.Column.Value, (header.Bytes ? SqlType.Bytes : SqlType.String).Nullable()));
        var stored = NameNormalizer.StoredSql(context, x with { IfNotExists = false, InCluster = ClusterById(cluster) });
        var filters = x.HeaderFilters.Select(f => (f.Block ? "!" : "") + f.Header).ToValueArray();
        return new StatementPlan.CreateSource(
            target.Name, stored, x.IfNotExists, cluster.Id, new SourceConnector.Webhook(body, x.IncludeHeaders, filters))
        {
            SchemaId = target.SchemaId,
            Existing = x.IfNotExists ? target.Existing?.Id : null,
            Desc = RelationDesc.Of([.. columns]),
            ProgressName = target.Name,
        };
    }
}
