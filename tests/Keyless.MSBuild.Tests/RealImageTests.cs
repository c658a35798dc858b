using System.Text;
using System.Text.Json.Nodes;
using Keyless.Testing;
using Microsoft.Build.Utilities;
using Task = System.Threading.Tasks.Task;

namespace Keyless.MSBuild.Tests;

/// <summary>Images signed by cosign 3.1.1 against real Fulcio, TesseraCT, Rekor and timestamp authority servers, served byte for byte as their registry did.</summary>
[TestClass]
public sealed class RealImageTests
{
    private const string Signer = "https://github.com/example-org/example-repo/.github/workflows/publish.yml@refs/heads/main";
    private const string Issuer = "http://127.0.0.1:18000";

    public required TestContext TestContext { get; set; }

    [TestMethod]
    [DataRow("c3-rekor1-single")]
    [DataRow("c3-rekor2-single")]
    public async Task Verifies_an_image_that_cosign_signed(string sample)
    {
        await using World world = await ServeAsync(sample);
        KeylessVerifyContainer task = Verify(world, sample, Signer);

        Assert.IsTrue(task.Execute(), World.Log(task));

        Assert.AreEqual("sha256:b2fafd95b34d5b99e7ccea34383b3bf3e51d2c3ee649ccad5932d73cde21dfdc", task.VerifiedContainerImages.Single().GetMetadata("Digest"));
    }

    [TestMethod]
    [DataRow("c3-rekor1-single")]
    [DataRow("c3-rekor2-single")]
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
        Attach(world, image, bundle);

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

    private static void Attach(World world, string image, byte[] bundle)
    {
        string[] parts = image[(image.IndexOf('/', StringComparison.Ordinal) + 1)..].Split('@');
        var manifest = new JsonObject
        {
            ["schemaVersion"] = 2,
            ["mediaType"] = "application/vnd.oci.image.manifest.v1+json",
            ["artifactType"] = "application/vnd.dev.sigstore.bundle.v0.3+json",
            ["config"] = Described("application/vnd.oci.empty.v1+json", "{}"u8.ToArray(), world.Sandbox.Registry.PutBlob(parts[0], "{}"u8.ToArray())),
            ["layers"] = new JsonArray(Described("application/vnd.dev.sigstore.bundle.v0.3+json", bundle, world.Sandbox.Registry.PutBlob(parts[0], bundle))),
            ["subject"] = Described("application/vnd.oci.image.manifest.v1+json", world.Sandbox.Registry.FindManifest(parts[0], parts[1])!.Bytes, parts[1]),
        };
        byte[] bytes = Encoding.UTF8.GetBytes(manifest.ToJsonString());
        string digest = world.Sandbox.Registry.PutManifest(parts[0], null, bytes, "application/vnd.oci.image.manifest.v1+json");
        var index = new JsonObject
        {
            ["schemaVersion"] = 2,
            ["mediaType"] = "application/vnd.oci.image.index.v1+json",
            ["manifests"] = new JsonArray(Described("application/vnd.oci.image.manifest.v1+json", bytes, digest)),
        };
        world.Sandbox.Registry.PutManifest(parts[0], parts[1].Replace(':', '-'), Encoding.UTF8.GetBytes(index.ToJsonString()), "application/vnd.oci.image.index.v1+json");
    }

    private static JsonObject Described(string mediaType, byte[] content, string digest) =>
        new() { ["mediaType"] = mediaType, ["size"] = content.Length, ["digest"] = digest };

    private static string Fixture(params string[] path) => Path.Combine([Repository.Root, "tests", "Keyless.Sigstore.Tests", "fixtures", "real", .. path]);
}
