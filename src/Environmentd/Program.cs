using Materialize.Environmentd;

ServerOptions options;
try
{
    options = CommandLine.Parse(args);
}
catch (OptionException e)
{
    Console.Error.WriteLine(e.IsHelp ? CommandLine.Usage : $"environmentd: {e.Message}\n\n{CommandLine.Usage}");
    return e.IsHelp ? 0 : 2;
}

return await Server.RunAsync(options);
