using System.Runtime.InteropServices;
using Keyless.Sandbox;

Arguments arguments;
try
{
    arguments = Arguments.Parse(args);
}
catch (FormatException e)
{
    Console.Error.WriteLine($"keyless-sandbox: {e.Message} (--help lists the options)");
    return 2;
}
if (arguments.Help)
{
    Console.WriteLine(Arguments.Usage);
    return 0;
}

var stop = new TaskCompletionSource();
using PosixSignalRegistration interrupt = PosixSignalRegistration.Create(PosixSignal.SIGINT, Stop);
using PosixSignalRegistration terminate = PosixSignalRegistration.Create(PosixSignal.SIGTERM, Stop);

string folder = arguments.Folder ?? Directory.CreateTempSubdirectory("keyless-sandbox-").FullName;
try
{
    await using SandboxHost sandbox = await SandboxHost.StartAsync(arguments.Options);
    foreach (LoopbackServer server in sandbox.Servers)
    {
        server.Delay = arguments.Delay;
    }

    foreach ((string part, Fault fault) in arguments.Faults)
    {
        sandbox.Servers.Single(server => server.Part == part).Faults.Add(fault);
    }

    sandbox.WriteTo(folder);
    Console.WriteLine(Report.Ready(sandbox, folder));

    await stop.Task;
    Console.WriteLine(Report.Traffic(sandbox.Traffic));
    return 0;
}
catch (Exception e) when (e is IOException or UnauthorizedAccessException)
{
    Console.Error.WriteLine($"keyless-sandbox: {e.Message}");
    return 1;
}
finally
{
    if (arguments.Folder is null)
    {
        Directory.Delete(folder, recursive: true);
    }
}

void Stop(PosixSignalContext signal)
{
    signal.Cancel = true; // not killed: the sandbox ends below, and removes what it wrote
    stop.TrySetResult();
}
