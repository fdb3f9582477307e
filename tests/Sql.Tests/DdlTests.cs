using Materialize.Repr;

namespace Materialize.Sql.Tests;

/// <summary>What is stored, and what falls with what.</summary>
public sealed class DdlTests
{
    private static Database Make() => Database.Of("CREATE TABLE t (a int NOT NULL, b numeric(10, 2) DEFAULT 1 + 1, c text)");

    [Theory]
    [InlineData(
        "CREATE TABLE x (a int NOT NULL, b text DEFAULT 'q')",
        "CREATE TABLE \"materialize\".\"public\".\"x\" (\"a\" \"pg_catalog\".\"int4\" NOT NULL, \"b\" \"pg_catalog\".\"text\" DEFAULT 'q')")]
    [InlineData(
        "CREATE VIEW w AS WITH t2 AS (SELECT a FROM t) SELECT t.a FROM t, t2",
        "CREATE VIEW \"materialize\".\"public\".\"w\" AS WITH \"t2\" AS (SELECT \"a\" FROM \"materialize\".\"public\".\"t\") SELECT \"t\".\"a\" FROM \"materialize\".\"public\".\"t\", \"t2\"")]
    [InlineData(
        "CREATE MATERIALIZED VIEW m AS SELECT count(*) FROM t",
        "CREATE MATERIALIZED VIEW \"materialize\".\"public\".\"m\" IN CLUSTER [u1] AS SELECT \"count\"(*) FROM \"materialize\".\"public\".\"t\"")]
    [InlineData(
        "CREATE DEFAULT INDEX ON t",
        "CREATE INDEX \"t_primary_idx\" IN CLUSTER [u1] ON \"materialize\".\"public\".\"t\" (\"a\", \"b\", \"c\")")]
    [InlineData("CREATE SECRET s AS 'hunter2'", "CREATE SECRET \"materialize\".\"public\".\"s\" AS '********'")]
    public void Stores_full_names(string sql, string stored)
    {
        var plan = Assert.IsType<StatementPlan.CreateItem>(Make().Plan(sql), exactMatch: false);
        Assert.Equal(stored, plan.CreateSql);
    }

    [Theory]
    [InlineData("CREATE TABLE x (a int NOT NULL, b text DEFAULT 'q')")]
    [InlineData("CREATE VIEW w AS SELECT a, b::int8 AS k FROM t WHERE a IN (SELECT a FROM t)")]
    [InlineData("CREATE MATERIALIZED VIEW m AS SELECT a FROM t")]
    [InlineData("CREATE INDEX i ON t (a, b + 1)")]
    public void Stored_statements_plan_to_themselves(string sql)
    {
        var database = Make();
        var first = Assert.IsType<StatementPlan.CreateItem>(database.Plan(sql), exactMatch: false);
        var again = Assert.IsType<StatementPlan.CreateItem>(database.Plan(first.CreateSql), exactMatch: false);
        Assert.Equal(first.CreateSql, again.CreateSql);
        Assert.Equal(first.DependsOn, again.DependsOn);
    }

    [Fact]
    public void Types_and_defaults_of_columns()
    {
        var table = Assert.IsType<StatementPlan.CreateTable>(Make().Plan("CREATE TABLE x (a int NOT NULL, b numeric(10, 2) DEFAULT 1 + 1)"));
        Assert.Equal(RelationDesc.Of(("a", SqlType.Int32.Nullable(false)), ("b", SqlType.NumericOf(2).Nullable())), table.Desc);
        Assert.Equal([null, "1 + 1"], table.Defaults);
    }

    [Fact]
    public void Missing_columns_get_their_default()
    {
        var database = Make();
        database.Execute("INSERT INTO t (c, a) VALUES ('x', 1), ('y', 2)");
        database.Execute("INSERT INTO t VALUES (3)");
        Assert.Equal("1|2|x\n2|2|y\n3|2|∅", database.Query("SELECT * FROM t"));
    }

    [Fact]
    public void Dropping_takes_indexes_along_and_cascades_to_views()
    {
        var database = Make();
        database.Execute("CREATE INDEX i ON t (a)");
        var plain = Assert.IsType<StatementPlan.DropObjects>(database.Plan("DROP TABLE t"));
        Assert.Equal(2, plain.All.Count);
        database.Execute("CREATE VIEW v AS SELECT a FROM t");
        database.Execute("CREATE VIEW w AS SELECT a FROM v");
        database.Fails("DROP TABLE t");
        var all = Assert.IsType<StatementPlan.DropObjects>(database.Plan("DROP TABLE t CASCADE"));
        Assert.Equal(4, all.All.Count);

        // Dependents come first.
        Assert.Equal(all.Named[0], all.All[3]);
    }

    [Fact]
    public void If_exists_and_if_not_exists_are_notices()
    {
        var database = Make();
        var created = Assert.IsType<StatementPlan.CreateTable>(database.Plan("CREATE TABLE IF NOT EXISTS t (z int)"));
        Assert.NotNull(created.Existing);
        Assert.Equal("table \"t\" already exists, skipping", Assert.Single(created.Notices).Message);
        var dropped = Assert.IsType<StatementPlan.DropObjects>(database.Plan("DROP TABLE IF EXISTS nope"));
        Assert.True(dropped.All.IsEmpty);
        Assert.Equal("table \"nope\" does not exist, skipping", Assert.Single(dropped.Notices).Message);
    }

    [Fact]
    public void Connections_name_their_secrets()
    {
        var database = Make();
        database.Execute("CREATE SECRET pw AS 'x'");
        var plan = Assert.IsType<StatementPlan.CreateConnection>(database.Plan(
            "CREATE CONNECTION pg TO POSTGRES (HOST 'localhost', PORT 5432, USER 'me', PASSWORD SECRET pw, DATABASE 'db', SSL MODE 'require') WITH (VALIDATE = false)"));
        Assert.Equal("postgres", plan.Details.Type);
        Assert.False(plan.Validate);
        Assert.IsType<ConnectionValue.Secret>(plan.Details.Find("password"));
        Assert.Equal(new ConnectionValue.Text("5432"), plan.Details.Find("port"));
        Assert.Single(plan.DependsOn);
        Assert.Equal("invalid PASSWORD: must provide a secret value", database.Fails("CREATE CONNECTION c TO POSTGRES (HOST 'h', USER 'u', DATABASE 'd', PASSWORD 'p')").Message);
        Assert.Equal("DATABASE option is required", database.Fails("CREATE CONNECTION c TO POSTGRES (HOST 'h', USER 'u')").Message);
    }

    [Fact]
    public void Postgres_sources_say_what_they_export()
    {
        var database = Make();
        database.Execute("CREATE CONNECTION pg TO POSTGRES (HOST 'localhost', USER 'me', DATABASE 'db')");
        var plan = Assert.IsType<StatementPlan.CreateSource>(database.Plan(
            "CREATE SOURCE s FROM POSTGRES CONNECTION pg (PUBLICATION 'p', TEXT COLUMNS (x.y.z)) FOR TABLES (public.a, other.b AS bb)"));
        var connector = Assert.IsType<SourceConnector.Postgres>(plan.Connector);
        Assert.Equal(("p", "x.y.z"), (connector.Publication, Assert.Single(connector.TextColumns)));
        var tables = Assert.IsType<SourceExports.Tables>(plan.Exports).References;
        Assert.Equal(["public.a", "other.b"], tables.Select(t => t.Key));
        Assert.Equal(["a", "bb"], tables.Select(t => t.Value.Item));
        Assert.Equal("s_progress", plan.ProgressName.Item);
        Assert.DoesNotContain("FOR TABLES", plan.CreateSql);
    }

    [Fact]
    public void Updates_and_deletes_read_then_write()
    {
        var database = Make();
        var update = Assert.IsType<StatementPlan.ReadThenWrite>(database.Plan("UPDATE t SET b = a + 1 WHERE c = 'x'"));
        Assert.Equal((MutationKind.Update, 1), (update.Kind, Assert.Single(update.Assignments).Column));
        database.Execute("INSERT INTO t VALUES (1, 1, 'x'), (2, 2, 'y')");
        Assert.Equal("1|1|x", Assert.Single(database.Rows(update.Selection)));
        var delete = Assert.IsType<StatementPlan.ReadThenWrite>(database.Plan("DELETE FROM t USING (VALUES (1), (1)) AS k (n) WHERE t.a = k.n"));
        Assert.Equal("1|1|x", Assert.Single(database.Rows(delete.Selection)));
    }

    [Fact]
    public void Subscribes_prepend_time_and_diff()
    {
        var plan = Assert.IsType<StatementPlan.Subscribe>(Make().Plan("SUBSCRIBE t WITH (PROGRESS, SNAPSHOT = false) UP TO 100"));
        Assert.Equal(["mz_timestamp", "mz_progressed", "mz_diff", "a", "b", "c"], plan.ResultDesc.Names);
        Assert.Equal((true, false, 100UL), (plan.Progress, plan.Snapshot, plan.UpToMs));
        var upsert = Assert.IsType<StatementPlan.Subscribe>(Make().Plan("SUBSCRIBE (SELECT a, c FROM t) ENVELOPE UPSERT (KEY (a))"));
        Assert.Equal(["mz_timestamp", "mz_state", "a", "c"], upsert.ResultDesc.Names);
    }

    [Fact]
    public void As_of_is_a_time_in_milliseconds()
    {
        var at = Assert.IsType<StatementPlan.Select>(Make().Plan("SELECT * FROM t AS OF AT LEAST 5000"));
        Assert.Equal(new QueryWhen.AtLeastTimestamp(5000), at.When);
        var date = Assert.IsType<StatementPlan.Select>(Make().Plan("SELECT * FROM t AS OF TIMESTAMP '1970-01-01 00:00:01'"));
        Assert.Equal(new QueryWhen.AtTimestamp(1000), date.When);
    }

    [Fact]
    public void Copy_reads_its_options()
    {
        var plan = Assert.IsType<StatementPlan.CopyFrom>(Make().Plan("COPY t (c, a) FROM STDIN WITH (FORMAT csv, DELIMITER '|', HEADER)"));
        Assert.Equal([2, 0], plan.Columns);
        Assert.Equal(new CopyFromOptions(CopyFormat.Csv, '|', "", '"', '"', true), plan.Options);
        Assert.Equal(CopyFormat.Csv, Assert.IsType<StatementPlan.Select>(Make().Plan("COPY (SELECT 1) TO STDOUT WITH (FORMAT csv)")).CopyTo);
    }

    [Fact]
    public void Fetch_has_a_timeout()
    {
        var plan = Assert.IsType<StatementPlan.Fetch>(Make().Plan("FETCH 5 c WITH (TIMEOUT = '1s')"));
        Assert.Equal(new StatementPlan.Fetch("c", 5, TimeSpan.FromSeconds(1)), plan);
    }

    [Fact]
    public void Custom_types_only_equal_themselves()
    {
        var database = Make();
        database.Execute("CREATE TYPE il AS LIST (ELEMENT TYPE = int4)");
        database.Execute("CREATE TABLE lists (l il)");
        database.Execute("INSERT INTO lists VALUES ('{1,2}'), (LIST[3])");
        Assert.Equal("1\n3", database.Query("SELECT l[1] FROM lists"));
    }
}
