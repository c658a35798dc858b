using System.Diagnostics;
using System.Text;
using System.Text.Json;
using System.Text.Json.Nodes;
using System.Text.RegularExpressions;
using Json.Schema;
using Keyless.Testing;
using Microsoft.Build.Framework;
using Microsoft.Build.Utilities;
using Task = System.Threading.Tasks.Task;

namespace Keyless.MSBuild.Tests;

/// <summary>What a build leaves of its verdicts: <c>ContainerVerificationReport</c> in each form, and what CI systems are told.</summary>
[TestClass]
public sealed partial class VerificationReportTests
{
    private static readonly Lazy<JsonSchema> Schema = new(() => JsonSchema.FromText(File.ReadAllText(Repository.PathTo("docs/container-verification.v1.schema.json"))));

    public required TestContext TestContext { get; init; }

    [TestMethod]
    [DataRow("accepted")]
    [DataRow("accepted by one of two")]
    [DataRow("refused")]
    [DataRow("unsigned")]
    [DataRow("warned")]
    [DataRow("missing")]
    [DataRow("missing, warned")]
    [DataRow("denied")]
    [DataRow("down")]
    [DataRow("no bundle")]
    [DataRow("recursive")]
    [DataRow("recursive, one of three")]
    [DataRow("two of two")]
    [DataRow("one of two")]
    public async Task Follows_its_schema(string what)
    {
        await using World world = await World.StartAsync(TestContext.CancellationToken);

        JsonNode report = Run(world, await WhatAsync(world, what));

        Assert.IsNotEmpty(report["images"]!.AsArray());
        AssertFollows(report);
    }

    // Each changes one thing of a report that follows it.
    [TestMethod]
    [DataRow("schema", "\"keyless-msbuild/container-verification/v2\"")]
    [DataRow("images", "{}")]
    [DataRow("images/0/reference", "\"\"")]
    [DataRow("images/0/reference", null)]
    [DataRow("images/0/digest", "\"sha256:0\"")]
    [DataRow("images/0/digest", "null")]
    [DataRow("images/0/policy", "7")]
    [DataRow("images/0/verdict", "\"verified\"")]
    [DataRow("images/0/verdict", "\"refused\"")]
    [DataRow("images/1/verdict", "\"accepted\"")]
    [DataRow("images/0/checks", "[]")]
    [DataRow("images/0/checks", "[7]")]
    [DataRow("images/0/signatures", "[]")]
    [DataRow("images/0/project", "null")]
    [DataRow("images/0/target", "\"Build\"")]
    [DataRow("images/0/run", "1")]
    [DataRow("images/0/positions", "[{\"file\":\"a\",\"line\":0,\"column\":1}]")]
    [DataRow("images/0/positions", null)]
    [DataRow("images/0/error", "{\"code\":\"KEYLESS4002\",\"message\":\"no\"}")]
    [DataRow("images/1/error", "null")]
    [DataRow("images/1/error/code", "\"4002\"")]
    [DataRow("images/1/error/message", null)]
    [DataRow("images/0/signatures/0/critical", "null")]
    [DataRow("images/0/signatures/0/critical/image/docker-manifest-digest", "\"latest\"")]
    [DataRow("images/0/signatures/0/optional/Subject", "7")]
    [DataRow("images/0/signatures/0/format", "\"cosign\"")]
    [DataRow("images/0/signatures/0/signedAt", "\"yesterday\"")]
    [DataRow("images/0/signatures/0/logIndex", "\"1\"")]
    [DataRow("images/0/signatures/0/verdict", "\"refused\"")]
    [DataRow("images/0/signatures/0/reason", "\"policy.identity\"")]
    [DataRow("images/0/signatures/0/found", null)]
    [DataRow("images/1/signatures/0/step", "\"trust\"")]
    [DataRow("images/1/signatures/0/reason", "\"It is not right\"")]
    public async Task What_is_changed_does_not_follow_it_any_more(string path, string? value)
    {
        await using World world = await World.StartAsync(TestContext.CancellationToken);
        KeylessVerifyContainer task = world.Verify(world.Image(world.PushSigned()), world.Image(world.PushSigned(), ("CertificateIdentity", "https://example.com/somebody")));
        JsonNode report = Run(world, task);
        AssertFollows(report);

        string[] way = path.Split('/');
        JsonNode at = report;
        foreach (string step in way[..^1])
        {
            at = int.TryParse(step, out int index) ? at[index]! : at[step]!;
        }

        if (value is null)
        {
            Assert.IsTrue(at.AsObject().Remove(way[^1]));
        }
        else
        {
            at[way[^1]] = JsonNode.Parse(value);
        }

        Assert.IsFalse(Evaluate(report).IsValid, report.ToJsonString());
    }

    [TestMethod]
    public async Task Members_may_be_added()
    {
        await using World world = await World.StartAsync(TestContext.CancellationToken);
        JsonNode report = Run(world, world.Verify(world.Image(world.PushSigned())));

        report["images"]![0]!["platform"] = "linux/amd64";
        report["images"]![0]!["signatures"]![0]!["reference"] = "sha256:0";

        AssertFollows(report);
    }

    [TestMethod]
    [DataRow("missing", "KEYLESS3003", "refused")]
    [DataRow("missing, warned", "KEYLESS3003", "warned")]
    [DataRow("denied", "KEYLESS3002", "refused")]
    [DataRow("down", "KEYLESS3001", "refused")]
    [DataRow("unsigned", "KEYLESS4001", "refused")]
    [DataRow("refused", "KEYLESS4002", "refused")]
    public async Task Has_what_failed_as_well_and_says_why(string what, string code, string verdict)
    {
        await using World world = await World.StartAsync(TestContext.CancellationToken);
        KeylessVerifyContainer task = await WhatAsync(world, what);

        JsonNode entry = Run(world, task)["images"]!.AsArray().Single()!;

        Assert.AreEqual(verdict, (string?)entry["verdict"]);
        Assert.AreEqual(code, (string?)entry["error"]!["code"]);
        Assert.Contains($"{code}: ", World.Log(task));
        Assert.AreEqual(code[^4] == '3', entry["digest"] is null);
        Assert.AreEqual(task.ContainerImagesToVerify[0].ItemSpec, (string?)entry["reference"]);
        Assert.AreEqual("../Deploy", (string?)entry["project"]);
        Assert.AreEqual("VerifyContainerImages", (string?)entry["target"]);
        Assert.AreEqual($"github {world.Environment["GITHUB_RUN_ID"]}.1", (string?)entry["run"]);
    }

    [TestMethod]
    [DataRow(".json")]
    [DataRow(".md")]
    [DataRow(".sarif")]
    public async Task A_build_takes_the_place_of_the_same_projects_earlier_one_and_leaves_the_others(string form)
    {
        await using World world = await World.StartAsync(TestContext.CancellationToken);
        string old = world.Push("team/old"), other = world.Push("team/other"), renewed = world.Push("team/renewed");

        foreach ((string image, string project) in new[] { (old, "Deploy"), (other, "Other"), (renewed, "Deploy") })
        {
            KeylessVerifyContainer task = Reporting(world, form, world.Image(image));
            task.ProjectName = project;
            World.Refusal(task, "KEYLESS4001");
        }

        string report = await ReadAsync(world, form);
        Assert.Contains("team/other", report);
        Assert.Contains("team/renewed", report);
        Assert.DoesNotContain("team/old", report);
    }

    [TestMethod]
    [DataRow(".json")]
    [DataRow(".md")]
    [DataRow(".sarif")]
    public async Task What_another_run_of_the_CI_system_found_goes(string form)
    {
        await using World world = await World.StartAsync(TestContext.CancellationToken);
        KeylessVerifyContainer earlier = Reporting(world, form, world.Image(world.Push("team/old")));
        earlier.ProjectName = "Other";
        World.Refusal(earlier, "KEYLESS4001");
        world.Environment["GITHUB_RUN_ATTEMPT"] = "2";

        World.Refusal(Reporting(world, form, world.Image(world.Push("team/new"))), "KEYLESS4001");

        string report = await ReadAsync(world, form);
        Assert.Contains("team/new", report);
        Assert.DoesNotContain("team/old", report);
    }

    // Somebody would take it for what this build found.
    [TestMethod]
    [DataRow(".json", "SigstoreTrustedRoot", "missing.json", "KEYLESS5012")]
    [DataRow(".md", "SigstoreTrustedRoot", "missing.json", "KEYLESS5012")]
    [DataRow(".sarif", "SigstoreTrustedRoot", "missing.json", "KEYLESS5012")]
    [DataRow(".json", "ContainerVerificationCache", "ture", "KEYLESS5001")]
    [DataRow(".json", "ContainerSigningCIOutput", "ture", "KEYLESS5001")]
    [DataRow(".json", "ContainerSigningRepository", "a:b", "KEYLESS5006")]
    public async Task What_an_earlier_build_found_does_not_stay_where_this_one_finds_nothing(string form, string property, string value, string code)
    {
        await using World world = await World.StartAsync(TestContext.CancellationToken);
        World.Refusal(Reporting(world, form, world.Image(world.Push("team/old"))), "KEYLESS4001");
        KeylessVerifyContainer task = Reporting(world, form, world.Image(world.Push("team/new")));
        typeof(KeylessVerifyContainer).GetProperty(property)!.SetValue(task, value);

        World.Refusal(task, code);

        Assert.DoesNotContain("team/", await ReadAsync(world, form));
    }

    [TestMethod]
    [DataRow(".json", "\"reference\": ")]
    [DataRow(".md", "\n### Project")]
    [DataRow(".sarif", "\"ruleIndex\": ")]
    public async Task Many_projects_at_once_lose_none(string form, string each)
    {
        await using World world = await World.StartAsync(TestContext.CancellationToken);
        KeylessVerifyContainer[] tasks = [.. Enumerable.Range(0, 8).Select(i =>
        {
            KeylessVerifyContainer task = Reporting(world, form, world.Image(world.Push($"team/app{i}")));
            task.ProjectName = $"Project{i}";
            return task;
        })];

        await Task.WhenAll(tasks.Select(task => Task.Run(() => World.Refusal(task, "KEYLESS4001"), TestContext.CancellationToken)));

        string report = await ReadAsync(world, form);
        Assert.AreEqual(8, report.Split(each).Length - 1, report);
        Assert.IsTrue(Enumerable.Range(0, 8).All(i => report.Contains($"team/app{i}@", StringComparison.Ordinal)), report);
    }

    // Nodes end in any order.
    [TestMethod]
    [DataRow(".json")]
    [DataRow(".md")]
    [DataRow(".sarif")]
    public async Task Is_the_same_whichever_project_ends_first(string form)
    {
        await using World world = await World.StartAsync(TestContext.CancellationToken);
        string image = world.Push();
        foreach ((string file, string[] projects) in new[] { ("one", new[] { "A", "B", "C" }), ("two", ["C", "A", "B"]) })
        {
            foreach (string project in projects)
            {
                KeylessVerifyContainer task = world.Verify(world.Image(image), world.Image($"{world.Sandbox.RegistryHost}/team/app:gone"));
                (task.ProjectName, task.ContainerVerificationReport) = (project, $"{file}{form}");
                Assert.IsFalse(task.Execute(), World.Log(task));
            }
        }

        Assert.AreEqual(await File.ReadAllTextAsync(world.PathOf($"one{form}"), TestContext.CancellationToken), await File.ReadAllTextAsync(world.PathOf($"two{form}"), TestContext.CancellationToken));
    }

    [TestMethod]
    [DataRow(".json", "what somebody wrote")]
    [DataRow(".json", "")]
    [DataRow(".json", "[]")]
    [DataRow(".json", """{"schema":"keyless-msbuild/container-signing/v1","images":[]}""")]
    [DataRow(".json", """{"schema":"keyless-msbuild/container-verification/v1","images":{}}""")]
    [DataRow(".json", """{"schema":"keyless-msbuild/container-verification/v1","images":[{}]}""")]
    [DataRow(".json", """{"schema":"keyless-msbuild/container-verification/v1","images":[{"project":"a","target":"b","run":1}]}""")]
    [DataRow(".json", """{"schema":"keyless-msbuild/container-verification/v1","images":[],"images":[]}""")]
    [DataRow(".json", """{"schema":"keyless-msbuild/container-verification/v1","images":[],"\udc00":1}""")]
    [DataRow(".md", "# What somebody wrote\n")]
    [DataRow(".md", "")]
    [DataRow(".md", "<!-- keyless-msbuild/container-verification/v1 -->\n# Container images: 1 image: 1 verified, 0 refused, 0 warned\n\n")]
    [DataRow(".md", "<!-- keyless-msbuild/container-verification/v1 -->\n# Container images: 0 images: 0 verified, 0 refused, 0 warned\n\nand a note\n")]
    [DataRow(".sarif", "what somebody wrote")]
    [DataRow(".sarif", "{}")]
    [DataRow(".sarif", """{"version":"2.1.0","runs":[]}""")]
    [DataRow(".sarif", """{"version":"2.1.0","runs":[{"tool":{"driver":{"name":"CodeQL","rules":[]}},"results":[]}]}""")]
    [DataRow(".sarif", """{"version":"2.1.0","runs":[{"tool":{"driver":{"name":"Keyless.MSBuild","rules":[]}},"originalUriBaseIds":{"SRCROOT":{"uri":"file:///"}},"results":[{"ruleId":"KEYLESS4001"}]}]}""")]
    [DataRow(".sarif", """{"version":"2.1.0","runs":[{"tool":{"driver":{"name":"Keyless.MSBuild","rules":[]}},"originalUriBaseIds":{"SRCROOT":7},"results":[]}]}""")]
    public async Task Leaves_another_file_alone_and_finds_out_before_anybody_is_asked(string form, string content)
    {
        await using World world = await World.StartAsync(TestContext.CancellationToken);
        world.Folder.Write($"out/report{form}", content);
        KeylessVerifyContainer task = Reporting(world, form, world.Image(world.Push()));

        Assert.Contains("is not a report of this kind", World.Refusal(task, "KEYLESS5012"));

        Assert.AreEqual(content, await ReadAsync(world, form));
        Assert.IsEmpty(world.Sandbox.Traffic.Snapshot());
    }

    [TestMethod]
    [DataRow("trusted_root.json/report.json", "cannot be written")]
    [DataRow("folder.sarif", "is a folder")]
    [DataRow("folder.sarif/", "expected a path that ends in")]
    [DataRow("report.txt", "expected a path that ends in .json, .md or .sarif")]
    public async Task A_place_that_cannot_be_written_is_found_out_before_anybody_is_asked(string path, string says)
    {
        await using World world = await World.StartAsync(TestContext.CancellationToken);
        Directory.CreateDirectory(world.PathOf("folder.sarif"));
        KeylessVerifyContainer task = world.Verify(world.Image(world.Push()));
        task.ContainerVerificationReport = path;

        Assert.Contains(says, World.Refusal(task, says.StartsWith("expected", StringComparison.Ordinal) ? "KEYLESS5001" : "KEYLESS5012"));

        Assert.IsEmpty(world.Sandbox.Traffic.Snapshot());
    }

    [TestMethod]
    [DataRow(".json")]
    [DataRow(".md")]
    [DataRow(".sarif")]
    [OSCondition(OperatingSystems.Linux)]
    public async Task Waits_for_no_pipe_in_its_place(string form)
    {
        await using World world = await World.StartAsync(TestContext.CancellationToken);
        Directory.CreateDirectory(world.PathOf("out"));
        using (Process made = Process.Start("mkfifo", [world.PathOf($"out/report{form}")]))
        {
            await made.WaitForExitAsync(TestContext.CancellationToken);
        }

        KeylessVerifyContainer task = Reporting(world, form, world.Image(world.Push()));

        Assert.IsFalse(await Task.Run(task.Execute, TestContext.CancellationToken).WaitAsync(TimeSpan.FromMinutes(1), TestContext.CancellationToken));
        Assert.Contains("KEYLESS5012", World.Log(task));
        Assert.IsEmpty(world.Sandbox.Traffic.Snapshot());
    }

    [TestMethod]
    [OSCondition(ConditionMode.Exclude, OperatingSystems.Windows)]
    public async Task A_link_is_replaced_and_what_it_led_to_stays()
    {
        await using World world = await World.StartAsync(TestContext.CancellationToken);
        const string empty = """{"schema":"keyless-msbuild/container-verification/v1","images":[]}""";
        string precious = world.Folder.Write("precious.json", empty);
        File.CreateSymbolicLink(world.PathOf("report.json"), precious);
        KeylessVerifyContainer task = world.Verify(world.Image(world.PushSigned()));
        task.ContainerVerificationReport = "report.json";

        Assert.IsTrue(task.Execute(), World.Log(task));

        Assert.HasCount(1, JsonNode.Parse(await File.ReadAllTextAsync(world.PathOf("report.json"), TestContext.CancellationToken))!["images"]!.AsArray());
        Assert.AreEqual(empty, await File.ReadAllTextAsync(precious, TestContext.CancellationToken));
    }

    // What is written last would be all that is there.
    [TestMethod]
    [DataRow("out.json", "./out.json", null, "ContainerVerificationReport and ContainerPinnedImagesFile are one file, '")]
    [DataRow("deploy.json", "", "x/../deploy.json", "ContainerVerificationReport and PinnedOutput of ContainerManifestFile 'compose.yaml' are one file, '")]
    [DataRow("", "", "out.json;out.json", "PinnedOutput of ContainerManifestFile 'compose.yaml' and PinnedOutput of ContainerManifestFile 'compose.yaml' are one file, '")]
    [DataRow("", "out.json", "out.json", "ContainerPinnedImagesFile and PinnedOutput of ContainerManifestFile 'compose.yaml' are one file, '")]
    public async Task Is_no_other_file_that_is_written(string report, string pinnedFile, string? pinnedOutput, string says)
    {
        await using World world = await World.StartAsync(TestContext.CancellationToken);
        string image = world.Push();
        KeylessVerifyContainer task = world.Verify(world.Image(image));
        task.ContainerTrustPolicies = [world.Image("ours")];
        (task.ContainerVerificationReport, task.ContainerPinnedImagesFile) = (report, pinnedFile);
        if (pinnedOutput is not null)
        {
            world.Folder.Write("compose.yaml", $"services:\n  app:\n    image: {image}\n");
            task.ContainerManifestFiles = [.. pinnedOutput.Split(';').Select(path => new TaskItem("compose.yaml", new Dictionary<string, string> { ["Policy"] = "ours", ["PinnedOutput"] = path }))];
        }

        Assert.Contains(says, World.Refusal(task, "KEYLESS5009"));

        Assert.IsEmpty(world.Sandbox.Traffic.Snapshot());
        Assert.IsFalse(File.Exists(world.PathOf("out.json")) || File.Exists(world.PathOf("deploy.json")));
    }

    [TestMethod]
    public async Task The_page_says_what_was_verified_and_why_the_rest_was_not()
    {
        await using World world = await World.StartAsync(TestContext.CancellationToken);

        Golden.Verify(Stable(world, await OfEverythingAsync(world, ".md")), "VerificationPage");
    }

    [TestMethod]
    public async Task The_SARIF_log_has_a_result_for_each_image()
    {
        await using World world = await World.StartAsync(TestContext.CancellationToken);

        Golden.Verify(Stable(world, await OfEverythingAsync(world, ".sarif")), "VerificationSarif");
    }

    // GitHub makes an alert of every result, whatever kind it is of.
    [TestMethod]
    public async Task In_GitHub_Actions_the_SARIF_log_has_only_what_is_an_alert()
    {
        await using World world = await World.StartAsync(TestContext.CancellationToken);
        KeylessVerifyContainer task = Reporting(world, ".sarif", world.Image(world.PushSigned()), world.Image(world.Push("team/other")));

        World.Refusal(task, "KEYLESS4001");

        JsonNode result = JsonNode.Parse(await ReadAsync(world, ".sarif"))!["runs"]![0]!["results"]!.AsArray().Single()!;
        Assert.AreEqual("fail", (string?)result["kind"]);
        Assert.Contains("team/other", (string)result["message"]!["text"]!);
    }

    [TestMethod]
    [DataRow(".md")]
    [DataRow(".json")]
    [DataRow(".sarif")]
    public async Task What_strangers_are_called_stays_a_value(string form)
    {
        await using World world = await World.StartAsync(TestContext.CancellationToken);
        const string branch = "refs/heads/x`|--><script>::error::x##vso[task.complete]<!-- keyless-msbuild:end -->${{x}}*a*[b](c)@team";
        world.Sandbox.Issuer.Claims["job_workflow_ref"] = $"example-org/example-repo/.github/workflows/publish.yml@{branch}";
        string image = world.PushSigned();
        world.Environment["GITHUB_STEP_SUMMARY"] = world.PathOf("summary");
        KeylessVerifyContainer task = Reporting(world, form, world.Image(image, ("CertificateIdentity", "https://example.com/somebody")));
        task.ProjectName = "--><img src=x>|`a`\u202E";

        World.Refusal(task, "KEYLESS4002");

        string log = World.Log(task);
        Assert.DoesNotContain("##vso[", log);
        Assert.AreEqual(1, log.Split("\n").Count(line => line.Split(": ", 2)[^1].TrimStart().StartsWith("::", StringComparison.Ordinal)), log);
        string report = await ReadAsync(world, form), summary = await File.ReadAllTextAsync(world.PathOf("summary"), TestContext.CancellationToken);
        foreach (string page in form == ".md" ? (string[])[report, summary] : [summary])
        {
            foreach (string markup in new[] { "<script", "<img", "[b]", "@team", "*a*", "\u202E", "##vso", "\n::", "${{" })
            {
                Assert.DoesNotContain(markup, page);
            }

            string[] row = [.. page.Split('\n').Where(line => line.StartsWith("| ", StringComparison.Ordinal) && line.Contains(world.Sandbox.RegistryHost, StringComparison.Ordinal))];
            Assert.HasCount(1, row);
            Assert.AreEqual(6, row[0].Count(c => c == '|'), row[0]);
        }

        // The next project finds everything again.
        KeylessVerifyContainer next = Reporting(world, form, world.Image(world.Push("team/other")));
        World.Refusal(next, "KEYLESS4001");
        string merged = await ReadAsync(world, form);
        Assert.Contains("team/other", merged);
        Assert.Contains(image.Split('@')[1], merged);
        if (form == ".md")
        {
            Assert.Contains("# Container images: 2 images: 0 verified, 2 refused, 0 warned\n", merged);
            Assert.AreEqual(2, merged.Split("\n<!-- keyless-msbuild:end -->\n").Length - 1);
        }
        else if (form == ".sarif")
        {
            // In a message a viewer makes links of these, and looks for arguments of those (SARIF 2.1.0 §3.11.5, §3.11.6).
            string message = (string)JsonNode.Parse(report)!["runs"]![0]!["results"]![0]!["message"]!["text"]!;
            Assert.Contains(@"*a*[b]\u0028c)@team", message);
            Assert.Contains("${{{{x}}}}", message);
        }
        else
        {
            AssertFollows(JsonNode.Parse(merged)!);
            Assert.EndsWith(branch, (string)JsonNode.Parse(merged)!["images"]![0]!["signatures"]![0]!["optional"]!["Subject"]!);
        }
    }

    [TestMethod]
    public async Task In_GitHub_Actions_the_run_has_a_summary_an_annotation_and_no_output_where_an_image_is_refused()
    {
        await using World world = await World.StartAsync(TestContext.CancellationToken);
        KeylessVerifyContainer task = world.Verify(world.Image(world.PushSigned()), world.Image(world.Push("team/other")));
        HaveFiles(world);

        string error = World.Refusal(task, "KEYLESS4001");

        string summary = await File.ReadAllTextAsync(world.PathOf("summary"), TestContext.CancellationToken);
        Assert.StartsWith("### Deploy: 2 images: 1 verified, 1 refused, 0 warned\n", summary);
        Assert.Contains("team/other", summary);
        Assert.Contains($"high: ::error title=KEYLESS4001::{error}\n", World.Log(task));
        Assert.IsFalse(File.Exists(world.PathOf("output")));
    }

    [TestMethod]
    public async Task In_GitHub_Actions_the_step_has_the_pinned_images_of_all_projects_as_an_output()
    {
        await using World world = await World.StartAsync(TestContext.CancellationToken);
        string first = world.PushSigned(), second = world.PushSigned();
        HaveFiles(world);
        world.Folder.Write("output", "verified-images=somebody's own");
        foreach (string image in (string[])[first, second])
        {
            KeylessVerifyContainer task = world.Verify(world.Image(image), world.Image(world.Push("team/other"), ("Mode", "warn")));
            Assert.IsTrue(task.Execute(), World.Log(task));
            Assert.Contains("high: ::warning title=KEYLESS4001::", World.Log(task));
        }

        string[] lines = (await File.ReadAllTextAsync(world.PathOf("output"), TestContext.CancellationToken)).Split('\n');
        int last = Array.FindLastIndex(lines, line => line.StartsWith("verified-images<<", StringComparison.Ordinal));
        Assert.AreEqual($"""["{first}","{second}"]""", lines[last + 1]);
    }

    [TestMethod]
    [DataRow("off")]
    [DataRow("elsewhere")]
    public async Task Tells_no_CI_system_where_that_is_switched_off_or_elsewhere(string why)
    {
        await using World world = await World.StartAsync(TestContext.CancellationToken);
        KeylessVerifyContainer task = Reporting(world, ".json", world.Image(world.PushSigned()), world.Image(world.Push("team/other")));
        HaveFiles(world);
        if (why == "off")
        {
            task.ContainerSigningCIOutput = "false";
        }
        else
        {
            world.Environment.Remove("GITHUB_ACTIONS");
        }

        World.Refusal(task, "KEYLESS4001");

        Assert.IsFalse(File.Exists(world.PathOf("output")));
        Assert.IsFalse(File.Exists(world.PathOf("summary")));
        Assert.DoesNotContain("::error", World.Log(task));
        Assert.IsTrue(File.Exists(world.PathOf("out/report.json")));
    }

    [TestMethod]
    public async Task Azure_Pipelines_gets_the_page_by_command()
    {
        await using World world = await World.StartAsync(TestContext.CancellationToken);
        world.Environment.Remove("GITHUB_ACTIONS");
        world.Environment["TF_BUILD"] = "True";
        KeylessVerifyContainer task = world.Verify(world.Image(world.Push("team/other")));

        World.Refusal(task, "KEYLESS4001");

        string command = World.Log(task).Split('\n').Single(line => line.Contains("##vso[", StringComparison.Ordinal));
        Assert.StartsWith("high: ##vso[task.uploadsummary]", command);
        Assert.StartsWith("### Deploy: 1 image: 0 verified, 1 refused, 0 warned\n", await File.ReadAllTextAsync(command.Split(']', 2)[1], TestContext.CancellationToken));
    }

    [TestMethod]
    public async Task A_step_summary_that_is_nearly_full_gets_less()
    {
        await using World world = await World.StartAsync(TestContext.CancellationToken);
        HaveFiles(world);
        world.Folder.Write("summary", new string('x', GitHubActions.LargestSummary - 100));
        KeylessVerifyContainer task = world.Verify(world.Image(world.Push("team/other")));

        World.Refusal(task, "KEYLESS4001");

        string summary = await File.ReadAllTextAsync(world.PathOf("summary"), TestContext.CancellationToken);
        Assert.EndsWith("x\n### Deploy: 1 image: 0 verified, 1 refused, 0 warned\n\n", summary);
        Assert.IsLessThanOrEqualTo(GitHubActions.LargestSummary, Encoding.UTF8.GetByteCount(summary));
    }

    [TestMethod]
    public async Task A_step_summary_that_is_too_large_already_is_no_reason_to_fail()
    {
        await using World world = await World.StartAsync(TestContext.CancellationToken);
        KeylessVerifyContainer task = world.Verify(world.Image(world.PushSigned()));
        HaveFiles(world);
        world.Folder.Write("summary", new string('x', GitHubActions.LargestSummary + 1));

        Assert.IsTrue(task.Execute(), World.Log(task));

        Assert.Contains("the step summary is full, so Deploy is not in it", World.Log(task));
        Assert.AreEqual(GitHubActions.LargestSummary + 1, new FileInfo(world.PathOf("summary")).Length);
    }

    /// <summary>Those that the runner makes for a step; after the signing, which would write there as well.</summary>
    private static void HaveFiles(World world)
    {
        world.Environment["GITHUB_OUTPUT"] = world.PathOf("output");
        world.Environment["GITHUB_STEP_SUMMARY"] = world.PathOf("summary");
    }

    private static KeylessVerifyContainer Reporting(World world, string form, params ITaskItem[] images)
    {
        KeylessVerifyContainer task = world.Verify(images);
        task.ContainerVerificationReport = $"out/report{form}";
        return task;
    }

    private static Task<string> ReadAsync(World world, string form) => File.ReadAllTextAsync(world.Folder[$"out/report{form}"]);

    private static JsonNode Run(World world, KeylessVerifyContainer task)
    {
        task.ContainerVerificationReport = "out/report.json";
        task.Execute();
        Assert.DoesNotContain("KEYLESS5", World.Log(task));
        return JsonNode.Parse(File.ReadAllText(world.Folder["out/report.json"]))!;
    }

    private static EvaluationResults Evaluate(JsonNode report) =>
        Schema.Value.Evaluate(JsonSerializer.SerializeToElement(report), new EvaluationOptions { OutputFormat = OutputFormat.List });

    internal static void AssertFollows(JsonNode report)
    {
        EvaluationResults results = Evaluate(report);
        Assert.IsTrue(results.IsValid, $"{JsonSerializer.Serialize(results)}\n{report.ToJsonString()}");
    }

    /// <summary>A task that ends in a certain way.</summary>
    private async Task<KeylessVerifyContainer> WhatAsync(World world, string what)
    {
        string missing = $"{world.Push().Split('@')[0]}@sha256:{new string('0', 64)}";
        (string Name, string Value) somebody = ("CertificateIdentity", "https://example.com/somebody"), warn = ("Mode", "warn"), recursive = ("Recursive", "true");
        switch (what)
        {
            case "accepted":
                return world.Verify(world.Image(world.PushSigned()));
            case "refused":
                return world.Verify(world.Image(world.PushSigned(), somebody));
            case "unsigned":
                return world.Verify(world.Image(world.Push()));
            case "warned":
                return world.Verify(world.Image(world.PushSigned(), somebody, warn));
            case "missing":
                return world.Verify(world.Image(missing));
            case "missing, warned":
                return world.Verify(world.Image(missing, warn));
            case "denied":
                string denied = world.PushSigned();
                world.Sandbox.RegistryServer.Intercept = World.Answer(403, "application/json", """{"errors":[{"code":"DENIED","message":"no"}]}""");
                return world.Verify(world.Image(denied));
            case "down":
                string down = world.PushSigned();
                await world.Sandbox.RegistryServer.StopAsync(TestContext.CancellationToken);
                return world.Verify(world.Image(down));
            case "no bundle":
                string broken = world.Push();
                world.AttachBundle(broken, Encoding.UTF8.GetBytes("{ not a bundle"));
                return world.Verify(world.Image(broken));
            case "accepted by one of two":
                string twice = world.PushSigned();
                world.AttachBundle(twice, Encoding.UTF8.GetBytes("{ not a bundle"));
                return world.Verify(world.Image(twice));
            case "recursive" or "recursive, one of three":
                (_, string index) = world.PushIndex(2);
                KeylessSignContainer sign = world.Sign(index);
                sign.ContainerSigningRecursive = what == "recursive" ? "true" : "false";
                Assert.IsTrue(sign.Execute(), World.Log(sign));
                return world.Verify(world.Image(index, recursive));
            default:
                string image = world.Push();
                foreach (string branch in what == "two of two" ? (string[])["a", "b"] : ["a"])
                {
                    world.AttachBundle(image, new BundleForge(world, image)
                    {
                        Signer = new ForgedSigner(world) { Claims = claims => claims["job_workflow_ref"] = $"example-org/example-repo/.github/workflows/{branch}.yml@refs/heads/main" },
                    }.Make());
                }

                return world.Verify(new TaskItem(image, new Dictionary<string, string>
                {
                    ["CertificateIdentityRegexp"] = @"https://github\.com/example-org/.*",
                    ["CertificateOidcIssuer"] = world.Sandbox.Issuer.Url,
                    ["MinSignatures"] = "2",
                }));
        }
    }

    /// <summary>A report of one image of each kind, outside any CI system.</summary>
    private static async Task<string> OfEverythingAsync(World world, string form)
    {
        world.Folder.Write("Deploy.csproj", "<Project />");
        string missing = $"{world.Push("team/gone").Split('@')[0]}@sha256:{new string('0', 64)}";
        world.PushSigned();
        KeylessVerifyContainer task = Reporting(world, form,
            world.Image($"{world.Sandbox.RegistryHost}/team/app:1.0"),
            world.Image(world.PushSigned(), ("CertificateIdentity", "https://example.com/somebody")),
            new TaskItem(world.Push("team/new"), new Dictionary<string, string> { ["Policy"] = "rollout" }),
            world.Image(missing));
        task.ContainerTrustPolicies = [world.Image("rollout", ("Mode", "warn"))];
        world.Environment.Clear();
        Assert.IsFalse(task.Execute(), World.Log(task));
        return await ReadAsync(world, form);
    }

    /// <summary>Without what is different each time.</summary>
    private static string Stable(World world, string text)
    {
        var digests = new List<string>();
        text = text.Replace(world.Sandbox.RegistryHost, "registry.example", StringComparison.Ordinal)
            .Replace(Quoted.Text(world.Sandbox.RegistryHost), Quoted.Text("registry.example"), StringComparison.Ordinal)
            .Replace(world.Sandbox.Issuer.Url, "https://issuer.example", StringComparison.Ordinal)
            .Replace(new SourceRoot(world.Folder.Path).Uri, "file:///src/", StringComparison.Ordinal)
            .Replace(KeylessTask.UserAgent["Keyless.MSBuild/".Length..], "1.0.0", StringComparison.Ordinal);
        text = HexDigest().Replace(text, match =>
        {
            if (!digests.Contains(match.Value))
            {
                digests.Add(match.Value);
            }

            return string.Concat(Enumerable.Repeat($"{digests.IndexOf(match.Value)}f", 32));
        });
        return Fingerprint().Replace(Moment().Replace(text, "2026-11-25T12:00:00Z"), "\"0f0f:");
    }

    [GeneratedRegex(@"(?<=sha256(:|&#58;))[0-9a-f]{64}")]
    private static partial Regex HexDigest();

    [GeneratedRegex(@"20\d\d-\d\d-\d\dT\d\d:\d\d:\d\dZ")]
    private static partial Regex Moment();

    [GeneratedRegex("\"[0-9a-f]{32}:")]
    private static partial Regex Fingerprint();
}
