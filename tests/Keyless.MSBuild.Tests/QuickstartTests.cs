using Keyless.Testing;

namespace Keyless.MSBuild.Tests;

/// <summary>The quickstart must notice when a step does not go as it should. That all of them do is shown by running it.</summary>
[TestClass]
public sealed class QuickstartTests
{
    public required TestContext TestContext { get; init; }

    [TestMethod]
    [DataRow("sandbox", 1)]
    [DataRow("pack", 2)]
    [DataRow("publish", 3)]
    [DataRow("verify", 4)]
    [DataRow("identity", 5)]
    [DataRow("unsigned", 6)]
    [DataRow("moved", 7)]
    public async Task A_broken_step_is_noticed_and_leaves_nothing_behind(string step, int number)
    {
        using var temporary = new TemporaryFolder();
        DotNetResult result = await DotNet.RunAsync(
            temporary.Path,
            [Repository.PathTo($"samples/Quickstart/bin/{Repository.Configuration}/net10.0/Quickstart.dll"), "--break", step],
            new Dictionary<string, string> { ["TMPDIR"] = temporary.Path },
            TestContext.CancellationToken);

        Assert.AreEqual(1, result.ExitCode, result.ToString());
        Assert.Contains($"[{number}/7]", result.Output);
        Assert.DoesNotContain($"[{number + 1}/7]", result.Output);
        Assert.Contains("quickstart: FAILED", result.Output);
        Assert.IsEmpty(Directory.GetFileSystemEntries(temporary.Path, "keyless-*"));
    }
}
