using System.Globalization;

namespace Keyless.Sandbox;

/// <content>Blobs, and every form of upload.</content>
public sealed partial class Registry
{
    private Task GetBlobAsync(HttpContext context, string name, string digest)
    {
        RegistryDigest.Require(digest);
        byte[] bytes = FindBlob(name, digest) ?? throw new RegistryError(404, "BLOB_UNKNOWN", $"there is no blob {digest} in {name}");
        if (Quirks.BlobsElsewhere && HttpMethods.IsGet(context.Request.Method))
        {
            context.Response.StatusCode = StatusCodes.Status307TemporaryRedirect;
            context.Response.Headers.Location = $"http://{OtherName(context.Request)}/storage/{name}/{digest}?sig=canary-signature";
            return Task.CompletedTask;
        }

        context.Response.Headers["Docker-Content-Digest"] = digest;
        return TypedResults.Bytes(bytes, "application/octet-stream", enableRangeProcessing: true).ExecuteAsync(context);
    }

    private Task DeleteBlobAsync(HttpContext context, string name, string digest)
    {
        RegistryDigest.Require(digest);
        context.Response.StatusCode = content.DeleteBlob(name, digest) ? 202 : throw new RegistryError(404, "BLOB_UNKNOWN", $"there is no blob {digest} in {name}");
        return Task.CompletedTask;
    }

    private async Task StartUploadAsync(HttpContext context, string name)
    {
        IQueryCollection query = context.Request.Query;
        if (query["mount"].ToString() is { Length: > 0 } mount)
        {
            RegistryDigest.Require(mount);
            // distribution-spec, "Mounting a blob from another repository": what cannot be mounted becomes an ordinary upload.
            if (content.Mount(mount, query["from"].ToString(), name))
            {
                Created(context, $"/v2/{name}/blobs/{mount}", mount);
                return;
            }
        }
        else if (query["digest"].ToString() is { Length: > 0 } digest)
        {
            RegistryDigest.Require(digest);
            byte[] bytes = await ReadAsync(context, LargestBody, "a blob");
            content.PutBlob(name, bytes, digest);
            Created(context, $"/v2/{name}/blobs/{digest}", digest);
            return;
        }
        Accepted(context, name, content.StartUpload(name));
    }

    private async Task AppendAsync(HttpContext context, string name, string id)
    {
        RegistryUpload upload = content.Upload(name, id);
        byte[] bytes = await ReadAsync(context, LargestBody, "a blob");
        try
        {
            upload.Append(bytes, First(context.Request, bytes.Length));
        }
        catch (RegistryError error) when (error.Status == StatusCodes.Status416RangeNotSatisfiable)
        {
            Accepted(context, name, upload); // where to go on, whatever the status
            throw;
        }
        Accepted(context, name, upload);
    }

    private async Task FinishUploadAsync(HttpContext context, string name, string id)
    {
        RegistryUpload upload = content.Upload(name, id);
        string digest = RegistryDigest.Require(context.Request.Query["digest"].ToString());
        byte[] last = await ReadAsync(context, LargestBody, "a blob");
        if (last.Length > 0)
        {
            upload.Append(last, First(context.Request, last.Length));
        }

        content.PutBlob(name, upload.ToArray(), digest);
        content.EndUpload(upload);
        Created(context, $"/v2/{name}/blobs/{digest}", digest);
    }

    private Task UploadStatusAsync(HttpContext context, string name, string id)
    {
        Accepted(context, name, content.Upload(name, id));
        context.Response.StatusCode = StatusCodes.Status204NoContent;
        return Task.CompletedTask;
    }

    private Task CancelUploadAsync(HttpContext context, string name, string id)
    {
        content.EndUpload(content.Upload(name, id));
        context.Response.StatusCode = StatusCodes.Status204NoContent;
        return Task.CompletedTask;
    }

    /// <summary>Where a chunk says it begins (<c>Content-Range: first-last</c>, both counted), or null if it does not say.</summary>
    private static long? First(HttpRequest request, int length)
    {
        string range = request.Headers.ContentRange.ToString();
        if (range == "")
        {
            return null;
        }

        if (range.Split('-') is [var from, var to]
            && long.TryParse(from, NumberStyles.None, CultureInfo.InvariantCulture, out long first)
            && long.TryParse(to, NumberStyles.None, CultureInfo.InvariantCulture, out long last)
            && last - first + 1 == length)
        {
            return first;
        }

        throw new RegistryError(400, "BLOB_UPLOAD_INVALID", $"Content-Range does not fit a chunk of {length} bytes");
    }

    /// <summary>Pre-signed, so a second proof of identity is one too many.</summary>
    private Task StorageAsync(HttpContext context, string? path)
    {
        int slash = path?.LastIndexOf('/') ?? -1;
        return slash >= 0 && context.Request.Headers.Authorization.Count == 0 && FindBlob(path![..slash], path[(slash + 1)..]) is { } bytes
            ? TypedResults.Bytes(bytes, "application/octet-stream").ExecuteAsync(context)
            : TypedResults.BadRequest().ExecuteAsync(context);
    }

    /// <summary>The same server under its other name, which for a client is another origin.</summary>
    private static string OtherName(HttpRequest request) => string.Create(CultureInfo.InvariantCulture,
        $"{(request.Host.Host == "localhost" ? "127.0.0.1" : "localhost")}:{request.Host.Port}");

    private void Accepted(HttpContext context, string name, RegistryUpload upload)
    {
        context.Response.StatusCode = StatusCodes.Status202Accepted;
        string origin = Quirks.UploadsElsewhere ? $"http://{OtherName(context.Request)}" : "";
        context.Response.Headers.Location = $"{origin}/v2/{name}/blobs/uploads/{upload.Id}";
        context.Response.Headers.Range = $"0-{Math.Max(0, upload.Length - 1)}";
        context.Response.Headers["Docker-Upload-UUID"] = upload.Id;
    }
}
