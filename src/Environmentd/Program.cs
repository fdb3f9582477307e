using Materialize.Environmentd;

Options options;
try
{
    options = Options.Parse(args);
}
catch (OptionException e)
{
    Console.Error.WriteLine(e.IsHelp ? Options.Usage : $"environmentd: {e.Message}\n\n{Options.Usage}");
    return e.IsHelp ? 0 : 2;
}

return await Server.RunAsync(options);
