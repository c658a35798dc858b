using System.Runtime.CompilerServices;

namespace Keyless.Testing;

/// <summary>Compares a text with a file of the repository. <c>KEYLESS_UPDATE_GOLDEN=1</c> writes the file anew.</summary>
public static class Golden
{
    /// <summary>The file is <c>&lt;name&gt;.verified.txt</c> beside the test.</summary>
    public static void Verify(string actual, string name, [CallerFilePath] string test = "")
    {
        string file = Path.Combine(Repository.FolderOf(test), $"{name}.verified.txt");
        (string expected, string text) = Read(file, actual);
        Assert.AreEqual(expected, text, Hint(file));
    }

    /// <summary>The file is a page for people, made from what the code says; only the first line that differs is shown.</summary>
    /// <param name="file">From the repository's root: <c>docs/page.md</c>.</param>
    public static void VerifyPage(string actual, string file)
    {
        (string expected, string text) = Read(Repository.PathTo(file), actual);
        string[] old = expected.Split('\n'), made = text.Split('\n');
        int line = old.Zip(made).TakeWhile(pair => pair.First == pair.Second).Count();
        Assert.AreEqual(old.ElementAtOrDefault(line), made.ElementAtOrDefault(line), $"line {line + 1}; {Hint(file)}");
    }

    private static (string Expected, string Text) Read(string file, string actual)
    {
        string text = actual.ReplaceLineEndings("\n").TrimEnd('\n') + "\n";
        if (Environment.GetEnvironmentVariable("KEYLESS_UPDATE_GOLDEN") == "1")
        {
            File.WriteAllText(file, text);
        }

        return (File.Exists(file) ? File.ReadAllText(file).ReplaceLineEndings("\n") : "", text);
    }

    private static string Hint(string file) => $"{file} says otherwise; if the new text is right, run again with KEYLESS_UPDATE_GOLDEN=1";
}
