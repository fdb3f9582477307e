using System.Diagnostics;
using Materialize.Sql.Parser.Ast;

namespace Materialize.Sql.Parser;

internal sealed partial class SqlWriter
{
    private void Source(Statement.CreateSource x)
    {
        W("CREATE SOURCE ").If(x.IfNotExists, "IF NOT EXISTS ");
        Name(x.Name);
        if (x.Columns.Count > 0 || x.PrimaryKeyNotEnforced is not null)
        {
            W(" (");
            List(x.Columns, Word);
            if (x.PrimaryKeyNotEnforced is { } key)
            {
                If(x.Columns.Count > 0, ", ").W("PRIMARY KEY ");
                Columns(key);
                W(" NOT ENFORCED");
            }
            W(")");
        }
        InCluster(x.InCluster);
        W(" FROM ");
        switch (x.Connector)
        {
            case SourceConnector.Kafka c: Connector("KAFKA CONNECTION ", c.Connection, c.Options); break;
            case SourceConnector.Postgres c: Connector("POSTGRES CONNECTION ", c.Connection, c.Options); break;
            case SourceConnector.MySql c: Connector("MYSQL CONNECTION ", c.Connection, c.Options); break;
            case SourceConnector.SqlServer c: Connector("SQL SERVER CONNECTION ", c.Connection, c.Options); break;
            case SourceConnector.LoadGenerator c:
                W("LOAD GENERATOR ").W(c.Kind == LoadGeneratorKind.KeyValue ? "KEY VALUE" : c.Kind.ToString().ToUpperInvariant());
                OptionalOptions(" ", c.Options);
                break;
            default: throw new UnreachableException(x.Connector.GetType().Name);
        }
        Decoding(x.Format, x.Include, x.Envelope);
        switch (x.References)
        {
            case ExternalReferences.All: W(" FOR ALL TABLES"); break;
            case ExternalReferences.Schemas r:
                W(" FOR SCHEMAS ");
                Columns(r.Names);
                break;
            case ExternalReferences.Tables r:
                W(" FOR TABLES ");
                Parens(r.Items, Reference);
                break;
        }
        if (x.ProgressSubsource is not null)
        {
            W(" EXPOSE PROGRESS AS ");
            Name(x.ProgressSubsource);
        }
        With(x.Options);
    }

    private void Connector(string words, ObjectName connection, IReadOnlyList<SqlOption> options)
    {
        W(words);
        Name(connection);
        OptionalOptions(" ", options);
    }

    private void Reference(ExternalReference reference)
    {
        Name(reference.Reference);
        if (reference.Alias is null)
            return;
        W(" AS ");
        Name(reference.Alias);
    }

    private void Decoding(FormatSpec? format, IReadOnlyList<SourceInclude> include, SourceEnvelope? envelope)
    {
        if (format is not null)
        {
            W(" ");
            Format(format);
        }
        Clause(include, " INCLUDE ", i =>
        {
            W(i.Kind.ToString().ToUpperInvariant());
            if (i.Header is not null)
            {
                W(" ");
                Str(i.Header);
            }
            if (i.Alias is not null)
            {
                W(" AS ");
                Ident(i.Alias);
            }
            If(i.Bytes, " BYTES");
        });
        if (envelope is null)
            return;
        W(" ");
        Envelope(envelope);
    }

    public void Envelope(SourceEnvelope envelope)
    {
        W("ENVELOPE ");
        switch (envelope)
        {
            case SourceEnvelope.None: W("NONE"); break;
            case SourceEnvelope.Debezium: W("DEBEZIUM"); break;
            case SourceEnvelope.Materialize: W("MATERIALIZE"); break;
            case SourceEnvelope.Upsert x:
                W("UPSERT");
                if (!x.InlineErrors)
                    break;
                W(" (VALUE DECODING ERRORS = (INLINE");
                if (x.ErrorAlias is not null)
                {
                    W(" AS ");
                    Ident(x.ErrorAlias);
                }
                W("))");
                break;
            default: throw new UnreachableException(envelope.GetType().Name);
        }
    }

    public void Format(FormatSpec format)
    {
        switch (format)
        {
            case FormatSpec.Bare x:
                W("FORMAT ");
                Format(x.Format);
                break;
            case FormatSpec.KeyValue x:
                W("KEY FORMAT ");
                Format(x.Key);
                W(" VALUE FORMAT ");
                Format(x.Value);
                break;
            default: throw new UnreachableException(format.GetType().Name);
        }
    }

    public void Format(Format format)
    {
        switch (format)
        {
            case Ast.Format.Bytes: W("BYTES"); break;
            case Ast.Format.Text: W("TEXT"); break;
            case Ast.Format.Json x: W(x.Array ? "JSON ARRAY" : "JSON"); break;
            case Ast.Format.Avro { Schema: AvroSchema.Registry x }:
                W("AVRO USING ");
                Registry(x.Value);
                break;
            case Ast.Format.Avro { Schema: AvroSchema.Inline x }:
                W("AVRO USING SCHEMA ");
                Str(x.Schema);
                OptionalOptions(" ", x.Options);
                break;
            case Ast.Format.ProtobufRegistry x:
                W("PROTOBUF USING ");
                Registry(x.Registry);
                break;
            case Ast.Format.ProtobufInline x:
                W("PROTOBUF MESSAGE ");
                Str(x.Message);
                W(" USING SCHEMA ");
                Str(x.Schema);
                break;
            case Ast.Format.Regex x:
                W("REGEX ");
                Str(x.Pattern);
                break;
            case Ast.Format.Csv x:
                if (x.ColumnCount is { } count)
                {
                    W($"CSV WITH {count} COLUMNS");
                }
                else
                {
                    W("CSV WITH HEADER");
                    OptionalColumns(x.Header);
                }
                if (x.Delimiter != ',')
                    W(" DELIMITED BY ").W(AstPrinter.QuoteString(x.Delimiter.ToString()));
                break;
            default: throw new UnreachableException(format.GetType().Name);
        }
    }

    private void Registry(SchemaRegistry x)
    {
        W("CONFLUENT SCHEMA REGISTRY CONNECTION ");
        Name(x.Connection);
        if (x.Options.Count + x.Docs.Count > 0)
        {
            W(" (");
            List(x.Options, Option);
            If(x.Options.Count > 0 && x.Docs.Count > 0, ", ");
            List(x.Docs, d =>
            {
                If(d.ForKey == true, "KEY ").If(d.ForKey == false, "VALUE ").W("DOC ON ").W(d.OnColumn ? "COLUMN " : "TYPE ");
                Name(d.Target);
                W(" = ");
                Str(d.Text);
            });
            W(")");
        }
        Strategy(" KEY STRATEGY ", x.KeyStrategy);
        Strategy(" VALUE STRATEGY ", x.ValueStrategy);
        if (x.Seed is not { } seed)
            return;
        W(" SEED");
        Seed(" KEY SCHEMA ", seed.KeySchema, seed.KeyMessage);
        Seed(" VALUE SCHEMA ", seed.ValueSchema, seed.ValueMessage);
    }

    private void Seed(string words, string? schema, string? message)
    {
        if (schema is null)
            return;
        W(words);
        Str(schema);
        if (message is null)
            return;
        W(" MESSAGE ");
        Str(message);
    }

    private void Strategy(string words, ReaderSchemaStrategy? strategy)
    {
        if (strategy is null)
            return;
        W(words);
        switch (strategy)
        {
            case ReaderSchemaStrategy.Inline x:
                W("INLINE ");
                Str(x.Schema);
                break;
            case ReaderSchemaStrategy.Id x: W($"ID {x.Value}"); break;
            case ReaderSchemaStrategy.Latest: W("LATEST"); break;
            default: throw new UnreachableException(strategy.GetType().Name);
        }
    }

    private void Webhook(Statement.CreateWebhookSource x)
    {
        W(x.IsTable ? "CREATE TABLE " : "CREATE SOURCE ").If(x.IfNotExists, "IF NOT EXISTS ");
        Name(x.Name);
        InCluster(x.InCluster);
        W(" FROM WEBHOOK BODY ");
        Format(x.BodyFormat);
        foreach (var header in x.MappedHeaders)
        {
            W(" INCLUDE HEADER ");
            Str(header.Header);
            W(" AS ");
            Ident(header.Column);
            If(header.Bytes, " BYTES");
        }
        if (x.IncludeHeaders)
        {
            W(" INCLUDE HEADERS");
            if (x.HeaderFilters.Count > 0)
            {
                W(" ");
                Parens(x.HeaderFilters, f =>
                {
                    If(f.Block, "NOT ");
                    Str(f.Header);
                });
            }
        }
        if (x.Check is not { } check)
            return;
        W(" CHECK (");
        if (check.Inputs.Count > 0)
        {
            W("WITH ");
            Parens(check.Inputs, i =>
            {
                W(i.Kind.ToString().ToUpperInvariant());
                if (i.Secret is not null)
                {
                    W(" ");
                    Name(i.Secret);
                }
                if (i.Alias is not null)
                {
                    W(" AS ");
                    Ident(i.Alias);
                }
                If(i.Bytes, " BYTES");
            });
            W(" ");
        }
        Expr(check.Condition);
        W(")");
    }

    private void Sink(Statement.CreateSink x)
    {
        W("CREATE SINK").If(x.IfNotExists, " IF NOT EXISTS");
        if (x.Name is not null)
        {
            W(" ");
            Name(x.Name);
        }
        InCluster(x.InCluster);
        W(" FROM ");
        Name(x.From);
        W(" INTO ");
        switch (x.Connector)
        {
            case SinkConnector.Kafka c:
                Connector("KAFKA CONNECTION ", c.Connection, c.Options);
                Key(c.Key);
                if (c.Headers is not null)
                {
                    W(" HEADERS ");
                    Ident(c.Headers);
                }
                break;
            case SinkConnector.Iceberg c:
                Connector("ICEBERG CATALOG CONNECTION ", c.Connection, c.Options);
                W(" USING AWS CONNECTION ");
                Name(c.AwsConnection);
                Key(c.Key);
                break;
            default: throw new UnreachableException(x.Connector.GetType().Name);
        }
        Decoding(x.Format, [], null);
        if (x.Envelope is { } envelope)
            W(" ENVELOPE ").W(envelope.ToString().ToUpperInvariant());
        if (x.Mode is { } sinkMode)
            W(" MODE ").W(sinkMode.ToString().ToUpperInvariant());
        With(x.Options);
    }

    private void Key(SinkKey? key)
    {
        if (key is null)
            return;
        W(" KEY ");
        Columns(key.Columns);
        If(key.NotEnforced, " NOT ENFORCED");
    }
}
