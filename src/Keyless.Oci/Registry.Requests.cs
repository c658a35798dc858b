using System.Net;
using System.Net.Http.Headers;

namespace Keyless.Oci;

/// <content>Requests: where they go, who they say they are from, and which redirects they follow.</content>
public sealed partial class Registry
{
    private Task<HttpResponseMessage> SendToStorageAsync(HttpMethod method, string path, CancellationToken cancel) =>
        FollowAsync(method, path, null, anywhere: true, cancel);

    /// <summary>Follows redirects by our rules; credentials stay with the registry (see <see cref="SendAsync"/>).</summary>
    /// <param name="anywhere">Blobs may be kept elsewhere, manifests not.</param>
    private async Task<HttpResponseMessage> FollowAsync(HttpMethod method, string path, Action<HttpRequestMessage>? shape, bool anywhere, CancellationToken cancel)
    {
        Uri address = At(path);
        for (int hops = 0; ; hops++)
        {
            HttpResponseMessage response = await SendAsync(method, address, shape, cancel);
            if (!IsRedirect(response))
            {
                return response;
            }

            using (response)
            {
                if (hops == Limits.Redirects)
                {
                    throw RegistryConnection.Nonsense(response.RequestMessage!, $"more than {Limits.Redirects} redirects");
                }

                address = Location(response);
                if (!anywhere && !RegistryAddress.IsSameOrigin(address, origin))
                {
                    throw RegistryConnection.Nonsense(response.RequestMessage!, $"a manifest that is kept at another host ({address.Authority})");
                }
            }
        }
    }

    private static bool IsRedirect(HttpResponseMessage response) => response.StatusCode
        is HttpStatusCode.MovedPermanently or HttpStatusCode.Found or HttpStatusCode.SeeOther or HttpStatusCode.TemporaryRedirect or HttpStatusCode.PermanentRedirect;

    /// <summary>
    /// One request, and once more if the registry asks who we are. Only the registry's own origin ever sees or gets an answer to that:
    /// storage hosts are strangers (GHSA-vh4v-2xq2-g5cg).
    /// </summary>
    private async Task<HttpResponseMessage> SendAsync(HttpMethod method, Uri address, Action<HttpRequestMessage>? shape, CancellationToken cancel)
    {
        bool own = RegistryAddress.IsSameOrigin(address, origin) || RegistryAddress.IsSameOrigin(address, named);
        AuthenticationHeaderValue? authorization = own ? await auth.HeaderAsync(cancel) : null;
        HttpResponseMessage response = await SendOnceAsync(method, address, shape, authorization, cancel);
        if (own)
        {
            origin = new Uri(response.RequestMessage!.RequestUri!.GetLeftPart(UriPartial.Authority));
        }

        if (response.StatusCode != HttpStatusCode.Unauthorized)
        {
            return response;
        }

        if (!own)
        {
            using (response)
            {
                throw new RegistryException(
                    RegistryFailure.Unauthorized,
                    $"{RegistryException.Describe(method, address)} → 401: {host} sent us there, and what it is to be told in confidence goes to no other name",
                    response.StatusCode);
            }
        }

        using (response)
        {
            authorization = await auth.AnswerAsync(response, authorization, cancel);
        }

        response = await SendOnceAsync(method, response.RequestMessage!.RequestUri!, shape, authorization, cancel);
        if (response.StatusCode != HttpStatusCode.Unauthorized)
        {
            return response;
        }

        using (response)
        {
            throw auth.Refused(response);
        }
    }

    private async Task<HttpResponseMessage> SendOnceAsync(HttpMethod method, Uri address, Action<HttpRequestMessage>? shape, AuthenticationHeaderValue? authorization, CancellationToken cancel)
    {
        // Not disposed: the answer refers to it, and its content is memory.
        var request = new HttpRequestMessage(method, address);
        shape?.Invoke(request);
        request.Headers.Authorization = authorization;
        return await connection.SendAsync(request, cancel);
    }

    private async Task<HttpResponseMessage> RequireAsync(HttpResponseMessage response, HttpStatusCode expected, CancellationToken cancel)
    {
        if (response.StatusCode == expected)
        {
            return response;
        }

        using (response)
        {
            throw await connection.FailureAsync(response, auth.Redact, cancel);
        }
    }

    private Uri Location(HttpResponseMessage response) =>
        Resolve(response, Header(response, "Location") ?? throw RegistryConnection.Nonsense(response.RequestMessage!, $"{(int)response.StatusCode} without one Location"));

    private Uri Resolve(HttpResponseMessage response, string location)
    {
        try
        {
            return RegistryAddress.Resolve(response.RequestMessage!.RequestUri!, location, origin);
        }
        catch (FormatException e)
        {
            throw RegistryConnection.Nonsense(response.RequestMessage!, e.Message);
        }
    }
}
