using System.Runtime.CompilerServices;

namespace Keyless.Testing;

/// <summary>Compares a text with the file <c>&lt;name&gt;.verified.txt</c> beside the test. <c>KEYLESS_UPDATE_GOLDEN=1</c> writes the file anew.</summary>
public static class Golden
{
    public static void Verify(string actual, string name, [CallerFilePath] string test = "")
    {
        string file = Path.Combine(Repository.FolderOf(test), $"{name}.verified.txt");
        string text = actual.ReplaceLineEndings("\n").TrimEnd('\n') + "\n";
        if (Environment.GetEnvironmentVariable("KEYLESS_UPDATE_GOLDEN") == "1")
        {
            File.WriteAllText(file, text);
        }

        string expected = File.Exists(file) ? File.ReadAllText(file).ReplaceLineEndings("\n") : "";
        Assert.AreEqual(expected, text, $"{file} says otherwise; if the new text is right, run again with KEYLESS_UPDATE_GOLDEN=1");
    }
}
