using System.Security;
using Keyless.Testing;
using Microsoft.Build.Framework;
using Task = System.Threading.Tasks.Task;

namespace Keyless.MSBuild.Tests;

/// <summary>Policies as they stand in a project file: what MSBuild makes of them, and where they are.</summary>
[TestClass]
public sealed class WrittenPolicyTests : IDisposable
{
    private const string Issuer = "CertificateOidcIssuer=\"https://issuer.example\"";

    private readonly TemporaryFolder folder = new();

    public required TestContext TestContext { get; init; }

    public void Dispose() => folder.Dispose();

    // Org, Empty and items of the names corp and example are not set; Set is "team".
    [TestMethod]
    [DataRow("CertificateIdentityRegexp", @"https://github\.com/$(Org)/.*", "$(Org)")]
    [DataRow("CertificateIdentityRegexp", @"https://github\.com/$(Org).*", "$(Org)")]
    [DataRow("CertificateIdentityRegexp", @"https://github\.com/($(Org)).+", "$(Org)")]
    [DataRow("CertificateIdentityRegexp", @"https://github\.com/$(Org)[^/]+/app", "$(Org)")]
    [DataRow("CertificateIdentityRegexp", @"https://github\.com/$(Org)(?:\S{1,9}|x)", "$(Org)")]
    [DataRow("CertificateIdentityRegexp", @"https://github\.com/$(Set)/app/.*$(Org)", "$(Org)")]
    [DataRow("CertificateIdentityRegexp", @"https://github\.com/$(Set)/(app/.*)$(Org)", "$(Org)")]
    [DataRow("CertificateIdentityRegexp", @"https://github\.com/$(Set)/[^/]{2,}?$(Org)/x", "$(Org)")]
    [DataRow("CertificateIdentityRegexp", @"https://github\.com/$(Org)/$(Set)/.*", "$(Org)")]
    [DataRow("CertificateIdentityRegexp", @"https://$([MSBuild]::Unescape('$(Org)'))/$(Set)/.*", "$([MSBuild]::Unescape('$(Org)'))")]
    [DataRow("CertificateIdentityRegexp", "[^@]+@(example)\\.com", "@(example)")]
    [DataRow("CertificateIdentityRegexp", ".*@(corp)", "@(corp)")]
    [DataRow("CertificateIdentityRegexp", ".*%40$(Org)", "$(Org)")]
    [DataRow("CertificateIdentityRegexp", @"https://github\.com/%(Nothing)/.*", "%(Nothing)")]
    [DataRow("CertificateIdentityRegexp", @"https://github\.com/%24(Org)/.*", "$(Org) was not expanded")]
    [DataRow("CertificateIdentity", "https://github.com/$(Org)/app/.github/workflows/x.yml@refs/heads/main", "$(Org)")]
    [DataRow("CertificateIdentity", "https://github.com/team/app/.github/workflows/x.yml@refs/heads/$(Org)", "$(Org)")]
    [DataRow("GitHubRepository", "$(Org)/app", "$(Org)")]
    public async Task Refuses_an_identity_in_which_something_was_nothing(string name, string value, string reference)
    {
        string refusal = World.Refusal(await ReadAsync($"{name}=\"{SecurityElement.Escape(value)}\" {Issuer}"), "KEYLESS5001");

        Assert.Contains($"ContainerTrustPolicy 'release' has {name} '", refusal);
        Assert.Contains(reference, refusal);
    }

    [TestMethod]
    [DataRow("CertificateIdentityRegexp", @"https://github\.com/$(Set)/.*")]
    [DataRow("CertificateIdentityRegexp", @"https://github\.com/$(Set)/app/.*@refs/(heads/main$(Empty))")]
    [DataRow("CertificateIdentityRegexp", @"https://github\.com/$(Set)$(Empty)/app/.*")]
    [DataRow("CertificateIdentityRegexp", @"https://github\.com/$(Set)/$(Set).*")]
    [DataRow("CertificateIdentityRegexp", @"https://github\.com/%24{0}team/.*")]
    [DataRow("CertificateIdentityRegexp", @"[a-z]+@(corp|team)\.example")]
    [DataRow("CertificateIdentityRegexp", @"[a-z]+%40(corp)\.example")]
    [DataRow("CertificateIdentityRegexp", @"a[%24(x)]+b\%24(x)")]
    [DataRow("CertificateIdentity", "https://github.com/team/app/.github/workflows/x.yml@refs/heads/main$(Empty)")]
    [DataRow("CertificateIdentity", "https://github.com/team/a%20b;c/%24(Org)")]
    [DataRow("GitHubRepository", "$(Set)/app")]
    public async Task Takes_what_may_be_meant(string name, string value)
    {
        KeylessVerifyContainer task = await ReadAsync($"{name}=\"{SecurityElement.Escape(value)}\" {Issuer}");

        Assert.Contains("nothing to verify", World.Refusal(task, "KEYLESS5011"));
    }

    [TestMethod]
    [DataRow("$(Org)", "$(Org) was nothing")]
    [DataRow("env=prod;$(Org)", "$(Org) was nothing")]
    [DataRow("env=prod; $(Org) ;a=b", "$(Org) was nothing")]
    [DataRow("$(Org);$(Empty)", "$(Org) was nothing")]
    [DataRow(";", "in which there is none")]
    [DataRow("env=prod;", null)]
    [DataRow("env=$(Org)", null)]
    [DataRow("env=$(Set);b=c", null)]
    public async Task Drops_no_annotation_that_was_nothing(string value, string? says)
    {
        KeylessVerifyContainer task = await ReadAsync($"CertificateIdentity=\"x\" {Issuer} Annotations=\"{value}\"");

        Assert.Contains(says is null ? "nothing to verify" : value == "$(Org)" ? "has an empty Annotations" : says, World.Refusal(task, says is null ? "KEYLESS5011" : "KEYLESS5001"));
    }

    [TestMethod]
    [DataRow("CertificateIdentity")]
    [DataRow("CertificateIdentityRegexp")]
    [DataRow("GitHubRef")]
    public async Task Refuses_white_space_around_an_identity(string name)
    {
        string project = Write($"<ContainerTrustPolicy Include=\"release\" GitHubRepository=\"team/app\">\n<{name}>\n  refs/heads/main\n</{name}></ContainerTrustPolicy>");

        Assert.Contains($"{name} '\\u000a  refs/heads/main\\u000a', which begins or ends with white space", World.Refusal(await TaskOf(project), "KEYLESS5001"));
    }

    [TestMethod]
    public async Task Looks_at_elements_as_at_attributes_and_at_the_one_item_of_several_that_is_meant()
    {
        string project = Write($"""
            <ContainerTrustPolicy Include="release" {Issuer} CertificateIdentity="https://github.com/team/$(Empty)x" />
            <ContainerTrustPolicy Include="release" {Issuer}>
              <CertificateIdentityRegexp>https://github\.com/$(Org).*</CertificateIdentityRegexp>
            </ContainerTrustPolicy>
            """);
        KeylessVerifyContainer task = await TaskOf(project);

        Assert.Contains("$(Org) was nothing", World.Refusal(task, "KEYLESS5001"));

        BuildErrorEventArgs error = ((RecordingEngine)task.BuildEngine).Errors[0];
        Assert.AreEqual((project, 5), (error.File, error.LineNumber));
    }

    [TestMethod]
    public async Task A_warning_of_a_pattern_stands_where_the_pattern_is()
    {
        string project = Write($"""
            <ContainerTrustPolicy Include="release" {Issuer} CertificateIdentity="x" />
            <ContainerTrustPolicy Include="any" {Issuer} CertificateIdentityRegexp=".*" />
            <ContainerTrustPolicy Include="host" {Issuer} CertificateIdentityRegexp="https://github.com/team/.*" />
            """);
        KeylessVerifyContainer task = await TaskOf(project);

        World.Refusal(task, "KEYLESS5011");

        IReadOnlyList<BuildWarningEventArgs> warnings = ((RecordingEngine)task.BuildEngine).Warnings;
        Assert.AreSequenceEqual([("KEYLESS5013", project, 5), ("KEYLESS5013", project, 6)], warnings.Select(warning => (warning.Code, warning.File, warning.LineNumber)).ToArray());
    }

    private async Task<KeylessVerifyContainer> ReadAsync(string metadata) => await TaskOf(Write($"<ContainerTrustPolicy Include=\"release\" {metadata} />"));

    private string Write(string items) => folder.Write("Deploy.proj", $"""
        <Project>
          <PropertyGroup><Set>team</Set></PropertyGroup>
          <ItemGroup>
        {items}
          </ItemGroup>
        </Project>
        """);

    /// <summary>With policies and no image: policies are read first.</summary>
    private async Task<KeylessVerifyContainer> TaskOf(string project) => new()
    {
        BuildEngine = new RecordingEngine(),
        EnvironmentVariable = _ => null,
        ProjectName = "Deploy",
        ProjectDirectory = folder.Path,
        ContainerTrustPolicies = await EvaluatedItem.ReadAsync(project, "ContainerTrustPolicy", TestContext.CancellationToken),
    };
}
