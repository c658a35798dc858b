using System.Buffers;
using System.Security.Cryptography;

namespace Keyless.Sandbox;

/// <summary>What the registry holds. Every operation is one step for all its callers.</summary>
internal sealed class RegistryContent
{
    private readonly Lock gate = new();
    private readonly SortedDictionary<string, Repository> repositories = new(StringComparer.Ordinal);
    private readonly Dictionary<string, RegistryUpload> uploads = new(StringComparer.Ordinal);
    private readonly List<TagMove> moves = [];

    public IReadOnlyList<string> Repositories
    {
        get
        {
            lock (gate)
            {
                return [.. repositories.Keys];
            }
        }
    }

    public IReadOnlyList<TagMove> TagMoves
    {
        get
        {
            lock (gate)
            {
                return [.. moves];
            }
        }
    }

    public bool Exists(string name)
    {
        lock (gate)
        {
            return repositories.ContainsKey(name);
        }
    }

    public IReadOnlyList<string> Tags(string name)
    {
        lock (gate)
        {
            return repositories.TryGetValue(name, out Repository? repository) ? [.. repository.Tags.Keys] : [];
        }
    }

    public RegistryManifest? FindManifest(string name, string reference)
    {
        lock (gate)
        {
            return repositories.TryGetValue(name, out Repository? repository) ? repository.Find(reference) : null;
        }
    }

    public IReadOnlyList<RegistryManifest> Referrers(string name, string digest)
    {
        lock (gate)
        {
            return repositories.TryGetValue(name, out Repository? repository) ? [.. repository.Manifests.Where(manifest => manifest.Subject == digest)] : [];
        }
    }

    public byte[]? FindBlob(string name, string digest)
    {
        lock (gate)
        {
            return repositories.TryGetValue(name, out Repository? repository) ? repository.Blobs.GetValueOrDefault(digest) : null;
        }
    }

    public void PutManifest(string name, string? tag, RegistryManifest manifest)
    {
        lock (gate)
        {
            Repository repository = Open(name);
            if (repository.Find(manifest.Digest) is null)
            {
                repository.Manifests.Add(manifest);
            }

            if (tag is not null)
            {
                repository.Tags[tag] = manifest.Digest;
                moves.Add(new TagMove(name, tag, manifest.Digest, [.. repository.Manifests.Where(other => other.Subject == manifest.Digest).Select(other => other.Digest)]));
            }
        }
    }

    /// <exception cref="RegistryError">Something the manifest mentions is not in its repository, or has another size.</exception>
    public void RequireMentioned(string name, RegistryManifest manifest)
    {
        lock (gate)
        {
            repositories.TryGetValue(name, out Repository? repository);
            foreach ((string digest, long size) in manifest.Blobs)
            {
                Require(digest, size, repository?.Blobs.GetValueOrDefault(digest)?.Length);
            }

            foreach ((string digest, long size) in manifest.Manifests)
            {
                Require(digest, size, repository?.Find(digest)?.Bytes.Length);
            }
        }

        static void Require(string digest, long size, int? there)
        {
            if (there is null)
            {
                throw new RegistryError(400, "MANIFEST_BLOB_UNKNOWN", $"the manifest mentions {digest}, which is not here");
            }

            if (there != size)
            {
                throw new RegistryError(400, "SIZE_INVALID", $"the manifest gives {digest} a size of {size}, it has {there}");
            }
        }
    }

    public bool DeleteManifest(string name, string reference)
    {
        lock (gate)
        {
            if (!repositories.TryGetValue(name, out Repository? repository))
            {
                return false;
            }

            if (repository.Tags.Remove(reference))
            {
                moves.Add(new TagMove(name, reference, null, []));
                return true;
            }

            if (repository.Manifests.RemoveAll(manifest => manifest.Digest == reference) == 0)
            {
                return false;
            }

            foreach (string tag in repository.Tags.Where(tag => tag.Value == reference).Select(tag => tag.Key).ToList())
            {
                repository.Tags.Remove(tag);
                moves.Add(new TagMove(name, tag, null, []));
            }

            return true;
        }
    }

    public string PutBlob(string name, byte[] bytes)
    {
        string digest = RegistryDigest.Of(bytes);
        PutBlob(name, bytes, digest);
        return digest;
    }

    /// <exception cref="RegistryError">The bytes have another digest.</exception>
    public void PutBlob(string name, byte[] bytes, string digest)
    {
        if (RegistryDigest.Of(bytes) is var actual && actual != digest)
        {
            throw new RegistryError(400, "DIGEST_INVALID", $"the uploaded bytes have the digest {actual}, not {digest}");
        }

        lock (gate)
        {
            Open(name).Blobs[digest] = bytes;
        }
    }

    public bool Mount(string digest, string from, string name)
    {
        lock (gate)
        {
            if (!repositories.TryGetValue(from, out Repository? source) || !source.Blobs.TryGetValue(digest, out byte[]? bytes))
            {
                return false;
            }

            Open(name).Blobs[digest] = bytes;
            return true;
        }
    }

    public bool DeleteBlob(string name, string digest)
    {
        lock (gate)
        {
            return repositories.TryGetValue(name, out Repository? repository) && repository.Blobs.Remove(digest);
        }
    }

    public RegistryUpload StartUpload(string name)
    {
        var upload = new RegistryUpload(name, RandomNumberGenerator.GetHexString(32, lowercase: true));
        lock (gate)
        {
            uploads.Add(upload.Id, upload);
        }

        return upload;
    }

    /// <exception cref="RegistryError">There is none of this id in this repository.</exception>
    public RegistryUpload Upload(string name, string id)
    {
        lock (gate)
        {
            return uploads.TryGetValue(id, out RegistryUpload? upload) && upload.Repository == name
                ? upload
                : throw new RegistryError(404, "BLOB_UPLOAD_UNKNOWN", "there is no such upload in this repository");
        }
    }

    public void EndUpload(RegistryUpload upload)
    {
        lock (gate)
        {
            uploads.Remove(upload.Id);
        }
    }

    private Repository Open(string name)
    {
        if (!repositories.TryGetValue(name, out Repository? repository))
        {
            repositories.Add(name, repository = new Repository());
        }

        return repository;
    }

    private sealed class Repository
    {
        /// <summary>In the order they came.</summary>
        public List<RegistryManifest> Manifests { get; } = [];

        public Dictionary<string, byte[]> Blobs { get; } = new(StringComparer.Ordinal);

        public SortedDictionary<string, string> Tags { get; } = new(StringComparer.Ordinal);

        public RegistryManifest? Find(string reference)
        {
            string digest = Tags.GetValueOrDefault(reference, reference);
            return Manifests.Find(manifest => manifest.Digest == digest);
        }
    }
}

/// <summary>A blob on its way, in as many chunks as the client likes.</summary>
internal sealed class RegistryUpload(string repository, string id)
{
    private readonly Lock gate = new();
    private readonly ArrayBufferWriter<byte> bytes = new();

    public string Repository => repository;

    public string Id => id;

    public long Length
    {
        get
        {
            lock (gate)
            {
                return bytes.WrittenCount;
            }
        }
    }

    /// <param name="first">Where the client believes this chunk begins; null: at the end.</param>
    /// <exception cref="RegistryError">It would begin elsewhere, or the blob grows too long.</exception>
    public void Append(byte[] chunk, long? first)
    {
        lock (gate)
        {
            if (first is { } place && place != bytes.WrittenCount)
            {
                throw new RegistryError(416, "BLOB_UPLOAD_INVALID", $"the chunk begins at {place}, expected {bytes.WrittenCount}");
            }

            if (bytes.WrittenCount + chunk.Length > Registry.LargestBody)
            {
                throw new RegistryError(413, "SIZE_INVALID", $"a blob may have {Registry.LargestBody} bytes here");
            }

            bytes.Write(chunk);
        }
    }

    public byte[] ToArray()
    {
        lock (gate)
        {
            return bytes.WrittenSpan.ToArray();
        }
    }
}
