using System.Text;
using System.Text.Json.Nodes;
using Keyless.Sandbox;
using Keyless.Testing;
using Microsoft.Build.Framework;
using Microsoft.Build.Utilities;
using Task = System.Threading.Tasks.Task;

namespace Keyless.MSBuild.Tests;

[TestClass]
public sealed class GitHubActionsTests
{
    public required TestContext TestContext { get; init; }

    [TestMethod]
    public async Task Sets_the_outputs_of_the_step_beside_those_that_are_there()
    {
        await using World world = await StartAsync();
        // The last line is left open, as printf does.
        world.Folder.Write("output", "mine=1\nimages=not ours");
        KeylessSignContainer task = Published(world, "Hello", out string image);

        Assert.IsTrue(task.Execute(), World.Log(task));

        Dictionary<string, string> outputs = Outputs(world);
        Assert.AreEqual("bundle-path digest image images log-index mine", string.Join(' ', outputs.Keys.Order(StringComparer.Ordinal)));
        Assert.AreEqual("1", outputs["mine"]);
        Assert.AreEqual(image, outputs["image"]);
        Assert.AreEqual(image.Split('@')[1], outputs["digest"]);
        Assert.AreEqual(task.SignedContainers[0].GetMetadata("BundlePath"), outputs["bundle-path"]);
        Assert.AreEqual(task.SignedContainers[0].GetMetadata("LogIndex"), outputs["log-index"]);
        Assert.AreEqual(image, (string?)JsonNode.Parse(outputs["images"])!.AsArray().Single()!["reference"]);
        Assert.DoesNotContain("\n", outputs["images"]);
    }

    [TestMethod]
    public async Task Images_are_of_all_projects_of_a_step()
    {
        await using World world = await StartAsync();
        KeylessSignContainer[] tasks = [Published(world, "One", out _), Published(world, "Two", out _), Published(world, "Three", out _)];

        await Task.WhenAll(tasks.Select(task => Task.Run(() => Assert.IsTrue(task.Execute(), World.Log(task)), TestContext.CancellationToken)));

        JsonArray images = JsonNode.Parse(Outputs(world)["images"])!.AsArray();
        Assert.AreEqual("One Three Two", string.Join(' ', images.Select(entry => Path.GetFileName((string)entry!["project"]!)).Order(StringComparer.Ordinal)));
        Assert.AreEqual(3, File.ReadAllText(world.PathOf("summary")).Split("### ").Length - 1);
    }

    [TestMethod]
    [DataRow("title=x\r{0}\n", DisplayName = "carriage return")]
    [DataRow("title=x\u2028{0}\n", DisplayName = "line separator")]
    [DataRow("title=x\u0085{0}\n", DisplayName = "next line")]
    [DataRow("title=x\f{0}\n", DisplayName = "form feed")]
    [DataRow("title<<end\nx\u2028end\u2028{0}\nend\n", DisplayName = "inside a block")]
    [DataRow("title=x\ntitle<<end\n{0}\nend\n", DisplayName = "a line of a block")]
    public async Task A_value_of_somebody_elses_does_not_begin_another(string output)
    {
        await using World world = await StartAsync();
        world.Folder.Write("output", output.Replace("{0}", Entries(world, "evil"), StringComparison.Ordinal));
        KeylessSignContainer task = Published(world, "Hello", out string image);

        Assert.IsTrue(task.Execute(), World.Log(task));

        Assert.AreEqual(image, (string?)JsonNode.Parse(Outputs(world)["images"])!.AsArray().Single()!["reference"]);
    }

    [TestMethod]
    [DataRow("{0}\n")]
    [DataRow("\uFEFF{0}\n", DisplayName = "behind a byte order mark")]
    [DataRow("{0}", DisplayName = "in an open line")]
    [DataRow("images=[]\n{0}\n", DisplayName = "set again")]
    public async Task Keeps_what_an_earlier_project_has_set(string output)
    {
        await using World world = await StartAsync();
        world.Folder.Write("output", output.Replace("{0}", Entries(world, "earlier"), StringComparison.Ordinal));
        KeylessSignContainer task = Published(world, "Hello", out string image);

        Assert.IsTrue(task.Execute(), World.Log(task));

        Assert.AreEqual($"earlier {image}", string.Join(' ', JsonNode.Parse(Outputs(world)["images"])!.AsArray().Select(entry => (string?)entry!["reference"])));
    }

    [TestMethod]
    [DataRow("""[{"project":"\ud800","name":"a","digest":"a","tags":[]}]""")]
    [DataRow("""[{"project":"a","name":"a","digest":"a","tags":[],"more":{"\udc00":1}}]""")]
    [DataRow("""[{"project":"a","name":"a","digest":"a","tags":["\ud800"]}]""")]
    [DataRow("""[{"project":"a","name":"a","digest":"a","tags":[],"tags":[]}]""")]
    [DataRow("""[[[[[[[[[[[[[[[[[[[[]]]]]]]]]]]]]]]]]]]]""")]
    public async Task Does_not_keep_what_is_no_list_of_images(string images)
    {
        await using World world = await StartAsync();
        world.Folder.Write("output", $"images={images}\n");
        KeylessSignContainer task = Published(world, "Hello", out string image);

        Assert.IsTrue(task.Execute(), World.Log(task));

        Assert.AreEqual(image, (string?)JsonNode.Parse(Outputs(world)["images"])!.AsArray().Single()!["reference"]);
    }

    // As GITHUB_STEP_SUMMARY=/dev/stdout, which shows what would be written.
    [TestMethod]
    [OSCondition(ConditionMode.Exclude, OperatingSystems.Windows)]
    public async Task Writes_to_a_pipe_as_well()
    {
        await using World world = await StartAsync();
        await Tools.RunAsync("mkfifo", [world.PathOf("summary")], world.Folder.Path, new Dictionary<string, string>(), TestContext.CancellationToken);
        Task<ToolResult> reader = Tools.RunAsync("cat", [world.PathOf("summary")], world.Folder.Path, new Dictionary<string, string>(), TestContext.CancellationToken);
        KeylessSignContainer task = Published(world, "Hello", out _);

        Assert.IsTrue(task.Execute(), World.Log(task));

        Assert.StartsWith("### Hello: signed", (await reader).Output);
    }

    [TestMethod]
    public async Task Names_and_identities_are_text_on_the_page()
    {
        await using World world = await StartAsync();
        const string branch = "refs/heads/x`|<script>*a*[b](c)@team##vso[x]${{x}}";
        world.Sandbox.Issuer.Claims["job_workflow_ref"] = $"example-org/example-repo/.github/workflows/publish.yml@{branch}";
        KeylessSignContainer task = Published(world, "Hello", out _);
        task.ProjectName = "<img src=x>|`a`\u202E\U000E0041";

        Assert.IsTrue(task.Execute(), World.Log(task));

        string summary = await File.ReadAllTextAsync(world.PathOf("summary"), TestContext.CancellationToken);
        string outside = string.Concat(summary.Split("```").Where((_, i) => i % 2 == 0));
        foreach (string markup in new[] { "<script", "<img", "[b]", "@team", "*a*", "\u202E", "\U000E0041", "##vso" })
        {
            Assert.DoesNotContain(markup, outside);
        }

        Assert.AreEqual("| image | platform | log index | signed at |".Count(c => c == '|'), summary.Split('\n').Single(line => line.Contains(world.Sandbox.RegistryHost + "/team/hello@", StringComparison.Ordinal) && line.StartsWith('|')).Count(c => c == '|'));
        Assert.DoesNotContain("##vso[", World.Log(task));
    }

    // A file name has no line feed on Windows.
    [TestMethod]
    [OSCondition(ConditionMode.Exclude, OperatingSystems.Windows)]
    public async Task A_value_cannot_end_itself_and_begin_another()
    {
        await using World world = await StartAsync();
        KeylessSignContainer task = Published(world, "Hello", out string image);
        task.ContainerSigningBundleDirectory = "bundles\nimage=evil\nimage<<x\nevil\nx\n";

        Assert.IsTrue(task.Execute(), World.Log(task));

        Dictionary<string, string> outputs = Outputs(world);
        Assert.AreEqual(image, outputs["image"]);
        Assert.AreEqual(task.SignedContainers[0].GetMetadata("BundlePath"), outputs["bundle-path"]);
    }

    [TestMethod]
    [DataRow("off")]
    [DataRow("elsewhere")]
    public async Task Writes_nothing_where_it_is_switched_off_or_elsewhere(string why)
    {
        await using World world = await StartAsync();
        KeylessSignContainer task = Published(world, "Hello", out _);
        if (why == "off")
        {
            task.ContainerSigningCIOutput = "false";
        }
        else
        {
            world.Environment.Remove("GITHUB_ACTIONS");
        }

        Assert.IsTrue(task.Execute(), World.Log(task));

        Assert.IsFalse(File.Exists(world.PathOf("output")));
        Assert.IsFalse(File.Exists(world.PathOf("summary")));
    }

    [TestMethod]
    public async Task An_output_that_cannot_be_written_is_an_error_though_everything_is_signed()
    {
        await using World world = await StartAsync();
        world.Environment["GITHUB_OUTPUT"] = world.PathOf("nowhere/output");
        KeylessSignContainer task = Published(world, "Hello", out string image);

        Assert.Contains("GITHUB_OUTPUT", World.Refusal(task, "KEYLESS5012"));

        Assert.HasCount(1, world.Referrers(image));
        Assert.HasCount(1, task.SignedContainers);
    }

    [TestMethod]
    public async Task The_summary_says_what_was_signed_by_whom_and_how_others_check_it()
    {
        await using World world = await StartAsync();
        RegistryManifest index = world.Sandbox.Registry.FindManifest("keyless/base", "1")!;
        KeylessSignContainer task = world.Sign();
        (task.ContainerRegistry, task.ContainerRepository) = (world.Sandbox.RegistryHost, "keyless/base");
        task.GeneratedImageIndex = Encoding.UTF8.GetString(index.Bytes);
        task.ContainerImageTags = [new TaskItem("1")];

        Assert.IsTrue(task.Execute(), World.Log(task));

        // What is different each time, and what the picture in the documentation is not about.
        string summary = (await File.ReadAllTextAsync(world.PathOf("summary"), TestContext.CancellationToken))
            .Replace($"{world.Sandbox.RegistryHost}/keyless/base", "registry.example/team/hello", StringComparison.Ordinal)
            .Replace("signed-keyless-base", "signed-team-hello", StringComparison.Ordinal)
            .Replace(world.Sandbox.Issuer.Url, "https://issuer.example", StringComparison.Ordinal);
        foreach ((ITaskItem item, int i) in task.SignedContainers.Select((item, i) => (item, i)))
        {
            summary = summary.Replace(item.GetMetadata("Digest"), $"sha256:{string.Concat(Enumerable.Repeat($"{i}f", 32))}", StringComparison.Ordinal)
                .Replace($"| {item.GetMetadata("LogIndex")} | {item.GetMetadata("SignedAt")} |", $"| {i + 1} | 2026-11-25T12:00:00Z |", StringComparison.Ordinal);
        }

        Golden.Verify(summary, "StepSummary");
    }

    [TestMethod]
    public void Policies_for_the_public_instance_leave_nothing_to_be_filled_in()
    {
        var recipe = new StepSummary.Recipe("docker.io", "library/busybox", "busybox@sha256:0", "me@example.com", "https://accounts.example", isPublicGood: true);

        foreach (string policy in new[] { recipe.ClusterImagePolicy, recipe.KyvernoPolicy })
        {
            Assert.Contains("https://rekor.sigstore.dev", policy);
            Assert.DoesNotContain("trust", policy);
            Assert.DoesNotContain("variables", policy);
        }

        Assert.Contains("https://fulcio.sigstore.dev", recipe.ClusterImagePolicy);
        Assert.Contains("\"index.docker.io/library/busybox@sha256:*\"", recipe.ClusterImagePolicy);
        Assert.Contains("\"docker.io/library/busybox:*\"", recipe.KyvernoPolicy);
    }

    [TestMethod]
    public async Task Says_where_signatures_are_that_are_not_beside_the_image()
    {
        await using World world = await StartAsync();
        KeylessSignContainer task = world.Sign(world.Push());
        task.ContainerSigningRepository = $"{world.Sandbox.RegistryHost}/team/signatures";

        Assert.IsTrue(task.Execute(), World.Log(task));

        string summary = await File.ReadAllTextAsync(world.Folder["summary"], TestContext.CancellationToken);
        Assert.Contains($"COSIGN_REPOSITORY={world.Sandbox.RegistryHost}/team/signatures cosign verify ", summary);
        Assert.Contains("`ContainerSigningRepository`", summary);
        Assert.DoesNotContain("ClusterImagePolicy", summary);
    }

    [TestMethod]
    [DataRow(1000, "### Hello", "ClusterImagePolicy")]
    [DataRow(10, "", "### Hello")]
    public async Task The_summary_of_a_step_stays_within_what_GitHub_takes(int left, string has, string hasNot)
    {
        await using World world = await StartAsync();
        world.Folder.Write("summary", new string('x', GitHubActions.LargestSummary - left));
        KeylessSignContainer task = Published(world, "Hello", out _);

        Assert.IsTrue(task.Execute(), World.Log(task));

        string summary = await File.ReadAllTextAsync(world.PathOf("summary"), TestContext.CancellationToken);
        Assert.IsLessThanOrEqualTo(GitHubActions.LargestSummary, Encoding.UTF8.GetByteCount(summary));
        Assert.Contains(has, summary);
        Assert.DoesNotContain(hasNot, summary);
        Assert.AreEqual(has.Length == 0, World.Log(task).Contains("the step summary is full", StringComparison.Ordinal));
    }

    [TestMethod]
    public async Task Azure_Pipelines_gets_variables_and_a_summary_by_command()
    {
        await using World world = await World.StartAsync(TestContext.CancellationToken);
        world.Environment.Remove("GITHUB_ACTIONS");
        world.Environment["TF_BUILD"] = "True";
        KeylessSignContainer task = Published(world, "Hello", out string image);
        task.ContainerSigningBundleDirectory = "bun%dles";

        Assert.IsTrue(task.Execute(), World.Log(task));

        string[] commands = [.. World.Log(task).Split('\n').Where(line => line.Contains("##vso[", StringComparison.Ordinal))];
        Assert.HasCount(5, commands);
        Assert.AreEqual($"high: ##vso[task.setvariable variable=ContainerSignedImage;isOutput=true]{image}", commands[0]);
        string uploaded = commands[4].Split(']', 2)[1];
        Assert.StartsWith("high: ##vso[task.uploadsummary]", commands[4]);
        Assert.Contains("bun%AZP25dles", uploaded);
        Assert.Contains("cosign verify", await File.ReadAllTextAsync(uploaded.Replace("%AZP25", "%", StringComparison.Ordinal), TestContext.CancellationToken));
    }

    private async Task<World> StartAsync()
    {
        World world = await World.StartAsync(TestContext.CancellationToken);
        world.Environment["GITHUB_OUTPUT"] = world.PathOf("output");
        world.Environment["GITHUB_STEP_SUMMARY"] = world.PathOf("summary");
        return world;
    }

    private static KeylessSignContainer Published(World world, string project, out string image)
    {
        image = world.Push($"team/{project.ToLowerInvariant()}");
        KeylessSignContainer task = world.Sign();
        task.ProjectName = project;
        (task.ContainerRegistry, task.ContainerRepository) = (world.Sandbox.RegistryHost, $"team/{project.ToLowerInvariant()}");
        task.GeneratedContainerDigest = image.Split('@')[1];
        task.ContainerImageTags = [new TaskItem("1.0")];
        return task;
    }

    /// <summary>What an earlier project of the same run would have set.</summary>
    private static string Entries(World world, string reference) =>
        $$"""images=[{"project":"{{reference}}","run":"github {{world.Environment["GITHUB_RUN_ID"]}}.1","reference":"{{reference}}","name":"a","digest":"a","tags":["1.0"]}]""";

    /// <summary>As the runner reads the file: what is set last holds, and a line that is neither is an error.</summary>
    private static Dictionary<string, string> Outputs(World world)
    {
        var outputs = new Dictionary<string, string>();
        var lines = new Queue<string>(File.ReadAllText(world.PathOf("output")).Split('\n'));
        while (lines.TryDequeue(out string? line))
        {
            int equals = line.IndexOf('=', StringComparison.Ordinal), block = line.IndexOf("<<", StringComparison.Ordinal);
            if (line.Length == 0)
            {
                continue;
            }

            if (equals >= 0 && (block < 0 || equals < block))
            {
                outputs[line[..equals]] = line[(equals + 1)..];
                continue;
            }

            Assert.IsGreaterThan(0, block, line);
            var value = new List<string>();
            while (lines.Dequeue() is var next && next != line[(block + 2)..])
            {
                value.Add(next);
            }

            outputs[line[..block]] = string.Join('\n', value);
        }
        return outputs;
    }
}
