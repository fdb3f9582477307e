using System.Globalization;
using System.Text;
using Materialize.Core.Collections;
using Materialize.Expr;
using Materialize.Protocol;
using Materialize.Repr;
using Xunit;

namespace Materialize.Optimizer.Tests;

/// <summary>
/// Golden files: <c>testdata/*.spec</c>. A block is a command line, a plan, <c>----</c> and the answer, ended by a blank line. Commands:
/// the name of a transform, <c>optimize</c>, <c>lower</c> (optimised, physical), <c>peek</c>; <c>table</c> and <c>index</c> lines declare what plans
/// read. <c>REWRITE=1</c> records the answers.
/// </summary>
public sealed class SpecTests
{
    public static TheoryData<string> Files => [.. Directory.GetFiles(Path.Combine(AppContext.BaseDirectory, "testdata"), "*.spec").Select(f => Path.GetFileName(f)!).Order()];

    [Theory]
    [MemberData(nameof(Files))]
    public void Answers_are_as_recorded(string file)
    {
        var path = Path.Combine(AppContext.BaseDirectory, "testdata", file);
        var recorded = File.ReadAllText(path);
        var answered = new Spec().Run(recorded);
        if (Environment.GetEnvironmentVariable("REWRITE") == "1")
            File.WriteAllText(Path.Combine(Source(), file), answered);
        else
            Assert.Equal(recorded, answered);
    }

    private static string Source()
    {
        var directory = new DirectoryInfo(AppContext.BaseDirectory);
        while (!File.Exists(Path.Combine(directory!.FullName, "Materialize.sln")))
            directory = directory.Parent;
        return Path.Combine(directory.FullName, "tests", "Optimizer.Tests", "testdata");
    }

    private sealed class Spec : IDataflowCatalog
    {
        private readonly Dictionary<string, MirRelationExpr.Get> _tables = [];
        private readonly Dictionary<GlobalId, string> _names = [];
        private readonly List<AvailableIndex> _indexes = [];

        public IReadOnlyList<AvailableIndex> IndexesOn(GlobalId id) => [.. _indexes.Where(i => i.OnId == id)];

        public CollectionSource Describe(GlobalId id) => new CollectionSource.Storage(_tables[_names[id]].Type);

        public string Run(string text)
        {
            var output = new StringBuilder();
            var lines = text.Split('\n');
            for (var i = 0; i < lines.Length; i++)
            {
                var line = lines[i];
                if (i == lines.Length - 1 && line.Length == 0)
                    break;
                output.Append(line).Append('\n');
                if (line.Length == 0 || line[0] == '#')
                    continue;
                var words = line.Split(' ', 3);
                if (words[0] is "table" or "index")
                {
                    Declare(words[0], words[1], words[2]);
                    continue;
                }

                var plan = new StringBuilder();
                for (i++; lines[i] != "----"; i++)
                {
                    plan.Append(lines[i]).Append('\n');
                    output.Append(lines[i]).Append('\n');
                }

                output.Append("----\n").Append(string.Join('\n', Answer(line, new PlanText(_tables).Parse(plan.ToString())).Split('\n').Where(l => l.Length > 0))).Append("\n\n");
                while (i + 1 < lines.Length && lines[i + 1].Length > 0)
                    i++;
                i++;
            }

            return output.ToString();
        }

        private string Answer(string command, MirRelationExpr plan)
        {
            string Name(GlobalId id) => _names[id];
            try
            {
                switch (command)
                {
                    case "optimize":
                        return MirPrinter.Print(Optimizer.Optimize(plan, this), new PlanTextOptions { Name = Name });
                    case "explain":
                        var planned = DataflowPlanner.ForSubscribe(
                            this, GlobalId.Transient(1), GlobalId.Transient(2), "spec", plan, DescOf(plan), true, null);
                        return ExplainText.Optimized(planned, Name) + "--\n" + ExplainText.Physical(planned.Dataflow, Name);
                    case "peek":
                        var peek = PeekPlanning.Plan(
                            this, plan, plan.TypeOf().Columns, RowSetFinishing.Trivial(plan.Arity()), _ => null, GlobalId.Transient(1), GlobalId.Transient(2));
                        return $"{peek.GetType().Name}\n{ExplainText.Peek(peek, RowSetFinishing.Trivial(plan.Arity()), Name)}";
                    default:
                        var transform = Optimizer.All.First(t => t.Name == command);
                        return MirPrinter.Print(transform.Apply(plan, new TransformContext(this)), new PlanTextOptions { Name = Name });
                }
            }
            catch (OptimizerException e)
            {
                return $"{e.SqlState}: {e.Message}\n{e.Detail}";
            }
        }

        private static RelationDesc DescOf(MirRelationExpr plan) =>
            new(plan.TypeOf(), Enumerable.Range(0, plan.Arity()).Select(i => $"c{i}").ToValueArray());

        private void Declare(string kind, string name, string rest)
        {
            var id = GlobalId.User((ulong)(_names.Count + 1));
            _names.Add(id, name);
            var text = new ScalarText(rest);
            if (kind == "table")
            {
                var columns = text.Types();
                var keys = new List<ValueArray<int>>();
                while (text.TryTake("key"))
                    keys.Add(text.Parenthesised().Select(c => ((MirScalarExpr.Column)c).Index));
                _tables.Add(name, new MirRelationExpr.Get(new Id.Global(id), new RelationType(columns, keys.ToValueArray())));
            }
            else
            {
                var on = rest.Split(' ')[1];
                text.Expect($"on {on}");
                _indexes.Add(new AvailableIndex(id, ((Id.Global)_tables[on].Id).GlobalId, new ArrangementKey(text.Parenthesised())));
            }
        }
    }
}
