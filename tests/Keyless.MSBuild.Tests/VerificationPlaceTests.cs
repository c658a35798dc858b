using System.Globalization;
using System.Text;
using System.Text.Encodings.Web;
using System.Text.Json.Nodes;
using Keyless.Oci;
using Keyless.Sigstore;
using Keyless.Testing;

namespace Keyless.MSBuild.Tests;

/// <summary>Where a verdict points: at files and lines, in SARIF, in annotations, and in the other reports.</summary>
[TestClass]
public sealed class VerificationPlaceTests : IDisposable
{
    private const string Hash = "sha256:0f0f0f0f0f0f0f0f0f0f0f0f0f0f0f0f0f0f0f0f0f0f0f0f0f0f0f0f0f0f0f0f";

    private readonly TemporaryFolder folder = new();

    public void Dispose() => folder.Dispose();

    [TestMethod]
    public void Points_at_the_line_that_names_the_image_and_mentions_the_others()
    {
        JsonNode result = Sarif([Refused("registry.example/team/app:1.0", At("deploy/compose.yaml", 4, 22), At("deploy/other.yaml", 7), At("Deploy.csproj"))]);

        Assert.AreEqual("""{"artifactLocation":{"uri":"deploy/compose.yaml","uriBaseId":"SRCROOT"},"region":{"startLine":4,"startColumn":22}}""", Place(result));
        JsonArray related = result["relatedLocations"]!.AsArray();
        Assert.AreEqual("deploy/other.yaml 7, Deploy.csproj ", string.Join(", ", related.Select(location =>
            $"{location!["physicalLocation"]!["artifactLocation"]!["uri"]} {location["physicalLocation"]!["region"]?["startLine"]}")));
        Assert.AreEqual("error", (string?)result["level"]);
        Assert.AreEqual("KEYLESS4002", (string?)result["ruleId"]);
    }

    // Code scanning refuses a log in which a result has no place.
    [TestMethod]
    public void Points_at_the_project_where_no_file_names_the_image()
    {
        folder.Write("Deploy.fsproj", "<Project />");
        folder.Write("Deploy.Tests.fsproj", "<Project />");

        Assert.AreEqual("""{"artifactLocation":{"uri":"Deploy.fsproj","uriBaseId":"SRCROOT"}}""", Place(Sarif([Missing("registry.example/team/app:1.0")])));
    }

    [TestMethod]
    [OSCondition(ConditionMode.Exclude, OperatingSystems.Windows)]
    [DataRow("a b#c?d%41/ä:ö.yaml", "a%20b%23c%3Fd%2541/%C3%A4%3A%C3%B6.yaml")]
    [DataRow("a\\b.yaml", "a%5Cb.yaml")]
    public void A_path_is_escaped_as_a_URI(string file, string uri) =>
        Assert.AreEqual(uri, (string?)JsonNode.Parse(Place(Sarif([Missing("registry.example/team/app:1.0", At(file, 1, 1))])))!["artifactLocation"]!["uri"]);

    [TestMethod]
    public void A_file_outside_the_repository_is_named_absolutely()
    {
        string elsewhere = Path.Combine(Path.GetDirectoryName(folder.Path)!, "elsewhere.yaml");

        JsonNode artifact = JsonNode.Parse(Place(Sarif([Missing("registry.example/team/app:1.0", new Position(elsewhere, 1, 1))])))!["artifactLocation"]!;

        Assert.IsNull(artifact["uriBaseId"]);
        Assert.AreEqual(new Uri(elsewhere).AbsoluteUri, (string?)artifact["uri"]);
    }

    [TestMethod]
    [DataRow("GITHUB_WORKSPACE")]
    [DataRow(".git folder")]
    [DataRow(".git file")]
    [DataRow("")]
    public void Names_files_from_where_the_repository_begins(string what)
    {
        folder.Write("repository/deploy/Deploy.csproj", "<Project />");
        string project = folder["repository/deploy"];
        var environment = new Dictionary<string, string>();
        switch (what)
        {
            case "GITHUB_WORKSPACE": environment[what] = folder["repository"]; break;
            case ".git folder": Directory.CreateDirectory(folder["repository/.git"]); break;
            case ".git file": folder.Write("repository/.git", "gitdir: elsewhere"); break;
        }

        var root = SourceRoot.Find(environment.GetValueOrDefault, project);

        Assert.AreEqual(what.Length == 0 ? "Deploy.csproj" : "deploy/Deploy.csproj", root.Relative(Path.Combine(project, "Deploy.csproj")));
        Assert.IsNull(root.Relative(folder["elsewhere.yaml"]));
    }

    [TestMethod]
    public void A_workspace_that_the_project_is_not_in_is_none()
    {
        string project = Path.GetDirectoryName(folder.Write("repository/Deploy.csproj", "<Project />"))!;

        Assert.AreEqual("Deploy.csproj", SourceRoot.Find(name => name == "GITHUB_WORKSPACE" ? folder["workspace"] : null, project).Relative(Path.Combine(project, "Deploy.csproj")));
    }

    [TestMethod]
    public void A_fingerprint_stays_when_the_digest_changes_and_tells_apart_what_is_not_the_same()
    {
        string Of(string reference, string file = "compose.yaml", int line = 4, string policy = "release", bool missing = false) =>
            (string)Sarif([missing ? Missing(reference, At(file, line, 1)) : Refused(reference, policy, At(file, line, 1))])["partialFingerprints"]!["imagePolicyCode/v1"]!;

        string first = Of($"registry.example/team/app:1.0@{Hash}");

        Assert.AreEqual(first, Of($"registry.example/team/app:1.0@{Hash.Replace('0', '1')}"));
        Assert.AreEqual(first, Of("registry.example/team/app:1.0", line: 40));
        foreach (string other in new[]
        {
            Of("registry.example/team/app:2.0"), Of("registry.example/team/other:1.0"), Of("registry.example/team/app:1.0", policy: "other"),
            Of("registry.example/team/app:1.0", file: "values.yaml"), Of("registry.example/team/app:1.0", missing: true),
        })
        {
            Assert.AreNotEqual(first, other);
        }
    }

    [TestMethod]
    public void Results_that_look_the_same_have_fingerprints_of_their_own()
    {
        JsonNode log = Log([Missing("registry.example/team/app:1.0"), Missing("registry.example/team/app:1.0")]);

        Assert.HasCount(2, log["runs"]![0]!["results"]!.AsArray().Select(result => (string)result!["partialFingerprints"]!["imagePolicyCode/v1"]!).Distinct());
    }

    [TestMethod]
    public void Every_result_names_a_rule_that_is_there()
    {
        JsonNode run = Log([Missing("registry.example/a:1"), Refused("registry.example/b:1"), Failed("registry.example/c:1", Diagnostics.FileFailed)])["runs"]![0]!;

        string[] rules = [.. run["tool"]!["driver"]!["rules"]!.AsArray().Select(rule => (string)rule!["id"]!)];
        CollectionAssert.AreEqual(rules.Order(StringComparer.Ordinal).Distinct().ToArray(), rules);
        Assert.AreSequenceEqual(["KEYLESS3003", "KEYLESS4002", "KEYLESS5012"], run["results"]!.AsArray().Select(result => rules[(int)result!["ruleIndex"]!]).ToArray());
        Assert.IsTrue(run["results"]!.AsArray().All(result => (string?)result!["ruleId"] == rules[(int)result["ruleIndex"]!]));
    }

    // A project of a solution may be built with another version of the package.
    [TestMethod]
    public void Keeps_the_rule_of_a_result_that_only_another_version_knows()
    {
        var sarif = new VerificationSarif(new SourceRoot(folder.Path), passes: true);
        string other = Encoding.UTF8.GetString(sarif.Merge(null, Project("Other", [Refused("registry.example/team/app:1.0")]), folder.Path)).Replace("KEYLESS4002", "KEYLESS4999", StringComparison.Ordinal);

        JsonNode run = JsonNode.Parse(sarif.Merge(Encoding.UTF8.GetBytes(other), Project("Deploy", [Missing("registry.example/team/app:1.0")]), folder.Path))!["runs"]![0]!;

        string[] rules = [.. run["tool"]!["driver"]!["rules"]!.AsArray().Select(rule => (string)rule!["id"]!)];
        Assert.AreSequenceEqual(["KEYLESS3003", "KEYLESS4999"], run["results"]!.AsArray().Select(result => rules[(int)result!["ruleIndex"]!]).ToArray());
    }

    [TestMethod]
    public void A_project_from_another_root_names_its_files_absolutely()
    {
        VerificationSarif Sarif(string root) => new(new SourceRoot(folder[root]), passes: true);
        byte[] first = Sarif("one").Merge(null, Project("One", [Missing("registry.example/a:1", new Position(folder["one/compose.yaml"], 1, 1))]), folder.Path);

        JsonNode run = JsonNode.Parse(Sarif("two").Merge(first, Project("Two", [Missing("registry.example/b:1", new Position(folder["two/compose.yaml"], 1, 1))]), folder.Path))!["runs"]![0]!;

        Assert.AreEqual(new SourceRoot(folder["one"]).Uri, (string?)run["originalUriBaseIds"]!["SRCROOT"]!["uri"]);
        Assert.AreEqual($"compose.yaml {new Uri(folder["two/compose.yaml"]).AbsoluteUri}", string.Join(' ', run["results"]!.AsArray().Select(result => (string?)result!["locations"]![0]!["physicalLocation"]!["artifactLocation"]!["uri"])));
    }

    [TestMethod]
    public void A_log_stays_within_what_code_scanning_takes()
    {
        JsonNode run = Log([.. Enumerable.Range(0, 25_010).Select(i => Missing(string.Create(CultureInfo.InvariantCulture, $"registry.example/team/app{i}:1.0")))])["runs"]![0]!;

        Assert.HasCount(25_000, run["results"]!.AsArray());
    }

    [TestMethod]
    public void What_two_targets_of_a_project_found_stands_side_by_side()
    {
        VerifiedProject images = Project("Deploy", [Missing("registry.example/team/app:1.0")]), baseImage = images with { Target = "VerifyContainerBaseImage", Outcomes = [Missing("registry.example/base:1")] };
        foreach (VerificationReport.IForm form in (VerificationReport.IForm[])[new VerificationJson(), new VerificationPage(), new VerificationSarif(new SourceRoot(folder.Path), passes: true)])
        {
            byte[] there = form.Merge(form.Merge(form.Merge(null, images, folder.Path), baseImage, folder.Path), images, folder.Path);

            string report = Encoding.UTF8.GetString(there);
            Assert.Contains("registry.example/team/app:1.0", report);
            Assert.Contains("registry.example/base:1", report);
        }
    }

    [TestMethod]
    public void A_report_names_files_from_its_own_folder()
    {
        VerifiedProject project = Project("Deploy", [Missing("registry.example/team/app:1.0", At("deploy/compose.yaml", 4, 22), At("Deploy.csproj"))]);

        JsonNode entry = JsonNode.Parse(new VerificationJson().Merge(null, project, folder["out"]))!["images"]![0]!;

        Assert.AreEqual("""[{"file":"../deploy/compose.yaml","line":4,"column":22},{"file":"../Deploy.csproj","line":null,"column":null}]""", entry["positions"]!.ToJsonString());
    }

    [TestMethod]
    [DataRow("src/Deploy", "github 1.1")]
    [DataRow("a --> b", "")]
    [DataRow("a\n<!-- keyless-msbuild:end -->\n", "x y")]
    [DataRow("\"&%2D-_.~ä", "-->")]
    public void A_section_is_found_again_whatever_its_project_is_called(string name, string run)
    {
        var page = new VerificationPage();
        VerifiedProject odd = Project(name, [Refused("registry.example/team/app:1.0")]) with { Run = run.Length == 0 ? null : run }, other = odd with { Name = "Other", Path = folder["Other"] };

        byte[] there = page.Merge(page.Merge(page.Merge(null, odd, folder.Path), other, folder.Path), odd with { Outcomes = [] }, folder.Path);

        CollectionAssert.AreEqual(page.Merge(null, other, folder.Path), there);
    }

    [TestMethod]
    public void An_annotation_is_one_line_whatever_it_says()
    {
        SaidProblem said = new(new Diagnostic(Diagnostics.Refused, "100% x\r\n::error::y, z: ##vso[a]", At("a%b,c:d.csproj")), Warns: false);

        string line = GitHubAnnotations.Of([said], new SourceRoot(folder.Path)).Single();

        Assert.AreEqual(@"::error file=a%25b%2Cc%3Ad.csproj,title=KEYLESS4002::100%25 x\u000d\u000a::error::y, z: #\u0023vso[a] (docs/errors.md#keyless4002)", line);
    }

    // setup-dotnet's problem matcher makes one of it.
    [TestMethod]
    public void What_has_a_line_is_left_to_the_problem_matcher()
    {
        SaidProblem[] said = [new(new Diagnostic(Diagnostics.Refused, "x", At("compose.yaml", 4, 22)), false), new(new Diagnostic(Diagnostics.Refused, "y", At("Deploy.csproj")), true)];

        Assert.AreEqual("::warning file=Deploy.csproj,title=KEYLESS4002::y (docs/errors.md#keyless4002)", GitHubAnnotations.Of(said, new SourceRoot(folder.Path)).Single());
    }

    [TestMethod]
    public void As_many_annotations_as_GitHub_shows_come_before_one_that_counts_the_rest()
    {
        SaidProblem[] said = [.. Enumerable.Range(0, 30).Select(i => new SaidProblem(new Diagnostic(Diagnostics.Refused, $"image {i}"), Warns: i % 2 == 0))];

        string[] lines = [.. GitHubAnnotations.Of(said, new SourceRoot(folder.Path))];

        Assert.AreEqual("error 10, warning 10, notice 1", string.Join(", ", lines.GroupBy(line => line[2..line.IndexOf(' ', StringComparison.Ordinal)]).Select(level => $"{level.Key} {level.Count()}")));
        Assert.StartsWith("::error ", lines[0]);
        Assert.Contains("::10 more images", lines[^1]);
    }

    private JsonNode Log(IReadOnlyList<ImageOutcome> outcomes) => JsonNode.Parse(new VerificationSarif(new SourceRoot(folder.Path), passes: true).Merge(null, Project("Deploy", outcomes), folder.Path))!;

    private JsonNode Sarif(IReadOnlyList<ImageOutcome> outcomes) => Log(outcomes)["runs"]![0]!["results"]!.AsArray().Single()!;

    private static string Place(JsonNode result) => result["locations"]!.AsArray().Single()!["physicalLocation"]!.ToJsonString(new() { Encoder = JavaScriptEncoder.UnsafeRelaxedJsonEscaping });

    private VerifiedProject Project(string name, IReadOnlyList<ImageOutcome> outcomes) => new(name, Path.Combine(folder.Path, name), "VerifyContainerImages", null, outcomes);

    private Position At(string file, int line = 0, int column = 0) => new(Path.Combine(folder.Path, file), line, column);

    private static ImageToVerify Image(string reference, string policy, Position[] positions) =>
        new(ImageReference.Parse(reference), new TrustPolicy(policy, [], 1, Warn: false, []), Recursive: false, positions);

    private static ImageOutcome Missing(string reference, params Position[] positions) => Failed(reference, Diagnostics.ImageNotFound, positions);

    private static ImageOutcome Failed(string reference, DiagnosticKind kind, params Position[] positions) =>
        new(Image(reference, "release", positions), [], new Diagnostic(kind, $"{reference} is not there", positions.FirstOrDefault()));

    private static ImageOutcome Refused(string reference, params Position[] positions) => Refused(reference, "release", positions);

    private static ImageOutcome Refused(string reference, string policy, params Position[] positions)
    {
        ImageToVerify image = Image(reference, policy, positions);
        var refusal = new VerificationException("policy.identity", "the certificate names somebody else", "https://example.com/us", "https://example.com/them");
        Assert.IsTrue(Digest.TryParse(Hash, out Digest? digest));
        var verdict = new ImageVerdict(image.Reference, digest, image.Policy, [new SignatureVerdict("bundle", Hash, [], refusal)], null, refusal);
        return new ImageOutcome(image, [verdict], VerdictText.Problem(image, [verdict]));
    }
}
