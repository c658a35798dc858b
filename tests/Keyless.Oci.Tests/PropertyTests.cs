using System.Globalization;
using System.Text;
using System.Text.Json.Nodes;
using CsCheck;
using Keyless.Testing;
using Microsoft.AspNetCore.Http;

namespace Keyless.Oci.Tests;

/// <summary>What holds for every reference, header and configuration.</summary>
[TestClass]
public sealed class PropertyTests(TestContext test)
{
    private static readonly Gen<string> Noise = Gen.String[Gen.OneOf<char>(Gen.Char[' ', '~'], Gen.OneOf('/', ':', '@', '.', '-', '_', '%', '\\', '\n', '\0', 'é', '\u202e', '\ud800', 'A', '"', ',', '=', '<', '>', ';')), 0, 60];
    private static readonly Gen<string> Part = Gen.Select(Gen.String[Gen.Char['a', 'z'], 1, 6], Gen.OneOf("", ".a", "_b", "__c", "-d", "--e"), (name, more) => name + more);

    private static readonly Gen<string> Reference = Gen.Select(
        Gen.OneOf("", "ghcr.io/", "localhost/", "localhost:5000/", "127.0.0.1:80/", "[::1]:5000/", "Registry.Example:443/", "docker.io/", "index.docker.io/"),
        Part.Array[1, 4],
        Gen.OneOf("", ":1.0", ":latest", ":_a-b.C"),
        Gen.OneOf("", "@sha256:" + new string('a', 64), "@sha512:" + new string('0', 128)),
        (host, path, tag, digest) => host + string.Join('/', path) + tag + digest);

    [TestMethod]
    public void A_reference_that_is_written_out_reads_as_the_same_reference() => Properties.Holds(Reference, 500, text =>
    {
        var reference = ImageReference.Parse(text);
        string full = $"{reference.Registry}/{reference.Repository}{(reference.Tag is { } tag ? ":" + tag : "")}{(reference.Digest is { } digest ? "@" + digest : "")}";
        foreach (string again in (string[])[full, reference.Text])
        {
            var read = ImageReference.Parse(again);
            Assert.AreEqual((reference.Registry, reference.Repository, reference.Tag, reference.Digest), (read.Registry, read.Repository, read.Tag, read.Digest));
        }

        var pinned = ImageReference.Parse(reference.Pinned(Digest.Of("{}"u8)));
        Assert.AreEqual((reference.Registry, reference.Repository, null, Digest.Of("{}"u8)), (pinned.Registry, pinned.Repository, pinned.Tag, pinned.Digest));
    });

    [TestMethod]
    public void Whatever_is_typed_is_a_reference_or_malformed() =>
        Properties.Holds(Gen.OneOf<string>(Noise, Gen.Select(Reference, Noise, Gen.Int[0, 200], (good, noise, at) => good.Insert(at % (good.Length + 1), noise))), 1500, text =>
        {
            try
            {
                var reference = ImageReference.Parse(text);
                // What goes into a request's address is the grammar's, whatever was typed.
                Assert.IsTrue(reference.Repository.All(c => char.IsAsciiLetterLower(c) || char.IsAsciiDigit(c) || c is '.' or '_' or '-' or '/'), reference.Repository);
                Assert.DoesNotContain("..", reference.Repository);
                Assert.IsNull(ImageReference.WhatIsWrongWithRegistry(reference.Registry));
            }
            catch (FormatException e)
            {
                Assert.StartsWith("malformed image reference", e.Message);
                Assert.IsFalse(e.Message.Any(char.IsControl), "one line");
            }
        });

    [TestMethod]
    public void A_challenge_that_is_written_out_reads_as_the_same_challenge()
    {
        Gen<string> token = Gen.String[Gen.OneOf<char>(Gen.Char['a', 'z'], Gen.OneOf('-', '.', '_', '~', '0')), 1, 8];
        Gen<string> value = Gen.String[Gen.OneOf<char>(Gen.Char[' ', '~'], Gen.OneOf('"', '\\', ',', '=')), 0, 20];
        Gen<(string Scheme, Dictionary<string, string> Parameters)> challenge = Gen.Select(token, Gen.Dictionary(token, value)[0, 4], (scheme, parameters) => (scheme, parameters));
        Properties.Holds(challenge.Array[1, 3], 500, challenges =>
        {
            string line = string.Join(", ", challenges.Select(one => $"{one.Scheme} {string.Join(",", one.Parameters.Select(pair => $"{pair.Key}=\"{pair.Value.Replace("\\", "\\\\", StringComparison.Ordinal).Replace("\"", "\\\"", StringComparison.Ordinal)}\""))}".TrimEnd(' ')));
            IReadOnlyList<Challenge> read = Challenge.ParseAll([line]);
            Assert.AreEqual(
                string.Join('\n', challenges.Select(one => $"{one.Scheme}: {string.Join('|', one.Parameters.OrderBy(pair => pair.Key, StringComparer.Ordinal))}")),
                string.Join('\n', read.Select(one => $"{one.Scheme}: {string.Join('|', one.Parameters.OrderBy(pair => pair.Key, StringComparer.Ordinal))}")),
                line);
        });
    }

    [TestMethod]
    public void Whatever_stands_in_a_challenge_is_read_or_malformed()
    {
        Gen<string> piece = Gen.OneOf<string>(Gen.OneOf("Bearer", "Basic", " ", "realm", "=", "\"", ",", "\\", "https://a.example/t", "scope=\"a:b:c\"", "YWJj=="), Noise);
        Properties.Holds(piece.Array[0, 12], 1500, pieces =>
        {
            string line = string.Concat(pieces);
            try
            {
                foreach (Challenge challenge in Challenge.ParseAll([line]))
                {
                    Assert.IsTrue(challenge.Scheme.Length > 0 && !challenge.Scheme.Contains(' ', StringComparison.Ordinal));
                }
            }
            catch (FormatException e)
            {
                Assert.StartsWith("malformed challenge", e.Message);
            }
        });
    }

    [TestMethod]
    public void Wherever_an_address_leads_it_is_allowed_or_refused_and_never_down_or_inside()
    {
        var registry = new Uri("https://registry.example/");
        Gen<string> location = Gen.OneOf<string>(
            Noise,
            Gen.Select(
                Gen.OneOf("https://", "http://", "//", "HTTP://", "ftp://", "file:///", "/", "", "https:/", "javascript:"),
                Gen.OneOf("registry.example", "storage.example", "user:pw@registry.example", "127.0.0.1", "[::1]", "10.0.0.1", "169.254.169.254", "[::ffff:127.0.0.1]", "localhost", "a.localhost.", "0x7f.1", "2130706433", "[fe80::1]"),
                Noise.Where(text => text.Length < 30),
                (scheme, host, path) => scheme + host + "/" + path));
        Properties.Holds(location, 2000, text =>
        {
            try
            {
                Uri target = RegistryAddress.Resolve(registry, text, registry);
                Assert.AreEqual("https", target.Scheme);
                Assert.AreEqual("", target.UserInfo);
                Assert.IsFalse(target.IsLoopback || target.Host is "10.0.0.1" or "169.254.169.254" or "[fe80::1]" or "a.localhost.", target.ToString());
            }
            catch (FormatException)
            {
                // Refused.
            }
        });
    }

    [TestMethod]
    public void Whatever_bytes_come_as_a_manifest_are_one_or_malformed()
    {
        string good = $$$"""{"schemaVersion":2,"mediaType":"{{{MediaTypes.OciManifest}}}","artifactType":"a/b","config":{"mediaType":"{{{MediaTypes.OciManifest}}}","size":2,"digest":"{{{Digest.Of("{}"u8)}}}"},"layers":[{"mediaType":"x/y","size":3,"digest":"{{{Digest.Of("abc"u8)}}}","annotations":{"a":"b"},"data":"YWJj"}],"subject":{"mediaType":"{{{MediaTypes.OciManifest}}}","size":2,"digest":"{{{Digest.Of("{}"u8)}}}"},"annotations":{"k":"v"}}""";
        Gen<string> edit = Gen.OneOf<string>(Noise, Gen.OneOf("null", "-1", "1e99", "5000000000", "[]", "{}", "\"\\ud800\"", "9223372036854775808", "0.5", "\"manifests\":[],", "\"layers\":[],"));
        Properties.Holds(Gen.Select(Gen.Int, Gen.Int[0, 20], edit), 2000, input =>
        {
            int at = (int)((uint)input.Item1 % (uint)good.Length);
            string changed = good[..at] + input.Item3 + good[Math.Min(good.Length, at + input.Item2)..];
            try
            {
                var manifest = Manifest.Parse(Encoding.UTF8.GetBytes(changed), MediaTypes.OciManifest);
                Assert.IsTrue(manifest.Layers.All(layer => layer.Size >= 0) && manifest.Manifests.Count == 0, changed);
            }
            catch (FormatException e)
            {
                Assert.StartsWith("malformed", e.Message);
            }
        });
    }

    // A link that is not understood is an error: a page that is left out would be a signature that nobody sees.
    [TestMethod]
    public async Task The_next_page_is_fetched_from_the_same_list_or_the_answer_is_refused()
    {
        string link = "";
        var seen = new List<string>();
        await using World world = await World.StartAsync(cancel: test.CancellationToken);
        Stranger stranger = await world.StrangerAsync(context => Answer(context, ""), test.CancellationToken);
        Stranger registry = await world.StrangerAsync(context => Answer(context, context.Request.Query.ContainsKey("n") ? "" : link), test.CancellationToken);
        using var http = new HttpClient(RegistryTransport.CreateHandler([]));
        string prefix = $"/v2/app/referrers/{Digest.Of("{}"u8)}";
        Gen<string> links = Gen.Select(
            Gen.OneOf("<", "", "< "),
            Gen.OneOf(prefix, registry.BaseUrl.AbsoluteUri.TrimEnd('/') + prefix, stranger.BaseUrl.AbsoluteUri.TrimEnd('/') + prefix, "/v2/other/referrers/x", prefix + "/../../../other", "//" + stranger.BaseUrl.Authority + prefix, "ftp://a", "http://[", prefix + "%2f..%2f.."),
            Gen.OneOf("?n=2", "?n=2&last=%2e", "", "#n"),
            Gen.OneOf(">; rel=\"next\"", ">;rel=next", "> ; REL=next", ">; rel=\"prev\"", "; rel=next", ">; rel=\"next\", <x>; rel=\"next\"", ">; rel=\"next\"; title=\"x\""),
            (open, target, query, rest) => open + target + query + rest);
        var random = new PCG(7, 20261125);
        for (int n = 0; n < 120; n++)
        {
            link = links.Generate(random, null, out _);
            seen.Clear();
            using var client = new Registry(http, registry.BaseUrl.Authority, "app", new RegistryCredentials(name => name.EndsWith("_UNAME", StringComparison.Ordinal) ? "canary-user" : name.EndsWith("_PWORD", StringComparison.Ordinal) ? "canary-password" : null, RegistryAccess.Pull), new RegistrySettings(TimeProvider.System), World.UserAgent);
            bool refused = false;
            try
            {
                await client.GetReferrersAsync(Digest.Of("{}"u8), test.CancellationToken);
            }
            catch (RegistryException)
            {
                refused = true;
            }

            bool names = link.Contains("next", StringComparison.OrdinalIgnoreCase);
            Assert.IsTrue(refused || !names || seen.Count == 2, link);
            Assert.IsTrue(seen.All(path => path.StartsWith(prefix, StringComparison.Ordinal) && !path.Contains("..", StringComparison.Ordinal)), link);
            Assert.IsEmpty(stranger.Authorizations, link);
        }

        Task Answer(HttpContext context, string next)
        {
            seen.Add(context.Request.Path + context.Request.QueryString);
            context.Response.ContentType = MediaTypes.OciIndex;
            if (next.Length > 0)
            {
                context.Response.Headers["Link"] = next;
            }

            return context.Response.WriteAsync($$"""{"schemaVersion":2,"mediaType":"{{MediaTypes.OciIndex}}","manifests":[]}""", context.RequestAborted);
        }
    }

    // Only whole names match: a part of one, or a name that begins alike, gets nothing.
    [TestMethod]
    public async Task Credentials_are_found_for_their_own_registry_and_namespace_alone()
    {
        using var folder = new TemporaryFolder();
        string[] hosts = ["registry.example", "registry.example:5000", "example", "evil-registry.example", "registry.example.evil", "docker.io", "localhost:5000"];
        string[] spaces = ["", "/team", "/team/app", "/te"];
        Gen<(string Host, string Space, string Spelling)> key = Gen.Select(Gen.OneOf(hosts), Gen.OneOf(spaces), Gen.OneOf("{0}{1}", "https://{0}/v1/", "https://{0}", "http://{0}/v2/", "{0}/v2/"));
        var random = new PCG(11, 20261125);
        Gen<(string Host, string Space, string Spelling)[]> keys = key.Array[1, 5];
        for (int n = 0; n < 200; n++)
        {
            (string Host, string Space, string Spelling)[] entries = keys.Generate(random, null, out _);
            string wanted = Gen.OneOf(hosts).Generate(random, null, out _), repository = Gen.OneOf("team/app", "team/other", "app", "team/app/deep").Generate(random, null, out _);
            var auths = new JsonObject();
            foreach ((string host, string space, string spelling) in entries)
            {
                string name = string.Format(CultureInfo.InvariantCulture, spelling, host, space);
                auths[name] = new JsonObject { ["username"] = spelling == "{0}{1}" ? host + space : host, ["password"] = "secret" };
            }

            await File.WriteAllTextAsync(Path.Combine(folder.Path, "config.json"), new JsonObject { ["auths"] = auths }.ToJsonString(), test.CancellationToken);
            RegistryCredential found = await new RegistryCredentials(name => name == "DOCKER_CONFIG" ? folder.Path : null, RegistryAccess.Pull).FindAsync(wanted, repository, test.CancellationToken);
            string[] fitting = [.. auths.Select(pair => (string)pair.Value!["username"]!).Where(owner => $"{wanted}/{repository}/".StartsWith(owner + "/", StringComparison.Ordinal))];
            Assert.AreEqual(fitting.MaxBy(owner => owner.Length), found.User, auths.ToJsonString() + " " + wanted + "/" + repository);
        }
    }

    [TestMethod]
    public async Task Whatever_stands_in_a_configuration_it_is_used_or_refused_without_being_shown()
    {
        using var folder = new TemporaryFolder();
        const string canary = "Zq7Xk2Vw9Lm4Tb8Rn3Hc";
        string auth = Convert.ToBase64String(Encoding.UTF8.GetBytes("user:" + canary));
        string good = $$"""{"auths":{"registry.example":{"auth":"{{auth}}"},"other.example":{"identitytoken":"{{canary}}"} },"credHelpers":{"x.example":""},"credsStore":""}""";
        var random = new PCG(13, 20261125);
        Gen<(int At, int Length, string Edit)> edits = Gen.Select(Gen.Int[0, good.Length - 1], Gen.Int[0, 12], Gen.OneOf<string>(Noise, Gen.OneOf("null", "{}", "[]", "\"", "AAAA", "==")));
        for (int n = 0; n < 300; n++)
        {
            (int at, int length, string edit) = edits.Generate(random, null, out _);
            string changed = good[..at] + edit + good[Math.Min(good.Length, at + length)..];
            await File.WriteAllBytesAsync(Path.Combine(folder.Path, "config.json"), Encoding.UTF8.GetBytes(changed), test.CancellationToken);
            var credentials = new RegistryCredentials(name => name == "DOCKER_CONFIG" ? folder.Path : null, RegistryAccess.Pull);
            string shown;
            try
            {
                shown = (await credentials.FindAsync("registry.example", "app", test.CancellationToken)).ToString();
            }
            catch (RegistryException e)
            {
                shown = e.ToString();
            }

            AssertHides(shown, canary, auth);
        }
    }

    [TestMethod]
    public void No_part_of_a_secret_is_left_in_a_line_for_the_log()
    {
        Gen<string> secret = Gen.OneOf<string>(
            Gen.Select(Gen.String[Gen.Char.AlphaNumeric, 20, 300], Gen.String[Gen.Char.AlphaNumeric, 20, 80], Gen.String[Gen.Char.AlphaNumeric, 20, 80], (a, b, c) => $"eyJ{a}.{b}.{c}"),
            Gen.Select(Gen.OneOf("Bearer ", "bearer ", "Basic ", "BASIC  "), Gen.String[Gen.Char.AlphaNumeric, 12, 200], (scheme, token) => scheme + token),
            Gen.Select(Gen.OneOf("?sig=", "&X-Amz-Signature=", "?token=", "&code="), Gen.String[Gen.Char.AlphaNumeric, 12, 100], (name, value) => name + value));
        Gen<string> around = Gen.String[Gen.OneOf(' ', 'x', '\n', ',', '(', '\u001b'), 0, 20];
        Properties.Holds(Gen.Select(around, secret, around), 500, input =>
        {
            (string before, string token, string after) = input;
            // A name in front of a token makes it another word; what stands around it is a separator.
            string line = RegistryException.OneLine($"{before} {token} {after}", 400);
            string value = token[(token.LastIndexOfAny([' ', '=']) + 1)..];
            AssertHides(line, value);
            Assert.IsFalse(line.Any(char.IsControl));
        });
    }

    private static void AssertHides(string text, params string[] secrets)
    {
        foreach (string secret in secrets)
        {
            for (int at = 0; at + 8 <= secret.Length; at++)
            {
                Assert.DoesNotContain(secret.Substring(at, 8), text);
            }
        }
    }
}
