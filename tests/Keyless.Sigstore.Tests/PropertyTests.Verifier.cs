using System.Globalization;
using System.Security.Cryptography;
using System.Text;
using System.Text.Json.Nodes;
using CsCheck;
using Keyless.Testing;

namespace Keyless.Sigstore.Tests;

/// <summary>What holds between the verdicts on a signature and on what was made of it.</summary>
[TestClass]
public sealed class VerifierPropertyTests
{
    private static readonly byte[] File = Encoding.UTF8.GetBytes("an artifact\n");

    private static readonly Dictionary<string, Forge> Forges = new()
    {
        ["statement, Rekor v1"] = Forge.V1,
        ["statement, Rekor v2"] = Forge.V2,
        ["statement, Rekor v2 with ECDSA"] = Forge.LoggedBy(LogKind.V2Ecdsa),
        ["statement logged as intoto"] = Forge.V1 with { Entries = [new LoggedIn(LogKind.V1) { Intoto = true }] },
        ["file, Rekor v1"] = Forge.V1 with { Content = File },
        ["file, Rekor v2"] = Forge.V2 with { Content = File },
        ["v0.1"] = Forge.V1 with { Version = "0.1", Chain = [] },
        ["RSA"] = Forge.V2 with { Signer = ForgedKey.Of(RSA.Create(2048), null) },
        ["Ed25519"] = Forge.V1 with { Signer = ForgedKey.Ed25519(prehash: false), Content = File },
        ["managed key"] = Forge.V1 with { Managed = true, Content = File },
    };

    public static IEnumerable<object[]> Names => Forges.Keys.Select(name => new object[] { name });

    // Every member that holds bytes or a number. Of an unsigned hint and of a version nothing is expected.
    [TestMethod]
    [DynamicData(nameof(Names))]
    public void Any_flipped_bit_of_what_is_signed_or_signs_is_refused(string name)
    {
        Forge forge = Forges[name];
        byte[] good = forge.Make();
        string[] fields = [.. Fields(JsonNode.Parse(good), "").Where(path => !path.EndsWith("hint", StringComparison.Ordinal))];
        Assert.IsGreaterThan(8, fields.Length);
        Assert.IsTrue(IsAccepted(forge, good));
        Properties.Holds(Gen.Select(Gen.OneOf(fields), Gen.Int[0, int.MaxValue]), 120, input =>
        {
            (string path, int bit) = input;
            JsonNode bundle = JsonNode.Parse(good)!;
            if (path.EndsWith("signedTimestamp", StringComparison.Ordinal) && IsOutsideTheSignature(At(bundle, path), bit))
            {
                return;
            }

            Change(bundle, path, bytes => Flip(bytes, bit), number => number ^ (1L << (bit % 62)));
            Assert.IsFalse(IsAccepted(forge, Encoding.UTF8.GetBytes(bundle.ToJsonString())), $"{path}, bit {bit}");
        });
    }

    [TestMethod]
    public void A_further_condition_never_turns_a_no_into_a_yes()
    {
        var verifier = new Verifier(Forge.World.Root);
        ProvenSignature[] proven =
        [
            .. new[]
            {
                Forge.V1 with { Payload = Statement.Write(Forge.Image, Forge.PredicateType, new Dictionary<string, string> { ["env"] = "prod" }) },
                Forge.V1 with { Claims = claims => claims["repository"] = "other-org/example-repo" },
                Forge.V1 with { Claims = claims => claims["event_name"] = "pull_request_target" },
            }.Select(forge => verifier.ProveImage(forge.Make(), Forge.Image, null, Proofs.Log)),
        ];
        TextMatch?[] subjects = [null, TextMatch.Exactly(Forge.Identity), TextMatch.Exactly("https://github.com/other"), TextMatch.Pattern("https://.*"), TextMatch.Pattern("https")];
        Gen<int> conditions = Gen.Int[0, 1023];
        Properties.Holds(Gen.Select(Gen.OneOf(proven), Gen.OneOf(subjects), conditions, conditions), 600, input =>
        {
            (ProvenSignature signature, TextMatch? subject, int some, int more) = input;
            if (!IsAccepted(some))
            {
                Assert.IsFalse(IsAccepted(some | more), $"{subject} {some} {more}");
            }

            // Each bit is one condition; the repository stays, so that somebody is named.
            bool IsAccepted(int set)
            {
                bool Has(int bit) => (set & 1 << bit) != 0;
                var gitHub = new GitHubIdentity
                {
                    Repository = Has(0) || subject is null ? "example-org/example-repo" : null,
                    Workflow = Has(1) ? "publish.yml" : null,
                    Ref = Has(2) ? "refs/heads/main" : null,
                    Sha = Has(3) ? new string('0', 40) : null,
                    RepositoryId = Has(4) ? "1001" : null,
                    OwnerId = Has(5) ? "7" : null,
                    RunnerEnvironment = Has(6) ? "github-hosted" : null,
                };
                var annotations = new Dictionary<string, string>();
                if (Has(7))
                {
                    annotations["env"] = "prod";
                }

                var policy = new Policy(subject, TextMatch.Exactly(Forge.Issuer), gitHub, Has(8) ? Forge.PredicateType : null, annotations)
                {
                    MaxAge = Has(9) ? (TimeSpan.FromHours(1), Forge.Now.AddMinutes(some % 2 == 0 ? 2 : 90)) : null,
                };
                try
                {
                    signature.Require(policy);
                    return true;
                }
                catch (VerificationException)
                {
                    return false;
                }
            }
        });
    }

    [TestMethod]
    public void A_file_and_its_digest_have_one_verdict()
    {
        Forge[] forges = [Forge.V1 with { Content = File }, Forge.V2 with { Content = File }, Forge.V1 with { Content = File, Managed = true }, Forge.V1 with { Content = File, Version = "0.2" }];
        foreach (Forge forge in forges)
        {
            byte[] good = forge.Make();
            string[] fields = [.. Fields(JsonNode.Parse(good), "")];
            Properties.Holds(Gen.Select(Gen.OneOf(fields), Gen.Int[0, int.MaxValue], Gen.Int[0, 4]), 40, input =>
            {
                JsonNode bundle = JsonNode.Parse(good)!;
                if (input.Item3 > 0)
                {
                    Change(bundle, input.Item1, bytes => Flip(bytes, input.Item2), number => number ^ (1L << (input.Item2 % 62)));
                }

                byte[] changed = Encoding.UTF8.GetBytes(bundle.ToJsonString());
                Assert.AreEqual(VerdictOn(forge, changed), VerdictOn(forge with { ByDigest = true }, changed));
            });
        }

        // And where the statement speaks of the file.
        byte[] payload = Statement.Write(ArtifactDigest.Sha256(Convert.ToHexStringLower(SHA256.HashData(File))), Forge.PredicateType, new Dictionary<string, string>());
        byte[] statement = (Forge.V1 with { Payload = payload }).Make();
        var verifier = new Verifier(Forge.World.Root);
        VerifiedSignature byFile = verifier.Verify(statement, Artifact.FromContent(File), Forge.Policy);
        VerifiedSignature byDigest = verifier.Verify(statement, ArtifactDigest.Sha256(Convert.ToHexStringLower(SHA256.HashData(File))), Forge.Policy);
        Assert.AreEqual(string.Join('\n', byFile.Checks), string.Join('\n', byDigest.Checks));
    }

    [TestMethod]
    public void The_order_of_evidence_decides_nothing()
    {
        Forge forge = Forge.V1 with
        {
            Entries = [new LoggedIn(LogKind.V1), new LoggedIn(LogKind.V2Ed25519), new LoggedIn(LogKind.V2Ecdsa), new LoggedIn(LogKind.V1) { Strange = true }],
            Timestamps = [new Stamped(), new Stamped { Authority = Forge.World.SecondTsa, GenTime = Forge.Now.AddMinutes(2) }, new Stamped { Authority = Forge.World.StrangeTsa }],
        };
        byte[][] bundles =
        [
            forge.Make(),
            (forge with { Timestamps = [.. forge.Timestamps, new Stamped { Over = _ => [1] }] }).Make(),
            (forge with { Entries = [.. forge.Entries, new LoggedIn(LogKind.V2Ed25519) { Index = 3, Body = body => { body["spec"]!["hashedRekordV002"]!["data"]!["algorithm"] = "SHA2_512"; return body; } }] }).Make(),
            (forge with { NotAfter = Forge.Now.AddSeconds(90) }).Make(),
        ];
        foreach (byte[] bundle in bundles)
        {
            string verdict = Verdict(bundle);
            Properties.Holds(Gen.Int, 15, seed =>
            {
                var random = new Random(seed);
                JsonObject shuffled = JsonNode.Parse(bundle)!.AsObject();
                Shuffle(shuffled.Material()["tlogEntries"]!.AsArray(), random);
                Shuffle(shuffled.Timestamps(), random);
                Assert.AreEqual(verdict, Verdict(Encoding.UTF8.GetBytes(shuffled.ToJsonString())));
            });
        }

        // Which of several good entries names the index, and which of several bad pieces is named, may depend on the order; what is proven may not.
        static string Verdict(byte[] bundle)
        {
            try
            {
                VerifiedSignature verified = new Verifier(Forge.World.Root).Verify(bundle, Forge.Image, Forge.Policy);
                return string.Join('\n', verified.Checks.Order(StringComparer.Ordinal).Append($"{verified.SignedAt:O}"));
            }
            catch (VerificationException no)
            {
                return no.Step;
            }
        }

        static void Shuffle(JsonArray array, Random random)
        {
            JsonNode?[] items = [.. array];
            array.Clear();
            random.Shuffle(items);
            foreach (JsonNode? item in items)
            {
                array.Add(item);
            }
        }
    }

    // The tests run with invariant globalization, where cultures of the system do not exist; this one differs in everything that one can differ in.
    // Casing by ICU's cultures, and time zones, are left to Keyless.Fuzz, which can be started with others.
    [TestMethod]
    public void The_culture_decides_nothing()
    {
        var strange = (CultureInfo)CultureInfo.InvariantCulture.Clone();
        strange.NumberFormat.NegativeSign = "~";
        strange.NumberFormat.NumberDecimalSeparator = "\u066b";
        strange.NumberFormat.NumberGroupSeparator = "'";
        strange.DateTimeFormat.TimeSeparator = ".";
        strange.DateTimeFormat.DateSeparator = "\u2013";
        foreach (Forge forge in Forges.Values)
        {
            byte[] good = forge.Make();
            string[] fields = [.. Fields(JsonNode.Parse(good), "")];
            Properties.Holds(Gen.Select(Gen.OneOf(fields), Gen.Int[0, int.MaxValue], Gen.Int[0, 3]), 10, input =>
            {
                JsonNode bundle = JsonNode.Parse(good)!;
                if (input.Item3 > 0)
                {
                    Change(bundle, input.Item1, bytes => Flip(bytes, input.Item2), number => number ^ (1L << (input.Item2 % 62)));
                }

                byte[] changed = Encoding.UTF8.GetBytes(bundle.ToJsonString());
                string here = VerdictOn(forge, changed);
                CultureInfo before = CultureInfo.CurrentCulture;
                try
                {
                    CultureInfo.CurrentCulture = CultureInfo.CurrentUICulture = strange;
                    Assert.AreEqual(here, VerdictOn(forge, changed));
                }
                finally
                {
                    CultureInfo.CurrentCulture = CultureInfo.CurrentUICulture = before;
                }
            });
        }
    }

    private static string VerdictOn(Forge forge, byte[] bundle)
    {
        try
        {
            return string.Join('\n', Verified(forge, bundle).Checks);
        }
        catch (VerificationException no)
        {
            return no.Reason + " " + no.Message;
        }
    }

    private static bool IsAccepted(Forge forge, byte[] bundle)
    {
        try
        {
            Verified(forge, bundle);
            return true;
        }
        catch (VerificationException)
        {
            return false;
        }
    }

    private static VerifiedSignature Verified(Forge forge, byte[] bundle) => new Verifier(Forge.World.Root).Verify(
        bundle, forge.Artifact, forge.Managed ? forge.ManagedPolicy : Policy.Exactly(Forge.Identity, Forge.Issuer, forge.Content is null ? Forge.PredicateType : null));

    // Status and certificates of a token are outside its signature; the tag of the latter, too, since revocation lists are skipped alike.
    private static bool IsOutsideTheSignature(JsonNode token, int bit)
    {
        byte[] bytes = Convert.FromBase64String((string)token!), bag = Forge.World.Tsa.Leaf.RawData;
        int at = bit / 8 % bytes.Length, from = bytes.AsSpan().IndexOf(bag) - 4;
        return at < 12 || (at >= from && at < from + 4 + bag.Length);
    }

    private static byte[] Flip(byte[] bytes, int bit)
    {
        byte[] flipped = [.. bytes];
        flipped[bit / 8 % bytes.Length] ^= (byte)(1 << (bit % 8));
        return flipped;
    }

    private static IEnumerable<string> Fields(JsonNode? node, string path) => node switch
    {
        JsonObject members => members.SelectMany(member => Fields(member.Value, $"{path}/{member.Key}")),
        JsonArray items => items.SelectMany((item, at) => Fields(item, string.Create(CultureInfo.InvariantCulture, $"{path}/{at}"))),
        JsonValue value when value.ToString().Length > 0 && path.Split('/')[^1] is not ("mediaType" or "keyid" or "kind" or "version" or "algorithm") => [path],
        _ => [],
    };

    private static JsonNode At(JsonNode bundle, string path) =>
        path.Split('/').Skip(1).Aggregate(bundle, (node, step) => node is JsonArray items ? items[int.Parse(step, CultureInfo.InvariantCulture)]! : node[step]!);

    /// <summary>In what the member holds: bytes, a number, or text.</summary>
    private static void Change(JsonNode bundle, string path, Func<byte[], byte[]> change, Func<long, long> changeNumber)
    {
        JsonNode value = At(bundle, path);
        string text = (string)value!;
        string changed = path.Split('/')[^1] switch
        {
            "logIndex" or "treeSize" or "integratedTime" => changeNumber(long.Parse(text, CultureInfo.InvariantCulture)).ToString(CultureInfo.InvariantCulture),
            "envelope" or "payloadType" => Encoding.Latin1.GetString(change(Encoding.UTF8.GetBytes(text))),
            _ => Convert.ToBase64String(change(Convert.FromBase64String(text))),
        };
        value.ReplaceWith(JsonValue.Create(changed));
    }
}
