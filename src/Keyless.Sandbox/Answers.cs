using System.Text.Json;
using System.Text.Json.Nodes;

namespace Keyless.Sandbox;

/// <summary>How the services read a JSON request and word their answers.</summary>
internal static class Answers
{
    public static IResult Json(JsonNode body, int status = StatusCodes.Status200OK) =>
        Results.Text(CanonicalJson.Text(body), "application/json", statusCode: status);

    /// <summary>An error of a gRPC gateway (Fulcio, Rekor v2); <paramref name="code"/> is the gRPC status code.</summary>
    public static IResult GatewayError(string message, int status = StatusCodes.Status400BadRequest, int code = 3) =>
        Json(new JsonObject { ["code"] = code, ["message"] = message, ["details"] = new JsonArray() }, status);

    /// <summary>An error of a REST server (Rekor v1, timestamp authority).</summary>
    public static IResult RestError(string message, int status = StatusCodes.Status400BadRequest) =>
        Json(new JsonObject { ["code"] = status, ["message"] = message }, status);

    /// <exception cref="BadHttpRequestException">The body is not the JSON asked for.</exception>
    public static async Task<T> ReadAsync<T>(HttpContext context)
    {
        try
        {
            return await JsonSerializer.DeserializeAsync<T>(context.Request.Body, JsonSerializerOptions.Web, context.RequestAborted)
                ?? throw new BadHttpRequestException("the request body is null");
        }
        catch (JsonException e)
        {
            throw new BadHttpRequestException($"the request body is not the JSON expected here, at {e.Path ?? "its beginning"}", e);
        }
    }

    /// <exception cref="BadHttpRequestException">The member is absent or not base64.</exception>
    public static byte[] Base64(string? text, string name)
    {
        if (string.IsNullOrEmpty(text))
        {
            throw new BadHttpRequestException($"{name} is missing");
        }

        try
        {
            return Convert.FromBase64String(text);
        }
        catch (FormatException e)
        {
            throw new BadHttpRequestException($"{name} is not base64", e);
        }
    }
}
