// Consensus in one SQLite file, shared by the processes of one machine.
//
// WAL mode with synchronous=FULL: a commit is one append to the log and one fsync, readers never wait for the writer. All changes of a process
// go through one thread, which takes whatever has queued up while the last fsync ran and commits it as one transaction: many shards that
// append at once share an fsync. Each compare-and-set in such a group is judged on its own; a lost race in one does not touch the others.

using System.Collections.Concurrent;
using System.Runtime.CompilerServices;
using SQLitePCL;

namespace Materialize.Persist.Location;

/// <summary>Consensus in a SQLite file. Any number of processes on one machine may use the file at once (not over a network file system).</summary>
public sealed class SqliteConsensus : IConsensus, IDisposable
{
    private const int GroupMax = 256;
    private const string HeadSql = "SELECT sequence_number, data FROM consensus WHERE key = ?1 ORDER BY sequence_number DESC LIMIT 1";
    private const string ScanSql =
        "SELECT sequence_number, data FROM consensus WHERE key = ?1 AND sequence_number >= ?2 ORDER BY sequence_number LIMIT ?3";

    private const string CasSql =
        "INSERT INTO consensus SELECT ?1, ?2, ?3 WHERE (SELECT max(sequence_number) FROM consensus WHERE key = ?1) IS ?4";

    private const string TruncateSql =
        "DELETE FROM consensus WHERE key = ?1 AND sequence_number < ?2";

    private const string HasSql = "SELECT 1 FROM consensus WHERE key = ?1 AND sequence_number >= ?2 LIMIT 1";

    private readonly SqliteDatabase _writer;
    private readonly SqliteDatabase _reader;
    private readonly BlockingCollection<Change> _changes = [];
    private readonly Thread _writerThread;
    private readonly IoThreads _readerThread = new("sqlite-read", 1);

    private SqliteConsensus(SqliteDatabase writer, SqliteDatabase reader)
    {
        _writer = writer;
        _reader = reader;
        _writerThread = new Thread(RunWriter) { Name = "sqlite-write", IsBackground = true };
        _writerThread.Start();
    }

    private abstract record Change(string Key)
    {
        public abstract void Run(SqliteDatabase db);

        public abstract void Succeed();

        public abstract void Fail(Exception e);

        public sealed record CompareAndSet(string Key, SeqNo? Expected, VersionedData Next) : Change(Key)
        {
            private bool _committed;

            public TaskCompletionSource<bool> Done { get; } = new(TaskCreationOptions.RunContinuationsAsynchronously);

            public override void Run(SqliteDatabase db)
            {
                var cas = db.Prepare(CasSql);
                try
                {
                    raw.sqlite3_bind_text(cas, 1, Key);
                    raw.sqlite3_bind_int64(cas, 2, (long)Next.SeqNo.Value);
                    raw.sqlite3_bind_blob(cas, 3, Next.Data.Span);
                    if (Expected is { } expected)
                        raw.sqlite3_bind_int64(cas, 4, (long)expected.Value);
                    else
                        raw.sqlite3_bind_null(cas, 4);
                    db.Step(cas);
                    _committed = db.Changes == 1;
                }
                finally
                {
                    SqliteDatabase.Reset(cas);
                }
            }

            public override void Succeed() => Done.SetResult(_committed);

            public override void Fail(Exception e) => Done.SetException(e);
        }

        public sealed record Truncate(string Key, SeqNo Before) : Change(Key)
        {
            private int? _removed;

            public TaskCompletionSource<int> Done { get; } = new(TaskCreationOptions.RunContinuationsAsynchronously);

            public override void Run(SqliteDatabase db)
            {
                _removed = null;
                foreach (var (sql, isDelete) in ((string, bool)[])[(HasSql, false), (TruncateSql, true)])
                {
                    var statement = db.Prepare(sql);
                    try
                    {
                        raw.sqlite3_bind_text(statement, 1, Key);
                        raw.sqlite3_bind_int64(statement, 2, (long)Before.Value);
                        var row = db.Step(statement);
                        if (isDelete)
                            _removed = db.Changes;
                        else if (!row)
                            return;
                    }
                    finally
                    {
                        SqliteDatabase.Reset(statement);
                    }
                }
            }

            public override void Succeed()
            {
                if (_removed is { } removed)
                    Done.SetResult(removed);
                else
                    Done.SetException(ConsensusArguments.NothingAtOrAfter(Key, Before));
            }

            public override void Fail(Exception e) => Done.SetException(e);
        }
    }

    /// <summary>Opens the file, making it and its table if need be.</summary>
    /// <param name="busyTimeout">How long to wait for another process that is writing.</param>
    /// <exception cref="DeterminateException">The file cannot be opened, written, or is no database.</exception>
    public static SqliteConsensus Open(string path, TimeSpan busyTimeout)
    {
        SqliteDatabase? writer = null;
        try
        {
            writer = new SqliteDatabase(path, busyTimeout);
            writer.Execute("PRAGMA journal_mode = WAL");
            writer.Execute("PRAGMA synchronous = FULL");
            writer.Execute(
                "CREATE TABLE IF NOT EXISTS consensus (key TEXT NOT NULL, sequence_number INTEGER NOT NULL, data BLOB NOT NULL, "
                + "PRIMARY KEY (key, sequence_number)) WITHOUT ROWID");
            return new SqliteConsensus(writer, new SqliteDatabase(path, busyTimeout));
        }
        catch (SqliteFailure e)
        {
            writer?.Dispose();
            throw new DeterminateException($"cannot use {e.Message}", e);
        }
    }

    public async ValueTask<VersionedData?> HeadAsync(string key, CancellationToken cancel) =>
        await _readerThread.RunAsync(() => Reading<VersionedData?>(HeadSql, statement =>
        {
            raw.sqlite3_bind_text(statement, 1, key);
            return _reader.Step(statement) ? Entry(statement) : null;
        }), cancel);

    public async ValueTask<IReadOnlyList<VersionedData>> ScanAsync(string key, SeqNo from, int limit, CancellationToken cancel) =>
        await _readerThread.RunAsync(() => Reading<IReadOnlyList<VersionedData>>(ScanSql, statement =>
        {
            raw.sqlite3_bind_text(statement, 1, key);
            raw.sqlite3_bind_int64(statement, 2, (long)Math.Min(from.Value, long.MaxValue));
            raw.sqlite3_bind_int64(statement, 3, limit);
            var entries = new List<VersionedData>();
            while (_reader.Step(statement))
                entries.Add(Entry(statement));
            return entries;
        }), cancel);

    /// <summary>Once queued it is not cancelled: the caller would not know what became of it.</summary>
    public async ValueTask<bool> CompareAndSetAsync(string key, SeqNo? expected, VersionedData next, CancellationToken cancel)
    {
        cancel.ThrowIfCancellationRequested();
        ConsensusArguments.CheckNext(expected, next);
        var change = new Change.CompareAndSet(key, expected, next);
        _changes.Add(change, CancellationToken.None);
        return await change.Done.Task;
    }

    public async ValueTask<int> TruncateAsync(string key, SeqNo before, CancellationToken cancel)
    {
        cancel.ThrowIfCancellationRequested();
        var change = new Change.Truncate(key, before);
        _changes.Add(change, CancellationToken.None);
        return await change.Done.Task;
    }

    public async IAsyncEnumerable<string> ListKeysAsync([EnumeratorCancellation] CancellationToken cancel)
    {
        var keys = await _readerThread.RunAsync(() => Reading("SELECT DISTINCT key FROM consensus", statement =>
        {
            var found = new List<string>();
            while (_reader.Step(statement))
                found.Add(raw.sqlite3_column_text(statement, 0).utf8_to_string());
            return found;
        }), cancel);
        foreach (var key in keys)
            yield return key;
    }

    public void Dispose()
    {
        _changes.CompleteAdding();
        _writerThread.Join();
        _readerThread.Dispose();
        _writer.Dispose();
        _reader.Dispose();
        _changes.Dispose();
    }

    private static VersionedData Entry(sqlite3_stmt statement) =>
        new(new SeqNo((ulong)raw.sqlite3_column_int64(statement, 0)), raw.sqlite3_column_blob(statement, 1).ToArray());

    private T Reading<T>(string sql, Func<sqlite3_stmt, T> read)
    {
        try
        {
            var statement = _reader.Prepare(sql);
            try
            {
                return read(statement);
            }
            finally
            {
                SqliteDatabase.Reset(statement);
            }
        }
        catch (SqliteFailure e)
        {
            throw new DeterminateException($"cannot read {e.Message}", e);
        }
    }

    private void RunWriter()
    {
        var group = new List<Change>();
        foreach (var first in _changes.GetConsumingEnumerable())
        {
            group.Clear();
            group.Add(first);
            while (group.Count < GroupMax && _changes.TryTake(out var more))
                group.Add(more);
            CommitGroup(group);
        }
    }

    /// <summary>One transaction. Before the commit a failure is determinate for all; in it, it depends on the code.</summary>
    private void CommitGroup(List<Change> group)
    {
        var committing = false;
        try
        {
            _writer.Execute("BEGIN IMMEDIATE");
            foreach (var change in group)
                change.Run(_writer);
            committing = true;
            _writer.Execute("COMMIT");
        }
        catch (SqliteFailure e)
        {
            RollBack();
            // Busy and full leave the transaction open, so that the roll-back took it away; an I/O error may come after the bytes were written.
            var certain = !committing || e.Code is raw.SQLITE_BUSY or raw.SQLITE_FULL;
            foreach (var change in group)
            {
                change.Fail(certain
                    ? new DeterminateException($"cannot write {e.Message}", e)
                    : new IndeterminateException($"writing failed {e.Message}", e));
            }

            return;
        }
        catch (Exception e)
        {
            // Not SQLite's doing: a bug, or no memory. The callers must hear of it, and the thread must live on for the others.
            RollBack();
            foreach (var change in group)
                change.Fail(new IndeterminateException($"writing \"{_writer.Path}\" failed: {e.Message}", e));
            return;
        }

        foreach (var change in group)
            change.Succeed();
    }

    private void RollBack()
    {
        if (!_writer.InTransaction)
            return;
        try
        {
            _writer.Execute("ROLLBACK");
        }
        catch (SqliteFailure)
        {
            // Some errors have rolled back already; a transaction that truly stays open makes the next BEGIN fail, and be reported.
        }
    }
}
