using Materialize.Core.Collections;
using Materialize.Expr;
using Materialize.Repr;

namespace Materialize.Optimizer;

/// <summary>
/// A few rows, as VALUES gives them, whose expressions are over parameters and functions of session and time only: prepared once, evaluated for each
/// execution. Immutable, but <see cref="TryEval"/> is for one thread at a time.
/// </summary>
public sealed class OpenRows
{
    private readonly ScalarProgram[][] _rows;
    private readonly UnmaterializableFunc[] _functions;
    private readonly Datum[] _inputs;

    private OpenRows(ScalarProgram[][] rows, UnmaterializableFunc[] functions, int parameters)
    {
        (_rows, _functions) = (rows, functions);
        _inputs = new Datum[parameters + functions.Length];
    }

    /// <summary>The rows of a query; null if it reads anything, filters, or is otherwise more than a list of rows.</summary>
    /// <param name="query">With its parameters open (<see cref="MirScalarExpr.Parameter"/>).</param>
    /// <param name="parameters">Their types, in order.</param>
    public static OpenRows? Of(MirRelationExpr query, ValueArray<SqlType> parameters)
    {
        if (RowsOf(query) is not { } rows)
            return null;
        var functions = new List<UnmaterializableFunc>();
        foreach (var expr in rows.SelectMany(r => r))
            Collect(expr);

        // What is evaluated sees the parameters and then the functions' values as its columns.
        ValueArray<ColumnType> columns = [.. parameters.Select(p => p.Nullable()), .. functions.Select(f => ScalarTyping.TypeOf(f).Type.Nullable())];
        var programs = rows.Select(r => r.Select(e => Interpreter.Prepare(e.Replace(Input), columns)).ToArray()).ToArray();
        return new OpenRows(programs, [.. functions], parameters.Count);

        void Collect(MirScalarExpr expr)
        {
            if (expr is MirScalarExpr.CallUnmaterializable call && !functions.Contains(call.Func))
                functions.Add(call.Func);
            foreach (var child in expr.Children)
                Collect(child);
        }

        MirScalarExpr? Input(MirScalarExpr expr) => expr switch
        {
            MirScalarExpr.Parameter x => new MirScalarExpr.Column(x.Number - 1),
            MirScalarExpr.CallUnmaterializable x => new MirScalarExpr.Column(parameters.Count + functions.IndexOf(x.Func)),
            _ => null,
        };
    }

    /// <summary>The rows with these values, in order.</summary>
    /// <param name="parameters">One for each.</param>
    /// <param name="environment">Gives the value of functions of session and time, as a literal; null where it has none.</param>
    /// <returns>Null where an expression fails or a function has no value: planning with the values says what that means.</returns>
    public List<ValueArray<Datum>>? TryEval(ReadOnlySpan<Datum> parameters, Func<UnmaterializableFunc, MirScalarExpr?> environment)
    {
        parameters.CopyTo(_inputs);
        for (var i = 0; i < _functions.Length; i++)
        {
            if (environment(_functions[i]) is not MirScalarExpr.Literal { Value: var value })
                return null;
            _inputs[parameters.Length + i] = value;
        }

        var rows = new List<ValueArray<Datum>>(_rows.Length);
        foreach (var row in _rows)
        {
            var values = new Datum[row.Length];
            for (var i = 0; i < values.Length; i++)
            {
                if (row[i].TryEval(_inputs, out values[i]) is not null)
                    return null;
            }

            rows.Add(ValueArray.Create<Datum>(values));
        }

        return rows;
    }

    private static List<MirScalarExpr[]>? RowsOf(MirRelationExpr query)
    {
        switch (query)
        {
            case MirRelationExpr.Constant { Error: null } x:
                var literals = new List<MirScalarExpr[]>();
                foreach (var row in x.Rows)
                {
                    if (row.Diff is < 1 or > 1000)
                        return null;
                    MirScalarExpr[] values = [.. row.Values.Select((v, i) => (MirScalarExpr)new MirScalarExpr.Literal(v, x.Type.Columns[i]))];
                    literals.AddRange(Enumerable.Repeat(values, (int)row.Diff));
                }

                return literals;
            case MirRelationExpr.Map x:
                return RowsOf(x.Input)?.ConvertAll(row => x.Scalars.Aggregate(row, (known, scalar) => [.. known, scalar.Replace(e => e is MirScalarExpr.Column c ? known[c.Index] : null)]));
            case MirRelationExpr.Project x:
                return RowsOf(x.Input)?.ConvertAll(row => x.Outputs.Select(i => row[i]).ToArray());
            case MirRelationExpr.Union x:
                var all = RowsOf(x.Base);
                foreach (var input in x.Inputs)
                {
                    if (all is null || RowsOf(input) is not { } more)
                        return null;
                    all = [.. all, .. more];
                }

                return all;
            default:
                return null;
        }
    }
}
