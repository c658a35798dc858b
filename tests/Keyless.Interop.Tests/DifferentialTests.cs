using System.Globalization;
using System.Text;
using System.Text.Json.Nodes;
using Keyless.Sigstore;
using Keyless.Testing;

namespace Keyless.Interop.Tests;

/// <summary>Bundles with one thing changed, each held against cosign and us: what cosign refuses, we must not accept. The other way round, being stricter is no defect.</summary>
[TestClass]
public sealed class DifferentialTests
{
    private static readonly byte[] Content = "a file that is signed\n"u8.ToArray();

    public required TestContext TestContext { get; init; }

    [TestMethod]
    [DataRow(Log.Rekor1, false)]
    [DataRow(Log.Rekor1, true)]
    [DataRow(Log.Rekor2Ed25519, false)]
    [DataRow(Log.Rekor2Ecdsa, true)]
    public async Task We_accept_no_variant_of_a_bundle_that_cosign_refuses(Log log, bool attestation)
    {
        Tools.Require("cosign");
        await using World world = await World.StartAsync(RegistryKind.Sandbox, log, TestContext.CancellationToken);
        string file = world.Folder["file.txt"];
        await File.WriteAllBytesAsync(file, Content, world.Cancel);
        string bundle = await SignAsync(world, file, attestation), other = await SignAsync(world, file, attestation);
        Policy policy = Policy.Exactly(world.Signer, world.Sandbox.Issuer.Url, attestation ? "https://cosign.sigstore.dev/attestation/v1" : null);
        Variant[] variants = [.. Variant.Of(bundle, other)];
        Variant[] accepted = [.. variants.Where(variant => Accepts(world.Verifier, variant.Json, policy))];

        var tooMuch = new List<string>();
        await Parallel.ForEachAsync(accepted, new ParallelOptions { MaxDegreeOfParallelism = 2, CancellationToken = world.Cancel }, async (variant, _) =>
        {
            string changed = world.Folder.Write($"{Guid.NewGuid()}.json", variant.Json);
            ToolResult cosign = await world.Cosign3.VerifyBlobAsync(file, changed, attestation);
            // It counts the log's time or, if told to, the authority's; we count either.
            if (cosign.ExitCode != 0 && (await world.Cosign3.VerifyBlobAsync(file, changed, attestation, null, "--use-signed-timestamps")).ExitCode != 0)
            {
                lock (tooMuch)
                {
                    tooMuch.Add($"{variant.Change}: {cosign.Errors.Trim().Split('\n')[0]}");
                }
            }
        });

        Assert.AreEqual("", string.Join('\n', tooMuch));
        // Changes that mean nothing are among them, or cosign would never have been asked.
        Assert.IsTrue(accepted.Any(variant => variant.Change == "nothing"));
        Assert.IsGreaterThan(10, accepted.Length);
        Assert.IsGreaterThan(400, variants.Length - accepted.Length);
    }

    private static async Task<string> SignAsync(World world, string file, bool attestation)
    {
        string bundle = world.Folder[$"{Guid.NewGuid()}.json"];
        await (attestation ? world.Cosign3.AttestBlobAsync(file, bundle) : world.Cosign3.SignBlobAsync(file, bundle));
        return await File.ReadAllTextAsync(bundle, world.Cancel);
    }

    private static bool Accepts(Verifier verifier, string bundle, Policy policy)
    {
        try
        {
            verifier.Verify(Encoding.UTF8.GetBytes(bundle), Artifact.FromContent(Content), policy);
            return true;
        }
        catch (VerificationException)
        {
            return false;
        }
    }

    private sealed record Variant(string Change, string Json)
    {
        /// <summary>One change each to a bundle; <paramref name="other"/> is another one by the same signer, which parts are taken from.</summary>
        public static IEnumerable<Variant> Of(string bundle, string other)
        {
            yield return new Variant("nothing", bundle);
            yield return new Variant("white space", bundle.Replace(":", " :\n\t", StringComparison.Ordinal).Replace("mediaType\" :\n\t", "mediaType\":", StringComparison.Ordinal));
            yield return new Variant("something after the end", bundle + "{}");
            yield return new Variant("a byte order mark", "\uFEFF" + bundle);
            yield return new Variant("cut off", bundle[..^1]);
            string[] paths = [.. Paths(JsonNode.Parse(bundle)!)];
            foreach (string path in paths)
            {
                foreach ((string change, Func<JsonNode, JsonNode?> to) in Changes(Find(JsonNode.Parse(bundle)!, path)))
                {
                    yield return new Variant($"{path}: {change}", Changed(bundle, path, to));
                }

                if (Paths(JsonNode.Parse(other)!).Contains(path) && path != "$")
                {
                    yield return new Variant($"{path}: of the other bundle", Changed(bundle, path, _ => Find(JsonNode.Parse(other)!, path).DeepClone()));
                }
            }
        }

        private static IEnumerable<(string, Func<JsonNode, JsonNode?>)> Changes(JsonNode node) => node switch
        {
            JsonObject members => Members(members),
            JsonArray items => Items(items),
            JsonValue value when value.TryGetValue(out string? text) => Texts(text),
            _ => [("a text", node => node.ToJsonString()), ("null", _ => null)],
        };

        private static IEnumerable<(string, Func<JsonNode, JsonNode?>)> Members(JsonObject members)
        {
            foreach (string name in members.Select(member => member.Key))
            {
                yield return ($"without {name}", node => Changed(node, changed => changed.Remove(name)));
                yield return ($"{name} null", node => Changed(node, changed => changed[name] = null));
                yield return ($"{name} spelled otherwise", node => Changed(node, changed => Rename(changed, name, char.ToUpperInvariant(name[0]) + name[1..])));
                yield return ($"{name} in snake case", node => Changed(node, changed => Rename(changed, name, string.Concat(name.Select(c => char.IsUpper(c) ? $"_{char.ToLowerInvariant(c)}" : $"{c}")))));
            }

            yield return ("in another order", node => new JsonObject(node.AsObject().Reverse().Select(member => KeyValuePair.Create(member.Key, member.Value?.DeepClone()))));
            yield return ("with a member that nobody knows", node => Changed(node, changed => changed["unknown"] = "member"));
            yield return ("empty", _ => new JsonObject());
            yield return ("a list", node => new JsonArray(node.DeepClone()));
        }

        private static IEnumerable<(string, Func<JsonNode, JsonNode?>)> Items(JsonArray items)
        {
            yield return ("empty", _ => new JsonArray());
            yield return ("not a list", node => node[0]!.DeepClone());
            yield return ("with null", node => new JsonArray([.. Copies(node), null]));
            yield return ("in another order", node => new JsonArray([.. Copies(node).Reverse()]));
            for (int index = 0; index < items.Count; index++)
            {
                int at = index;
                yield return ($"without {at}", node => new JsonArray([.. Copies(node).Where((_, other) => other != at)]));
                yield return ($"{at} twice", node => new JsonArray([.. Copies(node), node[at]!.DeepClone()]));
            }
        }

        private static IEnumerable<(string, Func<JsonNode, JsonNode?>)> Texts(string text)
        {
            yield return ("empty", _ => "");
            yield return ("null", _ => null);
            yield return ("a list", _ => new JsonArray(text));
            yield return ("with a space", _ => text + " ");
            yield return ("with a line feed", _ => text + "\n");
            yield return ("in other letters", _ => text.ToUpperInvariant());
            yield return ("a letter more", _ => text + "A");
            yield return ("a letter less", _ => text[..^1]);
            if (long.TryParse(text, NumberStyles.None, CultureInfo.InvariantCulture, out long number))
            {
                yield return ("as a number", _ => number);
                foreach ((string change, string value) in new[]
                {
                    ("one more", $"{number + 1}"), ("one less", $"{number - 1}"), ("zero", "0"), ("negative", $"-{number}"), ("zero in front", $"0{number}"),
                    ("plus in front", $"+{number}"), ("in hexadecimal", $"0x{number:x}"), ("with an exponent", $"{number}e0"), ("too large", "18446744073709551616"),
                })
                {
                    yield return (change, _ => value);
                }

                yield break;
            }

            if (text.StartsWith("application/vnd.dev.sigstore", StringComparison.Ordinal))
            {
                foreach (string type in new[]
                {
                    "application/vnd.dev.sigstore.bundle+json;version=0.3", "application/vnd.dev.sigstore.bundle+json;version=0.2", "application/vnd.dev.sigstore.bundle+json;version=0.1",
                    "application/vnd.dev.sigstore.bundle+json;version=0.4", "application/vnd.dev.sigstore.bundle.v0.4+json", "application/vnd.dev.sigstore.bundle.v1+json", "application/json",
                })
                {
                    yield return (type, _ => type);
                }
            }

            if (text.Length >= 8 && Convert.TryFromBase64String(text, new byte[text.Length], out int length))
            {
                byte[] bytes = Convert.FromBase64String(text);
                yield return ("URL-safe", _ => text.Replace('+', '-').Replace('/', '_'));
                yield return ("without padding", _ => text.TrimEnd('='));
                yield return ("with bytes after it", _ => Convert.ToBase64String([.. bytes, 0]));
                yield return ("in hexadecimal", _ => Convert.ToHexStringLower(bytes));
                // Some places in each, the same in every run.
                for (int place = 0; place < 12; place++)
                {
                    int at = place < 6 ? Math.Min(place, length - 1) : (int)((long)length * (place - 5) / 7);
                    yield return ($"a bit in byte {at}", _ => Convert.ToBase64String([.. bytes[..at], (byte)(bytes[at] ^ (1 << (at % 8))), .. bytes[(at + 1)..]]));
                }
            }
            else
            {
                for (int place = 0; place < 8 && text.Length > 8; place++)
                {
                    int at = text.Length * place / 8;
                    yield return ($"another character at {at}", _ => $"{text[..at]}{(text[at] == 'x' ? 'y' : 'x')}{text[(at + 1)..]}");
                }
            }
        }

        private static JsonObject Changed(JsonNode node, Action<JsonObject> change)
        {
            JsonObject changed = node.DeepClone().AsObject();
            change(changed);
            return changed;
        }

        private static void Rename(JsonObject members, string from, string to)
        {
            JsonNode? value = members[from]?.DeepClone();
            members.Remove(from);
            members[to] = value;
        }

        private static IEnumerable<JsonNode?> Copies(JsonNode items) => items.AsArray().Select(item => item?.DeepClone());

        private static IEnumerable<string> Paths(JsonNode node) => node switch
        {
            JsonObject members => members.SelectMany(member => Paths(member.Value!)).Prepend(node.GetPath()),
            JsonArray items => items.SelectMany(item => Paths(item!)).Prepend(node.GetPath()),
            _ => [node.GetPath()],
        };

        private static JsonNode Find(JsonNode root, string path) => Steps(path).Aggregate(root, (node, step) =>
            int.TryParse(step, NumberStyles.None, CultureInfo.InvariantCulture, out int index) ? node[index]! : node[step]!);

        private static string Changed(string bundle, string path, Func<JsonNode, JsonNode?> to)
        {
            JsonNode root = JsonNode.Parse(bundle)!;
            if (path == "$")
            {
                return to(root)!.ToJsonString();
            }

            JsonNode node = Find(root, path);
            node.ReplaceWith(to(node));
            return root.ToJsonString();
        }

        private static string[] Steps(string path) => path.Split(['.', '[', ']'], StringSplitOptions.RemoveEmptyEntries)[1..];
    }
}
