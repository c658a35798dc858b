using System.Globalization;
using Keyless.Trials;

namespace Keyless.MSBuild.Tests;

/// <summary>A few of what <c>eng/Keyless.Trials</c> does many times: builds that are killed, and builds that write the same list at once.</summary>
[TestClass]
public sealed class TrialTests
{
    public required TestContext TestContext { get; init; }

    [TestMethod]
    [DataRow("bundle", false)]
    [DataRow("both", true)]
    public async Task A_build_that_was_killed_is_healed_by_the_next(string format, bool referrersApi)
    {
        using var said = new StringWriter(CultureInfo.InvariantCulture);

        int wrong = await Kills.RunAsync(5, format, referrersApi, said);

        TestContext.WriteLine(said.ToString());
        Assert.AreEqual(0, wrong, said.ToString());
    }

    [TestMethod]
    [DataRow("bundle", true)]
    [DataRow("both", false)]
    public async Task Builds_that_sign_one_digest_at_once_lose_nothing(string format, bool ifMatch)
    {
        using var said = new StringWriter(CultureInfo.InvariantCulture);

        int wrong = await Race.RunAsync(3, 3, format, ifMatch, cosign: null, said);

        TestContext.WriteLine(said.ToString());
        Assert.AreEqual(0, wrong, said.ToString());
    }
}
