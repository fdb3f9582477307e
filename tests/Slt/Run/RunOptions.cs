using System.Globalization;

namespace Materialize.Slt.Run;

/// <summary>The command line, read.</summary>
public sealed record RunOptions
{
    public required string Command { get; init; }

    public List<string> Paths { get; } = [];

    public List<string> Lists { get; } = [];

    public string Host { get; init; } = "127.0.0.1";

    public int Port { get; init; } = 6875;

    /// <summary>For users mz_system and mz_support; 0: the same as <see cref="Port"/>.</summary>
    public int InternalPort { get; init; }

    public string User { get; init; } = "materialize";

    public string? Password { get; init; }

    public string? Database { get; init; }

    public string? AdminUser { get; init; }

    public string AdminDatabase { get; init; } = "postgres";

    public List<KeyValuePair<string, string>> Parameters { get; } = [];

    /// <summary>Starts a fresh server for each file; {port}, {internal_port} and {dir} are filled in.</summary>
    public string? ServerCommand { get; init; }

    public TimeSpan ServerStartWait { get; init; } = TimeSpan.FromSeconds(60);

    public TimeSpan Timeout { get; init; } = TimeSpan.FromSeconds(30);

    public TimeSpan FileTimeout { get; init; } = TimeSpan.FromSeconds(900);

    public int TimeoutsMax { get; init; } = 5;

    public int Jobs { get; init; } = 1;

    public bool Resets { get; init; } = true;

    public bool SkipExplain { get; init; }

    public bool EnableTableKeys { get; init; }

    public string Engine { get; init; } = "postgresql";

    public string? Json { get; init; }

    public int Show { get; init; } = 20;

    public bool IsQuiet { get; init; }

    /// <summary>Only count records.</summary>
    public bool ParseOnly { get; init; }

    /// <exception cref="FormatException">An option is unknown or lacks its value.</exception>
    public static RunOptions Parse(IReadOnlyList<string> args)
    {
        var command = args.Count > 0 && args[0] is "slt" or "pgtest" ? args[0] : throw new FormatException("the first word is slt or pgtest");
        var options = new RunOptions { Command = command };
        if (command == "pgtest")
            options = options with { Timeout = TimeSpan.FromSeconds(10) };
        var i = 1;
        string Value() => ++i < args.Count ? args[i] : throw new FormatException($"{args[^1]} needs a value");
        int Number() => int.Parse(Value(), CultureInfo.InvariantCulture);
        TimeSpan Seconds() => TimeSpan.FromSeconds(double.Parse(Value(), CultureInfo.InvariantCulture));
        for (; i < args.Count; i++)
        {
            switch (args[i])
            {
                case "--list":
                    options.Lists.Add(Value());
                    break;
                case "--startup-param":
                    var pair = Value().Split('=', 2);
                    options.Parameters.Add(KeyValuePair.Create(pair[0], pair[1]));
                    break;
                default:
                    options = args[i] switch
                    {
                        "--host" => options with { Host = Value() },
                        "--port" => options with { Port = Number() },
                        "--internal-port" => options with { InternalPort = Number() },
                        "--user" => options with { User = Value() },
                        "--password" => options with { Password = Value() },
                        "--dbname" => options with { Database = Value() },
                        "--admin-user" => options with { AdminUser = Value() },
                        "--admin-db" => options with { AdminDatabase = Value() },
                        "--server-cmd" => options with { ServerCommand = Value() },
                        "--server-start-wait" => options with { ServerStartWait = Seconds() },
                        "--timeout" => options with { Timeout = Seconds() },
                        "--file-timeout" => options with { FileTimeout = Seconds() },
                        "--max-timeouts" => options with { TimeoutsMax = Number() },
                        "--jobs" => options with { Jobs = Number() },
                        "--no-reset" => options with { Resets = false },
                        "--skip-explain" => options with { SkipExplain = true },
                        "--enable-table-keys" => options with { EnableTableKeys = true },
                        "--engine" => options with { Engine = Value() },
                        "--json" => options with { Json = Value() },
                        "--show" => options with { Show = Number() },
                        "--quiet" or "-q" => options with { IsQuiet = true },
                        "--parse-only" => options with { ParseOnly = true },
                        var path when !path.StartsWith('-') => options.WithPath(path),
                        var unknown => throw new FormatException($"unknown option {unknown}"),
                    };
                    break;
            }
        }

        return options;
    }

    /// <summary>The files that paths and lists name, once each, in order.</summary>
    public List<string> Files(params string[] extensions)
    {
        var files = new List<string>();
        foreach (var path in Paths)
        {
            if (Directory.Exists(path))
                files.AddRange(Directory.EnumerateFiles(path, "*", SearchOption.AllDirectories).Where(f => extensions.Contains(Path.GetExtension(f))).Order(StringComparer.Ordinal));
            else
                files.Add(path);
        }

        foreach (var list in Lists)
        {
            var folder = Path.GetDirectoryName(Path.GetFullPath(list))!;
            foreach (var line in File.ReadLines(list))
            {
                var name = line.Split('\t')[0].Trim();
                if (name.Length > 0 && name[0] != '#')
                    files.Add(File.Exists(name) ? name : Path.Combine(folder, name));
            }
        }

        return [.. files.Distinct()];
    }

    private RunOptions WithPath(string path)
    {
        Paths.Add(path);
        return this;
    }
}
