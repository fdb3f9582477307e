using System.Diagnostics;
using System.Security.Cryptography;
using System.Text;
using System.Text.RegularExpressions;
using Materialize.Slt.Client;
using Materialize.Slt.Format;

namespace Materialize.Slt.Run;

/// <summary>Runs one .slt file from a clean slate. Goes on after failures; gives up when the server is gone or keeps timing out.</summary>
public sealed partial class SltFileRun(RunOptions options, ServerUnderTest server, string path)
{
    private readonly Dictionary<string, PgConnection> _named = [];
    private PgConnection? _main;
    private string? _dead;
    private int _timeouts;

    public FileResult Run()
    {
        var result = new FileResult(path);
        var time = Stopwatch.StartNew();
        var records = new SltParser(File.ReadAllText(path), options.Engine).Records();
        if (options.ParseOnly)
        {
            foreach (var record in records.Where(r => r is not SltRecord.Reset))
                result.Count(record.Kind, new Tally(0, 0, 1));
            return result;
        }

        ResetServer();
        var bailed = false;
        foreach (var record in records)
        {
            if (_dead is null && time.Elapsed > options.FileTimeout)
                _dead = "file timeout";
            if (record is SltRecord.Reset)
            {
                ResetServer();
                continue;
            }

            if (IsSkipped(record))
            {
                result.Count(record.Kind, new Tally(0, 0, 1));
                continue;
            }

            if (Judge(record) is not { } failure)
            {
                result.Count(record.Kind, new Tally(1, 0, 0));
                result.StrictPass += bailed ? 0 : 1;
                continue;
            }

            result.Count(record.Kind, new Tally(0, 1, 0));
            bailed |= record is SltRecord.Statement { Error: null } or SltRecord.Copy;
            if (result.Failures.Count < 1000)
                result.Failures.Add(new Failure(record.Line, record.Kind, Clip(failure.Reason), Clip(SqlOf(record)), failure.Detail is null ? null : Clip(failure.Detail, 1500)));
        }

        CloseAll();
        result.Seconds = Math.Round(time.Elapsed.TotalSeconds, 2);
        return result;
    }

    private sealed record Verdict(string Reason, string? Detail = null);

    private void ResetServer()
    {
        CloseAll();
        try
        {
            server.Reset();
        }
        catch (NoServerException e)
        {
            _dead = $"no server: {e.Message}";
        }
    }

    private bool IsSkipped(SltRecord record) => record switch
    {
        SltRecord.Statement s when NeverRun().IsMatch(s.Sql) => true,
        SltRecord.Statement { Error: null } s when options.SkipExplain => Explain().IsMatch(s.Sql),
        SltRecord.Query q when options.SkipExplain => Explain().IsMatch(q.Sql),
        SltRecord.Simple s when options.SkipExplain => Explain().IsMatch(s.Sql),
        _ => false,
    };

    /// <summary>Null: it passes.</summary>
    private Verdict? Judge(SltRecord record)
    {
        if (_dead is not null)
            return new Verdict(_dead);
        try
        {
            return record switch
            {
                SltRecord.Unreadable r => new Verdict($"unparsable record: {r.Why}"),
                SltRecord.Statement { Error: { } pattern } r => JudgeError(r.Sql, pattern),
                SltRecord.QueryError r => JudgeError(r.Sql, r.Error),
                SltRecord.Statement r => JudgeStatement(r),
                SltRecord.Query r => JudgeQuery(r),
                SltRecord.Simple r => JudgeSimple(r),
                SltRecord.Copy r => JudgeCopy(r),
                _ => throw new UnreachableException(record.Kind),
            };
        }
        catch (NoServerException e)
        {
            _dead = $"no server: {e.Message}";
            return new Verdict(_dead);
        }
        catch (ConnectionLostException e)
        {
            CloseAll();
            return new Verdict($"connection lost: {e.Message}");
        }
        catch (AnswerTimeoutException)
        {
            if (++_timeouts >= options.TimeoutsMax)
                _dead = $"gave up after {_timeouts} timeouts";
            return new Verdict($"timeout after {options.Timeout.TotalSeconds}s");
        }
        catch (ServerErrorException e)
        {
            return new Verdict(e.FullText);
        }
    }

    private Verdict? JudgeError(string sql, string pattern)
    {
        try
        {
            On(Main(), c => c.Extended(sql, options.Timeout));
            return new Verdict($"succeeded, but an error was expected: /{pattern}/");
        }
        catch (ServerErrorException e)
        {
            return Matches(pattern, e.FullText) ? null : new Verdict("wrong error", $"expected: /{pattern}/\nactual:   {e.FullText}");
        }
    }

    private Verdict? JudgeStatement(SltRecord.Statement record)
    {
        var result = On(Main(), c => c.Extended(record.Sql, options.Timeout));
        return record.Count is { } count && count != result.Affected ? new Verdict($"wrong count: expected {count}, got {result.Affected}") : null;
    }

    private Verdict? JudgeQuery(SltRecord.Query record)
    {
        var result = On(Main(), c => c.Extended(record.Sql, options.Timeout));
        var rows = new List<string[]>();
        foreach (var row in result.Rows)
        {
            if (row.Length != record.Types.Length)
                return new Verdict($"wrong number of columns: expected {record.Types.Length}, got {row.Length}");
            try
            {
                rows.Add([.. row.Select((v, i) => ValueText.Of(v, result.Columns[i].Oid, record.Types[i], record.IsCockroach, result.IsBinary[i]))]);
            }
            catch (Exception e) when (e is FormatException or OverflowException)
            {
                return new Verdict($"format: {e.Message}");
            }
        }

        if (record.Sort == SortMode.Rows)
            rows.Sort(Utf8Order.Rows);
        var values = rows.SelectMany(r => r).ToList();
        if (record.Sort == SortMode.Values)
            values.Sort(Utf8Order.Values);
        var names = result.Columns.Select(c => c.Name).ToList();
        if (rows.Count > 0 && record.ColumnNames is { } expectedNames && !names.SequenceEqual(expectedNames))
            return new Verdict("wrong column names", $"expected: {string.Join(" ", expectedNames)}\nactual:   {string.Join(" ", names)}");
        if (record.Hash is { } hash)
        {
            var md5 = Convert.ToHexStringLower(MD5.HashData(Encoding.UTF8.GetBytes(string.Concat(values.Select(v => v + "\n")))));
            return (values.Count, md5) == (hash.Count, hash.Md5)
                ? null
                : new Verdict("wrong hash", $"expected: {hash.Count} values hashing to {hash.Md5}\nactual:   {values.Count} values hashing to {md5}");
        }

        return values.SequenceEqual(record.Expected) ? null : WrongOutput(record.Expected, values);
    }

    private Verdict? JudgeSimple(SltRecord.Simple record)
    {
        List<string> got;
        try
        {
            var connection = record.Connection is null ? Main() : Named(record.Connection, record.User, record.Password);
            got = On(connection, c => c.Simple(record.Sql, options.Timeout));
            if (record.IsSorted)
                got.Sort(Utf8Order.Values);
        }
        catch (ServerErrorException e)
        {
            got = SltParser.LinesOf(e.FullText);
        }

        return got.SequenceEqual(record.Expected) ? null : WrongOutput(record.Expected, got);
    }

    private Verdict? JudgeCopy(SltRecord.Copy record)
    {
        if (FindData(record.Path) is not { } file)
            return new Verdict($"copy: data file {record.Path} not found");
        On(Main(), c => c.Extended($"COPY {record.Table} FROM STDIN", options.Timeout, File.ReadAllBytes(file)));
        return null;
    }

    /// <summary>Data files are named as in the repository they come from: look upwards from the test.</summary>
    private string? FindData(string name)
    {
        const string Prefix = "test/sqllogictest/";
        string[] tails = name.StartsWith(Prefix, StringComparison.Ordinal) ? [name, name[Prefix.Length..]] : [name];
        for (var folder = Path.GetDirectoryName(Path.GetFullPath(path)); folder is not null; folder = Path.GetDirectoryName(folder))
        {
            if (tails.Select(t => Path.Combine(folder, t)).FirstOrDefault(File.Exists) is { } found)
                return found;
        }

        return null;
    }

    private PgConnection Main() => _main ??= server.Connect();

    private PgConnection Named(string name, string? user, string? password) =>
        _named.TryGetValue(name, out var found) ? found : _named[name] = server.Connect(user, password);

    /// <summary>Runs, and gives a connection up that is of no use any more.</summary>
    private T On<T>(PgConnection connection, Func<PgConnection, T> run)
    {
        try
        {
            return run(connection);
        }
        catch (AnswerTimeoutException)
        {
            connection.Cancel();
            Drop(connection);
            throw;
        }
        catch (ConnectionLostException)
        {
            Drop(connection);
            throw;
        }
        catch (ServerErrorException e) when (e.IsFatal)
        {
            Drop(connection);
            throw;
        }
    }

    private void Drop(PgConnection connection)
    {
        if (_main == connection)
            _main = null;
        foreach (var name in _named.Where(n => n.Value == connection).Select(n => n.Key).ToList())
            _named.Remove(name);
        connection.Dispose();
    }

    private void CloseAll()
    {
        _main?.Dispose();
        _main = null;
        foreach (var connection in _named.Values)
            connection.Dispose();
        _named.Clear();
    }

    private static bool Matches(string pattern, string text)
    {
        try
        {
            return Regex.IsMatch(text, pattern, RegexOptions.CultureInvariant);
        }
        catch (ArgumentException)
        {
            return text.Contains(pattern, StringComparison.Ordinal);
        }
    }

    private static Verdict WrongOutput(IReadOnlyList<string> expected, List<string> actual) =>
        new("wrong output", $"expected: [{string.Join("|", expected)}]\nactual:   [{string.Join("|", actual)}]");

    private static string SqlOf(SltRecord record) => record switch
    {
        SltRecord.Statement r => r.Sql,
        SltRecord.Query r => r.Sql,
        SltRecord.QueryError r => r.Sql,
        SltRecord.Simple r => r.Sql,
        SltRecord.Copy r => $"COPY {r.Table} FROM STDIN",
        _ => "",
    };

    private static string Clip(string text, int max = 600) => text.Length <= max ? text : $"{text[..max]}... ({text.Length} characters)";

    [GeneratedRegex("^(CREATE UNIQUE INDEX|REINDEX)")]
    private static partial Regex NeverRun();

    [GeneratedRegex(@"^\s*EXPLAIN\b", RegexOptions.IgnoreCase)]
    private static partial Regex Explain();
}
