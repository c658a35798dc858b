using System.Text;
using System.Text.Json.Nodes;
using Polly;

namespace Keyless.Sigstore.Tests;

[TestClass]
public sealed class SigningConfigTests
{
    private static readonly DateTimeOffset Now = new(2026, 11, 23, 6, 0, 0, TimeSpan.Zero);

    [TestMethod]
    public void Selects_one_of_each()
    {
        SigningServices services = Select(Config());

        Assert.AreEqual("https://fulcio.example/", services.Fulcio.Url.AbsoluteUri);
        Assert.AreEqual(1, services.Rekor.Needed);
        Assert.AreEqual("https://rekor.example/", services.Rekor.Candidates.Single().Url.AbsoluteUri);
        Assert.AreEqual(2, services.Rekor.Candidates.Single().ApiVersion);
        Assert.AreEqual("https://tsa.example/api/v1/timestamp", services.TimestampAuthorities.Candidates.Single().Url.AbsoluteUri);
    }

    [TestMethod]
    // One row: what is listed as name:version:operator:start..end (years), the selector, what is chosen, how many are needed.
    [DataRow("a:1:x:2020..", "ANY", "a", 1)]
    [DataRow("a:1:x:2020.. b:2:y:2020..", "ANY", "b", 1, DisplayName = "highest version")]
    [DataRow("a:1:x:2020.. b:3:y:2020..", "ANY", "a", 1, DisplayName = "a version from the future is not spoken")]
    [DataRow("a:1:x:2020.. b:2:y:2020..2021", "ANY", "a", 1, DisplayName = "highest version that is valid")]
    [DataRow("a:1:x:2020.. b:1:x:2022..", "ANY", "b", 1, DisplayName = "newest of an operator")]
    [DataRow("a:1:x:2020.. b:1:x:2027..", "ANY", "a", 1, DisplayName = "not yet valid")]
    [DataRow("a:1:x:2020.. b:1:y:2022..", "ANY", "b a", 1, DisplayName = "newest first, the other in reserve")]
    [DataRow("a:1:x:2020.. b:1:y:2022..", "ALL", "b a", 2)]
    [DataRow("a:1:x:2020.. b:1:y:2022.. c:1:z:2021..", "EXACT 2", "b c", 2)]
    [DataRow("a:1:x:2020.. b:1:y:2022..", "EXACT 2", "b a", 2)]
    [DataRow("a:1::2020.. b:1::2022..", "ALL", "b", 1, DisplayName = "no operator is one operator")]
    public void Selects_by_validity_version_age_and_operator(string listed, string selector, string chosen, int needed)
    {
        ServiceChoice rekor = Select(Config(listed, selector)).Rekor;

        Assert.AreEqual(chosen, string.Join(' ', rekor.Candidates.Select(service => service.Url.Host[..1])));
        Assert.AreEqual(needed, rekor.Needed);
    }

    [TestMethod]
    public void Takes_both_ends_of_a_validity_as_valid()
    {
        JsonObject config = Config();
        config["caUrls"]![0]!["validFor"] = new JsonObject { ["start"] = "2026-11-23T06:00:00Z", ["end"] = "2026-11-23T06:00:00.000000000Z" };

        Assert.IsNotNull(Select(config).Fulcio);
    }

    [TestMethod]
    [DataRow("a:1:x:2020..2021", "ANY", "valid at 2026-11-23T06:00:00Z")]
    [DataRow("a:3:x:2020..", "ANY", "API version this client speaks (1, 2)")]
    [DataRow("a:0:x:2020..", "ANY", "API version this client speaks (1, 2)")]
    [DataRow("a:1:x:2020..", "EXACT 2", "exactly 2 of rekorTlogUrls, 1 of different operators")]
    [DataRow("a:1:x:2020.. b:1:x:2022..", "EXACT 2", "exactly 2 of rekorTlogUrls, 1 of different operators")]
    [DataRow("a:1:x:2020..", "EXACT 0", "exactly 0")]
    [DataRow("a:1:x:2020..", "EXACT", "exactly 0")]
    [DataRow("a:1:x:2020..", "", "no selector")]
    [DataRow("a:1:x:2020..", "any", "\"any\" found")]
    [DataRow("a:1:x:2020.. a:1:y:2022..", "ALL", "twice: https://a.example/")]
    [DataRow("", "ANY", "names no transparency log")]
    public void Refuses_to_select_what_is_not_there(string listed, string selector, string says)
    {
        FormatException no = Assert.ThrowsExactly<FormatException>(() => Select(Config(listed, selector)));

        Assert.Contains(says, no.Message);
    }

    [TestMethod]
    public void Refuses_a_config_without_certificate_authority()
    {
        JsonObject config = Config();
        config.Remove("caUrls");

        Assert.Contains("caUrls is empty", Assert.ThrowsExactly<FormatException>(() => Select(config)).Message);
    }

    [TestMethod]
    public void Refuses_a_log_without_time_and_no_authority_that_gives_one()
    {
        JsonObject config = Config();
        config.Remove("tsaUrls");

        Assert.Contains("tsaUrls is empty", Assert.ThrowsExactly<FormatException>(() => Select(config)).Message);

        config["rekorTlogUrls"]![0]!["majorApiVersion"] = 1;
        Assert.AreEqual(0, Select(config).TimestampAuthorities.Needed);
    }

    [TestMethod]
    [DataRow("http://127.0.0.1:5000", false, true)]
    [DataRow("http://[::1]:5000", false, true)]
    [DataRow("http://localhost", false, true)]
    [DataRow("http://fulcio.example", false, false)]
    [DataRow("http://fulcio.example", true, true)]
    public void Speaks_plain_http_on_this_machine_only(string url, bool allowHttp, bool accepted)
    {
        JsonObject config = Config();
        config["caUrls"]![0]!["url"] = url;
        SigningConfig parsed = Parse(config);

        if (accepted)
        {
            Assert.AreEqual(new Uri(url), parsed.Select(Now, allowHttp).Fulcio.Url);
        }
        else
        {
            Assert.Contains("https expected", Assert.ThrowsExactly<FormatException>(() => parsed.Select(Now, allowHttp)).Message);
        }
    }

    // Listed as name:version:start..end (years).
    [TestMethod]
    [DataRow("a:1:2020..", "a")]
    [DataRow("a:1:2020.. b:1:2022..", "b")]
    [DataRow("a:1:2020.. b:1:2027..", "a")]
    [DataRow("a:1:2020.. b:1:2022..2023", "a")]
    [DataRow("a:1:2020.. b:2:2022..", "a")]
    [DataRow("a:2:2020..", null)]
    [DataRow("", null)]
    public void Names_the_newest_place_to_log_in_that_is_valid(string listed, string? chosen)
    {
        JsonObject config = Config();
        config["oidcUrls"] = new JsonArray(
        [
            .. listed.Split(' ', StringSplitOptions.RemoveEmptyEntries).Select(login => login.Split(':')).Select(parts => Service(
                $"https://{parts[0]}.example",
                int.Parse(parts[1], System.Globalization.CultureInfo.InvariantCulture),
                "o",
                $"{parts[2].Split("..")[0]}-01-01T00:00:00Z",
                parts[2].Split("..")[1] is { Length: > 0 } end ? $"{end}-01-01T00:00:00Z" : null)),
        ]);

        Assert.AreEqual(chosen, Parse(config).Login(Now, allowHttp: false)?.Host[..1]);
    }

    [TestMethod]
    [DataRow("http://login.example", false, false)]
    [DataRow("http://login.example", true, true)]
    [DataRow("http://127.0.0.1:1", false, true)]
    public void Sends_nobody_to_log_in_in_the_clear(string url, bool allowHttp, bool accepted)
    {
        JsonObject config = Config();
        config["oidcUrls"] = new JsonArray(Service(url, 1, "o", "2020-01-01T00:00:00Z"));
        SigningConfig parsed = Parse(config);

        if (accepted)
        {
            Assert.AreEqual(new Uri(url), parsed.Login(Now, allowHttp));
        }
        else
        {
            Assert.Contains("https expected", Assert.ThrowsExactly<FormatException>(() => parsed.Login(Now, allowHttp)).Message);
        }
    }

    [TestMethod]
    public void Ignores_members_it_does_not_know_and_takes_null_as_absent()
    {
        JsonObject config = Config();
        config["novelty"] = new JsonObject { ["a"] = 1 };
        config["caUrls"]![0]!["novelty"] = true;
        config["oidcUrls"] = null;

        Assert.IsNotNull(Select(config));
    }

    [TestMethod]
    public void Leaves_out_a_service_that_lacks_a_start_and_says_so()
    {
        JsonObject config = Config("a:1:x:2020.. b:1:y:2022..", "ALL");
        config["rekorTlogUrls"]![1]!["validFor"]!.AsObject().Remove("start");
        SigningConfig parsed = Parse(config);

        Assert.AreEqual("a.example", parsed.Select(Now).Rekor.Candidates.Single().Url.Host);
        Assert.Contains("rekorTlogUrls", parsed.Warnings.Single());
    }

    [TestMethod]
    [DataRow("/mediaType", "\"application/vnd.dev.sigstore.signingconfig.v0.1+json\"")]
    [DataRow("/mediaType", null)]
    [DataRow("/caUrls", "{}")]
    [DataRow("/caUrls", "[null]")]
    [DataRow("/caUrls", "[{\"url\":\"fulcio\"}]")]
    [DataRow("/caUrls", "[{\"url\":\"ftp://fulcio.example\"}]")]
    [DataRow("/caUrls", "[{\"url\":\"https://u:p@fulcio.example\"}]")]
    [DataRow("/caUrls", "[{\"url\":\"https://fulcio.example?\"}]")]
    [DataRow("/caUrls", "[{\"url\":\"https://fulcio.example?a=b\"}]")]
    [DataRow("/caUrls", "[{\"url\":\"https://fulcio.example#a\"}]")]
    [DataRow("/caUrls", "[{\"url\":\"https://fulcio.example\",\"url\":\"https://fulcio.example\"}]")]
    [DataRow("/caUrls", "[{\"majorApiVersion\":1}]")]
    [DataRow("/rekorTlogConfig", "{\"selector\":7}")]
    [DataRow("/rekorTlogConfig", "{\"selector\":\"EXACT\",\"count\":-1}")]
    public void Refuses_what_is_not_a_signing_config(string member, string? json)
    {
        string name = member[1..];
        JsonObject config = Config();
        config.Remove(name);
        string rest = config.ToJsonString();
        string text = json is null ? rest : $"{rest[..^1]},\"{name}\":{json}}}";

        Assert.Throws<FormatException>(() => SigningConfig.Parse(Encoding.UTF8.GetBytes(text)));
    }

    [TestMethod]
    [DataRow("2026-11-23")]
    [DataRow("2026-11-23T06:00:00")]
    [DataRow("2026-13-23T06:00:00Z")]
    [DataRow("2026-11-23T06:00:00.Z")]
    [DataRow("yesterday")]
    public void Refuses_a_time_it_cannot_read(string time)
    {
        JsonObject config = Config();
        config["caUrls"]![0]!["validFor"]!["start"] = time;

        Assert.Throws<FormatException>(() => Parse(config));
    }

    [TestMethod]
    public void Says_which_element_of_a_list_is_wrong()
    {
        JsonObject config = Config();
        config["caUrls"]!.AsArray().Insert(0, 7);
        Assert.Contains("signing config.caUrls[0]: an object expected, a number found", Assert.Throws<FormatException>(() => Parse(config)).Message);
    }

    [TestMethod]
    public async Task Asks_the_next_one_where_any_will_do()
    {
        ServiceChoice choice = Select(Config("a:1:x:2020.. b:1:y:2022..", "ANY")).Rekor;
        var asked = new List<string>();

        IReadOnlyList<string> answers = await choice.AskAsync(ResiliencePipeline.Empty, (service, _) =>
        {
            asked.Add(service.Url.Host);
            return asked.Count == 1 ? Task.FromException<string>(Down) : Task.FromResult(service.Url.Host);
        }, default);

        Assert.AreSequenceEqual(["b.example", "a.example"], asked.ToArray());
        Assert.AreSequenceEqual(["a.example"], answers.ToArray());
    }

    [TestMethod]
    public async Task Fails_with_the_last_one_where_any_would_have_done()
    {
        ServiceChoice choice = Select(Config("a:1:x:2020.. b:1:y:2022..", "ANY")).Rekor;
        int asked = 0;

        await Assert.ThrowsExactlyAsync<ServiceException>(() => choice.AskAsync(ResiliencePipeline.Empty, (_, _) =>
        {
            asked++;
            return Task.FromException<string>(Down);
        }, default));

        Assert.AreEqual(2, asked);
    }

    [TestMethod]
    public async Task Fails_with_one_where_all_are_needed()
    {
        ServiceChoice choice = Select(Config("a:1:x:2020.. b:1:y:2022..", "ALL")).Rekor;

        await Assert.ThrowsExactlyAsync<ServiceException>(() => choice.AskAsync(ResiliencePipeline.Empty, (service, _) =>
            service.Url.Host == "b.example" ? Task.FromException<string>(Down) : Task.FromResult(""), default));
        Assert.HasCount(2, await choice.AskAsync(ResiliencePipeline.Empty, (service, _) => Task.FromResult(service.Url), default));
    }

    [TestMethod]
    public async Task Waits_for_nobody_where_all_are_needed_and_one_has_refused()
    {
        ServiceChoice choice = Select(Config("a:1:x:2020.. b:1:y:2022.. c:1:z:2021..", "ALL")).Rekor;

        ServiceException no = await Assert.ThrowsExactlyAsync<ServiceException>(() => choice.AskAsync<string>(ResiliencePipeline.Empty, async (service, stop) =>
        {
            if (service.Url.Host != "a.example")
            {
                await Task.Delay(Timeout.InfiniteTimeSpan, stop);
            }

            throw new ServiceException(ServiceFailure.Refused, "Rekor", "no");
        }, default).WaitAsync(TimeSpan.FromSeconds(20)));

        Assert.AreEqual("no", no.Message);
    }

    /// <summary>By whom it is asked to wait least decides when, and whether, they are asked again.</summary>
    [TestMethod]
    [DataRow("1 3600", "b")]
    [DataRow("3600 1", "a")]
    [DataRow("3600 -", "a")]
    [DataRow("- 3600", "b")]
    [DataRow("refused 3600", "a")]
    [DataRow("3600 refused", "b")]
    [DataRow("refused refused", "a")]
    public async Task Says_who_comes_back_first_where_any_would_have_done(string answers, string named)
    {
        ServiceChoice choice = Select(Config("a:1:x:2020.. b:1:y:2022..", "ANY")).Rekor;
        string[] each = answers.Split(' ');
        int asked = 0;

        ServiceException no = await Assert.ThrowsExactlyAsync<ServiceException>(() => choice.AskAsync<string>(ResiliencePipeline.Empty, (service, _) =>
            throw new ServiceException(ServiceFailure.Refused, "Rekor", service.Url.Host)
            {
                IsTransient = each[asked] != "refused",
                RetryAfter = int.TryParse(each[asked++], out int seconds) ? TimeSpan.FromSeconds(seconds) : null,
            }, default));

        Assert.AreEqual($"{named}.example", no.Message);
    }

    [TestMethod]
    [DataRow("https://a.example/log", "https://a.example/log/", true)]
    [DataRow("https://a.example/log", "HTTPS://A.example:443/log", true)]
    [DataRow("https://a.example/log", "https://a.example/Log", false)]
    public void Refuses_one_service_twice_where_each_would_count(string one, string other, bool refused)
    {
        JsonObject config = Config("a:1:x:2020.. b:1:y:2022..", "ALL");
        (config["rekorTlogUrls"]![0]!["url"], config["rekorTlogUrls"]![1]!["url"]) = (one, other);

        if (refused)
        {
            Assert.Contains("selects one service of rekorTlogUrls twice", Assert.ThrowsExactly<FormatException>(() => Select(config)).Message);
        }
        else
        {
            Assert.HasCount(2, Select(config).Rekor.Candidates);
        }
    }

    [TestMethod]
    [DataRow("https://a.example", "a")]
    [DataRow("HTTPS://A.example:443/", "a")]
    [DataRow("https://b.example https://a.example", "b a")]
    [DataRow("https://c.example ", "b a")] // one without a URL may be any
    public void Asks_only_those_the_trusted_root_knows_where_any_will_do(string urls, string left)
    {
        ServiceChoice choice = Select(Config("a:1:x:2020.. b:1:y:2022..", "ANY")).Rekor.KnownAs("transparency log", urls.Split(' '));

        Assert.AreEqual(left, string.Join(' ', choice.Candidates.Select(service => service.Url.Host[..1])));
    }

    [TestMethod]
    [DataRow("ANY", "https://c.example", "b.example")]
    [DataRow("ANY", "http://a.example", "b.example")]
    [DataRow("ANY", "https://a.example/other", "b.example")]
    [DataRow("ANY", "https://a.example:444", "b.example")]
    [DataRow("ANY", "a.example", "b.example")]
    [DataRow("ALL", "https://a.example", "b.example")]
    [DataRow("ALL", "https://b.example", "a.example")]
    public void Refuses_where_too_few_are_known_to_the_trusted_root(string selector, string url, string named)
    {
        ServiceChoice choice = Select(Config("a:1:x:2020.. b:1:y:2022..", selector)).Rekor;

        FormatException no = Assert.ThrowsExactly<FormatException>(() => choice.KnownAs("transparency log", [url]));

        Assert.Contains($"the transparency log https://{named}/", no.Message);
        Assert.Contains(url, no.Message);
    }

    [TestMethod]
    public void Knows_the_services_of_real_servers()
    {
        JsonObject config = Config();
        config["caUrls"]![0]!["url"] = "http://127.0.0.1:18020";
        config["tsaUrls"]![0]!["url"] = "http://127.0.0.1:18030/api/v1/timestamp";
        foreach (string log in (string[])["http://127.0.0.1:18040", "http://127.0.0.1:18050"])
        {
            config["rekorTlogUrls"]![0]!["url"] = log;
            Assert.AreEqual(new Uri(log), Select(config).KnownTo(RealSamples.Root, Now).Rekor.Candidates.Single().Url);
        }

        // Before any of them was valid.
        Assert.Contains("none that is valid now", Assert.ThrowsExactly<FormatException>(() => Select(config).KnownTo(RealSamples.Root, Now.AddYears(-1))).Message);
    }

    [TestMethod]
    [DataRow("certificateAuthorities", "certificate authority")]
    [DataRow("tlogs", "transparency log")]
    [DataRow("timestampAuthorities", "timestamp authority")]
    public void Knows_a_service_only_while_the_trusted_root_does(string list, string kind)
    {
        JsonObject config = Config();
        config["caUrls"]![0]!["url"] = "https://fulcio.sandbox";
        config["rekorTlogUrls"]![0]!["url"] = Forge.World.V2Url;
        config["tsaUrls"]![0]!["url"] = "https://tsa.sandbox/api/v1/timestamp";
        Assert.AreEqual(new Uri(Forge.World.V2Url), Select(config).KnownTo(Forge.World.Root, Now).Rekor.Candidates.Single().Url);
        TrustedRoot past = (Forge.V2 with
        {
            Root = root =>
            {
                foreach (JsonNode? instance in root[list]!.AsArray())
                {
                    (instance!["publicKey"] ?? instance)["validFor"] = new JsonObject { ["start"] = "2026-01-01T00:00:00Z", ["end"] = "2026-11-23T05:59:59Z" };
                }
            },
        }).TrustedRoot();

        string says = Assert.ThrowsExactly<FormatException>(() => Select(config).KnownTo(past, Now)).Message;
        Assert.Contains($"the {kind} https://", says);
        Assert.Contains("none that is valid now", says);
    }

    private static ServiceException Down => new(ServiceFailure.Unreachable, "Rekor", "down");

    private static SigningServices Select(JsonObject config) => Parse(config).Select(Now);

    private static SigningConfig Parse(JsonObject config) => SigningConfig.Parse(Encoding.UTF8.GetBytes(config.ToJsonString()));

    private static JsonObject Config() => new()
    {
        ["mediaType"] = "application/vnd.dev.sigstore.signingconfig.v0.2+json",
        ["caUrls"] = new JsonArray(Service("https://fulcio.example", 1, "o", "2020-01-01T00:00:00Z")),
        ["rekorTlogUrls"] = new JsonArray(Service("https://rekor.example", 2, "o", "2020-01-01T00:00:00Z")),
        ["rekorTlogConfig"] = new JsonObject { ["selector"] = "ANY" },
        ["tsaUrls"] = new JsonArray(Service("https://tsa.example/api/v1/timestamp", 1, "o", "2020-01-01T00:00:00Z")),
        ["tsaConfig"] = new JsonObject { ["selector"] = "ANY" },
    };

    private static JsonObject Config(string logs, string selector)
    {
        JsonObject config = Config();
        var services = new JsonArray();
        foreach (string log in logs.Split(' ', StringSplitOptions.RemoveEmptyEntries))
        {
            string[] parts = log.Split(':');
            string[] years = parts[3].Split("..");
            string? end = years[1].Length > 0 ? $"{years[1]}-01-01T00:00:00Z" : null;
            services.Add(Service($"https://{parts[0]}.example", int.Parse(parts[1], System.Globalization.CultureInfo.InvariantCulture), parts[2], $"{years[0]}-01-01T00:00:00Z", end));
        }

        config["rekorTlogUrls"] = services;
        string[] words = selector.Split(' ');
        config["rekorTlogConfig"] = new JsonObject { ["selector"] = words[0] };
        if (words.Length > 1)
        {
            config["rekorTlogConfig"]!["count"] = int.Parse(words[1], System.Globalization.CultureInfo.InvariantCulture);
        }

        return config;
    }

    private static JsonObject Service(string url, int version, string operatedBy, string start, string? end = null)
    {
        var window = new JsonObject { ["start"] = start };
        if (end is not null)
        {
            window["end"] = end;
        }

        return new JsonObject { ["url"] = url, ["majorApiVersion"] = version, ["operator"] = operatedBy, ["validFor"] = window };
    }
}
