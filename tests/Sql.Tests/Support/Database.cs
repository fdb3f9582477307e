using Materialize.Core.Collections;
using Materialize.Expr;
using Materialize.Repr;
using Materialize.Sql.Parser;

namespace Materialize.Sql.Tests;

/// <summary>Plans statements and runs them with the plain interpreter.</summary>
internal sealed class Database
{
    public TestCatalog Catalog { get; } = new();

    private readonly Dictionary<GlobalId, List<Datum[]>> _data = [];

    public static Database Of(params ReadOnlySpan<string> statements)
    {
        var database = new Database();
        foreach (var statement in statements)
            database.Execute(statement);
        return database;
    }

    public StatementPlan Plan(string sql, Params? parameters = null) =>
        Planner.Plan(Catalog, SqlParser.ParseStatement(sql).Statement, parameters ?? Params.None, sql);

    public void Execute(string sql)
    {
        switch (Plan(sql))
        {
            case StatementPlan.CreateTable x:
                _data[Catalog.Add(x).Id] = [];
                break;
            case StatementPlan.CreateView x:
                // A view's rows are those of its definition now.
                _data[Catalog.Add(x).Id] = Expand(new PlainInterpreter(_data).Run(x.Query.Whole));
                break;
            case StatementPlan.CreateItem x:
                Catalog.Add(x);
                break;
            case StatementPlan.Insert x:
                _data[x.Table].AddRange(Expand(new PlainInterpreter(_data).Run(x.Values.Whole)));
                break;
            case var other:
                throw new ArgumentException(other.GetType().Name);
        }
    }

    private static List<Datum[]> Expand(List<(Datum[] Row, long Diff)> rows)
    {
        Assert.All(rows, r => Assert.True(r.Diff > 0, "a negative multiplicity in the result"));
        return rows.SelectMany(r => Enumerable.Repeat(r.Row, (int)r.Diff)).ToList();
    }

    /// <summary>The rows, a line each, columns parted by <c>|</c>, in the query's order if it has one, else sorted.</summary>
    public string Query(string sql, Params? parameters = null)
    {
        var select = Assert.IsType<StatementPlan.Select>(Plan(sql, parameters));
        return string.Join('\n', Rows(select.Query));
    }

    public List<string> Rows(QueryPlan query)
    {
        // Both forms of the query must agree: the one that is finished outside and the one that is a relation.
        var rows = Expand(new PlainInterpreter(_data).Run(query.Mir));
        var types = query.Mir.TypeOf().Columns;
        rows.Sort((a, b) => PlainAggregates.Compare(query.Finishing.OrderBy, types, a, b));
        var cut = rows.Skip((int)query.Finishing.Offset).Take((int)(query.Finishing.Limit ?? int.MaxValue));
        var result = cut.Select(r => Line(query.Finishing.Project.Select(i => r[i]), query.Desc)).ToList();
        var whole = Expand(new PlainInterpreter(_data).Run(query.Whole)).Select(r => Line(r.ToValueArray(), query.Desc)).Order(StringComparer.Ordinal);
        Assert.Equal(result.Order(StringComparer.Ordinal), whole);
        var declared = query.Desc.Type.Columns;
        foreach (var row in Expand(new PlainInterpreter(_data).Run(query.Whole)))
            Assert.All(row.Index(), d => Assert.True(declared[d.Index].IsNullable || !d.Item.IsNull, $"column {d.Index} was promised not to be null"));
        if (query.Finishing.OrderBy.IsEmpty)
            result.Sort(StringComparer.Ordinal);
        return result;
    }

    private static string Line(ValueArray<Datum> row, RelationDesc desc) =>
        string.Join('|', row.Select((d, i) => d.IsNull ? "∅" : DatumText.Format(desc.Type.Columns[i].Type, d)));

    public SqlException Fails(string sql) => Assert.Throws<SqlException>(() => Plan(sql));
}
