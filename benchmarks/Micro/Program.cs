using Materialize.Micro;

try
{
    return Commands.Run(args, Console.Out);
}
catch (UsageException e)
{
    Console.Error.WriteLine($"{e.Message}\nSee --help.");
    return Commands.BadUsage;
}
