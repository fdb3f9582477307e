using Xunit;

namespace Materialize.Sql.Parser.Tests;

/// <summary>Whatever the text, the parser answers with statements or a <see cref="ParseException"/>; what it accepts, the printer can say.</summary>
public sealed class RobustnessTests
{
    private static readonly string[] Pieces =
    [
        "(", ")", "(", ")", "[", "]", ",", ";", ".", ":", "::", "*", "=", "=>", "+", "-", "||", "->", "@", "<", "'s'", "'", "\"q\"", "1", "2.5", "$1", "$$", "E'\\n'", "--", "/*",
        "a", "b", "t", "ü", "SELECT", "FROM", "WHERE", "GROUP BY", "ORDER BY", "LIMIT", "OFFSET", "FETCH FIRST", "ROWS", "UNION ALL", "INTERSECT", "EXCEPT", "WITH",
        "MUTUALLY RECURSIVE", "AS", "JOIN", "LEFT", "ON", "USING", "NATURAL", "CROSS", "LATERAL", "VALUES", "TABLE", "CASE", "WHEN", "THEN", "ELSE", "END",
        "CAST", "int", "list", "map", "array", "ROW", "NOT", "AND", "OR", "IS", "NULL", "IN", "LIKE", "BETWEEN", "ANY", "EXISTS", "INTERVAL", "DAY", "TO", "AT TIME ZONE",
        "COLLATE", "OPERATOR", "FILTER", "OVER", "PARTITION BY", "DISTINCT", "CREATE", "VIEW", "MATERIALIZED VIEW", "INDEX", "SOURCE", "SINK", "CLUSTER", "CONNECTION",
        "KAFKA", "FORMAT", "AVRO", "INCLUDE", "ENVELOPE", "UPSERT", "KEY", "FOR", "ALL", "ALTER", "SET", "RESET", "RENAME", "OWNER", "DROP", "CASCADE", "GRANT", "REVOKE",
        "INSERT INTO", "UPDATE", "DELETE FROM", "RETURNING", "SUBSCRIBE", "COPY", "STDIN", "EXPLAIN", "PLAN", "SHOW", "COLUMNS", "BEGIN", "COMMIT", "PREPARE", "EXECUTE",
        "DECLARE", "CURSOR", "OF", "UP", "trim", "extract", "position", "substring", "coalesce", "nullif", "IF NOT EXISTS", "REPLICA", "SIZE", "OPTIONS",
    ];

    private static void TryParse(string text)
    {
        IReadOnlyList<ParsedStatement> statements;
        try
        {
            statements = SqlParser.ParseStatements(text);
        }
        catch (ParseException e)
        {
            Assert.InRange(e.Position, 1, text.Length + 1);
            Assert.NotEmpty(e.Message);
            return;
        }
        foreach (var statement in statements)
            RoundTrip.Check(statement.Statement);
    }

    [Theory]
    [InlineData(1)]
    [InlineData(2)]
    public void Token_soup_is_parsed_or_refused(int seed)
    {
        var random = new Random(seed);
        for (var i = 0; i < 20000; i++)
        {
            var words = Enumerable.Range(0, random.Next(1, 25)).Select(_ => Pieces[random.Next(Pieces.Length)]);
            TryParse(string.Join(random.Next(5) == 0 ? "" : " ", words));
        }
    }

    [Fact]
    public void Damaged_statements_are_parsed_or_refused()
    {
        var random = new Random(3);
        var accepted = 0;
        foreach (var input in SpecFile.Inputs().Where(i => i.Length > 0))
        {
            for (var i = 0; i < 40; i++)
            {
                var words = input.Split(' ').ToList();
                for (var n = random.Next(1, 3); n > 0; n--)
                {
                    var at = random.Next(words.Count);
                    switch (random.Next(4))
                    {
                        case 0 when words.Count > 1: words.RemoveAt(at); break;
                        case 1: words.Insert(at, words[random.Next(words.Count)]); break;
                        case 2: words[at] = Pieces[random.Next(Pieces.Length)]; break;
                        default: words.Insert(at, Pieces[random.Next(Pieces.Length)]); break;
                    }
                }
                var text = string.Join(' ', words);
                TryParse(text);
                accepted++;
            }
        }
        Assert.True(accepted > 10000);
    }

    [Fact]
    public void Random_characters_are_parsed_or_refused()
    {
        var random = new Random(4);
        const string Alphabet = "aZ_09 \n\t'\"$.,;:()[]{}+-*/<>=~!@#%^&|`?\\é😀\0Ee";
        for (var i = 0; i < 20000; i++)
            TryParse(string.Concat(Enumerable.Range(0, random.Next(1, 40)).Select(_ => Alphabet[random.Next(Alphabet.Length)])));
    }

    public static TheoryData<string, string, string> Deep() => new()
    {
        { "SELECT ", "(", "" },
        { "SELECT ", "(", "1" },
        { "", "(", "SELECT 1" },
        { "SELECT ", "(SELECT ", "1" },
        { "SELECT * FROM ", "(", "t" },
        { "SELECT * FROM ", "(SELECT * FROM ", "t" },
        { "SELECT ", "NOT ", "a" },
        { "SELECT ", "- ", "a" },
        { "SELECT ", "~ ", "a" },
        { "SELECT ", "f(", "a" },
        { "SELECT ", "a[", "1" },
        { "SELECT ARRAY", "[", "1" },
        { "SELECT ", "CASE WHEN ", "a" },
        { "SELECT ", "CASE ", "a" },
        { "SELECT a IN ", "(", "1" },
        { "SELECT a = ANY ", "(", "1" },
        { "SELECT ", "EXISTS (SELECT ", "1" },
        { "SELECT a::", "map[", "text" },
        { "WITH ", "a AS (WITH ", "b" },
        { "EXPLAIN ", "EXPLAIN ", "SELECT 1" },
        { "PREPARE a AS ", "PREPARE a AS ", "SELECT 1" },
        { "CREATE SINK s FROM t INTO KAFKA CONNECTION c (TOPIC CONFIG ", "(", "" },
        { "SELECT a", " + (a", "" },
        { "SELECT a::int", " list", "" },
        { "SELECT a", " + a", "" },
        { "SELECT a", " AND a", "" },
        { "SELECT a", "::int", "" },
        { "SELECT a", " IS NULL", "" },
        { "SELECT (a)", ".b", "" },
        { "SELECT 1", " UNION SELECT 1", "" },
        { "SELECT 1", " LIKE 1", "" },
        { "SELECT a", " AT TIME ZONE a", "" },
    };

    [Theory]
    [MemberData(nameof(Deep))]
    public void Depth_is_refused_before_the_stack_ends(string start, string repeated, string end)
    {
        var text = start + string.Concat(Enumerable.Repeat(repeated, 900_000 / repeated.Length)) + end;
        var error = Assert.Throws<ParseException>(() => SqlParser.ParseStatements(text));
        Assert.Equal(ParseException.StatementTooComplex, error.SqlState);
        Assert.StartsWith("statement exceeds nested expression limit", error.Message);
    }

    [Fact]
    public void What_is_just_shallow_enough_can_be_walked_on_half_a_default_stack()
    {
        // The tallest trees the parser lets through, on half a megabyte of stack: parsed, printed, compared and hashed.
        string[] texts =
        [
            "SELECT a" + string.Concat(Enumerable.Repeat(" + a", Parser.MaxHeight - 10)),
            "SELECT 1" + string.Concat(Enumerable.Repeat(" UNION SELECT 1", Parser.MaxHeight - 20)),
            "SELECT " + string.Concat(Enumerable.Repeat("(", 60)) + "a" + string.Concat(Enumerable.Repeat(string.Concat(Enumerable.Repeat(" || b", 15)) + ")", 60)),
            "SELECT " + string.Concat(Enumerable.Repeat("f(", 120)) + "a" + new string(')', 120),
        ];
        Exception? failure = null;
        var thread = new Thread(
            () =>
            {
                try
                {
                    foreach (var text in texts)
                        RoundTrip.Check(SqlParser.ParseStatement(text).Statement);
                }
                catch (Exception e)
                {
                    failure = e;
                }
            },
            4 * 1024 * 1024);
        thread.Start();
        thread.Join();
        Assert.Null(failure);
    }

    [Fact]
    public void Breadth_is_not_depth()
    {
        var list = string.Join(", ", Enumerable.Repeat("1", 50_000));
        Assert.Single(SqlParser.ParseStatements($"SELECT a IN ({list})"));
        Assert.Single(SqlParser.ParseStatements($"INSERT INTO t VALUES {string.Join(", ", Enumerable.Repeat("(1, 2)", 50_000))}"));
        Assert.Equal(50_000, SqlParser.ParseStatements(string.Concat(Enumerable.Repeat("SELECT 1;", 50_000))).Count);
    }

    [Fact]
    public void A_batch_beyond_the_limit_is_refused_by_its_bytes()
    {
        var fits = "SELECT '" + new string('é', (SqlParser.MaxBatchBytes - 9) / 2) + "'";
        Assert.Single(SqlParser.ParseStatements(fits));
        var error = Assert.Throws<ParseException>(() => SqlParser.ParseStatements(fits + "  "));
        Assert.Equal(ParseException.ProgramLimitExceeded, error.SqlState);
    }

    [Fact]
    public void Identifiers_are_bounded_in_bytes()
    {
        Assert.Single(SqlParser.ParseStatements($"SELECT {new string('a', 255)}"));
        var error = Assert.Throws<ParseException>(() => SqlParser.ParseStatements($"SELECT 1, \"{new string('é', 128)}\""));
        Assert.Equal("identifier length exceeds 255 bytes", error.Message);
        Assert.Equal(11, error.Position);
        Assert.Throws<ParseException>(() => SqlParser.ParseStatements("SELECT \"..\""));
    }

    [Fact]
    public void Positions_count_characters_not_code_units()
    {
        var error = Assert.Throws<ParseException>(() => SqlParser.ParseStatements("SELECT '😀' FROM WHERE"));
        Assert.Equal(17, error.Position);
        Assert.Equal("Expected identifier, found WHERE", error.Message);
    }
}
