using System.Security.Cryptography;
using System.Text;
using Microsoft.Build.Framework;

namespace Keyless.MSBuild;

/// <summary>
/// What a project had verified already in this build: its inner builds, one for each target framework, ask for the same once more. MSBuild keeps it
/// and forgets it when the build ends. Only what is the same to the last character counts, and only what was all verified.
/// </summary>
/// <param name="engine">One that keeps nothing is asked in vain.</param>
internal sealed class VerifiedInBuild(IBuildEngine engine, string question)
{
    /// <summary>The largest of them are trusted roots.</summary>
    private const int LargestFile = 8 * 1024 * 1024;

    private readonly string key = typeof(VerifiedInBuild).AssemblyQualifiedName + typeof(VerifiedInBuild).Assembly.Location + question;

    /// <summary>The answer; null where it was not asked, or not all was verified.</summary>
    public ITaskItem[]? Items => (engine as IBuildEngine4)?.GetRegisteredTaskObject(key, RegisteredTaskObjectLifetime.Build) as ITaskItem[];

    public void Keep(ITaskItem[] verified) => (engine as IBuildEngine4)?.RegisterTaskObject(key, verified, RegisteredTaskObjectLifetime.Build, allowEarlyCollection: false);

    /// <summary>Everything the answer depends on, in one line.</summary>
    /// <param name="files">Absolute; one that was changed meanwhile makes another question.</param>
    public static string Question(IEnumerable<string> properties, IEnumerable<ITaskItem[]> items, IEnumerable<string> files)
    {
        var text = new StringBuilder();
        foreach (string property in properties)
        {
            Append(property);
        }

        foreach (ITaskItem[] list in items)
        {
            Append($"{list.Length}");
            foreach (ITaskItem item in list)
            {
                Append(item.ItemSpec);
                foreach (string name in item.CloneCustomMetadata().Keys.Cast<string>().Order(StringComparer.Ordinal))
                {
                    Append(name);
                    Append(item.GetMetadata(name));
                }

                Append("");
            }
        }

        foreach (string file in files)
        {
            Append(File.Exists(file) ? HashOf(file) : "");
        }

        return Convert.ToHexString(SHA256.HashData(Encoding.UTF8.GetBytes(text.ToString())));

        // What cannot be read here is for whoever needs it to speak of; until then nobody has asked the same.
        static string HashOf(string file)
        {
            try
            {
                return Convert.ToHexString(SHA256.HashData(WholeFile.Read("what is verified", file, LargestFile)));
            }
            catch (ConfigurationException)
            {
                return Guid.NewGuid().ToString();
            }
        }

        // Two questions that differ are different texts, wherever a value ends.
        void Append(string value) => text.Append(System.Globalization.CultureInfo.InvariantCulture, $"{value.Length}:{value}\n");
    }
}
