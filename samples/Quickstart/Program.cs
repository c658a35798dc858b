using System.Diagnostics;
using System.Globalization;
using System.Runtime.InteropServices;
using Quickstart;

string[] steps = ["sandbox", "pack", "publish", "verify", "identity", "unsigned", "moved"];
string? toBreak = args is ["--break", var step] && steps.Contains(step) ? step : null;
if (args.Length > 0 && toBreak is null)
{
    Console.Error.WriteLine($"""
        Signs a container image in a world of its own, verifies it, and shows what is refused.
        usage: dotnet run --project samples/Quickstart [-- --break {string.Join('|', steps)}]
        --break makes that step fail, to see that it would be noticed.
        """);
    return 2;
}

using var stop = new CancellationTokenSource();
using PosixSignalRegistration interrupt = PosixSignalRegistration.Create(PosixSignal.SIGINT, Stop);
using PosixSignalRegistration terminate = PosixSignalRegistration.Create(PosixSignal.SIGTERM, Stop);
var total = Stopwatch.StartNew();
int number = 0;
try
{
    await using var world = new World();
    CancellationToken cancel = stop.Token;

    await StepAsync("sandbox", "start the sandbox: registry, OIDC issuer, Fulcio, Rekor, timestamp authority", async () =>
    {
        await world.StartAsync(toBreak == "sandbox", cancel);
        return "all on this machine";
    });
    await StepAsync("pack", "pack Keyless.MSBuild into a feed", () => world.PackAsync(toBreak == "pack", cancel));
    string hello = await StepAsync("publish", "dotnet publish -t:PublishContainer -p:SignContainer=true", () =>
        world.PublishAsync("hello", sign: true, withIdentity: toBreak != "publish", cancel));
    await StepAsync("verify", "verify the image: dotnet build -t:VerifyContainerImages", () =>
        MustBeAcceptedAsync(world, hello, toBreak == "verify" ? world.Signer + "-somebody-else" : world.Signer, cancel));

    string other = await world.PublishAsync("other", sign: false, withIdentity: false, cancel);
    await StepAsync("identity", "refuse it for another identity", () =>
        MustBeRefusedAsync(world, hello, toBreak == "identity" ? world.Signer : "https://github.com/somebody/else/.github/workflows/publish.yml@refs/heads/main", "KEYLESS4002", cancel));
    // First what is not signed; then somebody attaches a signature to it that is another image's.
    await StepAsync("unsigned", "refuse an image that is not signed", () =>
        MustBeRefusedAsync(world, toBreak == "unsigned" ? hello : other, world.Signer, "KEYLESS4001", cancel));
    world.MoveSignature("hello", "other");
    await StepAsync("moved", "refuse an image with another image's signature", () =>
        MustBeRefusedAsync(world, toBreak == "moved" ? hello : other, world.Signer, "KEYLESS4002", cancel));
}
catch (StepFailedException e)
{
    Console.WriteLine();
    Console.WriteLine(e.Message);
    Console.WriteLine("quickstart: FAILED");
    return 1;
}
catch (OperationCanceledException)
{
    Console.WriteLine();
    Console.WriteLine("quickstart: stopped, everything is cleaned up");
    return 130;
}
Console.WriteLine(string.Create(CultureInfo.InvariantCulture, $"quickstart: all {number} steps went as they should, in {total.Elapsed.TotalSeconds:0} s; nothing is left behind"));
return 0;

void Stop(PosixSignalContext signal)
{
    signal.Cancel = true; // not killed: the world below is taken down first
    stop.Cancel();
}

async Task<string> StepAsync(string name, string what, Func<Task<string>> run)
{
    Console.WriteLine($"[{++number}/{steps.Length}] {what}{(name == toBreak ? " (broken on purpose)" : "")}");
    var watch = Stopwatch.StartNew();
    string result = await run();
    Console.WriteLine(string.Create(CultureInfo.InvariantCulture, $"      ok, {watch.Elapsed.TotalSeconds:0.0} s: {result}"));
    return result;
}

static async Task<string> MustBeAcceptedAsync(World world, string image, string signer, CancellationToken cancel)
{
    ChildResult deploy = await world.DeployAsync(image, signer, cancel);
    return deploy.ExitCode == 0
        ? deploy.Lines.First(line => line.Contains("would deploy", StringComparison.Ordinal))
        : throw new StepFailedException($"it was refused:\n{string.Join('\n', deploy.Errors.DefaultIfEmpty(deploy.Output))}");
}

static async Task<string> MustBeRefusedAsync(World world, string image, string signer, string code, CancellationToken cancel)
{
    ChildResult deploy = await world.DeployAsync(image, signer, cancel);
    string error = string.Join('\n', deploy.Errors);
    return deploy.ExitCode == 0 ? throw new StepFailedException("it was accepted, and should have been refused")
        : error.Contains(code, StringComparison.Ordinal) ? error
        : throw new StepFailedException($"it was refused, but not with {code}:\n{(error.Length > 0 ? error : deploy.Output)}");
}
