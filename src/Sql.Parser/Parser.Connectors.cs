using Materialize.Sql.Parser.Ast;

namespace Materialize.Sql.Parser;

internal sealed partial class Parser
{
    private static readonly (string Words, ConnectionType Type)[] ConnectionTypes =
    [
        ("AWS PRIVATELINK", ConnectionType.AwsPrivateLink), ("AWS", ConnectionType.Aws), ("KAFKA", ConnectionType.Kafka),
        ("CONFLUENT SCHEMA REGISTRY", ConnectionType.ConfluentSchemaRegistry), ("POSTGRES", ConnectionType.Postgres), ("MYSQL", ConnectionType.MySql),
        ("SQL SERVER", ConnectionType.SqlServer), ("SSH TUNNEL", ConnectionType.SshTunnel), ("ICEBERG CATALOG", ConnectionType.IcebergCatalog),
    ];

    internal static string ConnectionWords(ConnectionType type) => Array.Find(ConnectionTypes, t => t.Type == type).Words;

    private Statement ParseCreateConnection()
    {
        var unless = ParseIfNotExists();
        var name = ParseObjectName();
        var old = ExpectOneOf("TO", "FOR") == "FOR";
        ConnectionType? type = null;
        foreach (var (words, candidate) in ConnectionTypes)
            if (type is null && Accept(words))
                type = candidate;
        if (type is null)
            throw ExpectedOneOf(ConnectionTypes.Select(t => t.Words).ToArray());
        var options = old && !Is(TokenKind.LParen) ? CommaSeparated(() => ParseOption(OptionNames.Connection)) : ParseOptionList(OptionNames.Connection);
        return new Statement.CreateConnection(name, type.Value, unless, options, ParseOptionalWithOptions(OptionNames.Validate));
    }

    private Statement ParseCreateSource()
    {
        var unless = ParseIfNotExists();
        var name = ParseObjectName();
        var columns = new List<Ident>();
        AstList<Ident>? key = null;
        if (Accept(TokenKind.LParen))
        {
            do
            {
                if (IsWords("PRIMARY KEY"))
                {
                    Expect("PRIMARY KEY");
                    key = ParseColumnNames();
                    Expect("NOT ENFORCED");
                }
                else
                {
                    columns.Add(ParseIdent());
                }
            }
            while (Accept(TokenKind.Comma));
            Expect(TokenKind.RParen);
        }
        var cluster = ParseOptionalInCluster();
        Expect("FROM");
        if (Accept("WEBHOOK"))
            return ParseWebhook(name, unless, false, cluster);
        var start = Current.Start;
        var connector = ParseSourceConnector() with { Span = SpanFrom(start) };
        var format = ParseOptionalFormatSpec();
        var include = ParseOptionalInclude();
        var envelope = Accept("ENVELOPE") ? ParseSourceEnvelope() : null;
        var references = ParseOptionalReferences();
        var progress = Accept("EXPOSE PROGRESS AS") ? ParseObjectName() : null;
        return new Statement.CreateSource(
            name, unless, cluster, columns.ToAstList(), key, connector, format, include, envelope, references, progress,
            ParseOptionalWithOptions(OptionNames.Source));
    }

    private SourceConnector ParseSourceConnector()
    {
        var kind = ExpectOneOf("KAFKA CONNECTION", "POSTGRES CONNECTION", "MYSQL CONNECTION", "SQL SERVER CONNECTION", "LOAD GENERATOR");
        if (kind == "LOAD GENERATOR")
        {
            var generator = ExpectOneOf("CLOCK", "COUNTER", "MARKETING", "AUCTION", "DATUMS", "TPCH", "KEY VALUE") switch
            {
                "CLOCK" => LoadGeneratorKind.Clock,
                "COUNTER" => LoadGeneratorKind.Counter,
                "MARKETING" => LoadGeneratorKind.Marketing,
                "AUCTION" => LoadGeneratorKind.Auction,
                "DATUMS" => LoadGeneratorKind.Datums,
                "TPCH" => LoadGeneratorKind.Tpch,
                _ => LoadGeneratorKind.KeyValue,
            };
            return new SourceConnector.LoadGenerator(generator, ParseOptionalOptionList(OptionNames.LoadGenerator));
        }
        var connection = ParseObjectName();
        return kind switch
        {
            "KAFKA CONNECTION" => new SourceConnector.Kafka(connection, ParseOptionalOptionList(OptionNames.KafkaSource)),
            "POSTGRES CONNECTION" => new SourceConnector.Postgres(connection, ParseOptionalOptionList(OptionNames.Postgres)),
            "MYSQL CONNECTION" => new SourceConnector.MySql(connection, ParseOptionalOptionList(OptionNames.MySql)),
            _ => new SourceConnector.SqlServer(connection, ParseOptionalOptionList(OptionNames.SqlServer)),
        };
    }

    private ExternalReferences? ParseOptionalReferences()
    {
        var start = Current.Start;
        ExternalReferences? references =
            Accept("FOR ALL TABLES") ? new ExternalReferences.All()
            : Accept("FOR SCHEMAS") ? new ExternalReferences.Schemas(ParseColumnNames())
            : Accept("FOR TABLES") ? new ExternalReferences.Tables(Parenthesized(ParseExternalReference))
            : null;
        return references is null ? null : references with { Span = SpanFrom(start) };
    }

    private ExternalReference ParseExternalReference()
    {
        var start = Current.Start;
        var reference = ParseWordName();
        var alias = AcceptOneOf("AS", "INTO") is not null ? ParseObjectName() : null;
        return new ExternalReference(reference, alias) { Span = SpanFrom(start) };
    }

    private Statement ParseCreateSubsource()
    {
        var unless = ParseIfNotExists();
        var name = ParseObjectName();
        var columns = new List<ColumnDef>();
        var constraints = new List<TableConstraint>();
        ParseColumns(columns, [], constraints, false);
        var source = Accept("OF SOURCE") ? ParseObjectName() : null;
        return new Statement.CreateSubsource(
            name, columns.ToAstList(), constraints.ToAstList(), source, unless, ParseOptionalWithOptions(OptionNames.Subsource));
    }

    /// <summary>Behind FROM WEBHOOK.</summary>
    private Statement ParseWebhook(ObjectName name, bool unless, bool isTable, ClusterName? cluster)
    {
        Expect("BODY FORMAT");
        var start = Current.Start;
        var body = new FormatSpec.Bare(ParseFormat()) { Span = SpanFrom(start) };
        var mapped = new List<WebhookHeader>();
        var headers = false;
        AstList<WebhookHeaderFilter> filters = [];
        while (IsWords("INCLUDE HEADER") || IsWords("INCLUDE HEADERS"))
        {
            var from = Current.Start;
            Expect("INCLUDE");
            if (Accept("HEADER"))
            {
                var header = ParseString();
                Expect("AS");
                var column = ParseAnyIdent();
                mapped.Add(new WebhookHeader(header, column, Accept("BYTES")) { Span = SpanFrom(from) });
            }
            else
            {
                Expect("HEADERS");
                headers = true;
                if (Is(TokenKind.LParen))
                    filters = Parenthesized(() =>
                    {
                        var at = Current.Start;
                        var block = Accept("NOT");
                        return new WebhookHeaderFilter(ParseString(), block) { Span = SpanFrom(at) };
                    });
            }
        }
        var check = Accept("CHECK") ? ParseWebhookCheck() : null;
        return new Statement.CreateWebhookSource(name, unless, isTable, cluster, body, mapped.ToAstList(), headers, filters, check);
    }

    private WebhookCheck ParseWebhookCheck()
    {
        var start = Current.Start;
        Expect(TokenKind.LParen);
        var inputs = Accept("WITH")
            ? Parenthesized(() =>
            {
                var from = Current.Start;
                var kind = ExpectOneOf("HEADERS", "BODY", "SECRET") switch
                {
                    "HEADERS" => WebhookCheckInputKind.Headers,
                    "BODY" => WebhookCheckInputKind.Body,
                    _ => WebhookCheckInputKind.Secret,
                };
                var secret = kind == WebhookCheckInputKind.Secret ? ParseObjectName() : null;
                var alias = Accept("AS") ? ParseAnyIdent() : null;
                return new WebhookCheckInput(kind, secret, alias, Accept("BYTES")) { Span = SpanFrom(from) };
            })
            : [];
        var condition = ParseExpr();
        Expect(TokenKind.RParen);
        return new WebhookCheck(inputs, condition) { Span = SpanFrom(start) };
    }

    private Statement ParseCreateSink()
    {
        var unless = ParseIfNotExists();
        var name = !unless && (IsWords("IN CLUSTER") || IsWord("FROM")) ? null : ParseObjectName();
        var cluster = ParseOptionalInCluster();
        Expect("FROM");
        var from = ParseObjectName();
        Expect("INTO");
        var start = Current.Start;
        var connector = ParseSinkConnector() with { Span = SpanFrom(start) };
        var format = ParseOptionalFormatSpec();
        SinkEnvelope? envelope = Accept("ENVELOPE") ? ExpectOneOf("DEBEZIUM", "UPSERT") == "DEBEZIUM" ? SinkEnvelope.Debezium : SinkEnvelope.Upsert : null;
        SinkMode? mode = Accept("MODE") ? ExpectOneOf("UPSERT", "APPEND") == "UPSERT" ? SinkMode.Upsert : SinkMode.Append : null;
        return new Statement.CreateSink(
            name, unless, cluster, from, connector, format, envelope, mode, ParseOptionalWithOptions(OptionNames.Sink));
    }

    private SinkConnector ParseSinkConnector()
    {
        if (ExpectOneOf("KAFKA CONNECTION", "ICEBERG CATALOG CONNECTION") == "KAFKA CONNECTION")
        {
            var kafka = ParseObjectName();
            var options = ParseOptionalOptionList(OptionNames.KafkaSink);
            var key = ParseOptionalSinkKey();
            return new SinkConnector.Kafka(kafka, options, key, Accept("HEADERS") ? ParseIdent() : null);
        }
        var catalog = ParseObjectName();
        var tableOptions = ParseOptionalOptionList(OptionNames.Iceberg);
        Expect("USING AWS CONNECTION");
        var aws = ParseObjectName();
        return new SinkConnector.Iceberg(catalog, tableOptions, aws, ParseOptionalSinkKey());
    }

    private SinkKey? ParseOptionalSinkKey()
    {
        var start = Current.Start;
        if (IsWords("KEY FORMAT") || !Accept("KEY"))
            return null;
        var columns = ParseColumnNames();
        return new SinkKey(columns, Accept("NOT ENFORCED")) { Span = SpanFrom(start) };
    }

    // Formats, metadata, envelopes.

    private FormatSpec? ParseOptionalFormatSpec()
    {
        var start = Current.Start;
        if (Accept("KEY FORMAT"))
        {
            var key = ParseFormat();
            Expect("VALUE FORMAT");
            var value = ParseFormat();
            return new FormatSpec.KeyValue(key, value) { Span = SpanFrom(start) };
        }
        if (!Accept("FORMAT"))
            return null;
        var format = ParseFormat();
        return new FormatSpec.Bare(format) { Span = SpanFrom(start) };
    }

    private Format ParseFormat()
    {
        var start = Current.Start;
        return ParseFormatBody() with { Span = SpanFrom(start) };
    }

    private Format ParseFormatBody()
    {
        switch (ExpectOneOf("AVRO", "PROTOBUF", "REGEX", "CSV", "JSON", "TEXT", "BYTES"))
        {
            case "AVRO":
                Expect("USING");
                var start = Current.Start;
                if (Accept("SCHEMA"))
                {
                    var schema = ParseString();
                    var options = ParseOptionalOptionList(OptionNames.InlineAvro);
                    return new Format.Avro(new AvroSchema.Inline(schema, options) { Span = SpanFrom(start) });
                }
                return new Format.Avro(new AvroSchema.Registry(ParseRegistry(false)) { Span = SpanFrom(start) });
            case "PROTOBUF":
                if (Accept("MESSAGE"))
                {
                    var message = ParseString();
                    Expect("USING SCHEMA");
                    return new Format.ProtobufInline(message, ParseString());
                }
                Expect("USING");
                return new Format.ProtobufRegistry(ParseRegistry(true));
            case "REGEX":
                return new Format.Regex(ParseString());
            case "CSV":
                return ParseCsv();
            case "JSON":
                return new Format.Json(Accept("ARRAY"));
            case "TEXT":
                return new Format.Text();
            default:
                return new Format.Bytes();
        }
    }

    private Format ParseCsv()
    {
        Expect("WITH");
        int? columns = null;
        AstList<Ident> header = [];
        if (AcceptOneOf("HEADER", "HEADERS") is not null)
        {
            header = ParseOptionalColumnNames();
        }
        else
        {
            columns = ParseInt();
            ExpectOneOf("COLUMNS", "COLUMN");
        }
        var delimiter = ',';
        if (Accept("DELIMITED BY"))
        {
            var start = Current.Start;
            var value = ParseString();
            delimiter = value.Length == 1 ? value[0] : throw ErrorAt(start, "Expected one-character string");
        }
        return new Format.Csv(columns, header, delimiter);
    }

    private SchemaRegistry ParseRegistry(bool protobuf)
    {
        var start = Current.Start;
        Expect("CONFLUENT SCHEMA REGISTRY CONNECTION");
        var connection = ParseObjectName();
        var options = new List<SqlOption>();
        var docs = new List<RegistryDoc>();
        if (Accept(TokenKind.LParen))
        {
            do
            {
                if (IsWords("DOC ON") || IsWords("KEY DOC") || IsWords("VALUE DOC"))
                    docs.Add(ParseRegistryDoc());
                else
                    options.Add(ParseOption(OptionNames.Registry));
            }
            while (Accept(TokenKind.Comma));
            Expect(TokenKind.RParen);
        }
        ReaderSchemaStrategy? key = null, value = null;
        RegistrySeed? seed = null;
        if (Accept("KEY STRATEGY"))
            key = ParseStrategy();
        if (Accept("VALUE STRATEGY"))
            value = ParseStrategy();
        if (Accept("SEED"))
        {
            var from = Current.Start;
            string? keySchema = null, keyMessage = null;
            if (Accept("KEY SCHEMA"))
            {
                keySchema = ParseString();
                keyMessage = protobuf && Accept("MESSAGE") ? ParseString() : null;
            }
            Expect("VALUE SCHEMA");
            var valueSchema = ParseString();
            var valueMessage = protobuf && Accept("MESSAGE") ? ParseString() : null;
            seed = new RegistrySeed(keySchema, keyMessage, valueSchema, valueMessage) { Span = SpanFrom(from) };
        }
        return new SchemaRegistry(connection, options.ToAstList(), docs.ToAstList(), key, value, seed) { Span = SpanFrom(start) };
    }

    private RegistryDoc ParseRegistryDoc()
    {
        var start = Current.Start;
        bool? forKey = AcceptOneOf("KEY", "VALUE") switch { "KEY" => true, "VALUE" => false, _ => null };
        Expect("DOC ON");
        var column = ExpectOneOf("TYPE", "COLUMN") == "COLUMN";
        var target = ParseObjectName();
        Accept(TokenKind.Eq);
        var doc = ParseString();
        return new RegistryDoc(forKey, column, target, doc) { Span = SpanFrom(start) };
    }

    private ReaderSchemaStrategy ParseStrategy()
    {
        var start = Current.Start;
        ReaderSchemaStrategy strategy = ExpectOneOf("INLINE", "ID", "LATEST") switch
        {
            "INLINE" => new ReaderSchemaStrategy.Inline(ParseString()),
            "ID" => new ReaderSchemaStrategy.Id(ParseInt()),
            _ => new ReaderSchemaStrategy.Latest(),
        };
        return strategy with { Span = SpanFrom(start) };
    }

    private AstList<SourceInclude> ParseOptionalInclude() => Accept("INCLUDE")
        ? CommaSeparated(() =>
        {
            var start = Current.Start;
            var word = ExpectOneOf("KEY", "TIMESTAMP", "PARTITION", "OFFSET", "HEADERS", "HEADER");
            var kind = word switch
            {
                "KEY" => SourceIncludeKind.Key,
                "TIMESTAMP" => SourceIncludeKind.Timestamp,
                "PARTITION" => SourceIncludeKind.Partition,
                "OFFSET" => SourceIncludeKind.Offset,
                "HEADERS" => SourceIncludeKind.Headers,
                _ => SourceIncludeKind.Header,
            };
            var header = kind == SourceIncludeKind.Header ? ParseString() : null;
            if (header is not null)
                Expect("AS");
            var alias = header is not null || Accept("AS") ? ParseAnyIdent() : null;
            return new SourceInclude(kind, header, alias, header is not null && Accept("BYTES")) { Span = SpanFrom(start) };
        })
        : [];

    private SourceEnvelope ParseSourceEnvelope()
    {
        var start = Current.Start;
        SourceEnvelope envelope = ExpectOneOf("NONE", "DEBEZIUM", "MATERIALIZE", "UPSERT") switch
        {
            "NONE" => new SourceEnvelope.None(),
            "DEBEZIUM" => new SourceEnvelope.Debezium(),
            "MATERIALIZE" => new SourceEnvelope.Materialize(),
            _ => ParseUpsert(),
        };
        return envelope with { Span = SpanFrom(start) };
    }

    private SourceEnvelope ParseUpsert()
    {
        if (!Accept(TokenKind.LParen))
            return new SourceEnvelope.Upsert(false, null);
        Expect("VALUE DECODING ERRORS");
        Accept(TokenKind.Eq);
        var inner = Accept(TokenKind.LParen);
        Expect("INLINE");
        var alias = Accept("AS") ? ParseAnyIdent() : null;
        if (inner)
            Expect(TokenKind.RParen);
        Expect(TokenKind.RParen);
        return new SourceEnvelope.Upsert(true, alias);
    }
}
