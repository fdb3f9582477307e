using Materialize.Core.Collections;
using Materialize.Expr;
using Materialize.Optimizer;
using Materialize.Optimizer.Tests;
using Materialize.Protocol;
using Materialize.Repr;
using Xunit;

namespace Materialize.Compute.Tests;

/// <summary>
/// Goal: what a replica maintains is, at every time, what the plan says of the inputs at that time. Method: random queries over random
/// tables, some of them indexed, optimised and lowered as for users; random changes of the tables at several times; every time is
/// peeked and compared with the plan interpreted from scratch.
/// </summary>
public sealed class RandomPlanTests
{
    private const ulong LastTime = 6;

    [Theory]
    [InlineData(1, 1, 1000, 120)]
    [InlineData(1, 3, 5000, 120)]
    [InlineData(1, 4, 7000, 60)]
    [InlineData(2, 1, 6000, 60)]
    [InlineData(2, 2, 7000, 60)]
    [InlineData(4, 1, 7000, 60)]
    public async Task Incremental_is_from_scratch_at_every_time_in_every_layout(int processes, int workers, int firstSeed, int seeds)
    {
        await using var replica = await Replica.StartAsync(workers, processes: processes);
        for (var seed = firstSeed; seed < firstSeed + seeds; seed++)
            await RunAsync(replica, seed, isRecursive: false);
    }

    [Theory]
    [InlineData(1, 1, 20_000, 80)]
    [InlineData(1, 3, 21_000, 40)]
    [InlineData(2, 1, 22_000, 40)]
    public async Task Recursions_are_from_scratch_at_every_time_in_every_layout(int processes, int workers, int firstSeed, int seeds)
    {
        await using var replica = await Replica.StartAsync(workers, processes: processes);
        for (var seed = firstSeed; seed < firstSeed + seeds; seed++)
            await RunAsync(replica, seed, isRecursive: true);
    }

    private static async Task RunAsync(Replica replica, int seed, bool isRecursive)
    {
        var random = new Random(seed);
        var plans = new RandomPlans(seed);
        var plan = isRecursive ? plans.Recursion(2) : plans.Plan(4);
        if (!IsWellTyped(plan))
            return;   // The generator joins int4 with int8; queries of users have casts there.

        // Ids are for ever: each seed has its own.
        GlobalId Fresh(GlobalId id) => GlobalId.User(((ulong)seed * 1000) + id.Number);
        var view = GlobalId.User(500);
        var catalog = new Catalog(plans, view, plan);
        var planned = DataflowPlanner.ForIndex(
            catalog, GlobalId.User(501), "view", view, plan.TypeOf(), Plans.Key([.. Enumerable.Range(0, plan.TypeOf().Arity)])).Dataflow;

        var shards = new Dictionary<GlobalId, TestShard>();
        var tables = new Dictionary<GlobalId, Table>();
        foreach (var (id, rows) in plans.Collections)
        {
            var type = plans.TypeOf(id);
            shards[id] = await TestShard.CreateAsync(replica.Persist, Fresh(id), type.Columns);
            tables[id] = new Table(type, rows);
            await shards[id].AppendAsync(2, tables[id].Initial());
        }

        DataflowDescription Ready(DataflowDescription dataflow) => dataflow with
        {
            AsOf = 1,
            SourceImports = dataflow.SourceImports.Select(i => i with { Metadata = shards[i.Id].Metadata }),
        };

        var created = new List<GlobalId>();
        async Task RunDataflow(DataflowDescription dataflow)
        {
            var ready = Renamed.Apply(Ready(dataflow), Fresh);
            created.AddRange(ready.ExportIds);
            await replica.Controller.RunAsync(ready);
        }

        foreach (var import in planned.IndexImports)
        {
            await RunDataflow(DataflowPlanner.ForIndex(
                new Catalog(plans, view, plan, noIndexes: true), import.Id, "index", import.Desc.OnId, import.Type, import.Desc.Key).Dataflow);
        }

        await RunDataflow(planned);
        for (var time = 2UL; time <= LastTime; time++)
        {
            foreach (var (id, shard) in shards)
                await shard.AppendAsync(time + 1, tables[id].Change(random, time));
        }

        var columns = plan.TypeOf().Columns;
        for (var time = 1UL; time <= LastTime; time++)
        {
            var contents = shards.ToDictionary(s => s.Key, s => AsMultiset(s.Value.At(time)));
            string expected;
            try
            {
                expected = new LirInterpreter(contents).Run(planned).GetValueOrDefault(view)?.ToString() ?? contents[planned.IndexExports[0].Desc.OnId].ToString();
            }
            catch (Exception e) when (e is ArithmeticException)
            {
                continue;   // The query fails at this time; that errors come out is tested elsewhere.
            }

            var result = await replica.Controller.PeekAsync(Plans.Peek(Fresh(GlobalId.User(501)), columns, time));
            if (result is not PeekResult.Rows rows)
                throw new InvalidOperationException($"seed {seed}, time {time}: {result}\n{MirPrinter.Print(plan)}");
            var layout = RowLayout.For(columns);
            var found = AsMultiset(Enumerable.Range(0, rows.Batch.Count)
                .Select(i => (RowCodec.Unpack(layout, rows.Batch.Row(i)).ToValueArray(), rows.Batch.Diffs[i]))).ToString();
            if (found != expected)
            {
                var blamed = await BlameAsync(replica, planned, contents, ready => Renamed.Apply(Ready(ready), Fresh), time);
                throw new InvalidOperationException($"seed {seed}, time {time}\nexpected {expected}\nfound    {found}\n{MirPrinter.Print(plan)}\n{blamed}");
            }
        }

        created.Reverse();
        foreach (var id in created)
            await replica.Controller.SendAsync(new ComputeCommand.AllowCompaction(id, null));
    }

    /// <summary>The first part of a plan, from the leaves up, that by itself comes out wrong.</summary>
    private static async Task<string> BlameAsync(
        Replica replica,
        DataflowDescription planned,
        Dictionary<GlobalId, Multiset> contents,
        Func<DataflowDescription, DataflowDescription> ready,
        ulong time)
    {
        var parts = new List<LirRelationExpr>();
        void Collect(LirRelationExpr part)
        {
            foreach (var child in part.Children)
                Collect(child);
            if (!MentionsLocal(part))
                parts.Add(part);
        }

        foreach (var built in planned.Objects)
            Collect(built.Plan);
        for (var i = 0; i < parts.Count; i++)
        {
            var (id, index) = (GlobalId.User((ulong)(600 + i)), GlobalId.User((ulong)(800 + i)));
            var key = Plans.Key([.. Enumerable.Range(0, parts[i].Columns.Count)]);
            var dataflow = planned with
            {
                Objects = [new BuildDesc(id, parts[i])],
                IndexExports = [new IndexExport(index, new IndexDesc(id, key), new RelationType(parts[i].Columns))],
            };
            var expected = new LirInterpreter(contents).Run(dataflow)[id].ToString();
            if (expected.Contains("x-", StringComparison.Ordinal))
                continue;   // A peek refuses to show these.
            var started = ready(dataflow);
            await replica.Controller.RunAsync(started);
            var result = await replica.Controller.PeekAsync(Plans.Peek(started.IndexExports[0].Id, parts[i].Columns, time));
            var layout = RowLayout.For(parts[i].Columns);
            var found = result is PeekResult.Rows rows
                ? AsMultiset(Enumerable.Range(0, rows.Batch.Count)
                    .Select(j => (RowCodec.Unpack(layout, rows.Batch.Row(j)).ToValueArray(), rows.Batch.Diffs[j]))).ToString()
                : $"{result}";
            if (found != expected)
                return $"blame:\nexpected {expected}\nfound    {found}\n{LirPrinter.Print(parts[i], planned.IndexImports, id => id.ToString())}";
        }

        return "no part is wrong by itself";
    }

    private static bool IsWellTyped(MirRelationExpr plan) =>
        plan.Children.All(IsWellTyped)
        && (plan is not MirRelationExpr.Join join || join.Equivalences.All(members =>
        {
            var columns = join.Inputs.SelectMany(i => i.TypeOf().Columns).ToValueArray();
            return members.Select(m => m.TypeOf(columns).Type).Distinct().Count() == 1;
        }));

    private static bool MentionsLocal(LirRelationExpr plan)
    {
        return Free(plan, []);

        static bool Free(LirRelationExpr p, HashSet<int> bound) => p switch
        {
            LirRelationExpr.Get { Id: Id.Local local } => !bound.Contains(local.Number),
            LirRelationExpr.LetRec x => p.Children.Any(c => Free(c, [.. bound, .. x.Bindings.Select(b => b.LocalId)])),
            LirRelationExpr.Let x => Free(x.Value, bound) || Free(x.Body, [.. bound, x.LocalId]),
            _ => p.Children.Any(c => Free(c, bound)),
        };
    }

    private static Multiset AsMultiset(IEnumerable<(ValueArray<Datum> Row, long Diff)> rows)
    {
        var result = new Multiset();
        foreach (var (row, diff) in rows)
            result.Add([.. row], diff);
        return result;
    }

    private sealed class Catalog(RandomPlans plans, GlobalId view, MirRelationExpr plan, bool noIndexes = false) : IDataflowCatalog
    {
        public IReadOnlyList<AvailableIndex> IndexesOn(GlobalId id) => noIndexes ? [] : plans.Indexes.IndexesOn(id);

        public CollectionSource Describe(GlobalId id) => id == view ? new CollectionSource.View(plan) : new CollectionSource.Storage(plans.TypeOf(id));
    }

    /// <summary>A table that changes and keeps its promises: no row fewer than zero times, no key twice.</summary>
    private sealed class Table(RelationType type, Multiset start)
    {
        private readonly List<Datum[]> _rows = [.. start.Rows.SelectMany(r => Enumerable.Repeat(r.Row, (int)r.Diff))];
        private long _nextKey = 10;

        public IEnumerable<(ValueArray<Datum>, ulong, long)> Initial() => _rows.Select(r => (r.ToValueArray(), 1UL, 1L)).ToList();

        public IEnumerable<(ValueArray<Datum>, ulong, long)> Change(Random random, ulong time)
        {
            var changes = new List<(ValueArray<Datum>, ulong, long)>();
            for (var n = random.Next(3); n > 0 && _rows.Count > 0; n--)
            {
                var at = random.Next(_rows.Count);
                changes.Add((_rows[at].ToValueArray(), time, -1));
                _rows.RemoveAt(at);
            }

            for (var n = random.Next(4); n > 0; n--)
            {
                Datum[] row = [.. type.Columns.Select(c => c.IsNullable && random.Next(4) == 0 ? Datum.Null : Datum.FromInt64(random.Next(3)))];
                if (!type.Keys.IsEmpty)
                {
                    // Sometimes a key comes back that was there before.
                    var free = Enumerable.Range(1, 5).Where(k => _rows.TrueForAll(r => r[0].AsInt64 != k)).ToList();
                    row[0] = Datum.FromInt64(free.Count > 0 && random.Next(2) == 0 ? free[random.Next(free.Count)] : _nextKey++);
                }

                _rows.Add(row);
                changes.Add((row.ToValueArray(), time, 1));
            }

            return changes;
        }
    }
}
