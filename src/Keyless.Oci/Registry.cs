using System.Net;
using System.Net.Http.Headers;
using System.Runtime.ExceptionServices;
using Polly;

namespace Keyless.Oci;

/// <summary>What a registry client needs beside addresses.</summary>
/// <param name="Time">For deadlines, the life of tokens and pauses.</param>
/// <param name="Note">Told, in one line, when credentials go to a host other than the registry.</param>
/// <param name="Retries">How often, and how long, what fails for the moment is tried again; null: not at all. Asked for when something has failed.</param>
/// <param name="Deletes">Whether tokens are asked for that may delete, too. Not every token service knows that word, or gives it to who may push.</param>
public sealed record RegistrySettings(TimeProvider Time, Action<string>? Note = null, Retrying? Retries = null, bool Deletes = false);

/// <summary>What tries again. Made no earlier than it is needed: to make it costs a build more than a request, and mostly nothing fails.</summary>
public delegate ResiliencePipeline Retrying();

/// <summary>A place the registry has opened for one blob. It may be given up after a while: the bytes are then taken elsewhere.</summary>
public sealed record BlobUpload
{
    internal BlobUpload(Uri place) => Place = place;

    internal Uri Place { get; }
}

/// <summary>
/// One repository of a registry, by the OCI distribution-spec 1.1. Content is believed by its digest only; of everything else the answer's
/// shape is checked. Safe for calls side by side. Every failure is a <see cref="RegistryException"/>.
/// </summary>
public sealed partial class Registry : IDisposable
{
    private static readonly string[] ManifestTypes = [MediaTypes.OciManifest, MediaTypes.OciIndex, MediaTypes.DockerManifest, MediaTypes.DockerManifestList];

    private readonly RegistryConnection connection;
    private readonly RegistryAuth auth;
    private readonly RegistrySettings settings;
    private readonly string host;
    private readonly string repository;

    // Where requests go by the registry's name, and where the transport has found them to arrive: http only for an insecure registry.
    private readonly Uri named;
    private Uri origin;

    /// <param name="http">Built on <see cref="RegistryTransport.CreateHandler"/>; another one must not follow redirects.</param>
    /// <param name="host">As <see cref="ImageReference.Registry"/> gives it.</param>
    /// <param name="repository">As <see cref="ImageReference.Repository"/> gives it.</param>
    /// <param name="userAgent">Sent with every request, those for tokens included.</param>
    public Registry(HttpClient http, string host, string repository, RegistryCredentials credentials, RegistrySettings settings, string userAgent)
    {
        if ((ImageReference.WhatIsWrongWithRegistry(host) ?? ImageReference.WhatIsWrongWithRepository(repository)) is { } wrong)
        {
            throw new ArgumentException(wrong);
        }

        (this.host, this.repository, this.settings) = (host, repository, settings);
        // Docker Hub's registry answers under a name of its own.
        named = origin = new Uri($"https://{(host == "docker.io" ? "registry-1.docker.io" : host)}/");
        connection = new RegistryConnection(http, userAgent, settings.Time);
        auth = new RegistryAuth(host, repository, credentials, settings, connection);
    }

    public void Dispose()
    {
        auth.Dispose();
        foreach (SemaphoreSlim turn in turns.Values)
        {
            turn.Dispose();
        }

        emptyConfigTurn.Dispose();
    }

    /// <summary>What a reference stands for now. A digest in it is what comes back; a tag is resolved once and must be pinned from then on.</summary>
    public Task<Descriptor> ResolveAsync(ImageReference reference, CancellationToken cancel)
    {
        if (reference.Registry != host || reference.Repository != repository)
        {
            throw new ArgumentException($"{reference} is not in {host}/{repository}");
        }

        return reference.Digest is { } digest ? HeadManifestAsync(digest, cancel) : HeadManifestAsync(reference.Tag!, cancel);
    }

    /// <summary>Media type, digest and size of a manifest as the registry states them.</summary>
    public Task<Descriptor> HeadManifestAsync(Digest digest, CancellationToken cancel) => HeadManifestAsync(digest.ToString(), digest, cancel);

    /// <inheritdoc cref="HeadManifestAsync(Digest, CancellationToken)"/>
    public Task<Descriptor> HeadManifestAsync(string tag, CancellationToken cancel) => HeadManifestAsync(RequireTag(tag), null, cancel);

    /// <summary>A manifest whose bytes have this digest.</summary>
    public async Task<Manifest> GetManifestAsync(Digest digest, CancellationToken cancel) =>
        (await GetManifestAsync(digest.ToString(), digest, Limits.ManifestBytes, cancel)).Manifest;

    /// <summary>A manifest whose bytes have the digest and size, and whose type is the one, of this descriptor.</summary>
    public async Task<Manifest> GetManifestAsync(Descriptor descriptor, CancellationToken cancel)
    {
        string path = ManifestPath(descriptor.Digest.ToString());
        if (descriptor.Size > Limits.ManifestBytes)
        {
            throw Failed(RegistryFailure.TooLarge, HttpMethod.Get, path, $"a manifest of {descriptor.Size} bytes, more than {Limits.ManifestBytes}");
        }

        Manifest manifest = (await GetManifestAsync(descriptor.Digest.ToString(), descriptor.Digest, descriptor.Size, cancel)).Manifest;
        if (manifest.Bytes.Length != descriptor.Size)
        {
            throw Failed(RegistryFailure.Nonsense, HttpMethod.Get, path, $"expected {descriptor.Size} bytes, got {manifest.Bytes.Length}");
        }

        if (manifest.MediaType != descriptor.MediaType)
        {
            throw Failed(RegistryFailure.Nonsense, HttpMethod.Get, path, $"expected a {RegistryException.Quote(descriptor.MediaType)}, got a {RegistryException.Quote(manifest.MediaType)}");
        }

        return manifest;
    }

    /// <summary>The manifest a tag holds now; null if there is no such tag.</summary>
    public async Task<Manifest?> FindManifestAsync(string tag, CancellationToken cancel)
    {
        try
        {
            return (await GetManifestAsync(RequireTag(tag), null, Limits.ManifestBytes, cancel)).Manifest;
        }
        catch (RegistryException e) when (e.Failure == RegistryFailure.NotFound)
        {
            return null;
        }
    }

    /// <summary>The content of a descriptor, wherever the registry keeps it.</summary>
    /// <param name="limit">In bytes; a larger descriptor is refused before anything is asked.</param>
    public Task<byte[]> GetBlobAsync(Descriptor descriptor, long limit, CancellationToken cancel) => TryAsync(stop => GetBlobOnceAsync(descriptor, limit, stop), cancel);

    private async Task<byte[]> GetBlobOnceAsync(Descriptor descriptor, long limit, CancellationToken cancel)
    {
        string path = BlobPath(descriptor.Digest);
        if (descriptor.Size > limit)
        {
            throw Failed(RegistryFailure.TooLarge, HttpMethod.Get, path, $"a blob of {descriptor.Size} bytes, more than {limit}");
        }

        using HttpResponseMessage response = await RequireAsync(await SendToStorageAsync(HttpMethod.Get, path, cancel), HttpStatusCode.OK, cancel);
        byte[] bytes = await connection.ReadAsync(response, descriptor.Size, cancel);
        if (bytes.Length != descriptor.Size)
        {
            throw Failed(RegistryFailure.Nonsense, HttpMethod.Get, path, $"expected {descriptor.Size} bytes, got {bytes.Length}");
        }

        RequireDigest(descriptor.Digest, bytes, HttpMethod.Get, path);
        return bytes;
    }

    public Task<bool> HasBlobAsync(Digest digest, CancellationToken cancel) => TryAsync(stop => HasBlobOnceAsync(digest, stop), cancel);

    private async Task<bool> HasBlobOnceAsync(Digest digest, CancellationToken cancel)
    {
        using HttpResponseMessage response = await SendToStorageAsync(HttpMethod.Head, BlobPath(digest), cancel);
        return response.StatusCode switch
        {
            HttpStatusCode.OK => true,
            HttpStatusCode.NotFound => false,
            _ => throw await connection.FailureAsync(response, auth.Redact, cancel),
        };
    }

    /// <summary>Uploads a blob in one piece: POST for a place, PUT the bytes there (distribution-spec "POST then PUT").</summary>
    public Task<Digest> PushBlobAsync(ReadOnlyMemory<byte> content, CancellationToken cancel) =>
        // A place that was given up with a broken connection is not used again.
        TryAsync(async stop => await PushBlobAsync(await OpenUploadOnceAsync(stop), content, stop), cancel);

    /// <summary>The POST alone, which needs no bytes yet: who may not push is told so by it.</summary>
    public Task<BlobUpload> OpenUploadAsync(CancellationToken cancel) => TryAsync(OpenUploadOnceAsync, cancel);

    private async Task<BlobUpload> OpenUploadOnceAsync(CancellationToken cancel)
    {
        using HttpResponseMessage opened = await RequireAsync(
            await SendAsync(HttpMethod.Post, At($"/v2/{repository}/blobs/uploads/"), null, cancel), HttpStatusCode.Accepted, cancel);
        return new BlobUpload(Location(opened));
    }

    private async Task<Digest> PushBlobAsync(BlobUpload upload, ReadOnlyMemory<byte> content, CancellationToken cancel)
    {
        Digest digest = Digest.Of(content.Span);
        Uri place = upload.Place;
        string separator = place.Query.Length == 0 ? "?" : "&";
        Uri target = RegistryAddress.Verbatim($"{place.AbsoluteUri}{separator}digest={Uri.EscapeDataString(digest.ToString())}");
        using HttpResponseMessage stored = await RequireAsync(
            await SendAsync(HttpMethod.Put, target, request => request.Content = Body(content, "application/octet-stream"), cancel), HttpStatusCode.Created, cancel);
        RequireHeaderDigest(stored, digest);
        return digest;
    }

    /// <summary>
    /// Stores a manifest under its own digest. A registry that does not say what it stored is asked for it once, so that success never rests on
    /// a status alone.
    /// </summary>
    /// <returns>The digest in the answer's <c>OCI-Subject</c>: the registry lists the manifest among that subject's referrers. Null without one.</returns>
    public async Task<Digest?> PutManifestAsync(ReadOnlyMemory<byte> bytes, string mediaType, Digest digest, CancellationToken cancel)
    {
        RequireDigest(digest, bytes.Span, HttpMethod.Put, ManifestPath(digest.ToString()));
        (Digest? subject, bool stated) = await PutManifestAsync(bytes, mediaType, digest.ToString(), digest, null, cancel);
        if (!stated)
        {
            await HeadManifestAsync(digest, cancel);
        }

        return subject;
    }

    private Task<Descriptor> HeadManifestAsync(string reference, Digest? digest, CancellationToken cancel) => TryAsync(stop => HeadManifestOnceAsync(reference, digest, stop), cancel);

    private async Task<Descriptor> HeadManifestOnceAsync(string reference, Digest? digest, CancellationToken cancel)
    {
        using HttpResponseMessage response = await RequireAsync(
            await FollowAsync(HttpMethod.Head, ManifestPath(reference), AcceptManifests, anywhere: false, cancel), HttpStatusCode.OK, cancel);
        // A digest by another algorithm says nothing about the one asked for; the bytes do.
        if (HeaderDigest(response) is { } stated && (digest is null || stated.Algorithm == digest.Algorithm) && ContentType(response) is { } mediaType && response.Content.Headers.ContentLength is { } size)
        {
            if (digest is not null && stated != digest)
            {
                throw RegistryConnection.Nonsense(response.RequestMessage!, $"asked for {digest}, got {stated}");
            }

            if (!MediaTypes.IsManifest(mediaType) && !MediaTypes.IsIndex(mediaType))
            {
                throw RegistryConnection.Nonsense(response.RequestMessage!, $"{RegistryException.Quote(mediaType)} is neither an image manifest nor an image index");
            }

            if (size > Limits.ManifestBytes)
            {
                throw Failed(RegistryFailure.TooLarge, HttpMethod.Head, ManifestPath(reference), $"a manifest of {size} bytes, more than {Limits.ManifestBytes}");
            }

            return new Descriptor(mediaType, digest ?? stated, size);
        }

        Manifest manifest = (await GetManifestOnceAsync(reference, digest, Limits.ManifestBytes, cancel)).Manifest;
        return new Descriptor(manifest.MediaType, manifest.Digest, manifest.Bytes.Length) { ArtifactType = manifest.ArtifactType };
    }

    private Task<(Manifest Manifest, string? ETag)> GetManifestAsync(string reference, Digest? digest, long limit, CancellationToken cancel) =>
        TryAsync(stop => GetManifestOnceAsync(reference, digest, limit, stop), cancel);

    private async Task<(Manifest Manifest, string? ETag)> GetManifestOnceAsync(string reference, Digest? digest, long limit, CancellationToken cancel)
    {
        string path = ManifestPath(reference);
        using HttpResponseMessage response = await RequireAsync(await FollowAsync(HttpMethod.Get, path, AcceptManifests, anywhere: false, cancel), HttpStatusCode.OK, cancel);
        byte[] bytes = await connection.ReadAsync(response, limit, cancel);
        if (digest is not null)
        {
            RequireDigest(digest, bytes, HttpMethod.Get, path);
        }

        Digest? stated = HeaderDigest(response);
        if (stated is not null)
        {
            RequireDigest(stated, bytes, HttpMethod.Get, path);
        }

        return (Parse(response, bytes, digest ?? stated), response.Headers.ETag?.ToString());
    }

    /// <returns>Stated: the registry named the digest itself.</returns>
    private Task<(Digest? Subject, bool Stated)> PutManifestAsync(ReadOnlyMemory<byte> bytes, string mediaType, string reference, Digest digest, Condition? condition, CancellationToken cancel) =>
        TryAsync(stop => PutManifestOnceAsync(bytes, mediaType, reference, digest, condition, stop), cancel);

    private async Task<(Digest? Subject, bool Stated)> PutManifestOnceAsync(ReadOnlyMemory<byte> bytes, string mediaType, string reference, Digest digest, Condition? condition, CancellationToken cancel)
    {
        void Shape(HttpRequestMessage request)
        {
            request.Content = Body(bytes, mediaType);
            if (condition is not null)
            {
                request.Headers.TryAddWithoutValidation(condition.Header, condition.Value);
            }
        }

        using HttpResponseMessage response = await RequireAsync(await SendAsync(HttpMethod.Put, At(ManifestPath(reference)), Shape, cancel), HttpStatusCode.Created, cancel);
        bool stated = RequireHeaderDigest(response, digest);
        return (Digest.TryParse(Header(response, "OCI-Subject"), out Digest? subject) ? subject : null, stated);
    }

    private static Manifest Parse(HttpResponseMessage response, byte[] bytes, Digest? digest)
    {
        try
        {
            return Manifest.Parse(bytes, ContentType(response), digest ?? Digest.Of(bytes));
        }
        catch (FormatException e)
        {
            RegistryFailure failure = e is TooManyException ? RegistryFailure.TooLarge : RegistryFailure.Nonsense;
            throw new RegistryException(failure, $"{RegistryException.Describe(response.RequestMessage!.Method, response.RequestMessage.RequestUri!)}: {e.Message}");
        }
    }

    private static Digest? HeaderDigest(HttpResponseMessage response) => Header(response, "Docker-Content-Digest") switch
    {
        null => null,
        var text when Digest.TryParse(text, out Digest? digest) => digest,
        var text => throw RegistryConnection.Nonsense(response.RequestMessage!, $"Docker-Content-Digest is {RegistryException.Quote(text)}"),
    };

    /// <summary>Instead of reading back what was stored: what the registry says it stored.</summary>
    /// <returns>Whether it says so. It need not, and it may prefer another algorithm; then there is nothing to compare.</returns>
    private static bool RequireHeaderDigest(HttpResponseMessage response, Digest digest)
    {
        if (HeaderDigest(response) is not { } stored || stored.Algorithm != digest.Algorithm)
        {
            return false;
        }

        return stored == digest ? true : throw RegistryConnection.Nonsense(response.RequestMessage!, $"sent {digest}, the registry stored {stored}");
    }

    private void RequireDigest(Digest expected, ReadOnlySpan<byte> bytes, HttpMethod method, string path)
    {
        Digest actual = expected.OfSameAlgorithm(bytes);
        if (actual != expected)
        {
            throw Failed(RegistryFailure.Nonsense, method, path, $"expected content {expected}, got {actual}");
        }
    }

    /// <summary>Whatever is asked with it can be asked twice: content is stored under its digest, and a tag is read before it is written.</summary>
    private async Task<T> TryAsync<T>(Func<CancellationToken, Task<T>> attempt, CancellationToken cancel)
    {
        try
        {
            return await attempt(cancel);
        }
        catch (RegistryException first) when (first.IsTransient && settings.Retries is not null)
        {
            return await AgainAsync(settings.Retries, first);
        }

        // Out of line, so that nothing of it is compiled for who asks once. The first try is one of those that are counted.
        Task<T> AgainAsync(Retrying retries, RegistryException first)
        {
            RegistryException? failed = first;
            return retries().ExecuteAsync(async stop =>
            {
                if (Interlocked.Exchange(ref failed, null) is { } already)
                {
                    ExceptionDispatchInfo.Throw(already);
                }

                return await attempt(stop);
            }, cancel).AsTask();
        }
    }

    private RegistryException Failed(RegistryFailure failure, HttpMethod method, string path, string why) =>
        new(failure, $"{RegistryException.Describe(method, At(path))}: {why}");

    private static string? ContentType(HttpResponseMessage response) => response.Content.Headers.ContentType?.MediaType;

    /// <summary>A header that is there exactly once; twice is as good as none, since nobody knows which is meant.</summary>
    private static string? Header(HttpResponseMessage response, string name) =>
        response.Headers.NonValidated.TryGetValues(name, out HeaderStringValues values) && values.Count == 1 ? values.ToString() : null;

    private static ReadOnlyMemoryContent Body(ReadOnlyMemory<byte> bytes, string mediaType) =>
        new(bytes) { Headers = { ContentType = new MediaTypeHeaderValue(mediaType) } };

    private static void AcceptManifests(HttpRequestMessage request) => Accept(request, ManifestTypes);

    private static void Accept(HttpRequestMessage request, params string[] mediaTypes)
    {
        foreach (string mediaType in mediaTypes)
        {
            request.Headers.Accept.Add(new MediaTypeWithQualityHeaderValue(mediaType));
        }
    }

    private static string RequireTag(string tag) =>
        ImageReference.IsTag(tag) ? tag : throw new ArgumentException($"{RegistryException.Quote(tag)} is not a tag");

    private string ManifestPath(string reference) => $"/v2/{repository}/manifests/{reference}";

    private string BlobPath(Digest digest) => $"/v2/{repository}/blobs/{digest}";

    private Uri At(string path) => new(origin, path);
}
