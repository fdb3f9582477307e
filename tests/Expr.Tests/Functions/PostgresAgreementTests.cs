using System.Runtime.CompilerServices;
using System.Text.RegularExpressions;
using Materialize.Core.Collections;
using Materialize.Repr;
using Xunit;

namespace Materialize.Expr.Tests;

/// <summary>Results recorded from PostgreSQL, function by function.</summary>
public class PostgresAgreementTests
{
    [Fact]
    public void Functions_give_what_postgres_gives()
    {
        var wrong = new List<string>();
        var count = 0;
        foreach (var line in File.ReadLines(Path.Combine(Folder(), "..", "testdata", "functions.tsv")).Where(l => !l.StartsWith('#')))
        {
            var parts = line.Split('\t');
            var args = new List<MirScalarExpr>();
            for (var i = 3; i < parts.Length; i += 2)
            {
                var type = PgType.ByName(parts[i])!;
                args.Add(new MirScalarExpr.Literal(DatumText.Parse(type, parts[i + 1]), type.Nullable(false)));
            }

            var output = PgType.ByName(parts[1])!;
            var call = new MirScalarExpr.Call(ScalarFunctions.ById(parts[0]), args.ToValueArray(), output);
            var error = Interpreter.TryEval(call, [], [], out var value);
            var shown = error?.Message ?? (value.IsNull ? "NULL" : DatumText.Format(output, value));
            // Materialize writes months in full (conformance: dates-times.slt).
            var expected = Regex.Replace(parts[2], @"\bmon(s?)\b", "month$1");
            if (shown != expected)
                wrong.Add($"{line}: {shown}");
            count++;
        }

        Assert.True(count > 500);
        Assert.Equal([], wrong);
    }

    private static string Folder([CallerFilePath] string file = "") => Path.GetDirectoryName(file)!;
}
