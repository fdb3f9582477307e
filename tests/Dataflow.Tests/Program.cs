using Materialize.Dataflow.Tests;

// The tests; or, with --seeds, as many random runs as wanted (see Seeds).
return args.Contains("--seeds") ? Seeds.Command(args) : await Xunit.Runner.InProc.SystemConsole.ConsoleRunner.Run(args);
