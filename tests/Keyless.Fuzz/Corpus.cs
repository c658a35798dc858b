using System.Security.Cryptography;
using System.Text;
using System.Text.Json.Nodes;
using Keyless.Sigstore;
using Keyless.Sigstore.Tests;

namespace Keyless.Fuzz;

/// <summary>Good signatures of every version, content, key and log, and the trusted roots that they are good under.</summary>
internal sealed class Corpus
{
    private static readonly byte[] File = Encoding.UTF8.GetBytes("an artifact\n");

    public List<Specimen> Specimens { get; } = [];

    /// <summary>Documents, by name.</summary>
    public Dictionary<string, byte[]> Roots { get; } = new(StringComparer.Ordinal);

    /// <summary>What strangers signed, each with one service that the root does not know: good for no root that knows no more.</summary>
    public List<Specimen> Impostors { get; } = [];

    /// <summary>From files written by <see cref="Write"/>.</summary>
    public static Corpus Read(string folder)
    {
        var corpus = new Corpus();
        foreach (string path in Directory.EnumerateFiles(folder, "*.json").Order(StringComparer.Ordinal))
        {
            string name = Path.GetFileNameWithoutExtension(path);
            byte[] bytes = System.IO.File.ReadAllBytes(path);
            if (name.EndsWith(".root", StringComparison.Ordinal))
            {
                corpus.Roots.Add(name[..^5], bytes);
            }
            else
            {
                (name.StartsWith("impostor", StringComparison.Ordinal) ? corpus.Impostors : corpus.Specimens).Add(Specimen.FromJson(JsonNode.Parse(bytes)!));
            }
        }

        return corpus.Specimens.Count > 0 ? corpus : throw new FormatException($"there are no specimens in {folder}");
    }

    public void Write(string folder)
    {
        Directory.CreateDirectory(folder);
        foreach ((string name, byte[] root) in Roots)
        {
            System.IO.File.WriteAllBytes(Path.Combine(folder, $"{name}.root.json"), root);
        }

        foreach (Specimen specimen in Specimens.Concat(Impostors))
        {
            System.IO.File.WriteAllText(Path.Combine(folder, $"{specimen.Name}.json"), specimen.ToJson(specimen.Document).ToJsonString());
        }
    }

    /// <summary>Signed now, by the services of the sandbox, and what real clients made (fixtures).</summary>
    public static Corpus Make()
    {
        var corpus = new Corpus();
        corpus.Roots.Add("forged", Encoding.UTF8.GetBytes(Forge.World.RootJson().ToJsonString()));
        foreach ((string name, Forge forge) in Recipes())
        {
            corpus.Add(name, forge, forge.Version == "0.3" && forge.Content is null ? Form.Image : Form.Bundle);
        }

        corpus.AddSimple("simple", new Stamped(), Forge.V1);
        corpus.AddSimple("simple-without-timestamp", null, Forge.V1);
        corpus.AddSimple("simple-managed", null, Forge.V1 with { Managed = true });
        corpus.AddReal();
        corpus.AddImpostors();
        return corpus;
    }

    private static IEnumerable<(string Name, Forge Forge)> Recipes()
    {
        // A key for each: RSA and Ed25519 sign the same thing twice alike, and then one specimen's timestamp would be another's by right.
        var keys = new Dictionary<string, Func<ForgedKey?>>
        {
            ["p256"] = () => null,
            ["p384"] = () => ForgedKey.Of(ECDsa.Create(ECCurve.NamedCurves.nistP384), null),
            ["p521"] = () => ForgedKey.Of(ECDsa.Create(ECCurve.NamedCurves.nistP521), null),
            ["rsa"] = () => ForgedKey.Of(RSA.Create(2048), null),
            ["ed25519"] = () => ForgedKey.Ed25519(prehash: false),
            ["ed25519ph"] = () => ForgedKey.Ed25519(prehash: true),
        };
        foreach ((string key, Func<ForgedKey?> signer) in keys)
        {
            foreach (LogKind log in Enum.GetValues<LogKind>())
            {
                foreach (bool message in (bool[])[false, true])
                {
                    bool goes = key switch { "ed25519" => log == LogKind.V1, "ed25519ph" => log != LogKind.V1 || message, _ => true };
                    if (goes)
                    {
                        Forge forge = Forge.LoggedBy(log) with { Signer = signer(), Content = message ? File : null };
                        yield return ($"{key}-{log}-{(message ? "message" : "statement")}", forge);
                        if (key is "p256" or "ed25519")
                        {
                            yield return ($"{key}-{log}-{(message ? "message" : "statement")}-managed", forge with { Signer = signer(), Managed = true });
                        }
                    }
                }
            }
        }

        foreach (string version in (string[])["0.1", "0.2"])
        {
            yield return ($"v{version}-statement", Forge.V1 with { Version = version });
            yield return ($"v{version}-message", Forge.V1 with { Version = version, Content = File });
            yield return ($"v{version}-managed", Forge.V1 with { Version = version, Content = File, Managed = true });
        }

        yield return ("v0.1-without-proof", Forge.V1 with { Version = "0.1", Entries = [new LoggedIn(LogKind.V1) { Edit = entry => entry.Remove("inclusionProof") }] });
        yield return ("intoto", Forge.V1 with { Entries = [new LoggedIn(LogKind.V1) { Intoto = true }] });
        yield return ("by-digest", Forge.V2 with { Content = File, ByDigest = true });
        yield return ("two-logs-two-authorities", Forge.V1 with
        {
            Entries = [new LoggedIn(LogKind.V1), new LoggedIn(LogKind.V2Ed25519), new LoggedIn(LogKind.V2Ecdsa)],
            Timestamps = [new Stamped(), new Stamped { Authority = Forge.World.SecondTsa }],
        });
        yield return ("with-strangers", Forge.V1 with
        {
            Entries = [new LoggedIn(LogKind.V1) { Strange = true, Index = 3 }, new LoggedIn(LogKind.V1)],
            Timestamps = [new Stamped { Authority = Forge.World.StrangeTsa }, new Stamped { WithCertificate = false }],
        });
        yield return ("promised-time-only-by-authority", Forge.V1 with { Entries = [new LoggedIn(LogKind.V1) { Promise = false }], Timestamps = [new Stamped()] });
        yield return ("annotations", Forge.V2 with { Payload = Statement.Write(Forge.Image, Forge.PredicateType, new Dictionary<string, string> { ["env"] = "prod" }) });
        yield return ("rsa-ct-log", Forge.V1 with { Scts = (spki, tbs) => [Forge.World.StrangeCtLog.Add(spki, tbs), Forge.World.RsaCtLog.Add(spki, tbs)] });
        yield return ("one-leaf", Forge.V2 with { Entries = [new LoggedIn(LogKind.V2Ed25519) { Index = 0, Size = 1 }] });
        yield return ("witnessed", Forge.V2 with { Entries = [new LoggedIn(LogKind.V2Ed25519) { Note = note => note + "\u2014 witness.example " + Convert.ToBase64String(new byte[76]) + "\n" }] });
    }

    private void Add(string name, Forge forge, Form form) => Specimens.Add(Of(name, forge, form));

    private static Specimen Of(string name, Forge forge, Form form) => new(name, form, "forged", forge.Make())
    {
        Content = forge.ByDigest ? null : forge.Content,
        Digest = forge.Content is { } content ? Convert.ToHexStringLower(SHA256.HashData(content)) : Forge.Image.Hex,
        Identity = forge.Managed ? null : Forge.Identity,
        Issuer = forge.Managed ? null : Forge.Issuer,
        PredicateType = forge.Content is null ? Forge.PredicateType : null,
        Key = forge.Managed ? PemEncoding.WriteString("PUBLIC KEY", (forge.Signer ?? Forge.World.UsualKey).Spki) : null,
    };

    private void AddSimple(string name, Stamped? stamped, Forge forge)
    {
        // Of another reference each: with all annotations exchanged, one would be another, good signature.
        byte[] payload = Payload(Forge.Image, $"registry.example/{name}");
        forge = forge with { Content = payload, Timestamps = stamped is null ? [] : [stamped] };
        Specimens.Add(Of(name, forge, Form.Simple) with { Document = Layer(forge, payload), Digest = Forge.Image.Hex, Content = null, PredicateType = Forge.PredicateType });
    }

    public static byte[] Payload(ArtifactDigest image, string reference = "registry.example/app") => Encoding.UTF8.GetBytes(
        $$$"""{"critical":{"identity":{"docker-reference":"{{{reference}}}"},"image":{"docker-manifest-digest":"{{{image}}}"},"type":"cosign container image signature"},"optional":{"env":"prod"}}""");

    /// <summary>The same signature in annotations.</summary>
    public static byte[] Layer(Forge forge, byte[] payload)
    {
        JsonNode material = JsonNode.Parse(forge.Make())!;
        JsonNode entry = material["verificationMaterial"]!["tlogEntries"]![0]!;
        var annotations = new JsonObject
        {
            ["dev.cosignproject.cosign/signature"] = (string?)material["messageSignature"]!["signature"],
            ["dev.sigstore.cosign/bundle"] = new JsonObject
            {
                ["SignedEntryTimestamp"] = (string?)entry["inclusionPromise"]!["signedEntryTimestamp"],
                ["Payload"] = new JsonObject
                {
                    ["body"] = (string?)entry["canonicalizedBody"],
                    ["integratedTime"] = long.Parse((string)entry["integratedTime"]!, null),
                    ["logIndex"] = long.Parse((string)entry["logIndex"]!, null),
                    ["logID"] = Convert.ToHexStringLower(Convert.FromBase64String((string)entry["logId"]!["keyId"]!)),
                },
            }.ToJsonString(),
        };
        if (!forge.Managed)
        {
            annotations["dev.sigstore.cosign/certificate"] = PemEncoding.WriteString("CERTIFICATE", Convert.FromBase64String((string)material["verificationMaterial"]!["certificate"]!["rawBytes"]!)) + "\n";
            annotations["dev.sigstore.cosign/chain"] = PemEncoding.WriteString("CERTIFICATE", Forge.World.Fulcio.Intermediate.Certificate.RawData) + "\n";
        }

        if (forge.Timestamps.Count > 0)
        {
            annotations["dev.sigstore.cosign/rfc3161timestamp"] = new JsonObject
            {
                ["SignedRFC3161Timestamp"] = (string?)material["verificationMaterial"]!["timestampVerificationData"]!["rfc3161Timestamps"]![0]!["signedTimestamp"],
            }.ToJsonString();
        }

        return Encoding.UTF8.GetBytes(new JsonObject { ["payload"] = Convert.ToBase64String(payload), ["annotations"] = annotations }.ToJsonString());
    }

    private void AddReal()
    {
        string folder = Path.Combine(AppContext.BaseDirectory, "fixtures", "real");
        byte[] Read(string path) => System.IO.File.ReadAllBytes(Path.Combine(folder, path));
        Roots.Add("real", Read("trusted_root.json"));
        var common = new Specimen("", Form.Image, "real", [])
        {
            Digest = "b2fafd95b34d5b99e7ccea34383b3bf3e51d2c3ee649ccad5932d73cde21dfdc",
            Identity = Forge.Identity,
            Issuer = "http://127.0.0.1:18000",
            PredicateType = Forge.PredicateType,
        };
        Specimens.Add(common with { Name = "real-image-rekor1", Document = Read("c3-rekor1-single/blob-44e08ca0be4e.json") });
        Specimens.Add(common with { Name = "real-image-rekor2", Document = Read("c3-rekor2-single/blob-e6d02af417a4.json") });
        Specimen file = common with { Form = Form.Bundle, Content = Read("blob/hello.txt"), PredicateType = null };
        foreach (string name in (string[])["c3-rekor1-dsse", "c3-rekor1", "c3-rekor2"])
        {
            Specimens.Add(file with { Name = $"real-file-{name}", Document = Read($"blob/{name}.sigstore.json") });
        }
    }

    private void AddImpostors()
    {
        var stranger = new LoggedIn(LogKind.V1) { Strange = true };
        Impostors.Add(Of("impostor-log", Forge.V1 with { Entries = [stranger], Timestamps = [new Stamped()] }, Form.Bundle));
        Impostors.Add(Of("impostor-rekor2", Forge.V2 with { Entries = [new LoggedIn(LogKind.V2Ed25519) { Strange = true }] }, Form.Bundle));
        Impostors.Add(Of("impostor-authority", Forge.V2 with { Timestamps = [new Stamped { Authority = Forge.World.StrangeTsa }] }, Form.Bundle));
        Impostors.Add(Of("impostor-ct-log", Forge.V1 with { Scts = (spki, tbs) => [Forge.World.StrangeCtLog.Add(spki, tbs)] }, Form.Bundle));
        var strange = new Sandbox.Fulcio(Forge.World.CtLog, _ => [], new StoppedClock(Forge.Now));
        Impostors.Add(Of("impostor-fulcio", Forge.V1 with { Authority = strange.Intermediate }, Form.Bundle));
    }
}
