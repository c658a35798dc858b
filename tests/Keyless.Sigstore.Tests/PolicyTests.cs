using System.Formats.Asn1;
using System.Security.Cryptography.X509Certificates;
using System.Text.Json.Nodes;
using Keyless.Sandbox;
using Keyless.Testing;

namespace Keyless.Sigstore.Tests;

[TestClass]
public sealed class PolicyTests
{
    private const string Repository = "example-org/example-repo";
    private const string Reusable = "shared-org/workflows/.github/workflows/release.yml";
    private const string Commit = Forge.World.Commit;

    [TestMethod]
    [Clause("I.3")]
    [DataRow(Forge.Identity + "/")]
    [DataRow(" " + Forge.Identity)]
    [DataRow("https://github.com/example-org/example-repo/.github/workflows/publish.yml")]
    [DataRow("https://github.com/")]
    [DataRow(".*")]
    public void Refuses_another_subject(string identity) => Verdict.Refuses("policy.identity", Forge.V2, Policy.Exactly(identity, Forge.Issuer, Forge.PredicateType));

    [TestMethod]
    [Clause("I.4")]
    [DataRow(Forge.Issuer + "/")]
    [DataRow("http://token.actions.githubusercontent.com")]
    [DataRow("https://token.actions.githubusercontent.com.example.com")]
    public void Refuses_another_issuer(string issuer) => Verdict.Refuses("policy.issuer", Forge.V2, Policy.Exactly(Forge.Identity, issuer, Forge.PredicateType));

    [TestMethod]
    [Clause("I.3", "I.10")]
    public void Says_that_only_the_case_differs()
    {
        VerificationException no = Verdict.Refuses("policy.identity", Forge.V2, Policy.Exactly(Forge.Identity.ToUpperInvariant(), Forge.Issuer, Forge.PredicateType));
        Assert.Contains("upper and lower case", no.Message);
        Assert.Contains("upper and lower case", Verdict.Refuses("policy.github-repository", Forge.V2, GitHub(new GitHubIdentity { Repository = "Example-Org/example-repo" })).Message);
    }

    [TestMethod]
    [Clause("I.1", "I.2", "I.25")]
    public void Cannot_be_made_without_naming_somebody()
    {
        TextMatch issuer = TextMatch.Exactly(Forge.Issuer);
        Assert.ThrowsExactly<ArgumentException>(() => TextMatch.Exactly(""));
        Assert.ThrowsExactly<ArgumentException>(() => TextMatch.Pattern(""));
        Assert.ThrowsExactly<ArgumentException>(() => new Policy(null, issuer, null, Forge.PredicateType));
        Assert.ThrowsExactly<ArgumentException>(() => new Policy(TextMatch.Exactly("a"), null, null, Forge.PredicateType));
        Assert.ThrowsExactly<ArgumentException>(() => new Policy(null, issuer, new GitHubIdentity { Workflow = "publish.yml" }, Forge.PredicateType));
        Assert.ThrowsExactly<ArgumentException>(() => new Policy(null, null, new GitHubIdentity { Repository = Repository, ServerUrl = "https://ghe.example" }, Forge.PredicateType));
        Assert.ThrowsExactly<ArgumentException>(() => new Policy(TextMatch.Exactly("a"), null, new GitHubIdentity { Ref = "refs/heads/main" }, Forge.PredicateType));
    }

    [TestMethod]
    [Clause("C.35")]
    public void Takes_an_address_or_a_user_name_by_its_own_kind_only()
    {
        foreach ((X509Extension san, string name, bool good) in ((X509Extension, string, bool)[])
        [
            (San(1, "dev@example.com"), "dev@example.com", true),
            (San(6, "dev@example.com"), "dev@example.com", false), // an address, called a URI
            (San(1, Forge.Identity), Forge.Identity, false), // a URI, called an address
            (UserName("dev!example.com"), "dev!example.com", true),
            (UserName("dev@example.com"), "dev@example.com", false), // an address, called a user name
            (San(6, "spiffe://example.com/x"), "spiffe://example.com/x", true),
        ])
        {
            Forge forge = Forge.V2 with { Extensions = extensions => [.. extensions.Where(extension => extension.Oid!.Value != "2.5.29.17"), san] };
            var policy = Policy.Exactly(name, Forge.Issuer, Forge.PredicateType);
            _ = good ? Verdict.Accepts(forge, policy) : (object)Verdict.Refuses("policy.san-type", forge, policy);
        }
    }

    public static IEnumerable<object[]> ShortForm => Rows(
        Good("the repository", new() { Repository = Repository }),
        Good("by tag", new() { Repository = Repository }, Both("@refs/heads/main", "@refs/tags/v1.0")),
        Good("by a branch with an at sign", new() { Repository = Repository, Workflow = "publish.yml" }, Both("@refs/heads/main", "@refs/heads/a@b")),
        Good("by commit", new() { Repository = Repository }, Job($"{Repository}/.github/workflows/publish.yml@{Commit}")),
        Good("by SHA-256 commit", new() { Repository = Repository }, Job($"{Repository}/.github/workflows/publish.yml@{new string('0', 64)}")),
        Good("an own reusable workflow", new() { Repository = Repository }, Job($"{Repository}/.github/workflows/reusable.yml@refs/heads/main")),
        Good("file name", new() { Repository = Repository, Workflow = "publish.yml" }),
        Good("file path", new() { Repository = Repository, Workflow = ".github/workflows/publish.yml" }),
        Good("full path of its own", new() { Repository = Repository, Workflow = $"{Repository}/.github/workflows/publish.yml" }),
        Good("ref", new() { Repository = Repository, Ref = "refs/heads/main" }),
        Good("commit", new() { Repository = Repository, Sha = Commit }),
        Good("trigger", new() { Repository = Repository, Trigger = "push" }),
        Good("ids and runner", new() { Repository = Repository, RepositoryId = "1001", OwnerId = "2002", RunnerEnvironment = "github-hosted" }),
        Good("a reusable workflow elsewhere that is named", new() { Repository = Repository, Workflow = Reusable }, Job(Reusable + "@refs/tags/v1")),
        Good("a reusable workflow elsewhere at its ref", new() { Repository = Repository, Workflow = Reusable + "@refs/tags/v1" }, Job(Reusable + "@refs/tags/v1")),
        Good("a reusable workflow elsewhere by commit", new() { Repository = Repository, Workflow = Reusable }, Job($"{Reusable}@{Commit}")),
        Good("pull_request_target that is allowed", new() { Repository = Repository, Trigger = "pull_request_target" }, Claim("event_name", "pull_request_target")),
        Good("a certificate without .5", new() { Repository = Repository }, null, 5),
        Good("an old certificate: .5 alone", new() { Repository = Repository }, null, 12),
        Good("an old certificate: no .9", new() { Repository = Repository }, null, 9),
        Good("old ref, commit, trigger", new() { Repository = Repository, Ref = "refs/heads/main", Sha = Commit, Trigger = "push" }, null, 13, 14, 20),

        Bad("policy.github-repository", "the prefix of a name", new() { Repository = "example-org/example" }),
        Bad("policy.github-repository", "the owner alone", new() { Repository = "example-org" }),
        Bad("policy.github-repository", "a longer name", new() { Repository = Repository + "-2" }),
        Bad("policy.github-repository", "another case", new() { Repository = "example-org/Example-Repo" }),
        Bad("policy.github-repository", "a fork", new() { Repository = Repository }, Claim("repository", "fork-org/example-repo")),
        Bad("policy.github-repository", "a caller of its reusable workflow", new() { Repository = Repository }, Claims(("repository", "attacker/repo"), ("workflow_ref", "attacker/repo/.github/workflows/x.yml@refs/heads/main"))),
        Bad("policy.github-repository", "no repository at all", new() { Repository = Repository }, null, 5, 12),
        Bad("policy.github-repository", "an URL", new() { Repository = "https://github.com/" + Repository }),
        Bad("policy.github-signer", "a reusable workflow elsewhere", new() { Repository = Repository }, Job(Reusable + "@refs/tags/v1")),
        Bad("policy.github-signer", "a reusable workflow of a longer name", new() { Repository = Repository }, Job($"{Repository}-2/.github/workflows/x.yml@refs/heads/main")),
        Bad("policy.github-signer", "a file elsewhere in the repository", new() { Repository = Repository }, Job($"{Repository}/.github/actions/x.yml@refs/heads/main")),
        Bad("policy.github-signer", "a folder below the workflows", new() { Repository = Repository }, Job($"{Repository}/.github/workflows/a/x.yml@refs/heads/main")),
        Bad("policy.github-signer", "a branch name for the ref", new() { Repository = Repository }, Job($"{Repository}/.github/workflows/publish.yml@main")),
        Bad("policy.github-signer", "half a commit", new() { Repository = Repository }, Job($"{Repository}/.github/workflows/publish.yml@{Commit[..20]}")),
        Bad("policy.github-signer", "a commit in upper case", new() { Repository = Repository }, Job($"{Repository}/.github/workflows/publish.yml@{Commit.ToUpperInvariant()}")),
        Bad("policy.github-signer", "a file that is called like a commit", new() { Repository = Repository }, Job($"{Repository}/.github/workflows/{Commit}")),
        Bad("policy.github-signer", "no ref", new() { Repository = Repository }, Job($"{Repository}/.github/workflows/publish.yml")),
        Bad("policy.github-signer", "no file", new() { Repository = Repository }, Job($"{Repository}/.github/workflows/@refs/heads/main")),
        Bad("policy.github-signer", "the case of the subject", new() { Repository = Repository }, Job("Example-org/example-repo/.github/workflows/publish.yml@refs/heads/main")),
        Bad("policy.github-signer", "a called workflow that has the file's name", new() { Repository = Repository, Workflow = "publish.yml" }, Job("shared-org/workflows/.github/workflows/publish.yml@refs/heads/main")),
        Bad("policy.github-signer", "full path of its own, called from a ref that is none", new() { Repository = Repository, Workflow = $"{Repository}/.github/workflows/publish.yml@main" }, Job($"{Repository}/.github/workflows/publish.yml@main")),
        Bad("policy.github-workflow", "the display name", new() { Repository = Repository, Workflow = "Publish" }),
        Bad("policy.github-workflow", "another file", new() { Repository = Repository, Workflow = "release.yml" }),
        Bad("policy.github-workflow", "the end of a file name", new() { Repository = Repository, Workflow = "lish.yml" }),
        Bad("policy.github-workflow", "the start of a file name", new() { Repository = Repository, Workflow = "publish" }),
        Bad("policy.github-workflow", "no .18", new() { Repository = Repository, Workflow = "publish.yml" }, null, 18),
        Bad("policy.github-workflow", "another reusable workflow", new() { Repository = Repository, Workflow = Reusable }, Job("shared-org/workflows/.github/workflows/other.yml@refs/tags/v1")),
        Bad("policy.github-workflow", "a reusable workflow at another ref", new() { Repository = Repository, Workflow = Reusable + "@refs/tags/v1" }, Job(Reusable + "@refs/tags/v2")),
        Bad("policy.github-workflow", "a reusable workflow whose name goes on after an at sign", new() { Repository = Repository, Workflow = Reusable }, Job(Reusable + "@evil.yml@refs/heads/main")),
        Bad("policy.github-ref", "another ref", new() { Repository = Repository, Ref = "refs/heads/release" }),
        Bad("policy.github-ref", "the branch's name", new() { Repository = Repository, Ref = "main" }),
        Bad("policy.github-ref", "no ref extension", new() { Repository = Repository, Ref = "refs/heads/main" }, null, 6, 14),
        Bad("policy.github-commit", "another commit", new() { Repository = Repository, Sha = Commit[..39] + "0" }),
        Bad("policy.github-trigger", "another trigger", new() { Repository = Repository, Trigger = "workflow_dispatch" }),
        Bad("policy.github-trigger", "pull_request_target", new() { Repository = Repository }, Claim("event_name", "pull_request_target")),
        Bad("policy.github-trigger", "old pull_request_target", new() { Repository = Repository }, Claim("event_name", "pull_request_target"), 20),
        Bad("policy.github-runner-environment", "an own runner", new() { Repository = Repository, RunnerEnvironment = "github-hosted" }, Claim("runner_environment", "self-hosted")),
        Bad("policy.github-repository-id", "another repository of the name", new() { Repository = Repository, RepositoryId = "1001" }, Claim("repository_id", "1002")),
        Bad("policy.github-repository-id", "a longer id", new() { Repository = Repository, RepositoryId = "100" }),
        Bad("policy.github-owner-id", "no owner id", new() { Repository = Repository, OwnerId = "2002" }, null, 17),
        Bad("policy.issuer", "GitHub's names, vouched for by somebody else", new() { Repository = Repository }, Claim("iss", "https://elsewhere.example")));

    [TestMethod]
    [Clause("I.9", "I.10", "I.11", "I.12", "I.13", "I.14", "I.16", "I.17", "I.18", "I.19", "I.20", "I.21", "I.22", "I.23", "I.24")]
    [DynamicData(nameof(ShortForm), DynamicDataDisplayName = nameof(Name))]
    public void Short_form(string reason, string what, object identity, object claims, int[] without)
    {
        Assert.AreNotEqual("", what);
        Forge forge = Forge.V2 with
        {
            Claims = (Action<JsonObject>)claims,
            Extensions = extensions => extensions.Where(extension => !without.Any(number => extension.Oid!.Value == $"1.3.6.1.4.1.57264.1.{number}")),
        };
        _ = reason.Length == 0 ? Verdict.Accepts(forge, GitHub((GitHubIdentity)identity)) : (object)Verdict.Refuses(reason, forge, GitHub((GitHubIdentity)identity));
    }

    [TestMethod]
    public void Says_what_would_accept_a_reusable_workflow_elsewhere()
    {
        VerificationException no = Verdict.Refuses("policy.github-signer", Forge.V2 with { Claims = Job(Reusable + "@refs/tags/v1") }, GitHub(new GitHubIdentity { Repository = Repository }));
        Assert.Contains($"GitHubWorkflow=\"{Reusable}@refs/tags/v1\"", no.Message);
    }

    [TestMethod]
    [Clause("I.15")]
    public void Refuses_a_build_signer_that_is_not_the_subject() => Verdict.Refuses("policy.github-signer", Forge.V2 with
    {
        Extensions = extensions => [.. extensions.Where(extension => extension.Oid!.Value != "1.3.6.1.4.1.57264.1.9"), LeafExtensions.Extension(9, "https://github.com/" + Reusable + "@refs/tags/v1")],
    }, GitHub(new GitHubIdentity { Repository = Repository }));

    [TestMethod]
    [Clause("I.11")]
    public void Refuses_an_old_repository_that_is_not_the_new_one() => Verdict.Refuses("policy.github-repository", Forge.V2 with
    {
        Extensions = extensions => [.. extensions.Where(extension => extension.Oid!.Value != "1.3.6.1.4.1.57264.1.5"), new X509Extension("1.3.6.1.4.1.57264.1.5", "attacker/repo"u8, critical: false)],
    }, GitHub(new GitHubIdentity { Repository = Repository }));

    // To the tick, five minutes into the future and the policy's own limit into the past.
    [TestMethod]
    [Clause("P.9", "P.10")]
    public void Counts_the_age_from_the_proven_moment_at_either_end()
    {
        DateTimeOffset signed = Forge.Now.AddMinutes(1);
        TimeSpan day = TimeSpan.FromDays(1), tick = TimeSpan.FromTicks(1), skew = TimeSpan.FromMinutes(5);
        Verdict.Accepts(Forge.V2, At(signed + day));
        Verdict.Accepts(Forge.V2, At(signed - skew));
        Verdict.Refuses("policy.max-age", Forge.V2, At(signed + day + tick));
        Verdict.Refuses("policy.future", Forge.V2, At(signed - skew - tick));

        Policy At(DateTimeOffset now) => new(TextMatch.Exactly(Forge.Identity), TextMatch.Exactly(Forge.Issuer), null, Forge.PredicateType) { MaxAge = (day, now) };
    }

    [TestMethod]
    [Clause("I.26")]
    public void Takes_a_server_of_ones_own()
    {
        var own = new Fulcio(Forge.World.CtLog, _ => [], new StoppedClock(Forge.Now)) { GitHubServer = "https://ghe.example" };
        Forge forge = Forge.V2 with
        {
            Extensions = extensions => [.. own.Extensions(Spki(extensions), Forge.World.Claims()).Where(extension => extension.Oid!.Value is not ("2.5.29.14" or "2.5.29.35"))],
        };
        Policy At(string server) => new(null, TextMatch.Exactly(Forge.Issuer), new GitHubIdentity { Repository = Repository, Workflow = "publish.yml", ServerUrl = server }, Forge.PredicateType);

        Verdict.Accepts(forge, At("https://ghe.example"));
        Verdict.Refuses("policy.github-repository", forge, At("https://github.com"));
        Verdict.Refuses("policy.github-repository", Forge.V2, At("https://ghe.example"));

        static byte[] Spki(IEnumerable<X509Extension> _) => Forge.World.Fulcio.Intermediate.Certificate.PublicKey.ExportSubjectPublicKeyInfo();
    }

    // A subject that is named says who the signer is; the repository must still be the one that ran the job.
    [TestMethod]
    [Clause("I.3", "I.10")]
    public void Lets_a_named_subject_stand_for_the_workflow()
    {
        Forge forge = Forge.V2 with { Claims = Job(Reusable + "@refs/tags/v1") };
        TextMatch subject = TextMatch.Exactly("https://github.com/" + Reusable + "@refs/tags/v1");
        Assert.IsEmpty(Verdict.Accepts(forge, new Policy(subject, null, new GitHubIdentity { Repository = Repository }, Forge.PredicateType)).Warnings);
        Verdict.Refuses("policy.identity", Forge.V2, new Policy(subject, null, new GitHubIdentity { Repository = Repository }, Forge.PredicateType));
        Verdict.Refuses("policy.github-repository", forge with { Claims = Both("example-org", "attacker") + Job(Reusable + "@refs/tags/v1") }, new Policy(subject, null, new GitHubIdentity { Repository = Repository }, Forge.PredicateType));
    }

    [TestMethod]
    [Clause("I.27", "I.28")]
    public void Warns_where_a_plain_identity_hides_something()
    {
        string reusable = "https://github.com/" + Reusable + "@refs/tags/v1";
        Assert.HasCount(1, Verdict.Accepts(Forge.V2 with { Claims = Job(Reusable + "@refs/tags/v1") }, Policy.Exactly(reusable, Forge.Issuer, Forge.PredicateType)).Warnings);
        Assert.HasCount(1, Verdict.Accepts(Forge.V2 with { Claims = Claim("event_name", "pull_request_target") }).Warnings);
        Assert.HasCount(1, Verdict.Accepts(Forge.V2 with
        {
            Claims = Claim("event_name", "pull_request_target"),
            Extensions = extensions => extensions.Where(extension => extension.Oid!.Value != "1.3.6.1.4.1.57264.1.20"),
        }).Warnings);
        Assert.IsEmpty(Verdict.Accepts(Forge.V2).Warnings);
        foreach (int without in (int[])[9, 12])
        {
            Assert.IsEmpty(Verdict.Accepts(Forge.V2 with { Extensions = extensions => extensions.Where(extension => extension.Oid!.Value != $"1.3.6.1.4.1.57264.1.{without}") }).Warnings);
        }
    }

    // What a caller of a public reusable workflow gets: the workflow's subject, the caller's repository.
    [TestMethod]
    [Clause("I.27")]
    public void A_plain_subject_cannot_tell_a_stranger_who_calls_the_workflow_and_says_so()
    {
        VerifiedSignature verified = Verdict.Accepts(Forge.V2 with { Claims = Claims(("repository", "attacker/repo"), ("workflow_ref", "attacker/repo/.github/workflows/x.yml@refs/heads/main")) });
        Assert.Contains("attacker/repo", verified.Warnings.Single());
    }

    // Monotone: a further constraint never turns a refusal into consent.
    [TestMethod]
    public void Adding_constraints_never_admits_more()
    {
        GitHubIdentity[] more =
        [
            new() { Repository = Repository, Ref = "refs/heads/main" }, new() { Repository = Repository, Workflow = "publish.yml" }, new() { Repository = Repository, Sha = Commit },
            new() { Repository = Repository, RunnerEnvironment = "github-hosted" }, new() { Repository = Repository, OwnerId = "2002" },
            new() { Repository = Repository, Workflow = $"{Repository}/.github/workflows/publish.yml" },
        ];
        Action<JsonObject>[] strangers = [Claim("repository", "attacker/repo"), Job(Reusable + "@refs/tags/v1"), Claim("event_name", "pull_request_target"), Job($"{Repository}/.github/workflows/publish.yml@main")];
        foreach (Action<JsonObject> stranger in strangers)
        {
            foreach (GitHubIdentity identity in more)
            {
                var no = Assert.ThrowsExactly<VerificationException>(() => (Forge.V2 with { Claims = stranger }).Verify(GitHub(identity)));
                Assert.AreEqual("policy", no.Step);
            }
        }
    }

    public static string Name(System.Reflection.MethodInfo method, object[] data) => $"{method.Name} {((string)data[0] is "" ? "accepts" : $"refuses by {data[0]}")}: {data[1]}";

    private static Policy GitHub(GitHubIdentity identity) => new(null, null, identity, Forge.PredicateType);

    private static object[] Good(string what, GitHubIdentity identity, Action<JsonObject>? claims = null, params int[] without) => ["", what, identity, claims ?? (_ => { }), without];

    private static object[] Bad(string reason, string what, GitHubIdentity identity, Action<JsonObject>? claims = null, params int[] without) => [reason, what, identity, claims ?? (_ => { }), without];

    private static object[][] Rows(params object[][] rows) => rows;

    private static Action<JsonObject> Claim(string name, string value) => claims => claims[name] = value;

    private static Action<JsonObject> Claims(params (string Name, string Value)[] values) => claims =>
    {
        foreach ((string name, string value) in values)
        {
            claims[name] = value;
        }
    };

    private static Action<JsonObject> Job(string workflow) => Claim("job_workflow_ref", workflow);

    private static Action<JsonObject> Both(string part, string by) => claims =>
    {
        foreach (string name in (string[])["job_workflow_ref", "workflow_ref", "repository"])
        {
            claims[name] = ((string)claims[name]!).Replace(part, by, StringComparison.Ordinal);
        }
    };

    private static X509Extension San(int tag, string name)
    {
        var san = new AsnWriter(AsnEncodingRules.DER);
        using (san.PushSequence())
        {
            san.WriteCharacterString(UniversalTagNumber.IA5String, name, new Asn1Tag(TagClass.ContextSpecific, tag));
        }

        return new X509Extension("2.5.29.17", san.Encode(), critical: true);
    }

    private static X509Extension UserName(string name)
    {
        var zero = new Asn1Tag(TagClass.ContextSpecific, 0);
        var san = new AsnWriter(AsnEncodingRules.DER);
        using (san.PushSequence())
        using (san.PushSequence(zero))
        {
            san.WriteObjectIdentifier("1.3.6.1.4.1.57264.1.7");
            using (san.PushSequence(zero))
            {
                san.WriteCharacterString(UniversalTagNumber.UTF8String, name);
            }
        }

        return new X509Extension("2.5.29.17", san.Encode(), critical: true);
    }
}

[TestClass]
public sealed class TextMatchTests
{
    [TestMethod]
    [Clause("I.5")]
    [DataRow("a", "a", true)]
    [DataRow("a", "ab", false)]
    [DataRow("a", "ba", false)]
    [DataRow("a", "a\n", false)]
    [DataRow("a$", "a\n", false)]
    [DataRow("^a$", "a", true)]
    [DataRow("a|b", "b", true)]
    [DataRow("a|b", "ab", false)]
    [DataRow("a|b", "xb", false)]
    [DataRow("(?m)^a$", "a\nb", false)]
    [DataRow("(?m)^a$", "b\na", false)]
    [DataRow("a.*", "a\nb", false)]
    [DataRow("(?i)A", "a", true)]
    [DataRow("A", "a", false)]
    [DataRow("(?i)i", "\u0130", false)]
    [DataRow("https://github.com/o/.*", "https://github.com/o/x", true)]
    [DataRow("https://github.com/o/.*", "https://evil.example/https://github.com/o/x", false)]
    public void Matches_the_whole_value(string pattern, string value, bool matches) => Assert.AreEqual(matches, TextMatch.Pattern(pattern).IsMatch(value));

    [TestMethod]
    [Clause("I.5", "I.6")]
    [DataRow("a)|(?:b")]
    [DataRow("a)|.*(")]
    [DataRow("(")]
    [DataRow(")")]
    [DataRow("[")]
    [DataRow("a\\")]
    [DataRow("(?#")]
    [DataRow("(?x)a)#")]
    [DataRow("(?=a)")]
    [DataRow("(?<!a)b")]
    [DataRow("(a)\\1")]
    [DataRow("*")]
    public void Refuses_a_pattern_it_cannot_keep_whole(string pattern) => Assert.ThrowsExactly<ArgumentException>(() => TextMatch.Pattern(pattern));

    [TestMethod]
    public void Refuses_or_contains_a_pattern_with_comments()
    {
        foreach (string pattern in (string[])["(?x)a#", "(?x)a #)|.*", "(?x)a#\n", "(?x: a ) # b", "(?x)a|b#c\n|c"])
        {
            TextMatch match;
            try
            {
                match = TextMatch.Pattern(pattern);
            }
            catch (ArgumentException)
            {
                continue;
            }

            Assert.IsFalse(match.IsMatch("xa") || match.IsMatch("ax") || match.IsMatch("") || match.IsMatch("anything"), pattern);
        }
    }

    [TestMethod]
    [Clause("I.6")]
    public void Bounds_the_pattern()
    {
        Assert.IsTrue(TextMatch.Pattern(new string('a', 1024)).IsMatch(new string('a', 1024)));
        Assert.ThrowsExactly<ArgumentException>(() => TextMatch.Pattern(new string('a', 1025)));
    }

    [TestMethod]
    [Timeout(5_000, CooperativeCancellation = true)]
    [DataRow("(a+)+")]
    [DataRow("(a|a)*")]
    [DataRow("(.*)*b")]
    [DataRow("(a*)*(a*)*(a*)*x")]
    public void Answers_in_time(string pattern)
    {
        var clock = System.Diagnostics.Stopwatch.StartNew();
        Assert.IsFalse(TextMatch.Pattern(pattern).IsMatch(new string('a', 8_000) + "!"));
        Assert.IsLessThan(3_000, clock.ElapsedMilliseconds);
    }

    [TestMethod]
    [Clause("I.7")]
    [DataRow(".*", "everything")]
    [DataRow(".+", "everything")]
    [DataRow("^.*$", "everything")]
    [DataRow("(?s).*", "everything")]
    [DataRow(@"\S+", "everything")]
    [DataRow(".{3,}", "everything")]
    [DataRow("[^ ]+", "everything")]
    [DataRow(".*@.*", "everything")]
    [DataRow("https://example.com/|.+", "everything")]
    [DataRow("https://.*", "every https address")]
    [DataRow("https?://[^/]+", "every https address")]
    [DataRow("(?i)HTTPS://.+", "every https address")]
    [DataRow(@"https://.*/\.github/workflows/release\.yml@refs/tags/v.*", "every https address")]
    [DataRow("[^@:]+@[^@]+", "every e-mail address")]
    [DataRow(@"https://github\.com/.*", "every repository of github.com")]
    [DataRow(@"https://github\.com/[^/]+/[^/]+/\.github/workflows/publish\.yml@refs/heads/main", "every repository of github.com")]
    [DataRow(@"https://github\.com/.*|.*@gmail\.com", "every repository of github.com")]
    [DataRow(@"https://gitlab\.com/.*@refs/heads/main", "every project of gitlab.com")]
    [DataRow(@"https://github\.com/team/.*", null)]
    [DataRow(@"https://github\.com/(team|other)/.*", null)]
    [DataRow(@"https://github\.com/team-[^/]+/.*", null)]
    [DataRow(@"https://[a-z]+\.example\.com(/.*)?", null)]
    [DataRow(@".*@example\.com", null)]
    [DataRow(@"\w+", null)]
    [DataRow("", null)]
    public void Knows_a_pattern_that_admits_everybody(string pattern, string? everybody) =>
        Assert.AreEqual(everybody, (pattern.Length > 0 ? TextMatch.Pattern(pattern) : TextMatch.Exactly(".*")).AdmitsAll);

    [TestMethod]
    [Clause("I.31")]
    [DataRow(@"https://github.com/team/.*", "github.com")]
    [DataRow(@"https://github\.com/team/.*|https://gitlab.com/team/.*", "gitlab.com")]
    [DataRow(@"https:\/\/github.com\/team\/.*", "github.com")]
    [DataRow(@"https?://ci.example\.com", @"ci.example\.com")]
    [DataRow(@".*@example.com", "example.com")]
    [DataRow(@"https://[^/.]+.example\.com/.*", @"[^/.]+.example\.com")]
    [DataRow(@"https://ci\.example.", @"ci\.example.")]
    [DataRow(@"https://github\.com/a.b/.*", null)]
    [DataRow(@"https://github\.com/team/.*@refs/tags/v1.2", null)]
    [DataRow(@"https://.*\.example\.com/.*", null)]
    [DataRow(@"https://.+/team/.{3}", null)]
    [DataRow(@"https://[a-z.]+\.example\.com/x.y", null)]
    [DataRow(@"first.last@example\.com", null)]
    [DataRow(@"github.com", null)]
    public void Finds_a_host_whose_dots_stand_for_any_character(string pattern, string? host)
    {
        Assert.AreEqual(host, TextMatch.Pattern(pattern).LooseHost);
        Assert.IsNull(TextMatch.Exactly(pattern).LooseHost);
    }

    [TestMethod]
    [Clause("I.3")]
    public void Exact_is_ordinal()
    {
        Assert.IsTrue(TextMatch.Exactly("a").IsMatch("a"));
        foreach (string other in (string[])["A", "a ", "a\n", "\u0061\u0301", "a\0", "a\u200b", "\u0430"])
        {
            Assert.IsFalse(TextMatch.Exactly("a").IsMatch(other));
        }

        Assert.IsFalse(TextMatch.Exactly("\u00e9").IsMatch("e\u0301"));
    }

    [TestMethod]
    public void Says_how_near_it_was()
    {
        Assert.Contains(".*example.*", TextMatch.Pattern("example").NearMiss("https://example.com")!);
        Assert.IsNull(TextMatch.Pattern("other").NearMiss("https://example.com"));
        Assert.Contains("case", TextMatch.Exactly("A").NearMiss("a")!);
        Assert.IsNull(TextMatch.Exactly("A").NearMiss("b"));
    }
}
