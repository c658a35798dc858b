namespace Keyless.MSBuild;

/// <summary>Files read and written whole.</summary>
internal static class WholeFile
{
    /// <param name="property">Which property or metadata named the path, for the error.</param>
    /// <param name="path">Absolute.</param>
    /// <param name="largest">In bytes. Read up to that, not measured before: what is no plain file has no length. No more memory is taken than it has.</param>
    /// <exception cref="ConfigurationException">It cannot be read, or is larger.</exception>
    public static byte[] Read(string property, string path, int largest)
    {
        try
        {
            using FileStream file = File.OpenRead(path);
            // As much as it says to be, and then as much as there is: bounds are far above what is common.
            byte[] content = new byte[1 + (int)Math.Min(largest, file.CanSeek ? file.Length : 0)];
            int length = file.ReadAtLeast(content, content.Length, throwOnEndOfStream: false);
            while (length == content.Length && length <= largest)
            {
                Array.Resize(ref content, (int)Math.Min(largest + 1L, Math.Max(4096, 2L * length)));
                length += file.ReadAtLeast(content.AsSpan(length), content.Length - length, throwOnEndOfStream: false);
            }

            return length <= largest ? content[..length] : throw new ConfigurationException(Diagnostics.FileFailed, $"{property} '{path}' is larger than {largest} bytes");
        }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException)
        {
            throw new ConfigurationException(Diagnostics.FileFailed, $"{property} '{path}' cannot be read: {e.Message}", e);
        }
    }

    /// <summary>The same of a file in a place that is ours to write: a pipe there counts as empty, since it has no length, and opening one waits for ever.</summary>
    /// <exception cref="FileNotFoundException">It is not there.</exception>
    /// <inheritdoc cref="Read"/>
    public static byte[] ReadPlain(string property, string path, int largest) => new FileInfo(path).Length == 0 ? [] : Read(property, path, largest);

    /// <summary>Writes a file so that a reader never sees half of it: under a name nobody can foresee, then renamed.</summary>
    /// <param name="property">Which property named the path, for the error.</param>
    /// <param name="path">Absolute. Its folder is made; a link in its place is replaced, not followed.</param>
    /// <param name="ownerOnly">Nobody else on this machine may read it.</param>
    /// <exception cref="ConfigurationException">It cannot be written. Nothing is left behind.</exception>
    public static void Write(string property, string path, ReadOnlySpan<byte> content, bool ownerOnly = false)
    {
        string folder = Path.GetDirectoryName(path)!;
        string temporary = Path.Combine(folder, $".{Path.GetFileName(path)}.{Path.GetRandomFileName()}");
        var options = new FileStreamOptions { Mode = FileMode.CreateNew, Access = FileAccess.Write };
        if (ownerOnly && !OperatingSystem.IsWindows())
        {
            options.UnixCreateMode = UnixFileMode.UserRead | UnixFileMode.UserWrite;
        }

        try
        {
            Directory.CreateDirectory(folder);
            using (var stream = new FileStream(temporary, options))
            {
                stream.Write(content);
            }

            File.Move(temporary, path, overwrite: true);
        }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException)
        {
            Remove(temporary);
            throw new ConfigurationException(Diagnostics.FileFailed, $"{property} '{path}' cannot be written: {e.Message}", e);
        }
    }

    /// <summary>What is certain before there is anything to write: its folder takes new files. Nothing is left behind.</summary>
    /// <param name="property">Which property named the path, for the error.</param>
    /// <param name="path">Absolute. Its folder is there.</param>
    /// <exception cref="ConfigurationException">It cannot be written.</exception>
    public static void MustBeWritable(string property, string path)
    {
        string temporary = Path.Combine(Path.GetDirectoryName(path)!, $".{Path.GetFileName(path)}.{Path.GetRandomFileName()}");
        try
        {
            using var file = new FileStream(temporary, FileMode.CreateNew, FileAccess.Write, FileShare.None, bufferSize: 1, FileOptions.DeleteOnClose);
        }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException)
        {
            throw new ConfigurationException(Diagnostics.FileFailed, $"{property} '{path}' cannot be written: {e.Message}", e);
        }
    }

    /// <summary>Makes a folder, and those it is in.</summary>
    /// <param name="property">Which property named a path in it, for the error.</param>
    /// <exception cref="ConfigurationException">It cannot be made.</exception>
    public static void CreateFolder(string property, string folder)
    {
        try
        {
            Directory.CreateDirectory(folder);
        }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException)
        {
            throw new ConfigurationException(Diagnostics.FileFailed, $"{property} '{folder}' cannot be written: {e.Message}", e);
        }
    }

    /// <summary>Makes the folder of a file.</summary>
    /// <param name="property">Which property or metadata named the path, for the error.</param>
    /// <param name="path">Absolute.</param>
    /// <exception cref="ConfigurationException">It cannot be made, or a folder is where the file would be.</exception>
    public static string CreateFolderOf(string property, string path)
    {
        if (Path.GetDirectoryName(path) is not { } folder || Path.GetFileName(path).Length == 0 || Directory.Exists(path))
        {
            throw new ConfigurationException(Diagnostics.FileFailed, $"{property} '{path}' is a folder; expected a file's path");
        }

        CreateFolder(property, folder);
        return folder;
    }

    private static void Remove(string temporary)
    {
        try
        {
            File.Delete(temporary);
        }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException)
        {
            // Where there is no folder there is no file either; why the file could not be written is the news.
        }
    }
}
