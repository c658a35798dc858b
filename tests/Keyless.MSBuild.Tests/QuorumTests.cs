using System.Text.Json.Nodes;
using Keyless.Testing;
using Microsoft.Build.Framework;
using Microsoft.Build.Utilities;
using Task = System.Threading.Tasks.Task;

namespace Keyless.MSBuild.Tests;

/// <summary>k of n: how many different signers it takes, and who is different.</summary>
[TestClass]
public sealed class QuorumTests
{
    private static World world = null!;

    [ClassInitialize]
    public static async Task Start(TestContext context) => world = await World.StartAsync(context.CancellationToken);

    [ClassCleanup]
    public static async Task Stop() => await world.DisposeAsync();

    // Signers: a letter is a workflow file of example-org/example-repo, a digit behind it the branch; "A:" before it the form (bundle unless
    // given: s for .sig, o for OCI 1.1). Items: the letters a pattern admits.
    [TestMethod]
    [Clause("P.4", "P.5", "P.6")]
    // one item
    [DataRow(1, "[ab]", "a", true)]
    [DataRow(2, "[ab]", "a", false)]
    [DataRow(2, "[ab]", "a b", true)]
    [DataRow(2, "[ab]", "a a", false)]
    [DataRow(2, "[ab]", "a1 a2", false)]
    [DataRow(2, "[ab]", "a s:a o:a", false)]
    [DataRow(2, "[ab]", "s:a s:b", true)]
    [DataRow(2, "[ab]", "a s:b", true)]
    [DataRow(2, "[ab]", "o:a s:b", true)]
    [DataRow(2, "[ab]", "a c", false)]
    [DataRow(3, "[abc]", "a b", false)]
    [DataRow(3, "[abc]", "a b c", true)]
    [DataRow(3, "[abc]", "a b a b", false)]
    // several items: each once, each by a signer of its own
    [DataRow(1, "a b", "b", true)]
    [DataRow(2, "a b", "a b", true)]
    [DataRow(2, "a b", "b a", true)]
    [DataRow(2, "a b", "a", false)]
    [DataRow(2, "a b", "a c", false)]
    [DataRow(2, "a b", "a1 a2", false)]
    [DataRow(2, "[ab] [ab]", "a", false)]
    [DataRow(2, "[ab] [ab]", "a1 s:a2", false)]
    [DataRow(2, "[ab] [ab]", "a b", true)]
    [DataRow(2, "a [bc]", "b c", false)]
    [DataRow(2, "a b c", "c a", true)]
    [DataRow(3, "a b c", "c a", false)]
    // whoever comes first must not take the only place of another
    [DataRow(2, "[ab] a", "a b", true)]
    [DataRow(2, "a [ab]", "a b", true)]
    [DataRow(2, "[ab] b", "b a", true)]
    [DataRow(3, "[abc] [ab] a", "a b c", true)]
    [DataRow(3, "[abc] [ab] a", "c b a", true)]
    [DataRow(3, "[abc] [ab] a", "b a c", true)]
    [DataRow(3, "[ab] [ab] [abc]", "c a b", true)]
    [DataRow(3, "[ab] [ab] [ab]", "a b c", false)]
    [DataRow(3, "[ab] [bc] [cd]", "b c d", true)]
    [DataRow(2, "a a [ab]", "a c", false)]
    public void Counts_different_signers(int needed, string items, string signers, bool met)
    {
        string image = world.Push(tag: null);
        foreach (string signer in signers.Split(' '))
        {
            Sign(image, signer);
        }

        var verified = new TaskItem(image, new Dictionary<string, string> { ["Policy"] = "release" });
        KeylessVerifyContainer task = Verify(verified);
        task.ContainerTrustPolicies = [.. items.Split(' ').Select(letters => Pattern("release", letters, needed))];

        if (met)
        {
            Assert.IsTrue(task.Execute(), World.Log(task));
            Assert.HasCount(1, task.VerifiedContainerImages);
            if (needed > 1)
            {
                Assert.Contains($"Signers: {needed} different ones, {needed} are needed", World.Log(task));
            }
        }
        else
        {
            string refusal = World.Refusal(task, "KEYLESS4002");
            Assert.Contains("(policy.min-signatures)", refusal);
            Assert.Contains($"expected {needed} (MinSignatures), found ", refusal);
            Assert.Contains("accepted, one signer of those that are needed", World.Log(task));
            Assert.IsEmpty(task.VerifiedContainerImages);
        }
    }

    [TestMethod]
    [Clause("P.5")]
    [DataRow("a b", true)]
    [DataRow("a a1", false)]
    public void Counts_them_for_the_short_form(string signers, bool met)
    {
        string image = world.Push(tag: null);
        foreach (string signer in signers.Split(' '))
        {
            Sign(image, signer);
        }

        Expect(met, Verify(new TaskItem(image, new Dictionary<string, string>
        {
            ["GitHubRepository"] = "example-org/example-repo",
            ["CertificateOidcIssuer"] = world.Sandbox.Issuer.Url,
            ["MinSignatures"] = "2",
        })));
    }

    // Whoever may push to a branch would be as many as he has branches.
    [TestMethod]
    [Clause("P.5")]
    [DataRow("one", "one", false)]
    [DataRow("one", "two", true)]
    public void Counts_a_pipeline_of_GitLab_once_whatever_branch_it_ran_for(string first, string second, bool met)
    {
        string image = world.Push(tag: null);
        foreach ((string project, string branch) in (IEnumerable<(string, string)>)[(first, "main"), (second, "other")])
        {
            world.AttachBundle(image, new BundleForge(world, image)
            {
                Signer = Signer("a") with { Claims = claims => claims["job_workflow_ref"] = $"group/{project}//.gitlab-ci.yml@refs/heads/{branch}" },
            }.Make());
        }

        Expect(met, Verify(new TaskItem(image, new Dictionary<string, string>
        {
            ["CertificateIdentityRegexp"] = @"https://github\.com/group/.*",
            ["CertificateOidcIssuer"] = world.Sandbox.Issuer.Url,
            ["MinSignatures"] = "2",
        })));
    }

    // The same name vouched for by somebody else is somebody else.
    [TestMethod]
    [Clause("P.5")]
    [DataRow(true)]
    [DataRow(false)]
    public void Tells_signers_apart_by_who_vouches_for_them(bool another)
    {
        string image = world.Push(tag: null);
        Sign(image, "a");
        world.AttachBundle(image, new BundleForge(world, image)
        {
            Signer = Signer("a") with { Claims = claims => { Workflow(claims, "a"); claims["iss"] = another ? "https://issuer.example" : claims["iss"]?.DeepClone(); } },
        }.Make());

        Expect(another, Verify(new TaskItem(image, new Dictionary<string, string>
        {
            ["CertificateIdentityRegexp"] = "https://github.com/example-org/.*",
            ["CertificateOidcIssuerRegexp"] = "https?://.*",
            ["MinSignatures"] = "2",
        })));
    }

    [TestMethod]
    [Clause("P.5")]
    public void Counts_keys_by_the_key()
    {
        string image = world.Push(tag: null);
        ForgedSigner first = new(world) { Managed = true }, second = new(world) { Managed = true };
        string[] files = [.. new[] { first, second, first }.Select(signer => WriteKey(signer.PublicKeyPem))];
        ITaskItem[] Policies(params int[] keys) =>
            [.. keys.Select(key => new TaskItem("keys", new Dictionary<string, string> { ["PublicKey"] = files[key], ["MinSignatures"] = "2" }))];
        KeylessVerifyContainer Task(params int[] keys)
        {
            KeylessVerifyContainer task = Verify(new TaskItem(image, new Dictionary<string, string> { ["Policy"] = "keys" }));
            task.ContainerTrustPolicies = Policies(keys);
            return task;
        }

        world.AttachBundle(image, new BundleForge(world, image) { Signer = first }.Make());
        world.Tag(image, new SimpleForge(world, image) { Signer = first }.Make());
        Expect(false, Task(0, 1));
        // One key in two files is one signer.
        Expect(false, Task(0, 2));

        world.Tag(image, new SimpleForge(world, image) { Signer = second }.Make());
        Expect(true, Task(0, 1));
        Expect(true, Task(1, 0));
    }

    [TestMethod]
    public void Counts_a_key_and_an_identity()
    {
        string image = world.Push(tag: null);
        var holder = new ForgedSigner(world) { Managed = true };
        KeylessVerifyContainer Task()
        {
            KeylessVerifyContainer task = Verify(new TaskItem(image, new Dictionary<string, string> { ["Policy"] = "both" }));
            task.ContainerTrustPolicies = [Pattern("both", "a", 2), new TaskItem("both", new Dictionary<string, string> { ["PublicKey"] = WriteKey(holder.PublicKeyPem), ["MinSignatures"] = "2" })];
            return task;
        }

        Sign(image, "a");
        Expect(false, Task());
        world.Tag(image, new SimpleForge(world, image) { Signer = holder }.Make());
        Expect(true, Task());
    }

    [TestMethod]
    public void Reads_no_further_once_there_are_enough()
    {
        string image = world.Push(tag: null);
        foreach (string signer in (string[])["a", "b", "c", "a", "b"])
        {
            Sign(image, signer);
        }

        long before = world.Sandbox.Traffic.Mark();
        Expect(true, Verify(Pattern(image, "[abc]", 2)));

        string[] asked = [.. world.Sandbox.Traffic.Snapshot(before).Where(exchange => exchange.Path.Contains(Attached.Parts(image).Digest, StringComparison.Ordinal)).Select(exchange => exchange.Path)];
        Assert.HasCount(1, asked, "the list of referrers, and neither tag");
    }

    [TestMethod]
    public void Reports_all_who_signed()
    {
        string image = world.Push(tag: null);
        Sign(image, "a");
        Sign(image, "s:b");
        KeylessVerifyContainer task = Verify(Pattern(image, "[ab]", 2));
        task.ContainerVerificationReport = $"{Guid.NewGuid()}.json";

        Expect(true, task);

        Assert.Contains("/a.yml@refs/heads/main", task.VerifiedContainerImages.Single().GetMetadata("CertificateIdentity"));
        JsonNode entry = JsonNode.Parse(File.ReadAllText(world.Folder[task.ContainerVerificationReport]))!["images"]![0]!;
        Assert.AreEqual("accepted", (string?)entry["verdict"]);
        Assert.AreEqual("bundle accepted, legacy accepted", string.Join(", ", entry["signatures"]!.AsArray().Select(signature => $"{signature!["format"]} {signature["verdict"]}")));
        string[] checks = [.. entry["checks"]!.AsArray().Select(check => (string)check!)];
        Assert.Contains("Signers: 2 different ones, 2 are needed", checks);
        Assert.Contains("/a.yml@", string.Join('\n', checks));
        Assert.Contains("/b.yml@", string.Join('\n', checks));
    }

    [TestMethod]
    [Clause("P.7")]
    [DataRow("2", "MinSignatures '2'", "PublicKey", "key.pem")]
    [DataRow("2", "CertificateIdentity names one signer", "CertificateIdentity", "https://example.com/a", "CertificateOidcIssuer", "https://example.com")]
    [DataRow("2", "CertificateIdentity names one signer", "CertificateIdentity", "https://example.com/a", "CertificateOidcIssuerRegexp", "https://.*")]
    [DataRow("2", "GitHubWorkflow names one signer", "GitHubRepository", "o/r", "GitHubWorkflow", "o/other/.github/workflows/x.yml")]
    public void Refuses_to_wait_for_more_signers_than_an_item_can_have(string needed, string says, params string[] metadata)
    {
        world.Folder.Write("key.pem", new ForgedSigner(world).PublicKeyPem);
        var item = new TaskItem("localhost:1/app:1.0");
        for (int i = 0; i < metadata.Length; i += 2)
        {
            item.SetMetadata(metadata[i], metadata[i + 1]);
        }

        item.SetMetadata("MinSignatures", needed);

        Assert.Contains(says, World.Refusal(Verify(item), "KEYLESS5009"));
    }

    [TestMethod]
    [Clause("P.7", "P.8")]
    [DataRow("3", "3", "it has 2 items")]
    [DataRow("2", "1", "its items have different MinSignatures")]
    [DataRow("2", "", "its items have different MinSignatures")]
    public void Refuses_counts_that_do_not_fit_the_items(string first, string second, string says)
    {
        KeylessVerifyContainer task = Verify(new TaskItem("localhost:1/app:1.0", new Dictionary<string, string> { ["Policy"] = "release" }));
        task.ContainerTrustPolicies = [.. new[] { first, second }.Select((count, i) =>
        {
            TaskItem item = Pattern("release", "ab"[i].ToString(), 1);
            item.RemoveMetadata("MinSignatures");
            if (count != "")
            {
                item.SetMetadata("MinSignatures", count);
            }

            return item;
        })];

        Assert.Contains(says, World.Refusal(task, "KEYLESS5009"));
    }

    private static void Expect(bool met, KeylessVerifyContainer task)
    {
        if (met)
        {
            Assert.IsTrue(task.Execute(), World.Log(task));
        }
        else
        {
            Assert.Contains("(policy.min-signatures)", World.Refusal(task, "KEYLESS4002"));
        }
    }

    private static KeylessVerifyContainer Verify(ITaskItem image)
    {
        KeylessVerifyContainer task = world.Verify(image);
        task.IntermediateOutputPath = $"obj/{Guid.NewGuid()}/";
        return task;
    }

    private static void Sign(string image, string signer)
    {
        if (signer.StartsWith("s:", StringComparison.Ordinal))
        {
            // Appended, as cosign does.
            layers.TryAdd(image, []);
            layers[image].Add(new SimpleForge(world, image) { Signer = Signer(signer[2..]) }.Make());
            world.Tag(image, [.. layers[image]]);
        }
        else if (signer.StartsWith("o:", StringComparison.Ordinal))
        {
            world.AttachOci11(image, new SimpleForge(world, image) { Signer = Signer(signer[2..]) }.Make());
        }
        else
        {
            world.AttachBundle(image, new BundleForge(world, image) { Signer = Signer(signer) }.Make());
        }
    }

    private static readonly System.Collections.Concurrent.ConcurrentDictionary<string, List<Layer>> layers = new();

    private static ForgedSigner Signer(string name) => new(world) { Claims = claims => Workflow(claims, name) };

    private static void Workflow(JsonObject claims, string name) =>
        claims["job_workflow_ref"] = $"example-org/example-repo/.github/workflows/{name[0]}.yml@refs/heads/{(name.Length > 1 ? name[1..] : "main")}";

    private static TaskItem Pattern(string name, string letters, int needed) => new(name, new Dictionary<string, string>
    {
        ["CertificateIdentityRegexp"] = $"https://github.com/example-org/example-repo/.github/workflows/{letters}[.]yml@refs/heads/.*",
        ["CertificateOidcIssuer"] = world.Sandbox.Issuer.Url,
        ["MinSignatures"] = $"{needed}",
    });

    private static string WriteKey(string pem)
    {
        string name = $"{Guid.NewGuid()}.pem";
        world.Folder.Write(name, pem);
        return name;
    }
}
