namespace Keyless.Testing;

/// <summary>A folder of its own for one test, gone afterwards.</summary>
public sealed class TemporaryFolder : IDisposable
{
    public string Path { get; } = Directory.CreateTempSubdirectory("keyless-").FullName;

    public string this[string relative] => System.IO.Path.Combine(Path, relative.Replace('/', System.IO.Path.DirectorySeparatorChar));

    /// <summary>Writes a file, and the folders on the way to it.</summary>
    public string Write(string relative, string text)
    {
        string file = this[relative];
        Directory.CreateDirectory(System.IO.Path.GetDirectoryName(file)!);
        File.WriteAllText(file, text);
        return file;
    }

    /// <summary>Copies a folder of the repository without what builds left in it.</summary>
    public string CopyFromRepository(string folder, string to) => Copy(Repository.PathTo(folder), to, relative => relative.Split(System.IO.Path.DirectorySeparatorChar)[0] is not ("bin" or "obj"));

    /// <summary>Copies a project of this folder with what building it left there: who publishes without building writes into obj/ all the same.</summary>
    public string CopyBuilt(string project, string to) => Copy(this[project], to, _ => true);

    private string Copy(string source, string to, Func<string, bool> isWanted)
    {
        foreach (string relative in Directory.GetFiles(source, "*", SearchOption.AllDirectories).Select(file => System.IO.Path.GetRelativePath(source, file)).Where(isWanted))
        {
            string target = System.IO.Path.Combine(this[to], relative);
            Directory.CreateDirectory(System.IO.Path.GetDirectoryName(target)!);
            File.Copy(System.IO.Path.Combine(source, relative), target);
        }

        return this[to];
    }

    public void Dispose()
    {
        try
        {
            Directory.Delete(Path, recursive: true);
        }
        catch (IOException)
        {
            // A scanner or a dying child may hold a file for a moment; the system's temporary folder is swept by others.
        }
    }
}
