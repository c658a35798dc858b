using System.Text.Encodings.Web;
using System.Text.Json;
using System.Text.Json.Nodes;

namespace Keyless.Sandbox;

/// <summary>A JSON answer with exactly the media type that is asked for: some clients compare it as a whole, a charset would make it another.</summary>
internal static class JsonAnswer
{
    /// <summary>Media types stay readable: the default would escape their plus signs, as for a page of HTML.</summary>
    public static JsonSerializerOptions Readable { get; } = new() { Encoder = JavaScriptEncoder.UnsafeRelaxedJsonEscaping };

    public static async Task WriteJsonAsync(this HttpResponse response, JsonNode json, string mediaType = "application/json")
    {
        byte[] bytes = JsonSerializer.SerializeToUtf8Bytes(json, Readable);
        response.ContentType = mediaType;
        response.ContentLength = bytes.Length;
        if (!HttpMethods.IsHead(response.HttpContext.Request.Method))
        {
            await response.Body.WriteAsync(bytes, response.HttpContext.RequestAborted);
        }
    }
}
