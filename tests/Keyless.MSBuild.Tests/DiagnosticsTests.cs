using System.Text.RegularExpressions;
using Keyless.Testing;

namespace Keyless.MSBuild.Tests;

[TestClass]
public sealed partial class DiagnosticsTests
{
    [TestMethod]
    public void Errors_md_explains_every_code_and_no_other()
    {
        string documented = string.Join('\n', Heading().Matches(File.ReadAllText(Repository.PathTo("docs/errors.md"))).Select(match => $"{match.Groups["code"]}: {match.Groups["sentence"]}"));
        string known = string.Join('\n', Diagnostics.All.Select(kind => $"{kind.Code}: {kind.Sentence}").Order(StringComparer.Ordinal));
        Assert.AreEqual(known, documented);
    }

    [TestMethod]
    public void The_list_of_diagnostics_has_every_one_of_them()
    {
        int declared = typeof(Diagnostics).GetFields().Count(field => field.FieldType == typeof(DiagnosticKind));
        Assert.HasCount(declared, Diagnostics.All);
        Assert.HasCount(declared, Diagnostics.All.Select(kind => kind.Number).Distinct().ToArray());
    }

    [TestMethod]
    public void The_targets_use_only_codes_that_are_known()
    {
        string targets = File.ReadAllText(Repository.PathTo("build/Keyless.MSBuild.targets"));
        foreach (Match code in Code().Matches(targets))
        {
            Assert.Contains(code.Value, Diagnostics.All.Select(kind => kind.Code));
        }
    }

    [TestMethod]
    public void No_token_is_ever_a_property()
    {
        foreach (string file in Directory.GetFiles(Repository.PathTo("build")))
        {
            Assert.DoesNotMatchRegex(@"\$\((SIGSTORE_ID_TOKEN|ACTIONS_)", File.ReadAllText(file));
        }
    }

    [TestMethod]
    [DataRow("a ##vso[task.prependpath]/tmp/x", @"a #\u0023vso[task.prependpath]/tmp/x")]
    [DataRow("###[section]", @"#\u0023#[section]")]
    [DataRow("issue #7 and #8", "issue #7 and #8")]
    [DataRow("'user:secret@host/app'", "'[login]@host/app'")]
    [DataRow("host:5000/app:1.0@sha256:00", "host:5000/app:1.0@sha256:00")]
    [DataRow("a\U000E0041\U0001F600b", "a\\U000e0041\U0001F600b")]
    [DataRow("a\u202E\u2028b", "a\\u202e\\u2028b")]
    public void A_message_commands_no_ci_system_and_shows_no_login(string found, string shown) => Assert.AreEqual(shown, Diagnostic.OneLine(found));

    [TestMethod]
    public void A_message_is_one_line_whatever_is_in_it()
    {
        var diagnostic = new Diagnostic(Diagnostics.UnknownValue, "a\r\nb\tc\u001b[31md\u2028e\u202ef");
        Assert.AreEqual(@"a\u000d\u000ab\u0009c\u001b[31md\u2028e\u202ef (docs/errors.md#keyless5001)", diagnostic.Message);
    }

    [TestMethod]
    public void A_bug_is_no_diagnostic() => Assert.IsNull(Diagnostic.From(new InvalidOperationException("a bug")));

    [GeneratedRegex(@"^## (?<code>KEYLESS\d{4})\n\n\*\*(?<sentence>[^*]+)\*\*", RegexOptions.Multiline)]
    private static partial Regex Heading();

    [GeneratedRegex(@"KEYLESS\d{4}")]
    private static partial Regex Code();
}
