using System.Globalization;
using System.Text.Json.Nodes;
using System.Text.RegularExpressions;

namespace Keyless.Sandbox;

/// <summary>A tag that was put on a manifest, or taken away.</summary>
/// <param name="Digest">What it holds from now on; null: it is gone.</param>
/// <param name="Referrers">Digests of the manifests whose subject that was at this moment.</param>
public sealed record TagMove(string Repository, string Tag, string? Digest, IReadOnlyList<string> Referrers);

/// <summary>
/// An OCI registry in memory (distribution-spec 1.1): manifests, blobs with every form of upload, tags, catalog, and the
/// referrers API, which can be switched off to look like the many registries that lack it.
/// </summary>
public sealed partial class Registry
{
    /// <summary>Bytes of one request. Layers of real applications fit; what does not should go to a real registry.</summary>
    public const long LargestBody = 512L << 20;

    /// <summary>distribution-spec, "Pushing Manifests": registries should accept at least 4 MiB, and need not more.</summary>
    private const int LargestManifest = 4 << 20;

    private readonly RegistryContent content = new();
    private readonly RegistryGate gate;
    private int requests;

    /// <summary>A registry that anybody may pull from and push to.</summary>
    public Registry()
        : this(RegistryLogin.None, new Dictionary<string, string>(), new Dictionary<string, string>())
    {
    }

    /// <param name="users">Passwords by user.</param>
    /// <param name="identityTokens">Users by identity token.</param>
    public Registry(RegistryLogin login, IReadOnlyDictionary<string, string> users, IReadOnlyDictionary<string, string> identityTokens) =>
        gate = new RegistryGate { Login = login, Users = users, IdentityTokens = identityTokens };

    /// <summary>Every request, with the user it was from.</summary>
    public IReadOnlyList<RegistryVisit> Visits => gate.Visits;

    /// <summary>May be changed at any time.</summary>
    public RegistryQuirks Quirks { get; set; } = new();

    /// <summary>Whether referrers are listed. May be changed at any time: without it, what was pushed has still its subject.</summary>
    public bool ReferrersApi { get; set; } = true;

    /// <summary>
    /// Whether a manifest is stored only if the tag's ETag is the one of <c>If-Match</c>, or there is none for <c>If-None-Match: *</c> (RFC 9110 §13.1.1,
    /// §13.1.2); otherwise 412. Proposed for distribution-spec in 2021 (pull request 251), and in no release of it.
    /// </summary>
    public bool HonoursIfMatch { get; set; }

    /// <summary>Names of all repositories, in order.</summary>
    public IReadOnlyList<string> Repositories => content.Repositories;

    /// <summary>Tags of a repository, in order; none if it does not exist.</summary>
    public IReadOnlyList<string> Tags(string repository) => content.Tags(repository);

    /// <summary>Every change of a tag, in order: what anybody could have seen who looked at every moment.</summary>
    public IReadOnlyList<TagMove> TagMoves => content.TagMoves;

    /// <summary>A manifest by tag or digest, or null.</summary>
    public RegistryManifest? FindManifest(string repository, string reference) => content.FindManifest(repository, reference);

    /// <summary>A blob by digest, or null.</summary>
    public byte[]? FindBlob(string repository, string digest) => content.FindBlob(repository, digest);

    /// <summary>The manifests whose subject this is, oldest first, whether or not the API lists them.</summary>
    public IReadOnlyList<RegistryManifest> Referrers(string repository, string digest) => content.Referrers(repository, digest);

    /// <summary>Stores a manifest as it is: what it mentions need not be there.</summary>
    /// <param name="tag">Null: by digest only.</param>
    /// <returns>Its digest.</returns>
    public string PutManifest(string repository, string? tag, byte[] bytes, string mediaType)
    {
        RegistryManifest manifest = RegistryManifest.Parse(bytes, mediaType);
        content.PutManifest(repository, tag, manifest);
        return manifest.Digest;
    }

    /// <returns>The digest.</returns>
    public string PutBlob(string repository, byte[] bytes) => content.PutBlob(repository, bytes);

    /// <summary>A tag goes alone, a digest with all its tags.</summary>
    /// <returns>False if it was not there.</returns>
    public bool DeleteManifest(string repository, string reference) => content.DeleteManifest(repository, reference);

    public void Map(IEndpointRouteBuilder routes)
    {
        routes.Map(RegistryGate.TokenPath, TokenAsync);
        routes.Map("/storage/{**path}", StorageAsync);
        routes.Map("/v2", AnswerAsync);
        routes.Map("/v2/{**path}", AnswerAsync);
    }

    // Repository names contain slashes, so the path is read here and not by routing.
    // distribution-spec, "Pulling manifests": the grammar of <name>; the last word that names a kind of thing ends it.
    [GeneratedRegex("^/v2/(?<name>[a-z0-9]+(?:(?:\\.|_|__|-+)[a-z0-9]+)*(?:/[a-z0-9]+(?:(?:\\.|_|__|-+)[a-z0-9]+)*)*)/(?<kind>manifests|blobs/uploads|blobs|referrers|tags)/(?<rest>[^/]*)$", RegexOptions.NonBacktracking)]
    private static partial Regex Address();

    [GeneratedRegex("^[a-zA-Z0-9_][a-zA-Z0-9._-]{0,127}$")]
    private static partial Regex Tag();

    private async Task AnswerAsync(HttpContext context)
    {
        try
        {
            await RouteAsync(context);
        }
        catch (RegistryError error)
        {
            var one = new JsonObject { ["code"] = error.Code, ["message"] = error.Message };
            context.Response.StatusCode = error.Status;
            await context.Response.WriteJsonAsync(new JsonObject { ["errors"] = new JsonArray(one) });
        }
    }

    private Task RouteAsync(HttpContext context)
    {
        context.Response.Headers["Docker-Distribution-Api-Version"] = "registry/2.0";
        string path = context.Request.Path.ToString();
        Match address = Address().Match(path);
        string name = address.Groups["name"].Value, rest = address.Groups["rest"].Value;
        gate.Admit(context, name);
        if (Quirks.RequestsAllowed < Interlocked.Increment(ref requests))
        {
            context.Response.Headers.RetryAfter = "30";
            throw new RegistryError(429, "TOOMANYREQUESTS", "You have reached your rate limit.");
        }

        if (path is "/v2" or "/v2/")
        {
            return context.Response.WriteJsonAsync(new JsonObject());
        }

        if (path is "/v2/_catalog")
        {
            return ListAsync(context, new JsonObject(), "repositories", Repositories);
        }

        if (!address.Success || name.Length > 255)
        {
            throw new RegistryError(404, "NAME_INVALID", "the path names neither a repository nor anything in it");
        }

        return (context.Request.Method, address.Groups["kind"].Value) switch
        {
            ("GET" or "HEAD", "manifests") => GetManifestAsync(context, name, rest),
            ("PUT", "manifests") => PutManifestAsync(context, name, rest),
            ("DELETE", "manifests") => DeleteManifestAsync(context, name, rest),
            ("GET" or "HEAD", "blobs") => GetBlobAsync(context, name, rest),
            ("DELETE", "blobs") => DeleteBlobAsync(context, name, rest),
            ("POST", "blobs/uploads") when rest == "" => StartUploadAsync(context, name),
            ("PATCH", "blobs/uploads") => AppendAsync(context, name, rest),
            ("PUT", "blobs/uploads") => FinishUploadAsync(context, name, rest),
            ("GET", "blobs/uploads") => UploadStatusAsync(context, name, rest),
            ("DELETE", "blobs/uploads") => CancelUploadAsync(context, name, rest),
            ("GET", "referrers") => ListReferrersAsync(context, name, rest),
            ("GET", "tags") when rest == "list" => content.Exists(name)
                ? ListAsync(context, new JsonObject { ["name"] = name }, "tags", Tags(name))
                : throw new RegistryError(404, "NAME_UNKNOWN", $"there is no repository {name}"),
            _ => throw new RegistryError(405, "UNSUPPORTED", "there is nothing of this method and path"),
        };
    }

    private async Task GetManifestAsync(HttpContext context, string name, string reference)
    {
        RegistryManifest manifest = FindManifest(name, reference) ?? throw new RegistryError(404, "MANIFEST_UNKNOWN", $"there is no {reference} in {name}");
        HttpResponse response = context.Response;
        response.ContentType = manifest.MediaType;
        response.ContentLength = manifest.Bytes.Length;
        response.Headers["Docker-Content-Digest"] = manifest.Digest;
        response.Headers.ETag = ETag(manifest);
        if (HttpMethods.IsGet(context.Request.Method))
        {
            await response.Body.WriteAsync(manifest.Bytes, context.RequestAborted);
        }
    }

    private static string ETag(RegistryManifest? manifest) => $"\"{manifest?.Digest}\"";

    private async Task PutManifestAsync(HttpContext context, string name, string reference)
    {
        bool byDigest = reference.Contains(':', StringComparison.Ordinal);
        if (byDigest)
        {
            RegistryDigest.Require(reference);
        }
        else if (!Tag().IsMatch(reference))
        {
            throw new RegistryError(400, "TAG_INVALID", "the reference is neither a tag nor a digest");
        }

        byte[] bytes = await ReadAsync(context, LargestManifest, "a manifest");
        RegistryManifest manifest = RegistryManifest.Parse(bytes, context.Request.ContentType);
        if (byDigest && manifest.Digest != reference)
        {
            throw new RegistryError(400, "DIGEST_INVALID", $"the manifest's digest is {manifest.Digest}, not {reference}");
        }

        content.RequireMentioned(name, manifest);
        RequireTaken(name, reference, manifest);
        bool hasMoved = context.Request.Headers.IfMatch.ToString() is { Length: > 0 } expected && expected != ETag(FindManifest(name, reference));
        if (HonoursIfMatch && (hasMoved || (context.Request.Headers.IfNoneMatch == "*" && FindManifest(name, reference) is not null)))
        {
            throw new RegistryError(412, "PRECONDITION_FAILED", $"{reference} is another manifest by now");
        }

        RegistryLie? lie = context.Lie<RegistryLie>();
        if (lie != RegistryLie.StoresNothing)
        {
            content.PutManifest(name, byDigest ? null : reference, lie == RegistryLie.DoesNotList ? manifest with { Subject = null } : manifest);
        }

        // distribution-spec, "Pushing Manifests with Subject": the header says that the client need not keep the fallback tag.
        if (ReferrersApi && !Quirks.ReferrersLeadElsewhere && lie != RegistryLie.ForgetsSubject && manifest.Subject is { } subject)
        {
            context.Response.Headers["OCI-Subject"] = subject;
        }

        Created(context, $"/v2/{name}/manifests/{manifest.Digest}", lie == RegistryLie.OtherDigest ? RegistryDigest.Of([.. bytes, (byte)'\n']) : manifest.Digest);
    }

    /// <summary>What the quirks have against a manifest.</summary>
    private void RequireTaken(string name, string reference, RegistryManifest manifest)
    {
        if (Quirks.ImageConfigsOnly && manifest.ConfigMediaType is { } config && config is not ("application/vnd.oci.image.config.v1+json" or "application/vnd.docker.container.image.v1+json"))
        {
            throw new RegistryError(400, "MANIFEST_INVALID", "manifest invalid");
        }

        if (reference.Contains(':', StringComparison.Ordinal) || FindManifest(name, reference) is not { } present || present.Digest == manifest.Digest)
        {
            return;
        }

        switch (Quirks.ImmutableTags)
        {
            case ImmutableTags.AsEcr:
                throw new RegistryError(400, "TAG_INVALID", $"The image tag '{reference}' already exists in the '{name}' repository and cannot be overwritten because the tag is immutable.");
            case ImmutableTags.AsHarbor:
                throw new RegistryError(412, "PRECONDITION", $"Failed to process request due to '{name}:{reference}' configured as immutable.");
        }
    }

    private Task DeleteManifestAsync(HttpContext context, string name, string reference)
    {
        RegistryManifest there = FindManifest(name, reference) ?? throw new RegistryError(404, "MANIFEST_UNKNOWN", $"there is no {reference} in {name}");
        bool byTag = !reference.Contains(':', StringComparison.Ordinal);
        if (byTag && Quirks.TagDeletion == TagDeletion.Refused)
        {
            throw new RegistryError(405, "UNSUPPORTED", "The operation is unsupported.");
        }

        bool takesManifest = Quirks.TagDeletion == TagDeletion.TakesManifest
            || (Quirks.TagDeletion == TagDeletion.TakesUntagged && !Tags(name).Any(tag => tag != reference && FindManifest(name, tag)?.Digest == there.Digest));
        content.DeleteManifest(name, byTag && takesManifest ? there.Digest : reference);
        context.Response.StatusCode = StatusCodes.Status202Accepted;
        return Task.CompletedTask;
    }

    private Task ListReferrersAsync(HttpContext context, string name, string digest)
    {
        if (Quirks.ReferrersLeadElsewhere)
        {
            context.Response.StatusCode = StatusCodes.Status303SeeOther;
            context.Response.Headers.Location = $"https://website.invalid/-/v2/packages/container/package/{Uri.EscapeDataString(name)}%2Freferrers%2Fsha256";
            return Task.CompletedTask;
        }

        if (!ReferrersApi)
        {
            context.Response.StatusCode = StatusCodes.Status404NotFound;
            return context.Response.WriteAsync("404 page not found\n");
        }
        RegistryDigest.Require(digest);
        IEnumerable<RegistryManifest> referrers = Referrers(name, digest);
        if (context.Request.Query["artifactType"].ToString() is { Length: > 0 } wanted)
        {
            context.Response.Headers["OCI-Filters-Applied"] = "artifactType";
            referrers = referrers.Where(referrer => referrer.ArtifactType == wanted);
        }
        if (Quirks.ReferrersPerPage is { } size)
        {
            int at = int.TryParse(context.Request.Query["after"], NumberStyles.None, CultureInfo.InvariantCulture, out int after) ? after : 0;
            if (referrers.Skip(at + size).Any())
            {
                context.Response.Headers.Link = string.Create(CultureInfo.InvariantCulture, $"<{context.Request.Path}?after={at + size}>; rel=\"next\"");
            }

            referrers = referrers.Skip(at).Take(size);
        }

        return context.Response.WriteJsonAsync(
            new JsonObject
            {
                ["schemaVersion"] = 2,
                ["mediaType"] = RegistryManifest.OciIndex,
                ["manifests"] = new JsonArray([.. referrers.Select(referrer => referrer.Descriptor())]),
            },
            RegistryManifest.OciIndex);
    }

    /// <summary>distribution-spec, "Listing Tags": <c>n</c> bounds the page, <c>last</c> is the name before it, <c>Link</c> leads on.</summary>
    private static Task ListAsync(HttpContext context, JsonObject answer, string member, IReadOnlyList<string> names)
    {
        string last = context.Request.Query["last"].ToString(), n = context.Request.Query["n"].ToString();
        int count = int.MaxValue;
        if (n != "" && (!int.TryParse(n, NumberStyles.None, CultureInfo.InvariantCulture, out count) || count < 0))
        {
            throw new RegistryError(400, "PAGINATION_NUMBER_INVALID", "n is not a number");
        }

        List<string> rest = [.. names.Where(name => string.CompareOrdinal(name, last) > 0)];
        List<string> page = [.. rest.Take(count)];
        if (page.Count > 0 && page.Count < rest.Count)
        {
            context.Response.Headers.Link = $"<{context.Request.Path}?n={n}&last={Uri.EscapeDataString(page[^1])}>; rel=\"next\"";
        }

        answer[member] = new JsonArray([.. page.Select(name => JsonValue.Create(name))]);
        return context.Response.WriteJsonAsync(answer);
    }

    private static async Task<byte[]> ReadAsync(HttpContext context, long limit, string what)
    {
        using var bytes = new MemoryStream((int)Math.Min(context.Request.ContentLength ?? 0, limit));
        var buffer = new byte[64 << 10];
        int read;
        while ((read = await context.Request.Body.ReadAsync(buffer, context.RequestAborted)) > 0)
        {
            if (bytes.Length + read > limit)
            {
                throw new RegistryError(413, "SIZE_INVALID", $"{what} may have {limit} bytes here");
            }

            bytes.Write(buffer, 0, read);
        }
        return bytes.ToArray();
    }

    private Task TokenAsync(HttpContext context)
    {
        if (Quirks.AccessTokenOnly)
        {
            string service = context.Request.HasFormContentType ? context.Request.Form["service"].ToString() : context.Request.Query["service"].ToString();
            if (service != context.Request.Host.Value)
            {
                context.Response.StatusCode = StatusCodes.Status400BadRequest;
                return Task.CompletedTask;
            }
        }

        return gate.TokenAsync(context, alsoAsToken: !Quirks.AccessTokenOnly);
    }

    private static void Created(HttpContext context, string location, string digest)
    {
        context.Response.StatusCode = StatusCodes.Status201Created;
        context.Response.Headers.Location = location;
        context.Response.Headers["Docker-Content-Digest"] = digest;
    }
}
