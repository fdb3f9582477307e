using System.Collections.Concurrent;
using System.Diagnostics;
using Materialize.Slt.Pt;
using Materialize.Slt.Run;

namespace Materialize.Slt;

/// <summary>
/// Runs conformance scripts against a server that speaks protocol 3.
/// <code>
/// slt    [--host H] [--port P] [--internal-port P] [--list FILE]… [--server-cmd CMD] [--skip-explain] [--json OUT] [PATH…]
/// pgtest [the same] [PATH…]
/// </code>
/// </summary>
/// <remarks>
/// Without paths it runs the corpus beside the repository, and says so and succeeds when that is not there. Exit status: 0 all
/// passed, 1 not, 2 misuse.
/// </remarks>
internal static class Program
{
    private const string CorpusFromRepository = "../shared/conformance";

    private static int Main(string[] args)
    {
        RunOptions options;
        try
        {
            options = RunOptions.Parse(args);
        }
        catch (Exception e) when (e is FormatException or IndexOutOfRangeException)
        {
            Console.Error.WriteLine(e.Message);
            return 2;
        }

        var corpus = FindCorpus();
        if (options.Paths.Count == 0 && options.Lists.Count == 0)
        {
            if (corpus is null)
            {
                Console.WriteLine($"skipped: no conformance corpus at {CorpusFromRepository}, and no paths given");
                return 0;
            }

            if (options.Command == "slt")
                options.Lists.Add(Path.Combine(corpus, "slt.strict.list"));
            else
                options.Paths.Add(Path.Combine(corpus, "pgtest"));
        }

        var files = options.Command == "slt" ? options.Files(".slt", ".test") : options.Files(".pt");
        if (files.FirstOrDefault(f => !File.Exists(f)) is { } missing)
        {
            Console.Error.WriteLine($"no such file: {missing}");
            return 2;
        }

        var time = Stopwatch.StartNew();
        var results = RunAll(files, options);
        Report.Print(results, corpus is null ? new Dictionary<string, string>() : Report.ReadAreas(corpus), options, time.Elapsed.TotalSeconds);
        return results.Any(r => r.Total.Fail > 0) ? 1 : 0;
    }

    private static List<FileResult> RunAll(List<string> files, RunOptions options)
    {
        var work = new ConcurrentQueue<(int Index, string File)>(files.Select((f, i) => (i, f)));
        var results = new FileResult[files.Count];
        var workers = Enumerable.Range(0, Math.Clamp(options.Jobs, 1, Math.Max(1, files.Count))).Select(worker => new Thread(() =>
        {
            using var server = new ServerUnderTest(options, worker);
            while (work.TryDequeue(out var next))
            {
                var result = options.Command == "slt"
                    ? new SltFileRun(options, server, next.File).Run()
                    : new PtFileRun(options, server, next.File).Run();
                results[next.Index] = result;
                if (!options.IsQuiet)
                    Console.WriteLine(Report.LineOf(result));
            }
        })).ToList();
        workers.ForEach(w => w.Start());
        workers.ForEach(w => w.Join());
        return [.. results];
    }

    /// <summary>The corpus beside the repository that the current folder or this program lies in.</summary>
    private static string? FindCorpus()
    {
        foreach (var start in new[] { Directory.GetCurrentDirectory(), AppContext.BaseDirectory })
        {
            for (var folder = start; folder is not null; folder = Path.GetDirectoryName(folder))
            {
                var corpus = Path.GetFullPath(Path.Combine(folder, CorpusFromRepository));
                if (File.Exists(Path.Combine(folder, "global.json")) && Directory.Exists(corpus))
                    return corpus;
            }
        }

        return null;
    }
}
