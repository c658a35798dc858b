using System.Security.Cryptography;
using System.Text.RegularExpressions;
using Keyless.MSBuild;
using Keyless.Testing;

namespace Keyless.Interop.Tests;

/// <summary>Who signs, and who verifies.</summary>
public enum Client
{
    Ours,
    Cosign2,
    Cosign3,
}

/// <summary>
/// Every client that signs images, in every form it writes, with every log and registry: whoever reads the form accepts it, for the identity
/// and the annotations it was signed with and for no others.
/// </summary>
[TestClass]
public sealed partial class ImageMatrixTests
{
    private const string SomebodyElse = "https://github.com/somebody/else/.github/workflows/publish.yml@refs/heads/main";

    public required TestContext TestContext { get; init; }

    public static IEnumerable<object[]> Signatures =>
        from client in Enum.GetValues<Client>()
        from form in Enum.GetValues<Form>()
        from log in Enum.GetValues<Log>()
        from registry in Enum.GetValues<RegistryKind>()
        where Signs(client, form, log)
        select new object[] { client, form, log, registry };

    [TestMethod]
    [Clause("I.3", "P.2")]
    [DynamicData(nameof(Signatures))]
    public async Task Accepted_by_whoever_reads_it(Client client, Form form, Log log, RegistryKind registry)
    {
        await using World world = await StartAsync(registry, log);
        string image = await world.PushAsync();

        await SignAsync(world, client, form, image, ("env", "prod"));

        foreach (Client reader in ReadersOf(form))
        {
            Assert.AreEqual("accepted", await VerifyAsync(world, reader, form, image, world.Signer, ("env", "prod")), $"by {reader}");
            Assert.AreEqual("refused", await VerifyAsync(world, reader, form, image, SomebodyElse, ("env", "prod")), $"by {reader}");
        }

        Assert.AreEqual("refused", await VerifyAsync(world, Client.Ours, form, image, world.Signer, ("env", "test")));
    }

    [TestMethod]
    [DataRow(Client.Ours, Form.Bundle, RegistryKind.Distribution)]
    [DataRow(Client.Ours, Form.Bundle, RegistryKind.Sandbox)]
    [DataRow(Client.Cosign2, Form.Sig, RegistryKind.Distribution)]
    [DataRow(Client.Cosign2, Form.Sig, RegistryKind.Sandbox)]
    [DataRow(Client.Cosign2, Form.Oci11, RegistryKind.Distribution)]
    [DataRow(Client.Cosign2, Form.Oci11, RegistryKind.Sandbox)]
    [DataRow(Client.Cosign3, Form.Bundle, RegistryKind.Distribution)]
    [DataRow(Client.Cosign3, Form.Bundle, RegistryKind.Sandbox)]
    [DataRow(Client.Cosign3, Form.SigWithTimestamp, RegistryKind.Distribution)]
    public async Task A_second_signature_leaves_the_first(Client client, Form form, RegistryKind registry)
    {
        await using World world = await StartAsync(registry, Log.Rekor1);
        string image = await world.PushAsync();

        await SignAsync(world, client, form, image, ("signed", "first"));
        await SignAsync(world, client, form, image, ("signed", "second"));

        // Of OCI 1.1 referrers cosign looks at one alone, whichever the registry lists last.
        foreach (Client reader in form == Form.Oci11 ? [Client.Ours] : ReadersOf(form))
        {
            Assert.AreEqual("accepted", await VerifyAsync(world, reader, form, image, world.Signer, ("signed", "first")), $"by {reader}");
            Assert.AreEqual("accepted", await VerifyAsync(world, reader, form, image, world.Signer, ("signed", "second")), $"by {reader}");
        }
    }

    [TestMethod]
    [DataRow(Client.Cosign2, Form.Sig, RegistryKind.Distribution)]
    [DataRow(Client.Cosign2, Form.Oci11, RegistryKind.Sandbox)]
    [DataRow(Client.Cosign3, Form.Bundle, RegistryKind.Distribution)]
    [DataRow(Client.Cosign3, Form.Bundle, RegistryKind.Sandbox)]
    [DataRow(Client.Cosign3, Form.Sig, RegistryKind.Sandbox)]
    [DataRow(Client.Ours, Form.Bundle, RegistryKind.Distribution)]
    public async Task An_index_is_signed_with_everything_in_it(Client client, Form form, RegistryKind registry)
    {
        await using World world = await StartAsync(registry, Log.Rekor1);
        (string index, string[] images) = await world.Registry.PushIndexAsync("team/app");

        await (client switch
        {
            Client.Cosign2 => world.Cosign2.SignAsync(index, form, "--recursive"),
            Client.Cosign3 => world.Cosign3.SignAsync(index, form, "--recursive"),
            _ => SignAsync(world, client, form, index),
        });

        KeylessVerifyContainer verify = world.Verify(index, ("Recursive", "true"));
        Assert.IsTrue(verify.Execute(), World.Said(verify));
        foreach (string image in images.Append(index))
        {
            foreach (Client reader in ReadersOf(form))
            {
                Assert.AreEqual("accepted", await VerifyAsync(world, reader, form, image, world.Signer), $"{image} by {reader}");
            }
        }
    }

    [TestMethod]
    [Clause("A.13", "X.23")]
    [DataRow(Client.Cosign2, Form.Sig, RegistryKind.Distribution)]
    [DataRow(Client.Cosign2, Form.Oci11, RegistryKind.Sandbox)]
    [DataRow(Client.Cosign3, Form.Bundle, RegistryKind.Sandbox)]
    [DataRow(Client.Cosign3, Form.SigWithTimestamp, RegistryKind.Sandbox)]
    [DataRow(Client.Ours, Form.Bundle, RegistryKind.Sandbox)]
    public async Task Copied_to_another_image_it_is_refused_by_everybody(Client client, Form form, RegistryKind registry)
    {
        await using World world = await StartAsync(registry, Log.Rekor1);
        string image = await world.PushAsync(), other = await world.PushAsync();
        await SignAsync(world, client, form, image);

        await world.Registry.CopySignaturesAsync(form, image, other);

        Assert.Contains(form == Form.Bundle ? "(subject.digest)" : "(sig.payload)", World.Refusal(world.Verify(other), "KEYLESS4002"));
        foreach (Client reader in ReadersOf(form))
        {
            Assert.AreEqual("accepted", await VerifyAsync(world, reader, form, image, world.Signer), $"by {reader}");
            Assert.AreEqual("refused", await VerifyAsync(world, reader, form, other, world.Signer), $"by {reader}");
        }
    }

    [TestMethod]
    [Clause("K.4", "K.5")]
    [DataRow(Client.Cosign2, Form.Sig, Log.Rekor1)]
    [DataRow(Client.Cosign3, Form.Sig, Log.Rekor1)]
    [DataRow(Client.Cosign3, Form.Bundle, Log.Rekor1)]
    [DataRow(Client.Cosign3, Form.Bundle, Log.Rekor2Ed25519)]
    public async Task A_managed_key_is_accepted_as_itself_alone(Client client, Form form, Log log)
    {
        await using World world = await StartAsync(RegistryKind.Sandbox, log);
        string image = await world.PushAsync();
        using var key = ECDsa.Create(ECCurve.NamedCurves.nistP256);
        using var other = ECDsa.Create(ECCurve.NamedCurves.nistP256);
        (string privateKey, string publicKey) = await world.Cosign3.ImportKeyAsync("team", key.ExportPkcs8PrivateKeyPem());

        await (client == Client.Cosign2 ? world.Cosign2 : world.Cosign3).SignAsync(image, form, "--key", privateKey);

        foreach (Cosign reader in form == Form.Bundle ? (Cosign[])[world.Cosign3] : [world.Cosign2, world.Cosign3])
        {
            ToolResult cosign = await reader.VerifyKeyAsync(image, form, publicKey);
            Assert.AreEqual(0, cosign.ExitCode, cosign.ToString());
        }

        KeylessVerifyContainer verify = world.VerifyKey(image, publicKey);
        Assert.IsTrue(verify.Execute(), World.Said(verify));
        Assert.AreEqual(FormatOf(form), verify.VerifiedContainerImages.Single().GetMetadata("Format"));
        string another = world.Folder.Write("another.pub", other.ExportSubjectPublicKeyInfoPem());
        Assert.Contains("(sig.key)", World.Refusal(world.VerifyKey(image, another), "KEYLESS4002"));
        Assert.Contains("(policy.key-without-key)", World.Refusal(world.Verify(image), "KEYLESS4002"));
    }

    [TestMethod]
    [DataRow(Client.Ours)]
    [DataRow(Client.Cosign3)]
    public async Task Cosign_2_does_not_see_bundles(Client client)
    {
        await using World world = await StartAsync(RegistryKind.Sandbox, Log.Rekor1);
        string image = await world.PushAsync();

        await SignAsync(world, client, Form.Bundle, image);

        ToolResult cosign = await world.Cosign2.VerifyAsync(image, Form.Sig, world.Signer);
        Assert.AreNotEqual(0, cosign.ExitCode);
        Assert.Contains("no signatures found", cosign.Errors);
    }

    [TestMethod]
    public async Task An_attestation_is_no_signature()
    {
        await using World world = await StartAsync(RegistryKind.Sandbox, Log.Rekor2Ed25519);
        string image = await world.PushAsync();

        await world.Cosign3.AttestAsync(image);
        ToolResult cosign = await world.Cosign3.VerifyAttestationAsync(image);
        Assert.AreEqual(0, cosign.ExitCode, cosign.ToString());

        Assert.Contains("(subject.predicate-type)", World.Refusal(world.Verify(image), "KEYLESS4002"));
        KeylessVerifyContainer verify = world.Verify(image, ("PredicateType", "https://cosign.sigstore.dev/attestation/v1"));
        Assert.IsTrue(verify.Execute(), World.Said(verify));
    }

    /// <summary>What there is to be had: cosign 2 writes no bundles for images, and cosign's older forms need the promise that only Rekor v1 gives.</summary>
    private static bool Signs(Client client, Form form, Log log) => (client, form) switch
    {
        (Client.Ours or Client.Cosign3, Form.Bundle) => true,
        (Client.Cosign2 or Client.Cosign3, not Form.Bundle) => log == Log.Rekor1,
        _ => false,
    };

    private static Client[] ReadersOf(Form form) => form == Form.Bundle ? [Client.Ours, Client.Cosign3] : [Client.Ours, Client.Cosign2, Client.Cosign3];

    private async Task<World> StartAsync(RegistryKind registry, Log log)
    {
        Tools.Require("cosign");
        Tools.Require("cosign2");
        return await World.StartAsync(registry, log, TestContext.CancellationToken);
    }

    private static async Task SignAsync(World world, Client client, Form form, string image, params (string Name, string Value)[] annotations)
    {
        string[] flags = [.. annotations.SelectMany(annotation => (string[])["-a", $"{annotation.Name}={annotation.Value}"])];
        switch (client)
        {
            case Client.Cosign2:
                await world.Cosign2.SignAsync(image, form, flags);
                break;
            case Client.Cosign3:
                await world.Cosign3.SignAsync(image, form, flags);
                break;
            default:
                world.SignAll(image, annotations);
                break;
        }
    }

    private static async Task<string> VerifyAsync(World world, Client client, Form form, string image, string identity, params (string Name, string Value)[] annotations)
    {
        if (client == Client.Ours)
        {
            IEnumerable<(string, string)> asked = annotations.Length == 0 ? [] : [("Annotations", string.Join(';', annotations.Select(annotation => $"{annotation.Name}={annotation.Value}")))];
            KeylessVerifyContainer task = world.Verify(image, [("CertificateIdentity", identity), .. asked]);
            return task.Execute() && task.VerifiedContainerImages.Single().GetMetadata("Format") == FormatOf(form) ? "accepted"
                : World.Said(task).Contains("error KEYLESS4002", StringComparison.Ordinal) ? "refused"
                : World.Said(task);
        }

        string[] flags = [.. annotations.SelectMany(annotation => (string[])["-a", $"{annotation.Name}={annotation.Value}"])];
        ToolResult result = await (client == Client.Cosign2 ? world.Cosign2 : world.Cosign3).VerifyAsync(image, form, identity, flags);
        // Anything else than a verdict (a flag it does not know, a registry it does not reach) would pass for a refusal.
        return result.ExitCode == 0 ? "accepted" : Refused().IsMatch(result.Errors) ? "refused" : result.ToString();
    }

    [GeneratedRegex("no matching (signatures|attestations)|no signatures found")]
    private static partial Regex Refused();

    /// <summary>As our items name it.</summary>
    private static string FormatOf(Form form) => form switch
    {
        Form.Bundle => "bundle",
        Form.Oci11 => "oci11",
        _ => "legacy",
    };
}
