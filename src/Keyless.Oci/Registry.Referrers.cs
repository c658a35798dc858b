using System.Net;
using System.Net.Http.Headers;
using System.Runtime.CompilerServices;
using System.Text.RegularExpressions;

namespace Keyless.Oci;

/// <content>
/// What refers to a manifest: by the referrers API of distribution-spec 1.1, and by the tag that stands in for it where a registry has none.
/// </content>
public sealed partial class Registry
{
    private readonly SemaphoreSlim emptyConfigTurn = new(1, 1);
    private readonly Lock emptyConfigGate = new();
    private (Task<bool> Present, Task<BlobUpload?> Upload)? emptyConfig;
    private bool emptyConfigThere;

    /// <summary>
    /// Everything that refers to a subject, unfiltered, by the referrers API, page by page: whoever has found what he wanted reads no further.
    /// No page where the registry has no such API (404, 400, 405, 406, an answer that is not exactly an OCI index, or a redirect: GHCR sends to its
    /// website, artifacthub/hub issue 4785). What cannot be read, or may not be, is an error and never "none". The list is the registry's claim.
    /// </summary>
    public async IAsyncEnumerable<IReadOnlyList<Descriptor>> ReadReferrersAsync(Digest subject, [EnumeratorCancellation] CancellationToken cancel)
    {
        var listed = new HashSet<Digest>();
        var seen = new HashSet<string>(StringComparer.Ordinal);
        string path = $"/v2/{repository}/referrers/{subject}";
        for (Uri? page = At(path); page is not null;)
        {
            if (seen.Count == Limits.ReferrerPages)
            {
                throw Failed(RegistryFailure.TooLarge, HttpMethod.Get, path, $"more than {Limits.ReferrerPages} pages of referrers");
            }

            seen.Add(page.PathAndQuery);

            (Uri current, bool isFirst) = (page, seen.Count == 1);
            if (await TryAsync(stop => ReadPageAsync(current, isFirst, stop), cancel) is not { } read)
            {
                yield break;
            }

            Descriptor[] more = [.. read.Index.Manifests.Where(referrer => listed.Add(referrer.Digest))];
            if (listed.Count > Limits.Referrers)
            {
                throw Failed(RegistryFailure.TooLarge, HttpMethod.Get, path, $"more than {Limits.Referrers} referrers");
            }

            yield return more;

            page = read.Next;
            if (page is not null && seen.Contains(page.PathAndQuery))
            {
                throw Failed(RegistryFailure.Nonsense, HttpMethod.Get, path, "a page of referrers that leads back to one already read");
            }
        }
    }

    /// <returns>Null where the first page shows that there is no such API.</returns>
    private async Task<(Manifest Index, Uri? Next)?> ReadPageAsync(Uri page, bool isFirst, CancellationToken cancel)
    {
        using HttpResponseMessage response = await SendAsync(HttpMethod.Get, page, request => Accept(request, MediaTypes.OciIndex), cancel);
        bool isIndex = response.StatusCode == HttpStatusCode.OK && response.Content.Headers.NonValidated.TryGetValues("Content-Type", out HeaderStringValues type) && type.ToString() == MediaTypes.OciIndex;
        if (isFirst && !isIndex && (response.StatusCode is HttpStatusCode.OK or HttpStatusCode.NotFound or HttpStatusCode.BadRequest or HttpStatusCode.MethodNotAllowed or HttpStatusCode.NotAcceptable || IsRedirect(response)))
        {
            return null;
        }

        await RequireAsync(response, HttpStatusCode.OK, cancel);
        return isIndex
            ? (Parse(response, await connection.ReadAsync(response, Limits.ManifestBytes, cancel), null), NextPage(response))
            : throw RegistryConnection.Nonsense(response.RequestMessage!, "a page of referrers that is not an OCI index");
    }

    /// <summary>
    /// What the fallback tag of a subject lists (distribution-spec "Referrers Tag Schema"), unfiltered: some writers put another artifact type
    /// there than the manifest has. Null if there is no such tag; one that holds no OCI index is an error.
    /// </summary>
    public async Task<IReadOnlyList<Descriptor>?> GetFallbackReferrersAsync(Digest subject, CancellationToken cancel)
    {
        Manifest? index = (await FindFallbackAsync(FallbackTag(subject), cancel))?.Manifest;
        return index is null ? null : [.. index.Manifests.DistinctBy(referrer => referrer.Digest)];
    }

    /// <summary>
    /// Attaches a referrer: empty config and layer side by side, then the manifest under its own digest, then the fallback tag unless the
    /// registry said that it lists the manifest itself.
    /// </summary>
    /// <param name="subject">As <see cref="HeadManifestAsync(Digest, CancellationToken)"/> gave it.</param>
    /// <param name="upload">A place for the layer, if one was opened; null otherwise.</param>
    public async Task<AttachedReferrer> AttachAsync(Descriptor subject, Attachment attachment, BlobUpload? upload, CancellationToken cancel)
    {
        await Task.WhenAll(PushEmptyConfigAsync(cancel), PushAsync(attachment.Content, upload, cancel));

        byte[] bytes = attachment.ToManifest(subject);
        var referrer = new Descriptor(MediaTypes.OciManifest, Digest.Of(bytes), bytes.Length)
        {
            ArtifactType = attachment.ArtifactType,
            Annotations = attachment.Annotations.ToDictionary(StringComparer.Ordinal),
        };
        Digest? listed = await PutManifestAsync(bytes, referrer.MediaType, referrer.Digest, cancel);

        // distribution-spec "Pushing Manifests with Subject": with OCI-Subject the registry has done the rest.
        if (listed != subject.Digest)
        {
            await AddToFallbackAsync(FallbackTag(subject.Digest), referrer, cancel);
        }

        return new AttachedReferrer(referrer, $"{host}/{repository}@{referrer.Digest}");
    }

    private Task<Digest> PushAsync(ReadOnlyMemory<byte> content, BlobUpload? upload, CancellationToken cancel)
    {
        // The place is good for one try: where the answer is lost, it is lost as well.
        BlobUpload? opened = upload;
        return TryAsync(async stop =>
        {
            if (Interlocked.Exchange(ref opened, null) is { } place)
            {
                try
                {
                    return await PushBlobAsync(place, content, stop);
                }
                catch (RegistryException e) when (e.Failure == RegistryFailure.NotFound)
                {
                    // BLOB_UPLOAD_UNKNOWN: what came in between took longer than the registry waits.
                }
            }

            return await PushBlobAsync(await OpenUploadOnceAsync(stop), content, stop);
        }, cancel);
    }

    /// <summary>
    /// Asks for the config of every attachment, <see cref="Attachment.EmptyConfig"/>, and where it is missing begins to open a place for it; once,
    /// however often it is called. Best done before there is anything to attach.
    /// </summary>
    /// <returns>Whether it is there. The place is waited for by whoever attaches.</returns>
    public Task<bool> PrepareEmptyConfigAsync(CancellationToken cancel) => EmptyConfig(cancel).Present;

    private (Task<bool> Present, Task<BlobUpload?> Upload) EmptyConfig(CancellationToken cancel)
    {
        lock (emptyConfigGate)
        {
            if (emptyConfig is not { Upload: { IsFaulted: false, IsCanceled: false } })
            {
                Task<bool> present = HasBlobAsync(Attachment.EmptyConfigDigest, cancel);
                emptyConfig = (present, OpenAsync(present));
            }

            return emptyConfig.Value;
        }

        async Task<BlobUpload?> OpenAsync(Task<bool> present) => await present ? null : await OpenUploadAsync(cancel);
    }

    /// <summary>
    /// Once, however many referrers are attached side by side: distribution 2.8 writes a blob's link in place, and while that is half
    /// written it refuses every manifest with the blob (DIGEST_INVALID).
    /// </summary>
    private async Task PushEmptyConfigAsync(CancellationToken cancel)
    {
        await emptyConfigTurn.WaitAsync(cancel);
        try
        {
            if (!emptyConfigThere && await EmptyConfig(cancel).Upload.WaitAsync(cancel) is { } upload)
            {
                await PushAsync(Attachment.EmptyConfig, upload, cancel);
            }

            emptyConfigThere = true;
        }
        finally
        {
            emptyConfigTurn.Release();
        }
    }

    private Task AddToFallbackAsync(string tag, Descriptor referrer, CancellationToken cancel) => ChangeTagAsync(
        tag,
        stop => FindFallbackAsync(tag, stop),
        index => index.Manifests.Any(entry => entry.Digest == referrer.Digest),
        (index, _) => Task.FromResult((Append(index, referrer, tag), MediaTypes.OciIndex)),
        addsSlowly: false,
        cancel);

    private byte[] Append(Manifest? index, Descriptor referrer, string tag) => index?.Manifests.Count >= Limits.IndexEntries
        ? throw Failed(RegistryFailure.TooLarge, HttpMethod.Put, ManifestPath(tag), $"the index already has {Limits.IndexEntries} entries")
        : Attachment.Append(index, referrer);

    private async Task<(Manifest Manifest, string? ETag)?> FindFallbackAsync(string tag, CancellationToken cancel)
    {
        try
        {
            (Manifest Manifest, string? ETag) found = await GetManifestAsync(tag, null, Limits.ManifestBytes, cancel);
            return found.Manifest.MediaType == MediaTypes.OciIndex
                ? found
                : throw Failed(RegistryFailure.Nonsense, HttpMethod.Get, ManifestPath(tag), "the referrers tag holds something that is not an OCI index");
        }
        catch (RegistryException e) when (e.Failure == RegistryFailure.NotFound)
        {
            return null;
        }
    }

    /// <summary>distribution-spec "Referrers Tag Schema": the algorithm cut at 32 characters, a dash, the hash cut at 64.</summary>
    private static string FallbackTag(Digest subject) => $"{subject.Algorithm}-{subject.Hex[..64]}";

    /// <summary>The next page of a list (RFC 8288), which must be one of the same list.</summary>
    private Uri? NextPage(HttpResponseMessage response)
    {
        HttpRequestMessage request = response.RequestMessage!;
        string link = response.Headers.NonValidated.TryGetValues("Link", out HeaderStringValues links) ? links.ToString() : "";
        if (!link.Contains("next", StringComparison.OrdinalIgnoreCase))
        {
            return null;
        }
        // Any doubt is an error: a page left out would be a signature not seen.
        if (link.Length > Limits.LocationLength || Next().Match(link) is not { Success: true } match)
        {
            throw RegistryConnection.Nonsense(request, "a Link header that is not the next page");
        }

        Uri page = Resolve(response, match.Groups["target"].Value);
        return RegistryAddress.IsSameOrigin(page, origin) && page.AbsolutePath.StartsWith($"/v2/{repository}/referrers/", StringComparison.Ordinal)
            && !page.AbsolutePath.Contains("..", StringComparison.Ordinal)
            ? page
            : throw RegistryConnection.Nonsense(request, "a next page outside this repository's referrers");
    }

    [GeneratedRegex("""\A\s*<(?<target>[^<>\s]+)>\s*;\s*rel\s*=\s*"?next"?\s*\z""", RegexOptions.CultureInvariant)]
    private static partial Regex Next();
}
