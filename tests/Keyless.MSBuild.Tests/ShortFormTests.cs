using Keyless.Testing;
using Microsoft.Build.Utilities;
using Task = System.Threading.Tasks.Task;

namespace Keyless.MSBuild.Tests;

/// <summary>GitHub's short form: whose workflow may sign, against what a certificate can be made to say.</summary>
[TestClass]
public sealed class ShortFormTests
{
    private const string Commit = "0123456789abcdef0123456789abcdef01234567";
    private const string Elsewhere = "example-org/shared/.github/workflows/sign.yml";

    private static World world = null!;

    [ClassInitialize]
    public static async Task Start(TestContext context) => world = await World.StartAsync(context.CancellationToken);

    [ClassCleanup]
    public static async Task Stop() => await world.DisposeAsync();

    // A certificate of example-org/example-repo with some claims changed; what the item asks for beside the repository; the reason, if refused.
    [TestMethod]
    [Clause("I.10", "I.13", "I.14", "I.16", "I.17", "I.18", "I.19", "I.20", "I.21", "I.22", "I.23", "I.24")]
    [DataRow("", "", "")]
    // a fork, and whoever calls the repository's reusable workflow: the subject is ours, the job is not
    [DataRow("repository=somebody/example-repo;job_workflow_ref=somebody/example-repo/.github/workflows/publish.yml@refs/heads/main", "", "policy.github-repository")]
    [DataRow("repository=somebody/else", "", "policy.github-repository")]
    [DataRow("repository=example-org/example-repo2", "", "policy.github-repository")]
    [DataRow("repository=Example-Org/example-repo", "", "policy.github-repository")]
    // a reusable workflow elsewhere, unless the item names it
    [DataRow($"job_workflow_ref={Elsewhere}@refs/heads/main", "", "policy.github-signer")]
    [DataRow($"job_workflow_ref={Elsewhere}@{Commit}", $"GitHubWorkflow={Elsewhere}", "")]
    [DataRow($"job_workflow_ref={Elsewhere}@refs/heads/main", $"GitHubWorkflow={Elsewhere}@refs/heads/main", "")]
    [DataRow($"job_workflow_ref={Elsewhere}@refs/heads/dev", $"GitHubWorkflow={Elsewhere}@refs/heads/main", "policy.github-workflow")]
    [DataRow("job_workflow_ref=somebody/shared/.github/workflows/sign.yml@refs/heads/main", $"GitHubWorkflow={Elsewhere}", "policy.github-workflow")]
    [DataRow($"job_workflow_ref={Elsewhere}@refs/heads/main", $"CertificateIdentity=https://github.com/{Elsewhere}@refs/heads/main", "")]
    [DataRow($"job_workflow_ref={Elsewhere}@refs/heads/main", "CertificateIdentityRegexp=https://github.com/example-org/.*", "")]
    // what is no workflow of the repository although it begins like one
    [DataRow("job_workflow_ref=example-org/example-repo/.github/workflows/a/b.yml@refs/heads/main", "", "policy.github-signer")]
    [DataRow("job_workflow_ref=example-org/example-repo/.github/workflows/publish.yml@main", "", "policy.github-signer")]
    [DataRow("job_workflow_ref=example-org/example-repo/.github/workflows/publish.yml", "", "policy.github-signer")]
    [DataRow($"job_workflow_ref=example-org/example-repo/.github/workflows/publish.yml@{Commit}", "", "")]
    // the file that was started
    [DataRow("", "GitHubWorkflow=publish.yml", "")]
    [DataRow("", "GitHubWorkflow=.github/workflows/publish.yml", "")]
    [DataRow("", "GitHubWorkflow=publish", "policy.github-workflow")]
    [DataRow("", "GitHubWorkflow=other.yml", "policy.github-workflow")]
    [DataRow("workflow_ref=example-org/example-repo/.github/workflows/other.yml@refs/heads/main;workflow=publish.yml", "GitHubWorkflow=publish.yml", "policy.github-workflow")]
    // one by one
    [DataRow("", "GitHubRef=refs/heads/main", "")]
    [DataRow("", "GitHubRef=main", "policy.github-ref")]
    [DataRow("ref=refs/heads/dev", "GitHubRef=refs/heads/main", "policy.github-ref")]
    [DataRow($"sha={Commit}", $"GitHubSha={Commit}", "")]
    [DataRow("", $"GitHubSha={Commit}", "policy.github-commit")]
    [DataRow("", "GitHubTrigger=push", "")]
    [DataRow("event_name=workflow_dispatch", "GitHubTrigger=push", "policy.github-trigger")]
    [DataRow("event_name=pull_request_target", "", "policy.github-trigger")]
    [DataRow("event_name=pull_request_target", "GitHubTrigger=pull_request_target", "")]
    [DataRow("", "RunnerEnvironment=github-hosted", "")]
    [DataRow("runner_environment=self-hosted", "RunnerEnvironment=github-hosted", "policy.github-runner-environment")]
    [DataRow("repository_id=7", "GitHubRepositoryId=7", "")]
    [DataRow("repository_id=7", "GitHubRepositoryId=8", "policy.github-repository-id")]
    [DataRow("repository_owner_id=7", "GitHubOwnerId=7", "")]
    [DataRow("repository_owner_id=7", "GitHubOwnerId=8", "policy.github-owner-id")]
    public void Takes_a_workflow_of_the_repository_and_nobody_else(string claims, string metadata, string reason)
    {
        foreach (bool bundle in (bool[])[true, false])
        {
            KeylessVerifyContainer task = Verify(Sign(claims, bundle), metadata);
            if (reason == "")
            {
                Assert.IsTrue(task.Execute(), World.Log(task));
            }
            else
            {
                Assert.Contains($"({reason})", World.Refusal(task, "KEYLESS4002"));
            }
        }
    }

    [TestMethod]
    public void Shows_the_item_that_would_take_a_reusable_workflow() =>
        Assert.Contains($"add GitHubWorkflow=\"{Elsewhere}@refs/heads/main\"", World.Refusal(Verify(Sign($"job_workflow_ref={Elsewhere}@refs/heads/main", bundle: true), ""), "KEYLESS4002"));

    [TestMethod]
    public void Says_that_only_the_case_differs() =>
        Assert.Contains("they differ only in upper and lower case", World.Refusal(Verify(Sign("repository=Example-Org/example-repo", bundle: true), ""), "KEYLESS4002"));

    [TestMethod]
    [Clause("I.28")]
    public void Warns_where_an_exact_identity_lets_a_stranger_s_job_pass()
    {
        var item = new TaskItem(Sign("event_name=pull_request_target", bundle: true), new Dictionary<string, string>
        {
            ["CertificateIdentity"] = world.Signer,
            ["CertificateOidcIssuer"] = world.Sandbox.Issuer.Url,
        });
        KeylessVerifyContainer task = world.Verify(item);

        Assert.IsTrue(task.Execute(), World.Log(task));

        Assert.Contains("warning KEYLESS5014: ", World.Log(task));
        Assert.Contains("pull_request_target", World.Log(task));
    }

    [TestMethod]
    [Clause("I.25")]
    [DataRow("https://github.example", "KEYLESS5008")]
    [DataRow("http://github.example", "KEYLESS5001")]
    [DataRow("github.example", "KEYLESS5001")]
    public void Asks_for_the_issuer_of_another_server(string server, string code) => World.Refusal(
        world.Verify(new TaskItem("localhost:1/app:1.0", new Dictionary<string, string> { ["GitHubRepository"] = "a/b", ["GitHubServerUrl"] = server })), code);

    private static string Sign(string claims, bool bundle)
    {
        string image = world.Push(tag: null);
        var signer = new ForgedSigner(world)
        {
            Claims = token =>
            {
                foreach (string[] claim in claims.Split(';', StringSplitOptions.RemoveEmptyEntries).Select(claim => claim.Split('=', 2)))
                {
                    token[claim[0]] = claim[1];
                }
            },
        };
        if (bundle)
        {
            world.AttachBundle(image, new BundleForge(world, image) { Signer = signer }.Make());
        }
        else
        {
            world.Tag(image, new SimpleForge(world, image) { Signer = signer }.Make());
        }

        return image;
    }

    private static KeylessVerifyContainer Verify(string image, string metadata)
    {
        var item = new TaskItem(image, new Dictionary<string, string> { ["GitHubRepository"] = "example-org/example-repo", ["CertificateOidcIssuer"] = world.Sandbox.Issuer.Url });
        if (metadata.Split('=', 2) is [var name, var value])
        {
            item.SetMetadata(name, value);
        }

        KeylessVerifyContainer task = world.Verify(item);
        task.IntermediateOutputPath = $"obj/{Guid.NewGuid()}/";
        return task;
    }
}
