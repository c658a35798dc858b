using System.Globalization;
using Keyless.Testing;
using Keyless.Trials;

namespace Keyless.Interop.Tests;

/// <summary>Builds and cosign write the same list at once; cosign without any condition.</summary>
[TestClass]
public sealed class RaceTests
{
    public required TestContext TestContext { get; init; }

    [TestMethod]
    [DataRow(true)]
    [DataRow(false)]
    public async Task Nothing_a_build_was_told_of_is_lost_to_cosign(bool ifMatch)
    {
        string cosign = Tools.Require("cosign");
        using var said = new StringWriter(CultureInfo.InvariantCulture);

        int wrong = await Race.RunAsync(2, 3, "bundle", ifMatch, cosign, said);

        TestContext.WriteLine(said.ToString());
        Assert.AreEqual(0, wrong, said.ToString());
    }
}
