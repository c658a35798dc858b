using System.Security.Cryptography;
using System.Text;
using System.Text.Json.Nodes;
using Keyless.Sigstore;
using Keyless.Testing;

namespace Keyless.Interop.Tests;

/// <summary>Files that cosign signed or attested, held against our verifier: its bundles are accepted, and refused with one thing changed.</summary>
[TestClass]
public sealed class BlobTests
{
    private const string Custom = "https://cosign.sigstore.dev/attestation/v1";

    private static readonly byte[] Content = "a file that is signed\n"u8.ToArray();

    private static readonly bool[] NoAndYes = [false, true];

    public required TestContext TestContext { get; init; }

    // cosign 2.5 writes bundles if told to, with Rekor v1 alone. Neither signs with an Ed25519 key so that itself accepts it.
    public static IEnumerable<object[]> Bundles =>
        from version in (int[])[2, 3]
        from log in version == 2 ? [Log.Rekor1] : Enum.GetValues<Log>()
        from attestation in NoAndYes
        from key in (string[])["keyless", "P-256", "RSA-2048"]
        select new object[] { version, log, attestation, key };

    [TestMethod]
    [Clause("G.7", "A.8", "I.3", "K.5")]
    [DynamicData(nameof(Bundles))]
    public async Task Cosigns_bundle_is_accepted_as_it_is_and_for_its_file_and_signer_alone(int version, Log log, bool attestation, string key)
    {
        await using World world = await StartAsync(log);
        Signed signed = await SignAsync(world, version, attestation, key);
        ToolResult cosign = await world.Cosign3.VerifyBlobAsync(signed.Path, signed.Bundle, attestation, signed.PublicKey);
        Assert.AreEqual(0, cosign.ExitCode, cosign.ToString());

        VerifiedSignature verified = signed.Verify(Content);

        Assert.AreEqual(key == "keyless" ? world.Signer : null, verified.Signer?.Subject);
        Assert.AreEqual(attestation ? Custom : null, verified.PredicateType);
        Assert.AreEqual(attestation ? "subject.digest" : "sig.digest", signed.Refusal("another file\n"u8.ToArray()));
        Policy somebodyElse = key == "keyless" ? Policy.Exactly(world.Signer + "x", world.Sandbox.Issuer.Url, signed.PredicateType) : KeyPolicy(NewKey(key).Public, signed.PredicateType);
        Assert.AreEqual(key == "keyless" ? "policy.identity" : "sig.key", signed.Refusal(Content, policy: somebodyElse));
    }

    [TestMethod]
    [Clause("T.24", "L.1")]
    [DataRow(2, Log.Rekor1, false)]
    [DataRow(2, Log.Rekor1, true)]
    [DataRow(3, Log.Rekor1, false)]
    [DataRow(3, Log.Rekor1, true)]
    [DataRow(3, Log.Rekor2Ed25519, false)]
    [DataRow(3, Log.Rekor2Ed25519, true)]
    public async Task Cosigns_bundle_is_refused_with_a_part_of_another(int version, Log log, bool attestation)
    {
        await using World world = await StartAsync(log);
        // The older one's certificate was valid when this one was signed, and this one's when the newer one was: times alone tell nothing.
        Signed older = await SignAsync(world, version, attestation, "keyless");
        Signed signed = await SignAsync(world, version, attestation, "keyless");
        Signed newer = await SignAsync(world, version, attestation, "keyless");
        bool stamped = version == 3, v2 = log != Log.Rekor1;
        string content = attestation ? "dsseEnvelope" : "messageSignature";

        // The timestamp is over the signature, so it is what does not fit first; without one the log entry is.
        Assert.AreEqual(stamped ? "time.imprint" : "tlog.binding", Refusal(bundle => bundle[content] = Read(newer)[content]!.DeepClone()));
        Assert.AreEqual("tlog.binding", Refusal(bundle => Material(bundle)["certificate"] = Material(Read(older))["certificate"]!.DeepClone()));
        Assert.AreEqual("tlog.binding", Refusal(bundle => Material(bundle)["tlogEntries"] = Material(Read(newer))["tlogEntries"]!.DeepClone()));
        Assert.AreEqual(v2 ? "tlog.inclusion" : "tlog.set", Refusal(bundle => Entry(bundle)["canonicalizedBody"] = Entry(Read(newer))["canonicalizedBody"]!.DeepClone()));
        Assert.AreEqual("tlog.checkpoint", Refusal(bundle => Entry(bundle)["inclusionProof"]!["checkpoint"] = Entry(Read(newer))["inclusionProof"]!["checkpoint"]!.DeepClone()));
        Assert.AreEqual("tlog.missing", Refusal(bundle => Material(bundle).Remove("tlogEntries")));
        if (stamped)
        {
            Assert.AreEqual("time.imprint", Refusal(bundle => Material(bundle)["timestampVerificationData"] = Material(Read(newer))["timestampVerificationData"]!.DeepClone()));
        }

        static JsonObject Read(Signed signed) => JsonNode.Parse(File.ReadAllBytes(signed.Bundle))!.AsObject();
        string Refusal(Action<JsonObject> change) => signed.Refusal(Content, change);
        static JsonObject Material(JsonObject bundle) => bundle["verificationMaterial"]!.AsObject();
        static JsonObject Entry(JsonObject bundle) => Material(bundle)["tlogEntries"]![0]!.AsObject();
    }

    [TestMethod]
    [Clause("B.16")]
    [DataRow(2, false)]
    [DataRow(2, true)]
    [DataRow(3, false)]
    public async Task Cosigns_own_form_of_bundle_is_refused_by_its_name(int version, bool attestation)
    {
        await using World world = await StartAsync(Log.Rekor1);

        Signed signed = await SignAsync(world, version, attestation, "keyless", ownForm: true);

        Assert.AreEqual("bundle.version", signed.Refusal(Content));
    }

    // rekor, intoto 0.0.1: the entry has no signature, so it says nothing about the one at hand.
    [TestMethod]
    [Clause("L.6")]
    public async Task An_attestation_logged_without_its_signature_is_refused()
    {
        await using World world = await StartAsync(Log.Rekor1);

        Signed signed = await SignAsync(world, 2, attestation: true, "keyless", false, "--rekor-entry-type", "intoto");

        Assert.AreEqual("tlog.kind", signed.Refusal(Content));
    }

    private async Task<World> StartAsync(Log log)
    {
        Tools.Require("cosign");
        Tools.Require("cosign2");
        return await World.StartAsync(RegistryKind.Sandbox, log, TestContext.CancellationToken);
    }

    private static async Task<Signed> SignAsync(World world, int version, bool attestation, string key, bool ownForm = false, params string[] more)
    {
        Cosign cosign = version == 2 ? world.Cosign2 : world.Cosign3;
        string file = world.Folder["file.txt"], bundle = world.Folder[$"{Guid.NewGuid()}.json"];
        await File.WriteAllBytesAsync(file, Content, world.Cancel);
        string? publicKey = null;
        string[] flags = (version, ownForm) switch
        {
            (2, false) => ["--new-bundle-format", .. more],
            (3, true) => ["--new-bundle-format=false", "--use-signing-config=false", .. more],
            _ => more,
        };
        if (key != "keyless")
        {
            (string privateKey, publicKey) = await world.Cosign3.ImportKeyAsync("team", NewKey(key).Private);
            flags = [.. flags, "--key", privateKey];
        }

        await (attestation ? cosign.AttestBlobAsync(file, bundle, flags) : cosign.SignBlobAsync(file, bundle, flags));
        string? predicateType = attestation ? Custom : null;
        return new Signed(
            file, bundle, publicKey, predicateType, world.Verifier,
            publicKey is null ? Policy.Exactly(world.Signer, world.Sandbox.Issuer.Url, predicateType) : KeyPolicy(await File.ReadAllTextAsync(publicKey, world.Cancel), predicateType));
    }

    private static (string Private, string Public) NewKey(string kind)
    {
        using AsymmetricAlgorithm key = kind == "P-256" ? ECDsa.Create(ECCurve.NamedCurves.nistP256) : RSA.Create(2048);
        return (key.ExportPkcs8PrivateKeyPem(), key.ExportSubjectPublicKeyInfoPem());
    }

    private static Policy KeyPolicy(string pem, string? predicateType) => Policy.ForKey(ManagedKey.FromPem(pem), predicateType);

    /// <param name="Bundle">Where it is.</param>
    /// <param name="PublicKey">Where it is, if it was not the workflow that signed.</param>
    /// <param name="Policy">For exactly this signer.</param>
    private sealed record Signed(string Path, string Bundle, string? PublicKey, string? PredicateType, Verifier Verifier, Policy Policy)
    {
        public VerifiedSignature Verify(byte[] content, Action<JsonObject>? change = null, Policy? policy = null)
        {
            byte[] bundle = File.ReadAllBytes(Bundle);
            if (change is not null)
            {
                JsonObject changed = JsonNode.Parse(bundle)!.AsObject();
                change(changed);
                bundle = Encoding.UTF8.GetBytes(changed.ToJsonString());
            }

            return Verifier.Verify(bundle, Artifact.FromContent(content), policy ?? Policy);
        }

        public string Refusal(byte[] content, Action<JsonObject>? change = null, Policy? policy = null) =>
            Assert.ThrowsExactly<VerificationException>(() => Verify(content, change, policy)).Reason;
    }
}
