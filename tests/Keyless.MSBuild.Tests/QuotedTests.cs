using System.Text.Json;
using System.Xml.Linq;
using Keyless.Testing;

namespace Keyless.MSBuild.Tests;

/// <summary>Whatever a name or an identity is made of, it stays one value where it is pasted.</summary>
[TestClass]
public sealed class QuotedTests
{
    private static readonly string[] Values =
    [
        "plain", "", "two words", "it's", "\"double\"", "back\\slash", "$(id)", "`id`", "a;b&c|d>e", "#", "-n", "~", "100%", "%41", "@(Item)", "*?", "line\nfeed", "\u202Egnp.exe", "é😀",
        "a|b", "<b>", "]]>", "&amp;", "@team", "https://example.com/x?y=z", "${{ github.token }}", "tab\tbell\a", "::error::x", "##vso[x]y", "a%0Ab", "\u2028\u0085\uFEFF",
    ];

    public required TestContext TestContext { get; init; }

    public static IEnumerable<object[]> All => Values.Select(value => new object[] { value });

    [TestMethod]
    public async Task A_shell_reads_back_every_value()
    {
        using var folder = new TemporaryFolder();
        string script = folder.Write("script", $"printf '%s\\0' {string.Join(' ', Values.Select(Quoted.Shell))}");

        ToolResult result = await Tools.RunAsync("bash", [script], folder.Path, new Dictionary<string, string> { ["LC_ALL"] = "C.UTF-8" }, TestContext.CancellationToken);

        CollectionAssert.AreEqual(Values, result.Output.Split('\0')[..^1], result.ToString());
    }

    [TestMethod]
    [DynamicData(nameof(All))]
    public void An_attribute_reads_back_as_XML_and_expands_nothing(string value)
    {
        string read = XElement.Parse($"<a b=\"{Quoted.Attribute(value)}\" />").Attribute("b")!.Value;

        foreach (string special in new[] { "$", ";", "*", "?", "'", "(", ")", "\\" })
        {
            Assert.DoesNotContain(special, read);
        }

        Assert.AreEqual(value, Uri.UnescapeDataString(read));
    }

    [TestMethod]
    [DynamicData(nameof(All))]
    public void A_scalar_of_YAML_is_one_of_JSON_too(string value)
    {
        Assert.AreEqual(value, JsonSerializer.Deserialize<string>(Quoted.Yaml(value)));
        Assert.DoesNotContain("\n", Quoted.Yaml(value));
    }

    [TestMethod]
    [DynamicData(nameof(All))]
    public void Code_is_no_markup_and_ends_no_cell(string value)
    {
        string code = Quoted.Code(value);

        string inner = code.StartsWith('`') ? code[1..^1] : code["<code>".Length..^"</code>".Length];
        foreach (string special in code.StartsWith('`') ? (string[])["`", "|", "\\", "\n"] : ["`", "|", "<", ">", "*", "_", "[", "\n", "@", "\u202E"])
        {
            Assert.DoesNotContain(special, inner);
        }
    }

    /// <summary>The tags of U+E0000 spell ASCII that nobody sees.</summary>
    [TestMethod]
    public async Task Characters_that_nobody_sees_are_spelled_out()
    {
        const string value = "a\U000E0041\U000E007Fb";

        Assert.AreEqual("$'a\\U000e0041\\U000e007fb'", Quoted.Shell(value));
        Assert.AreEqual("\"a\\U000e0041\\U000e007fb\"", Quoted.Yaml(value));
        Assert.AreEqual("a&#xE0041;&#xE007F;b", Quoted.Attribute(value));
        Assert.AreEqual("a\\U000e0041\\U000e007fb", Quoted.Text(value));
        ToolResult read = await Tools.RunAsync("bash", ["-c", $"printf %s {Quoted.Shell(value)}"], Path.GetTempPath(), new Dictionary<string, string> { ["LC_ALL"] = "C.UTF-8" }, TestContext.CancellationToken);
        Assert.AreEqual(value, read.Output);
    }

    [TestMethod]
    public void A_block_ends_where_it_should_whatever_is_in_it() =>
        Assert.AreEqual("`````sh\necho ````\n`````\n", Quoted.Block("sh", "echo ````"));
}
