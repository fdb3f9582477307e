using System.Diagnostics;
using System.Text;

namespace Materialize.Sql.Tests;

/// <summary>Random queries against PostgreSQL, where it is installed: same rows, whatever the decorrelation did.</summary>
public sealed class PostgresOracleTests
{
    private const string Bin = "/usr/lib/postgresql/15/bin";

    private static readonly string[] Setup =
    [
        "CREATE TABLE t (a int NOT NULL, b int, c int)", "CREATE TABLE u (a int, x int)", "CREATE TABLE e (z int)",
        "INSERT INTO t VALUES (0, 1, 2), (1, 1, NULL), (1, NULL, 0), (2, 3, 3), (2, 3, 3), (3, 0, 1)",
        "INSERT INTO u VALUES (1, 0), (1, 2), (2, NULL), (NULL, 1), (4, 3), (NULL, NULL)",
    ];

    [Theory]
    [InlineData(1)]
    [InlineData(2)]
    [InlineData(3)]
    public void Answers_as_postgres_does(int seed)
    {
        if (!File.Exists($"{Bin}/initdb") || !File.Exists("/usr/sbin/runuser"))
            Assert.Skip("PostgreSQL 15 is not installed here");
        var count = int.TryParse(Environment.GetEnvironmentVariable("SQL_ORACLE_QUERIES"), out var n) ? n : 12;
        var random = new RandomQueries(seed);
        var queries = Enumerable.Range(0, count).Select(_ => random.Next()).ToList();
        var expected = AskPostgres(queries);
        var database = Database.Of(Setup);
        var failures = new StringBuilder();
        for (var i = 0; i < queries.Count; i++)
        {
            string actual;
            try
            {
                actual = string.Join('\n', database.Query(queries[i]).Split('\n').Order(StringComparer.Ordinal));
            }
            catch (Exception e) when (e is not OutOfMemoryException)
            {
                actual = $"{e.GetType().Name}: {e.Message}";
            }

            var wanted = string.Join('\n', expected[i].Split('\n').Order(StringComparer.Ordinal));
            if (wanted.StartsWith("ERROR", StringComparison.Ordinal) ? !actual.Contains("Exception", StringComparison.Ordinal) : actual != wanted)
                failures.Append(queries[i]).Append("\n--- postgres\n").Append(wanted).Append("\n--- ours\n").Append(actual).Append("\n\n");
        }

        Assert.True(failures.Length == 0, failures.ToString());
    }

    private static List<string> AskPostgres(List<string> queries)
    {
        var directory = Directory.CreateTempSubdirectory("sqloracle").FullName;
        try
        {
            Run("/bin/chown", "", "postgres", directory);
            Run("/usr/sbin/runuser", "", "-u", "postgres", "--", $"{Bin}/initdb", "-D", $"{directory}/data", "--no-sync", "-E", "UTF8", "--locale=C");
            Run("/usr/sbin/runuser", "", "-u", "postgres", "--", $"{Bin}/pg_ctl", "-D", $"{directory}/data", "-w", "-l", $"{directory}/log", "-o", $"-k {directory} -h '' -F", "start");
            var script = new StringBuilder();
            foreach (var statement in Setup)
                script.Append(statement).Append(";\n");
            foreach (var query in queries)
                script.Append("\\echo <<<\n").Append(query).Append(";\n");
            var output = Run("/usr/sbin/runuser", script.ToString(), "-u", "postgres", "--", $"{Bin}/psql", "-h", directory, "-d", "postgres", "-At", "-F", "|", "-P", "null=∅", "-q", "-X");
            return output.Split("<<<\n").Skip(1).Select(p => p.TrimEnd('\n')).ToList();
        }
        finally
        {
            Run("/usr/sbin/runuser", "", "-u", "postgres", "--", $"{Bin}/pg_ctl", "-D", $"{directory}/data", "-m", "immediate", "stop");
            Directory.Delete(directory, recursive: true);
        }
    }

    private static string Run(string program, string input, params string[] arguments)
    {
        // Errors of psql go among its output, where their query is.
        var start = new ProcessStartInfo("/bin/sh") { RedirectStandardInput = true, RedirectStandardOutput = true, StandardInputEncoding = new UTF8Encoding(false), StandardOutputEncoding = Encoding.UTF8, WorkingDirectory = "/" };
        start.ArgumentList.Add("-c");
        start.ArgumentList.Add("exec \"$0\" \"$@\" 2>&1");
        start.ArgumentList.Add(program);
        foreach (var argument in arguments)
            start.ArgumentList.Add(argument);
        using var process = Process.Start(start)!;
        var writer = Task.Run(() =>
        {
            process.StandardInput.Write(input);
            process.StandardInput.Close();
        });

        // pg_ctl leaves the server holding its output: its end is the process's, not the stream's.
        if (arguments.Contains("start"))
        {
            process.WaitForExit();
            return "";
        }

        var output = process.StandardOutput.ReadToEnd();
        process.WaitForExit();
        writer.GetAwaiter().GetResult();
        return output;
    }
}
