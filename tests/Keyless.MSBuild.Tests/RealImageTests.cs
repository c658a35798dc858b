using System.Text.Json.Nodes;
using Keyless.Testing;
using Microsoft.Build.Utilities;
using Task = System.Threading.Tasks.Task;

namespace Keyless.MSBuild.Tests;

/// <summary>Images signed by cosign 3.1.1 (<c>c3</c>) and 2.5.0 (<c>c2</c>) against real Fulcio, TesseraCT, Rekor and timestamp authority servers, served byte for byte as their registry did.</summary>
[TestClass]
public sealed class RealImageTests
{
    private const string Signer = "https://github.com/example-org/example-repo/.github/workflows/publish.yml@refs/heads/main";
    private const string Issuer = "http://127.0.0.1:18000";

    public required TestContext TestContext { get; set; }

    [TestMethod]
    [DataRow("c3-rekor1-single", "bundle")]
    [DataRow("c3-rekor2-single", "bundle")]
    [DataRow("c2-legacy-single", "legacy")]
    public async Task Verifies_an_image_that_cosign_signed(string sample, string format)
    {
        await using World world = await ServeAsync(sample);
        KeylessVerifyContainer task = Verify(world, sample, Signer);

        Assert.IsTrue(task.Execute(), World.Log(task));

        Assert.AreEqual("sha256:b2fafd95b34d5b99e7ccea34383b3bf3e51d2c3ee649ccad5932d73cde21dfdc", task.VerifiedContainerImages.Single().GetMetadata("Digest"));
        Assert.AreEqual(format, task.VerifiedContainerImages.Single().GetMetadata("Format"));
    }

    [TestMethod]
    [DataRow("c3-rekor1-single")]
    [DataRow("c3-rekor2-single")]
    [DataRow("c2-legacy-single")]
    public async Task Refuses_it_for_somebody_else(string sample)
    {
        await using World world = await ServeAsync(sample);

        string refusal = World.Refusal(Verify(world, sample, Signer.Replace("example-repo", "example-rep", StringComparison.Ordinal)), "KEYLESS4002");

        Assert.Contains("policy.identity", refusal);
    }

    [TestMethod]
    public async Task Refuses_an_attestation_as_a_signature_of_the_file_it_is_about()
    {
        await using World world = await ServeAsync("c3-rekor1-single");
        byte[] bundle = File.ReadAllBytes(Fixture("blob", "c3-rekor1-dsse.sigstore.json"));
        string image = world.Push("samples/attested", "v1");
        world.AttachBundle(image, bundle);

        KeylessVerifyContainer task = world.Verify(Item(image, Signer));
        task.SigstoreTrustedRoot = Fixture("trusted_root.json");
        string refusal = World.Refusal(task, "KEYLESS4002");

        Assert.Contains("subject.digest", refusal);
    }

    private static KeylessVerifyContainer Verify(World world, string sample, string signer)
    {
        KeylessVerifyContainer task = world.Verify(Item($"{world.Sandbox.RegistryHost}/samples/{sample}:v1", signer));
        task.SigstoreTrustedRoot = Fixture("trusted_root.json");
        return task;
    }

    private static TaskItem Item(string reference, string signer)
    {
        var item = new TaskItem(reference);
        item.SetMetadata("CertificateIdentity", signer);
        item.SetMetadata("CertificateOidcIssuer", Issuer);
        return item;
    }

    // The registry the samples come from has no referrers API, so this one has none either.
    private async Task<World> ServeAsync(string sample)
    {
        World world = await World.StartAsync(TestContext.CancellationToken, new() { ReferrersApi = false });
        string repository = $"samples/{sample}";
        foreach (string blob in Directory.GetFiles(Fixture(sample), "blob-*"))
        {
            world.Sandbox.Registry.PutBlob(repository, File.ReadAllBytes(blob));
        }

        foreach (JsonNode? entry in JsonNode.Parse(File.ReadAllBytes(Fixture(sample, "index.json")))!["refs"]!.AsArray())
        {
            string reference = (string)entry!["ref"]!;
            string? tag = reference.Contains(':', StringComparison.Ordinal) ? null : reference;
            string digest = world.Sandbox.Registry.PutManifest(repository, tag, File.ReadAllBytes(Fixture(sample, (string)entry["file"]!)), (string)entry["contentType"]!);
            Assert.AreEqual((string)entry["digest"]!, digest);
        }
        return world;
    }

    private static string Fixture(params string[] path) => Path.Combine([Repository.Root, "tests", "Keyless.Sigstore.Tests", "fixtures", "real", .. path]);
}
