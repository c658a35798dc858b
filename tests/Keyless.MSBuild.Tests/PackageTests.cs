using System.IO.Compression;
using System.Xml.Linq;
using Keyless.Testing;

namespace Keyless.MSBuild.Tests;

[TestClass]
public sealed class PackageTests
{
    [TestMethod]
    public async Task Contains_what_it_should_and_nothing_else()
    {
        PackedFeed feed = await Setup.FeedAsync();
        using ZipArchive package = await ZipFile.OpenReadAsync(feed.Package);

        // NuGet's own bookkeeping has names of its own choice.
        IEnumerable<string> files = package.Entries.Select(entry => entry.FullName)
            .Where(name => !name.StartsWith("_rels/", StringComparison.Ordinal) && !name.StartsWith("package/", StringComparison.Ordinal) && name != "[Content_Types].xml");

        Golden.Verify(string.Join('\n', files.Order(StringComparer.Ordinal)), "Package");
    }

    [TestMethod]
    public async Task Depends_on_nothing_and_is_for_development_only()
    {
        PackedFeed feed = await Setup.FeedAsync();
        using ZipArchive package = await ZipFile.OpenReadAsync(feed.Package);
        await using Stream stream = await package.GetEntry("Keyless.MSBuild.nuspec")!.OpenAsync();
        XElement metadata = XDocument.Load(stream).Root!.Elements().Single();

        string? Value(string name) => metadata.Elements().SingleOrDefault(element => element.Name.LocalName == name)?.Value;
        Assert.AreEqual("true", Value("developmentDependency"));
        Assert.AreEqual("README.md", Value("readme"));
        Assert.AreEqual("Apache-2.0", Value("license"));
        Assert.IsTrue(string.IsNullOrWhiteSpace(Value("dependencies")));
    }

    [TestMethod]
    public async Task Packs_without_a_warning()
    {
        PackedFeed feed = await Setup.FeedAsync();
        Assert.DoesNotContain("warning", feed.Output);
    }

    [TestMethod]
    public void Every_public_property_of_the_targets_has_a_default()
    {
        string props = File.ReadAllText(Repository.PathTo("build/Keyless.MSBuild.props"));
        XDocument targets = XDocument.Load(Repository.PathTo("build/Keyless.MSBuild.targets"));
        IEnumerable<string> read = targets.Descendants().Where(element => element.Name.LocalName.StartsWith("Keyless.MSBuild.Keyless", StringComparison.Ordinal))
            .SelectMany(task => task.Attributes())
            .Where(attribute => attribute.Value == $"$({attribute.Name.LocalName})")
            .Select(attribute => attribute.Name.LocalName)
            // The SDK's, and the two that are reserved without a default of ours.
            .Except(["ContainerRegistry", "ContainerRepository", "ContainerArchiveOutputPath", "GeneratedContainerDigest", "GeneratedImageIndex", "GeneratedArchiveOutputPath", "ContainerBaseImage", "IntermediateOutputPath", "AttestContainerProvenance", "AttestContainerSbom"]);
        foreach (string name in read)
        {
            Assert.Contains($"<{name} Condition=\"'$({name})' == ''\"", props);
        }
    }
}
