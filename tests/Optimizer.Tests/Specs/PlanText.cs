using System.Globalization;
using Materialize.Core.Collections;
using Materialize.Expr;
using Materialize.Repr;

namespace Materialize.Optimizer.Tests;

/// <summary>
/// Reads plans as <see cref="MirPrinter"/> writes them, over declared tables. Integer literals are int4, <c>+</c> adds int4; a null is
/// an int4 unless it says its type (<c>null::text</c>).
/// </summary>
public sealed class PlanText(IReadOnlyDictionary<string, MirRelationExpr.Get> tables)
{
    private readonly Dictionary<string, MirRelationExpr> _locals = [];
    private string[] _lines = [];
    private int _line;

    public MirRelationExpr Parse(string text)
    {
        _lines = [.. text.Split('\n').Where(l => l.Trim().Length > 0)];
        _line = 0;
        return Node(Indent(0));
    }

    public static SqlType Type(string name) => name switch
    {
        "int4" => SqlType.Int32,
        "int8" => SqlType.Int64,
        "text" => SqlType.String,
        "bool" => SqlType.Bool,
        "mz_timestamp" => SqlType.MzTimestamp,
        _ => throw new FormatException($"unknown type {name}"),
    };

    private int Indent(int line) => _lines[line].Length - _lines[line].TrimStart().Length;

    private List<MirRelationExpr> Inputs(int depth)
    {
        var inputs = new List<MirRelationExpr>();
        while (_line < _lines.Length && Indent(_line) > depth)
            inputs.Add(Node(Indent(_line)));
        return inputs;
    }

    private MirRelationExpr Node(int depth)
    {
        var line = _lines[_line++].Trim();
        if (line == "With")
            return With(depth);
        var space = line.IndexOf(' ');
        var op = space < 0 ? line : line[..space];
        var text = new ScalarText(space < 0 ? "" : line[(space + 1)..]);
        switch (op)
        {
            case "Get":
                var name = text.Rest();
                return _locals.TryGetValue(name, out var local) ? local : tables[name];
            case "Constant":
                return Constant(text, depth);
            case "Project":
                var outputs = text.Parenthesised();
                return new MirRelationExpr.Project(Inputs(depth)[0], outputs.Select(c => ((MirScalarExpr.Column)c).Index));
            case "Map":
                var scalars = text.Parenthesised();
                return new MirRelationExpr.Map(Inputs(depth)[0], scalars);
            case "FlatMap":
                text.Expect("generate_series");
                scalars = text.Parenthesised();
                return new MirRelationExpr.FlatMap(Inputs(depth)[0], TableFunc.GenerateSeriesInt32, scalars, [SqlType.Int32.Nullable(false)]);
            case "Filter":
                var predicates = text.Separated("AND");
                return new MirRelationExpr.Filter(Inputs(depth)[0], predicates);
            case "CrossJoin":
                return new MirRelationExpr.Join(Inputs(depth).ToValueArray(), []);
            case "Join":
                text.Expect("on=(");
                var classes = new List<ValueArray<MirScalarExpr>>();
                do
                    classes.Add(text.Separated("="));
                while (text.TryTake("AND"));
                return new MirRelationExpr.Join(Inputs(depth).ToValueArray(), classes.ToValueArray());
            case "Distinct":
                text.Expect("project=");
                var keys = text.Bracketed();
                return new MirRelationExpr.Reduce(Inputs(depth)[0], keys, []);
            case "Reduce":
                keys = text.TryTake("group_by=") ? text.Bracketed() : [];
                text.Expect("aggregates=");
                var aggregates = text.Aggregates();
                return new MirRelationExpr.Reduce(Inputs(depth)[0], keys, aggregates);
            case "TopK":
                keys = text.TryTake("group_by=") ? text.Bracketed() : [];
                var order = text.TryTake("order_by=") ? text.Orders() : [];
                var limit = text.TryTake("limit=") ? text.Scalar() : null;
                var offset = text.TryTake("offset=") ? ((MirScalarExpr.Literal)text.Scalar()).Value.AsUInt64 : 0;
                return new MirRelationExpr.TopK(Inputs(depth)[0], keys.Select(c => ((MirScalarExpr.Column)c).Index), order, limit, offset);
            case "Negate":
                return new MirRelationExpr.Negate(Inputs(depth)[0]);
            case "Threshold":
                return new MirRelationExpr.Threshold(Inputs(depth)[0]);
            case "Union":
                var inputs = Inputs(depth);
                return new MirRelationExpr.Union(inputs[0], inputs.Skip(1).ToValueArray());
            default:
                throw new FormatException($"unknown operator {op}");
        }
    }

    private MirRelationExpr With(int depth)
    {
        var bindings = new List<(int Id, MirRelationExpr Value)>();
        while (_lines[_line].Trim() is var line && line != "Return")
        {
            var id = int.Parse(line["cte l".Length..line.IndexOf(' ', 4)], CultureInfo.InvariantCulture);
            var inner = Indent(_line++);
            var value = Inputs(inner)[0];
            bindings.Add((id, value));
            _locals[$"l{id}"] = new MirRelationExpr.Get(new Id.Local(id), value.TypeOf());
        }

        _line++;
        var body = Inputs(depth)[0];
        for (var i = bindings.Count - 1; i >= 0; i--)
            body = new MirRelationExpr.Let(bindings[i].Id, bindings[i].Value, body);
        return body;
    }

    private MirRelationExpr.Constant Constant(ScalarText types, int depth)
    {
        var columns = types.Types();
        var rows = new List<ConstantRow>();
        while (_line < _lines.Length && Indent(_line) > depth)
        {
            var text = new ScalarText(_lines[_line++].Trim()[2..]);
            rows.Add(new ConstantRow(text.Parenthesised().Select(v => ((MirScalarExpr.Literal)v).Value), 1));
        }

        return new MirRelationExpr.Constant(rows.ToValueArray(), new RelationType(columns));
    }
}
