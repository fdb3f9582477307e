using System.Diagnostics;
using System.Text.Json;
using Materialize.Slt.Client;
using Materialize.Slt.Run;

namespace Materialize.Slt.Pt;

/// <summary>Runs one .pt file. Each <c>until</c> block is one check; after a lost connection the rest of the file fails.</summary>
public sealed class PtFileRun(RunOptions options, ServerUnderTest server, string path)
{
    private readonly Dictionary<string, PgConnection> _connections = [];

    public FileResult Run()
    {
        var result = new FileResult(path);
        var time = Stopwatch.StartNew();
        string? dead = null;
        try
        {
            server.Reset();
        }
        catch (NoServerException e)
        {
            dead = $"no server: {e.Message}";
        }

        foreach (var block in PtScript.Read(File.ReadAllText(path)))
        {
            var got = new List<string>();
            string? failure = dead;
            if (dead is null)
            {
                try
                {
                    failure = RunBlock(block, got);
                }
                catch (Exception e) when (e is ConnectionLostException or AnswerTimeoutException or ServerErrorException or NoServerException or FormatException or JsonException)
                {
                    failure = $"{e.Message} (read so far: {string.Join(" / ", got)})";
                    dead = $"not run: line {block.Line}: {e.Message}";
                }
            }

            if (block.Directive != "until")
                continue;
            result.Count("until", failure is null ? new Tally(1, 0, 0) : new Tally(0, 1, 0));
            result.StrictPass += failure is null ? 1 : 0;
            if (failure is not null)
                result.Failures.Add(new Failure(block.Line, "until", failure, "", null));
        }

        foreach (var connection in _connections.Values)
            connection.Dispose();
        result.Seconds = Math.Round(time.Elapsed.TotalSeconds, 2);
        return result;
    }

    private string? RunBlock(PtBlock block, List<string> got)
    {
        var connection = ConnectionFor(block);
        connection.Arm(options.Timeout);
        if (block.Directive == "send")
        {
            foreach (var line in block.Input)
                connection.Send(PtMessages.Encode(line));
            return null;
        }

        if (block.Directive != "until")
            throw new FormatException($"unknown directive {block.Directive}");
        var fieldTypes = block.Arguments.ContainsKey("no_error_fields") ? ""
            : block.Arguments.TryGetValue("err_field_typs", out var given) ? string.Concat(given) : "CMS";
        var ignored = block.Arguments.GetValueOrDefault("ignore", []);
        foreach (var wanted in block.Input)
        {
            string name;
            do
            {
                connection.Arm(options.Timeout);
                (name, var json) = PtMessages.Show(connection.Receive(), fieldTypes);
                if (name != "ParameterStatus" && !ignored.Contains(name))
                    got.Add($"{name} {json}".TrimEnd(' '));
            }
            while (name != wanted || ignored.Contains(name));
        }

        return got.SequenceEqual(block.Expected) ? null : Difference(block.Expected, got);
    }

    private PgConnection ConnectionFor(PtBlock block)
    {
        var name = block.Arguments.GetValueOrDefault("conn", []).FirstOrDefault("");
        if (_connections.TryGetValue(name, out var found))
            return found;
        List<KeyValuePair<string, string>> parameters = [new("welcome_message", "off"), .. options.Parameters];
        if (block.Arguments.GetValueOrDefault("cluster", []).FirstOrDefault() is { } cluster)
            parameters.Add(new("cluster", cluster));
        var target = new ConnectTarget(server.Host, server.Port, options.User, options.Database, options.Password, parameters, options.Timeout);
        try
        {
            return _connections[name] = PgConnection.Open(target);
        }
        catch (ServerErrorException e) when (e.Message.Contains("welcome_message", StringComparison.Ordinal))
        {
            // PostgreSQL does not know this variable: then without it.
            return _connections[name] = PgConnection.Open(target with { Parameters = parameters[1..] });
        }
    }

    private static string Difference(IReadOnlyList<string> expected, List<string> got)
    {
        var same = expected.Zip(got).TakeWhile(p => p.First == p.Second).Count();
        return $"differs at line {same + 1} of {expected.Count}\nexpected: {string.Join("\n          ", expected.Skip(same).Take(4))}\nactual:   {string.Join("\n          ", got.Skip(same).Take(4))}";
    }
}
