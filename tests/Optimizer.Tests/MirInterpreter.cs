using System.Diagnostics;
using Materialize.Core.Collections;
using Materialize.Expr;
using Materialize.Repr;

namespace Materialize.Optimizer.Tests;

/// <summary>The rows of a MIR plan, by nested loops. The oracle of every transform.</summary>
public sealed class MirInterpreter(IReadOnlyDictionary<GlobalId, Multiset> collections)
{
    private const int ProductMax = 5000;

    private readonly Dictionary<int, Multiset> _locals = [];

    public Multiset Eval(MirRelationExpr expr)
    {
        var result = Rows(expr);

        // The type's claims are part of what is checked.
        var type = expr.TypeOf();
        foreach (var (row, _) in result.Rows)
        {
            if (row.Length != type.Arity || Enumerable.Range(0, row.Length).Any(i => row[i].IsNull && !type.Columns[i].IsNullable))
                throw new InvalidOperationException($"({Multiset.Key(row)}) is not of the type of {MirPrinter.Print(expr)}");
        }

        foreach (var key in type.Keys)
        {
            if (result.Rows.All(r => r.Diff > 0) && result.Rows.GroupBy(r => Multiset.Key(key.Select(c => r.Row[c]))).Any(g => g.Sum(r => r.Diff) > 1))
                throw new InvalidOperationException($"{key} is not a key of {MirPrinter.Print(expr)}");
        }

        return result;
    }

    private Multiset Rows(MirRelationExpr expr)
    {
        switch (expr)
        {
            case MirRelationExpr.Constant x:
                var constant = new Multiset();
                foreach (var row in x.Rows)
                    constant.Add([.. row.Values], row.Diff);
                return constant;
            case MirRelationExpr.Get { Id: Id.Global g }:
                return collections[g.GlobalId];
            case MirRelationExpr.Get { Id: Id.Local l }:
                return _locals[l.Number];
            case MirRelationExpr.Let x:
                var value = Eval(x.Value);
                var had = _locals.TryGetValue(x.LocalId, out var hidden);
                _locals[x.LocalId] = value;
                var body = Eval(x.Body);
                if (had)
                    _locals[x.LocalId] = hidden!;
                else
                    _locals.Remove(x.LocalId);
                return body;
            case MirRelationExpr.LetRec x:
                return Rounds.Run(x.Bindings.Count, x.Bindings[0].Limit, i => Eval(x.Bindings[i].Value), (i, rows) => _locals[x.Bindings[i].LocalId] = rows, () => Eval(x.Body));
            case MirRelationExpr.Project x:
                return Relations.Select(Eval(x.Input), row => [[.. x.Outputs.Select(o => row[o])]]);
            case MirRelationExpr.Map x:
                return Relations.Select(Eval(x.Input), row =>
                {
                    var output = row.ToList();
                    foreach (var scalar in x.Scalars)
                        output.Add(Scalars.Eval(scalar, output));
                    return [[.. output]];
                });
            case MirRelationExpr.FlatMap x:
                return Relations.FlatMap(Eval(x.Input), x.Func, x.Args);
            case MirRelationExpr.Filter x:
                return Relations.Select(Eval(x.Input), row => x.Predicates.All(p => Scalars.Holds(p, row)) ? [row] : []);
            case MirRelationExpr.Join x:
                return Join(x);
            case MirRelationExpr.Reduce x:
                return Relations.Reduce(Eval(x.Input), x.GroupKey, x.Aggregates);
            case MirRelationExpr.TopK x:
                return Relations.TopK(Eval(x.Input), x.GroupKey, x.OrderKey, x.Limit, x.Offset);
            case MirRelationExpr.Window x:
                return Relations.Window(Eval(x.Input), x.PartitionKey, x.OrderKey, x.Calls);
            case MirRelationExpr.Negate x:
                return Relations.Select(Eval(x.Input), row => [row], -1);
            case MirRelationExpr.Threshold x:
                return Relations.Threshold(Eval(x.Input));
            case MirRelationExpr.Union x:
                return Relations.Union([Eval(x.Base), .. x.Inputs.Select(Eval)]);
            case MirRelationExpr.ArrangeBy x:
                return Eval(x.Input);
            default:
                throw new UnreachableException();
        }
    }

    private Multiset Join(MirRelationExpr.Join x)
    {
        List<(Datum[] Row, long Diff)> product = [([], 1)];
        foreach (var input in x.Inputs.Select(Eval))
        {
            if (product.Count * input.Rows.Count() > ProductMax)
                throw new TooLargeException();
            product = [.. product.SelectMany(p => input.Rows.Select(r => ((Datum[])[.. p.Row, .. r.Row], p.Diff * r.Diff)))];
        }

        var result = new Multiset();
        foreach (var (row, diff) in product)
        {
            if (x.Equivalences.All(c => c.Select(m => Scalars.Eval(m, row)) is var v && v.All(d => !d.IsNull && d.AsInt64 == v[0].AsInt64)))
                result.Add(row, diff);
        }

        return result;
    }
}

/// <summary>The plan is too much for nested loops: another seed will do.</summary>
public sealed class TooLargeException : Exception;
