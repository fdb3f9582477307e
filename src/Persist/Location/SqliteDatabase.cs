using System.Reflection;
using System.Runtime.InteropServices;
using SQLitePCL;

namespace Materialize.Persist.Location;

/// <summary>
/// One connection to a SQLite file, below the level of ADO.NET: prepared statements kept, error codes kept, no retries of its own. Used by one
/// thread at a time.
/// </summary>
internal sealed class SqliteDatabase : IDisposable
{
    private static readonly Lazy<bool> s_native = new(LoadNative);

    private readonly sqlite3 _db;
    private readonly Dictionary<string, sqlite3_stmt> _statements = new(StringComparer.Ordinal);

    /// <exception cref="DeterminateException">The file cannot be opened.</exception>
    public SqliteDatabase(string path, TimeSpan busyTimeout)
    {
        _ = s_native.Value;
        Path = path;
        var code = raw.sqlite3_open_v2(path, out _db, raw.SQLITE_OPEN_READWRITE | raw.SQLITE_OPEN_CREATE | raw.SQLITE_OPEN_NOMUTEX, null);
        if (code != raw.SQLITE_OK)
        {
            var reason = raw.sqlite3_errstr(code).utf8_to_string();
            _db?.Dispose();
            throw new DeterminateException($"cannot open \"{path}\": {reason}");
        }

        raw.sqlite3_busy_timeout(_db, (int)busyTimeout.TotalMilliseconds);
    }

    public string Path { get; }

    /// <summary>Whether a transaction is open.</summary>
    public bool InTransaction => raw.sqlite3_get_autocommit(_db) == 0;

    /// <summary>Rows that the last statement changed.</summary>
    public int Changes => raw.sqlite3_changes(_db);

    /// <summary>The statement, prepared once, reset, ready to bind.</summary>
    public sqlite3_stmt Prepare(string sql)
    {
        if (_statements.TryGetValue(sql, out var statement))
            return statement;
        Check(raw.sqlite3_prepare_v2(_db, sql, out statement), "prepare");
        _statements[sql] = statement;
        return statement;
    }

    /// <summary>One step. Returns whether there is a row.</summary>
    public bool Step(sqlite3_stmt statement)
    {
        var code = raw.sqlite3_step(statement);
        if (code == raw.SQLITE_ROW)
            return true;
        if (code == raw.SQLITE_DONE)
            return false;
        throw Error(code, "step");
    }

    public static void Reset(sqlite3_stmt statement)
    {
        _ = raw.sqlite3_reset(statement);   // repeats the error of the last step, which has been reported
        _ = raw.sqlite3_clear_bindings(statement);
    }

    /// <summary>Runs a statement to its end and throws its rows away.</summary>
    public void Execute(string sql)
    {
        var statement = Prepare(sql);
        try
        {
            while (Step(statement))
            {
            }
        }
        finally
        {
            Reset(statement);
        }
    }

    public void Dispose()
    {
        foreach (var statement in _statements.Values)
            statement.Dispose();
        _db.Dispose();
    }

    private void Check(int code, string what)
    {
        if (code != raw.SQLITE_OK)
            throw Error(code, what);
    }

    private SqliteFailure Error(int code, string what) =>
        new(code & 0xff, $"\"{Path}\": {what}: {raw.sqlite3_errmsg(_db).utf8_to_string()} ({raw.sqlite3_extended_errcode(_db)}){FullDisk()}");

    /// <summary>SQLite says "disk I/O error" of a full disk when it is its shared memory that does not fit.</summary>
    private string FullDisk()
    {
        const long PageBytes = 64 * 1024;
        try
        {
            return new DriveInfo(System.IO.Path.GetDirectoryName(System.IO.Path.GetFullPath(Path))!).AvailableFreeSpace < PageBytes ? ": the disk is full" : "";
        }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException or ArgumentException)
        {
            return "";
        }
    }

    /// <summary>Prefers the system's library, which is newer than the one the package carries.</summary>
    private static bool LoadNative()
    {
        NativeLibrary.SetDllImportResolver(
            typeof(SQLite3Provider_e_sqlite3).Assembly,
            (name, _, _) => name == "e_sqlite3" && NativeLibrary.TryLoad("libsqlite3.so.0", out var handle) ? handle : IntPtr.Zero);
        Batteries_V2.Init();
        return true;
    }
}

/// <summary>An error code of SQLite; translated to determinate or indeterminate where it is known what was going on.</summary>
internal sealed class SqliteFailure(int code, string message) : Exception(message)
{
    public int Code { get; } = code;
}
