using Materialize.Catalog;
using Materialize.Core.Collections;
using Materialize.Expr;
using Materialize.Optimizer;
using Materialize.Persist;
using Materialize.Persist.Columns;
using Materialize.Repr;
using Materialize.Sql;

namespace Materialize.Adapter;

internal sealed partial class Session
{
    private async ValueTask<ExecuteResponse> InsertAsync(StatementPlan.Insert plan, CancellationToken cancel)
    {
        var state = _services.Catalog.State;
        var columns = plan.Values.Mir.TypeOf().Columns;
        var peek = PlanPeek(new DataflowCatalog(state, new ClusterId("s2")), plan.Values, columns, Environment());
        if (peek is PeekPlan.Constant constant)
        {
            if (constant.Error is { } error)
                throw ErrorOf(error);
            var values = constant.Rows.SelectMany(r => Enumerable.Repeat(r.Values, checked((int)r.Diff))).ToList();
            return Insert(plan, values, cancel);
        }

        CheckMayReadThenWrite(state, plan.Values);
        return await ReadThenWriteAsync(
            plan.Table,
            plan.Values,
            rows =>
            {
                var values = rows.ToList();
                return (Rows(plan.TableDesc, values.Select(v => (v, 1L))), Inserted(plan, values));
            },
            cancel);
    }

    private ExecuteResponse Insert(StatementPlan.Insert plan, List<ValueArray<Datum>> values, CancellationToken cancel)
    {
        Write(new TableWrite(plan.Table, ShardOf(plan.Table), Rows(plan.TableDesc, values.Select(v => (v, 1L)))), cancel);
        return Inserted(plan, values);
    }

    private static ExecuteResponse Inserted(StatementPlan.Insert plan, List<ValueArray<Datum>> values)
    {
        if (plan.Returning is not { } returning)
            return new ExecuteResponse.Completed($"INSERT 0 {values.Count}");
        var rows = values.Select(row => returning.Exprs.Select(e => Evaluate(e, plan.TableDesc.Type.Columns, row)));
        return new ExecuteResponse.Rows(returning.Desc, ConstantRows.Of(returning.Desc.Type.Columns, rows), "INSERT 0");
    }

    private ValueTask<ExecuteResponse> ReadThenWriteAsync(StatementPlan.ReadThenWrite plan, CancellationToken cancel)
    {
        CheckMayReadThenWrite(_services.Catalog.State, plan.Selection);
        return ReadThenWriteAsync(
            plan.Table,
            plan.Selection,
            rows =>
            {
                var changes = new List<(ValueArray<Datum>, long)>();
                var count = 0;
                foreach (var old in rows)
                {
                    count++;
                    changes.Add((old, -1));
                    if (plan.Kind == MutationKind.Delete)
                        continue;
                    var changed = old.AsSpan().ToArray();
                    foreach (var assignment in plan.Assignments)
                        changed[assignment.Column] = Evaluate(assignment.Value, plan.TableDesc.Type.Columns, old);
                    changes.Add(([.. changed], 1));
                }

                return (Rows(plan.TableDesc, changes), new ExecuteResponse.Completed($"{(plan.Kind == MutationKind.Delete ? "DELETE" : "UPDATE")} {count}"));
            },
            cancel);
    }

    /// <summary>
    /// Reads under the table's exclusive lock at the freshest time, and commits what <paramref name="change"/> makes of the rows:
    /// nobody can have written the table in between.
    /// </summary>
    private async ValueTask<ExecuteResponse> ReadThenWriteAsync(
        GlobalId table,
        QueryPlan query,
        Func<IEnumerable<ValueArray<Datum>>, (UpdateColumns Rows, ExecuteResponse Response)> change,
        CancellationToken cancel)
    {
        if (_transaction is { IsExplicit: true })
            throw new SqlException("25001", "statement cannot be run inside a transaction block");
        await CommitImplicitAsync();
        EnsureTransaction();
        return await WithinStatementTimeoutAsync(
            async limited =>
            {
                using var held = await _services.TableLocks.EnterAsync(table, exclusive: true, limited);
                var (layout, pages) = await ReadAsync(query, new QueryWhen.FreshestTableWrite(), null, limited);
                var (rows, response) = change(Unpack(layout, pages));
                if (!rows.IsEmpty)
                    await _services.Committer.SubmitAsync([new TableWrite(table, ShardOf(table), rows)]);
                return response;
            },
            cancel);
    }

    /// <summary>Blind inserts: committed at the end of the transaction, be it explicit or one of the statements of a simple query.</summary>
    /// <exception cref="SqlException">The transaction does not take them.</exception>
    private void Write(TableWrite write, CancellationToken cancel)
    {
        cancel.ThrowIfCancellationRequested();
        EnsureTransaction();
        _transaction!.AddWrites(write);
    }

    private async ValueTask CommitWritesAsync(List<TableWrite> writes)
    {
        var held = new List<IDisposable>();
        try
        {
            foreach (var table in writes.Select(w => w.Table).Distinct().Order())
                held.Add(await _services.TableLocks.EnterAsync(table, exclusive: false, CancellationToken.None));
            await _services.Committer.SubmitAsync(writes);
        }
        finally
        {
            foreach (var one in held)
                one.Dispose();
        }
    }

    private ExecuteResponse.CopyIn CopyFrom(StatementPlan.CopyFrom plan)
    {
        // The client's rows may hold nulls anywhere; whether the table may is checked when they are stored.
        var columns = plan.Columns.Select(c => plan.TableDesc.Type.Columns[c] with { IsNullable = true });
        var names = plan.Columns.Select(c => plan.TableDesc.Names[c]);
        var options = new CopyInOptions(FormatOf(plan.Options.Format), plan.Options.Delimiter, plan.Options.NullText, plan.Options.Quote, plan.Options.Escape, plan.Options.Header);
        return new ExecuteResponse.CopyIn(new RelationDesc(new RelationType(columns), names), options, new CopyTarget(this, plan, RowLayout.For(columns)));
    }

    private void CheckMayReadThenWrite(CatalogState state, QueryPlan query)
    {
        var pending = new Stack<GlobalId>(query.DependsOn);
        var seen = new HashSet<GlobalId>();
        while (pending.TryPop(out var id))
        {
            if (!seen.Add(id))
                continue;
            var item = state.Items[id];
            if (id.IsSystem || item.Definition is not (ItemDefinition.Table or ItemDefinition.View))
            {
                throw new SqlException("25000", "invalid selection: operation may only (transitively) refer to non-source, non-system tables")
                {
                    Detail = $"\"{item.Name}\" is not a user table or a view over user tables.",
                };
            }

            foreach (var input in item.DependsOn)
                pending.Push(input);
        }
    }

    private ShardId ShardOf(GlobalId table) =>
        (_services.Catalog.State.Items.GetValueOrDefault(table) ?? throw Dropped()).Shard ?? throw Dropped();

    /// <exception cref="SqlException">23502: null in a column that must not be.</exception>
    private static UpdateColumns Rows(RelationDesc desc, IEnumerable<(ValueArray<Datum> Values, long Diff)> rows)
    {
        var layout = RowLayout.For(desc.Type.Columns);
        var builder = new UpdateColumnsBuilder();
        foreach (var (values, diff) in rows)
        {
            CheckNulls(desc, values);
            builder.Add(RowCodec.Pack(layout, values.AsSpan()), Timestamp.MinValue, diff);
        }

        return builder.Build();
    }

    private static void CheckNulls(RelationDesc desc, ValueArray<Datum> values)
    {
        for (var i = 0; i < values.Count; i++)
        {
            if (values[i].IsNull && !desc.Type.Columns[i].IsNullable)
                throw new SqlException("23502", $"null value in column \"{desc.Names[i]}\" violates not-null constraint");
        }
    }

    private static IEnumerable<ValueArray<Datum>> Unpack(RowLayout layout, IReadOnlyList<ResultPage> pages)
    {
        foreach (var page in pages)
        {
            for (var i = 0; i < page.Count; i++)
                yield return [.. RowCodec.Unpack(layout, page.Row(i))];
        }
    }

    private static Datum Evaluate(MirScalarExpr expr, ValueArray<ColumnType> types, ValueArray<Datum> row)
    {
        try
        {
            return Interpreter.Eval(expr, types, row.AsSpan());
        }
        catch (EvalException e)
        {
            throw ErrorOf(e.Error);
        }
    }

    /// <summary>Takes the rows of COPY FROM and writes them like one INSERT. What does not fit in memory is staged in the blob store meanwhile.</summary>
    private sealed class CopyTarget(Session session, StatementPlan.CopyFrom plan, RowLayout input) : ICopyTarget
    {
        private const int MemoryBytesMax = 4 * 1024 * 1024;

        private readonly RowLayout _output = RowLayout.For(plan.TableDesc.Type.Columns);
        private readonly bool _isSame = plan.Columns == ValueArray.Range(plan.TableDesc.Arity) && plan.TableDesc.Type.Columns.All(c => c.IsNullable);
        private readonly ShardId _shard = session.ShardOf(plan.Table);
        private UpdateColumnsBuilder _rows = new();
        private BatchBuilder? _staged;
        private long _count;

        public ValueTask AppendAsync(ResultPage rows, CancellationToken cancel) => session.EdgeAsync(async () =>
        {
            for (var i = 0; i < rows.Count; i++)
            {
                if (_isSame)
                    _rows.Add(rows.Row(i), Timestamp.MinValue, 1);
                else
                    Add(RowCodec.Unpack(input, rows.Row(i)));
            }

            _count += rows.Count;
            if (_rows.SizeBytes < MemoryBytesMax)
                return true;
            _staged ??= session._services.Txns.NewBatch(_shard);
            await _staged.AddAsync(_rows.Build(), cancel);
            return true;
        }).AsUntyped();

        public async ValueTask<string> CompleteAsync(CancellationToken cancel) => await session.EdgeAsync(async () =>
        {
            StagedBatch? batch = null;
            if (_staged is { } staged)
            {
                await staged.AddAsync(_rows.Build(), cancel);
                batch = await staged.FinishAsync(cancel);
                _staged = null;
            }

            var write = new TableWrite(plan.Table, _shard, _rows.Build(), batch);
            try
            {
                session.Write(write, cancel);
            }
            catch
            {
                session._services.Committer.Abandon([write]);
                throw;
            }

            return $"COPY {_count}";
        });

        public async ValueTask AbortAsync()
        {
            session.Fail();
            _rows = new UpdateColumnsBuilder();
            if (_staged is { } staged)
                await staged.AbandonAsync();
            _staged = null;
        }

        private void Add(ReadOnlySpan<Datum> given)
        {
            var values = new Datum[plan.TableDesc.Arity];
            for (var i = 0; i < values.Length; i++)
                values[i] = i < plan.Defaults.Count && !plan.Columns.Contains(i) ? Evaluate(plan.Defaults[i], [], []) : Datum.Null;
            for (var i = 0; i < given.Length; i++)
                values[plan.Columns[i]] = given[i];
            CheckNulls(plan.TableDesc, [.. values]);
            _rows.Add(RowCodec.Pack(_output, values), Timestamp.MinValue, 1);
        }
    }
}
