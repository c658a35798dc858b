using System.Globalization;
using System.Security.Cryptography;
using System.Security.Cryptography.X509Certificates;
using System.Text;
using System.Text.Json.Nodes;
using Keyless.Sigstore;
using Keyless.Sigstore.Tests;

namespace Keyless.Fuzz;

/// <summary>
/// Mutants under good signatures. A mutant of a signed part is refused for its signature and never read further; here the rightful service
/// signs it, so that the readers behind the signature see it. What is then accepted must be what other implementations read in it.
/// </summary>
internal sealed class Resigned(Mutator mutator, Watch watch)
{
    /// <returns>Whether it was accepted.</returns>
    public bool Try(Chance chance) => chance.Below(6) switch
    {
        0 => TryStatement(chance),
        1 => TryExtension(chance),
        2 => TryTimestamp(chance),
        3 => TryLogBody(chance),
        4 => TryCheckpoint(chance),
        _ => TryPayload(chance),
    };

    private bool TryStatement(Chance chance)
    {
        byte[] payload = mutator.Mutate(Statement.Write(Forge.Image, Forge.PredicateType, new Dictionary<string, string> { ["env"] = "prod", ["a"] = "b" }), chance);
        Forge forge = Forge.V1 with { Managed = true, Payload = payload };
        return Judge("a statement", forge.Make(), Form.Image, forge.ManagedPolicy, payload, _ =>
        {
            JsonObject statement = JsonNode.Parse(payload)!.AsObject();
            bool isAbout = statement["subject"]!.AsArray().Any(subject => ((string?)subject!["digest"]?["sha256"])?.ToLowerInvariant() == Forge.Image.Hex);
            Require(isAbout && (string?)statement["predicateType"] == Forge.PredicateType && (string?)statement["_type"] is "https://in-toto.io/Statement/v1" or "https://in-toto.io/Statement/v0.1", "a statement that is not about the image");
        });
    }

    private bool TryExtension(Chance chance)
    {
        byte[] changed = [];
        Forge forge = Forge.V1 with
        {
            Extensions = extensions =>
            {
                X509Extension[] list = [.. extensions];
                int at = chance.Below(list.Length);
                changed = list[at].RawData;
                for (int edits = chance.Pick(1, 1, 2); edits > 0; edits--)
                {
                    changed = mutator.EditBytes(changed, chance);
                }

                list[at] = new X509Extension(list[at].Oid!, changed, list[at].Critical != chance.OneIn(20));
                return list;
            },
        };
        byte[]? bundle = MakeOrNull(forge);
        return bundle is not null && Judge("a certificate", bundle, Form.Image, Forge.Policy, changed, verdict =>
        {
            byte[] der = Convert.FromBase64String((string)JsonNode.Parse(bundle)!["verificationMaterial"]!["certificate"]!["rawBytes"]!);
            var other = new Org.BouncyCastle.X509.X509Certificate(der);
            string? san = other.GetSubjectAlternativeNameExtension()?.GetNames() is [var name] ? name.Name.ToString() : null;
            Require(san == verdict.Signer!.Subject, $"another implementation reads the subject {san}");
            Require(!other.GetBasicConstraintsIsAuthority() && other.GetKeyUsage()?[0] == true && other.GetExtendedKeyUsage()!.Any(usage => usage.Id == "1.3.6.1.5.5.7.3.3"), "a certificate that is not for signing code");
        });
    }

    private bool TryTimestamp(Chance chance)
    {
        byte[] info = [];
        Forge forge = Forge.V2 with
        {
            Timestamps =
            [
                new Stamped
                {
                    Info = honest => info = chance.OneIn(2) ? Edited(honest) : honest,
                    Edit = response => chance.OneIn(2) ? Edited(response) : response,
                },
            ],
        };
        byte[] bundle = forge.Make();
        return Judge("a timestamp", bundle, Form.Image, Forge.Policy, info, verdict =>
        {
            // The authority may write what it likes into the parts that nothing is decided by, so those are not read.
            string time = Encoding.ASCII.GetString(DerTree.Parse(info)!.Children.First(field => field.Tag == 0x18).Content);
            string verified = verdict.SignedAt!.Value.UtcDateTime.ToString("yyyyMMddHHmmss.FFFFFFF", CultureInfo.InvariantCulture);
            Require(time == verified + "Z", $"another reader reads the time {time}");
        });

        byte[] Edited(byte[] bytes)
        {
            for (int edits = chance.Pick(1, 1, 2); edits > 0; edits--)
            {
                bytes = mutator.EditBytes(bytes, chance);
            }

            return bytes;
        }
    }

    private bool TryLogBody(Chance chance)
    {
        byte[] honest = [], body = [];
        var logged = new LoggedIn(chance.Pick(LogKind.V1, LogKind.V2Ed25519)) { Intoto = chance.OneIn(3), BodyBytes = bytes => body = mutator.Mutate(honest = bytes, chance) };
        Forge forge = Forge.LoggedBy(logged.Log) with { Managed = chance.OneIn(2), Content = chance.OneIn(2) ? "an artifact"u8.ToArray() : null, Entries = [logged] };
        return Judge("a log entry", forge.Make(), forge.Content is null ? Form.Image : Form.Bundle, forge.Managed ? forge.ManagedPolicy : Policy.Exactly(Forge.Identity, Forge.Issuer, null), body, _ =>
        {
            // What cannot be computed (the hash of an envelope nobody kept), and what nothing is decided by.
            string One(byte[] json) => string.Join('\n', Leaves(JsonNode.Parse(json), "").Where(leaf => !leaf.Contains("nvelopeHash.value", StringComparison.Ordinal) && !leaf.Contains("content.hash.value", StringComparison.Ordinal) && !leaf.Contains(".keyid", StringComparison.Ordinal)));
            Require(One(honest) == One(body), "a log entry that says something else");
        }, forge.Content);
    }

    private bool TryCheckpoint(Chance chance)
    {
        string honest = "", signed = "";
        LogKind log = chance.Pick(LogKind.V1, LogKind.V2Ed25519, LogKind.V2Ecdsa);
        Forge forge = Forge.LoggedBy(log) with
        {
            Entries =
            [
                new LoggedIn(log)
                {
                    CheckpointText = text =>
                    {
                        honest = text;
                        List<string> lines = [.. text.Split('\n')];
                        int at = chance.Below(lines.Count);
                        lines[at] = chance.OneIn(3) ? lines[chance.Below(lines.Count)] : Encoding.UTF8.GetString(ByteEdits.Edit(Encoding.UTF8.GetBytes(lines[at]), chance));
                        return signed = string.Join('\n', lines);
                    },
                },
            ],
        };
        return Judge("a checkpoint", forge.Make(), Form.Image, Forge.Policy, Encoding.UTF8.GetBytes(signed), _ =>
        {
            // Of Rekor v1 the tree's id is nobody's to compare.
            string[] said = signed.Split('\n'), meant = honest.Split('\n');
            Require(said[1] == meant[1] && said[2] == meant[2] && said[0].Split(" - ")[0] == meant[0].Split(" - ")[0], "a checkpoint that says something else");
        });
    }

    private bool TryPayload(Chance chance)
    {
        byte[] payload = mutator.Mutate(Corpus.Payload(Forge.Image), chance);
        Forge forge = Forge.V1 with { Managed = true, Content = payload };
        var specimen = new Specimen("", Form.Simple, "", []) { Digest = Forge.Image.Hex };
        byte[] layer = Corpus.Layer(forge, payload);
        Policy policy = Policy.ForKey(forge.ManagedPolicy.Key!, Forge.PredicateType);
        return Judge("a payload", layer, Form.Simple, policy, payload, verdict =>
        {
            JsonNode read = JsonNode.Parse(payload)!;
            Require((string?)read["critical"]!["image"]!["docker-manifest-digest"] == Forge.Image.ToString() && (string?)read["critical"]!["type"] == "cosign container image signature", "a payload about another image");
            Require(verdict.Annotations.All(pair => (string?)read["optional"]![pair.Key] == pair.Value), "annotations that are not there");
        });
    }

    private bool Judge(string what, byte[] document, Form form, Policy policy, byte[] changed, Action<VerifiedSignature> require, byte[]? content = null)
    {
        var verifier = new Verifier(Forge.World.Root);
        try
        {
            (VerifiedSignature? verdict, _) = watch.Run(
                $"{what}, signed again",
                document.Length,
                () => form switch
                {
                    Form.Simple => Specimen.Layer(document) is var (payload, annotations)
                        ? verifier.ProveImage(SimpleSignature.Parse(payload, annotations), Forge.Image, policy.Key, policy.Proofs).Require(policy)
                        : throw new InvalidOperationException(),
                    Form.Image => verifier.VerifyImage(document, Forge.Image, policy),
                    _ => verifier.Verify(document, Artifact.FromContent(content), policy),
                },
                e => e is VerificationException,
                signature => string.Join('\n', signature.Checks));
            if (verdict is null)
            {
                return false;
            }

            try
            {
                require(verdict);
            }
            catch (Exception e) when (e is not ChangedMeaningException)
            {
                throw new ChangedMeaningException($"{what}: accepted, and another reader cannot read it: {e.GetType().Name}: {e.Message}");
            }

            return true;
        }
        catch (Exception e) when (e is ChangedMeaningException or BrokenPromiseException)
        {
            throw new FindingException(
                new JsonObject
                {
                    ["what"] = what,
                    ["form"] = form.ToString(),
                    ["document"] = Convert.ToBase64String(document),
                    ["changed"] = Convert.ToBase64String(changed),
                    ["content"] = content is null ? null : Convert.ToBase64String(content),
                    ["root"] = Convert.ToBase64String(Encoding.UTF8.GetBytes(Forge.World.RootJson().ToJsonString())),
                },
                e);
        }
    }

    // The platform refuses to write some extensions (the same twice); then there is no such certificate.
    private static byte[]? MakeOrNull(Forge forge)
    {
        try
        {
            return forge.Make();
        }
        catch (Exception e) when (e is CryptographicException or InvalidOperationException or ArgumentException)
        {
            return null;
        }
    }

    private static IEnumerable<string> Leaves(JsonNode? node, string path) => node switch
    {
        JsonObject members => members.OrderBy(member => member.Key, StringComparer.Ordinal).SelectMany(member => Leaves(member.Value, $"{path}.{member.Key}")),
        JsonArray items => items.SelectMany((item, index) => Leaves(item, string.Create(CultureInfo.InvariantCulture, $"{path}[{index}]"))),
        null => [],
        _ => [$"{path}={node}"],
    };

    private static void Require(bool met, string otherwise)
    {
        if (!met)
        {
            throw new ChangedMeaningException(otherwise);
        }
    }
}

internal static class OtherReaders
{
    public static bool GetBasicConstraintsIsAuthority(this Org.BouncyCastle.X509.X509Certificate certificate) => certificate.GetBasicConstraints() >= 0;
}
