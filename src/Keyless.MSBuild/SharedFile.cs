namespace Keyless.MSBuild;

/// <summary>
/// A file that several projects of a build change, in parallel and in processes of their own: one after the other, and each sees what the one
/// before has left.
/// </summary>
/// <param name="property">Which property or variable named the path, for the error.</param>
/// <param name="path">Absolute.</param>
/// <param name="largest">In bytes, of what is read.</param>
internal sealed class SharedFile(string property, string path, int largest)
{
    // Ten seconds: a change takes some milliseconds, even with many waiting.
    private const int LongestWait = 1000;
    private static readonly TimeSpan Step = TimeSpan.FromMilliseconds(10);

    /// <summary>Puts new content in the place of the old, so that a reader never sees half of it.</summary>
    /// <param name="change">From what is there, null where there is nothing, to what shall be there; null leaves it as it is.</param>
    /// <exception cref="ConfigurationException">It cannot be read or written.</exception>
    public async Task ReplaceAsync(Func<byte[]?, byte[]?> change, CancellationToken cancel)
    {
        string folder = WholeFile.CreateFolderOf(property, path);
        // Beside it: a lock on the file itself would not outlive its being replaced. It stays, since who removes it takes it from under those who wait.
        using FileStream gate = await OpenAloneAsync(Path.Combine(folder, $".{Path.GetFileName(path)}.lock"), cancel);
        if (change(Read()) is { } content)
        {
            WholeFile.Write(property, path, content);
        }
        else
        {
            WholeFile.MustBeWritable(property, path);
        }
    }

    /// <summary>Adds to the end of a file that somebody else has made and will read.</summary>
    /// <param name="more">From what is there to what comes after it; empty adds nothing.</param>
    /// <exception cref="ConfigurationException">It cannot be read or written.</exception>
    public async Task AppendAsync(Func<byte[], byte[]> more, CancellationToken cancel)
    {
        try
        {
            using FileStream file = await OpenAloneAsync(path, cancel);
            // Of a pipe or a terminal (/dev/stdout, to see what would be written) nothing can be read back.
            long length = file.CanSeek ? file.Length : 0;
            if (length > largest)
            {
                throw new ConfigurationException(Diagnostics.FileFailed, $"{property} '{path}' is larger than {largest} bytes");
            }

            byte[] there = new byte[length];
            await file.ReadExactlyAsync(there, cancel);
            await file.WriteAsync(more(there), cancel);
        }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException)
        {
            throw new ConfigurationException(Diagnostics.FileFailed, $"{property} '{path}' cannot be written: {e.Message}", e);
        }
    }

    private byte[]? Read()
    {
        try
        {
            return File.Exists(path) ? WholeFile.ReadPlain(property, path, largest) : null;
        }
        catch (FileNotFoundException)
        {
            // Somebody has removed it that moment.
            return null;
        }
    }

    // An open file that nobody else may open: the system gives it back when a process dies, however it dies.
    private async Task<FileStream> OpenAloneAsync(string file, CancellationToken cancel)
    {
        for (int tries = 0; ; tries++)
        {
            try
            {
                return new FileStream(file, FileMode.OpenOrCreate, FileAccess.ReadWrite, FileShare.None);
            }
            catch (IOException) when (tries < LongestWait && File.Exists(file))
            {
                await Task.Delay(Step, cancel);
            }
            catch (Exception e) when (e is IOException or UnauthorizedAccessException)
            {
                throw new ConfigurationException(Diagnostics.FileFailed, $"{property} '{path}' cannot be written: {e.Message}", e);
            }
        }
    }
}
