using System.Security.Cryptography;
using System.Text.RegularExpressions;
using Keyless.Sigstore;

namespace Keyless.Conformance;

/// <summary>
/// The client protocol of Sigstore's conformance suite (sigstore-conformance, docs/cli_protocol.md). Exit code 0 for verified or signed; 1 for
/// refused, with a line <c>reason: slug</c> on both streams, since callers keep one or the other; 2 for a call that cannot be understood.
/// </summary>
internal static partial class BundleClient
{
    private const string UserAgent = "Keyless.Conformance/1.0";

    private const string Usage = """
        keyless-conformance verify-bundle [--staging] --bundle FILE (--key FILE | --certificate-identity IDENTITY --certificate-oidc-issuer ISSUER) [--trusted-root FILE] FILE_OR_DIGEST
        keyless-conformance sign-bundle [--staging] [--in-toto] --identity-token TOKEN --bundle FILE [--trusted-root FILE] [--signing-config FILE] FILE
        """;

    public static async Task<int> RunAsync(string[] arguments)
    {
        try
        {
            await (arguments switch
            {
                ["verify-bundle", .. string[] rest] => VerifyAsync(Call.Parse(rest), CancellationToken.None),
                ["sign-bundle", .. string[] rest] => SignAsync(Call.Parse(rest), CancellationToken.None),
                _ => throw new ArgumentException(arguments.Length == 0 ? "no command" : $"unknown command {arguments[0]}"),
            });
            return 0;
        }
        catch (ArgumentException e)
        {
            Console.Error.WriteLine($"keyless-conformance: {e.Message}\n{Usage}");
            return 2;
        }
        catch (VerificationException e)
        {
            return Refused(e.Reason, e.Message);
        }
        catch (Exception e) when (e is FormatException or CryptographicException or ServiceException or TufException or IdentityException or IOException or UnauthorizedAccessException)
        {
            Console.Error.WriteLine(e.Message);
            return 1;
        }
    }

    private static async Task VerifyAsync(Call call, CancellationToken cancel)
    {
        string bundlePath = call.Bundle ?? throw new ArgumentException("--bundle is missing");
        Artifact artifact = await ReadArtifactAsync(call.Last, cancel);
        Policy policy = call.Key is { } key
            ? Policy.ForKey(Reading("policy.key", () => ManagedKey.FromPem(File.ReadAllText(key))), predicateType: null)
            : Named(call);
        var verifier = new Verifier(call.TrustedRoot is { } root
            ? TrustedRoots(await File.ReadAllBytesAsync(root, cancel))
            : [(await FetchAsync(call, SigstoreDocuments.TrustedRoot, cancel)).TrustedRoot!]);
        VerifiedSignature verified = verifier.Verify(await ReadBoundedAsync(bundlePath, cancel), artifact, policy);
        foreach (string check in verified.Checks)
        {
            Console.Error.WriteLine(check);
        }
    }

    private static async Task SignAsync(Call call, CancellationToken cancel)
    {
        string bundlePath = call.Bundle ?? throw new ArgumentException("--bundle is missing");
        string token = call.IdentityToken ?? throw new ArgumentException("--identity-token is missing");
        SigstoreDocuments missing = (call.TrustedRoot is null ? SigstoreDocuments.TrustedRoot : 0) | (call.SigningConfig is null ? SigstoreDocuments.SigningConfig : 0);
        FetchedDocuments? fetched = missing == 0 ? null : await FetchAsync(call, missing, cancel);
        var instance = new SigstoreInstance
        {
            TrustedRoot = call.TrustedRoot is { } root ? TrustedRoots(await File.ReadAllBytesAsync(root, cancel))[0] : fetched!.TrustedRoot!,
            SigningConfig = call.SigningConfig is { } config ? SigningConfig.Parse(await File.ReadAllBytesAsync(config, cancel)) : fetched!.SigningConfig!,
        };

        using HttpClient client = NewClient();
        // The token is the caller's own, given for this purpose on a command line: what becomes public is known.
        var identities = new AmbientIdentity("environment", client, UserAgent, name => name == "SIGSTORE_ID_TOKEN" ? token : null);
        var signer = new Signer(instance, new Verifier(instance.TrustedRoot), identities, client, UserAgent, TimeProvider.System, allowHttp: true, acceptPublicLog: true);
        using SigningSession session = await signer.BeginAsync(cancel);
        SignedBundle signed;
        if (call.InToto)
        {
            signed = await signer.SignStatementAsync(session, await ReadBoundedAsync(call.Last, cancel), cancel);
        }
        else
        {
            await using FileStream file = File.OpenRead(call.Last);
            signed = await signer.SignArtifactAsync(session, await Artifact.ReadAsync(file, cancel), cancel);
        }

        string unfinished = bundlePath + ".unfinished";
        await File.WriteAllBytesAsync(unfinished, signed.Json.ToArray(), cancel);
        File.Move(unfinished, bundlePath, overwrite: true);
    }

    // What exists is a file, whatever it is called.
    private static async Task<Artifact> ReadArtifactAsync(string last, CancellationToken cancel)
    {
        if (!File.Exists(last) && Digest().IsMatch(last))
        {
            return ArtifactDigest.Sha256(last["sha256:".Length..].ToLowerInvariant());
        }

        await using FileStream file = File.OpenRead(last);
        return await Artifact.ReadAsync(file, cancel);
    }

    private static Policy Named(Call call)
    {
        string identity = call.CertificateIdentity ?? throw new ArgumentException("--key, or --certificate-identity and --certificate-oidc-issuer are needed");
        string issuer = call.CertificateOidcIssuer ?? throw new ArgumentException("--certificate-oidc-issuer is missing");
        try
        {
            return Policy.Exactly(identity, issuer, predicateType: null);
        }
        catch (ArgumentException e)
        {
            throw new VerificationException("policy.configuration", e.Message);
        }
    }

    private static IReadOnlyList<TrustedRoot> TrustedRoots(byte[] json) => Reading("root", () => TrustedRoot.ParseLines(json));

    /// <summary>The public instances deliver their documents by TUF. For verifying, what is shipped with the program will do where nothing can be fetched.</summary>
    private static async Task<FetchedDocuments> FetchAsync(Call call, SigstoreDocuments wanted, CancellationToken cancel)
    {
        SigstoreRepository repository = call.Staging ? SigstoreRepository.Staging() : SigstoreRepository.PublicGood();
        // The verdict on a bundle must not depend on the network: the suite runs where there is none, and shipped material is as good for its assets.
        bool offline = wanted == SigstoreDocuments.TrustedRoot && !call.Staging;
        using HttpClient client = NewClient();
        return await repository.FetchAsync(new SigstoreFetching(client, UserAgent, TimeProvider.System, CacheFolder: null, offline), wanted, cancel);
    }

    private static T Reading<T>(string slug, Func<T> read)
    {
        try
        {
            return read();
        }
        catch (FormatException e)
        {
            string clause = slug == "root" ? $"root.{TrustedRoot.ClauseOf(e)}" : slug;
            throw new VerificationException(clause, e.Message, inner: e);
        }
    }

    // A bundle of any size is refused by the reader; a file of any size is not read into memory for that.
    private static async Task<byte[]> ReadBoundedAsync(string path, CancellationToken cancel)
    {
        const int most = 17 * 1024 * 1024;
        await using FileStream file = File.OpenRead(path);
        byte[] content = new byte[(int)Math.Min(file.Length, most)];
        await file.ReadExactlyAsync(content, cancel);
        return content;
    }

    private static HttpClient NewClient() => new(new SocketsHttpHandler { AllowAutoRedirect = false, UseCookies = false }) { Timeout = Timeout.InfiniteTimeSpan };

    private static int Refused(string slug, string message)
    {
        Console.WriteLine($"reason: {slug}");
        Console.Error.WriteLine($"reason: {slug}\n{message}");
        return 1;
    }

    [GeneratedRegex(@"\Asha256:[0-9a-fA-F]{64}\z", RegexOptions.CultureInvariant)]
    private static partial Regex Digest();

    /// <summary>One call's arguments.</summary>
    private sealed class Call
    {
        public bool Staging { get; private set; }

        public bool InToto { get; private set; }

        public string? Bundle { get; private set; }

        public string? Key { get; private set; }

        public string? CertificateIdentity { get; private set; }

        public string? CertificateOidcIssuer { get; private set; }

        public string? TrustedRoot { get; private set; }

        public string? SigningConfig { get; private set; }

        public string? IdentityToken { get; private set; }

        /// <summary>The file, or the digest.</summary>
        public string Last { get; private set; } = "";

        public static Call Parse(string[] arguments)
        {
            var call = new Call();
            var rest = new Queue<string>(arguments);
            string? last = null;
            while (rest.TryDequeue(out string? argument))
            {
                switch (argument)
                {
                    case "--staging": call.Staging = true; break;
                    case "--in-toto": call.InToto = true; break;
                    case "--bundle": call.Bundle = Value(call.Bundle); break;
                    case "--key": call.Key = Value(call.Key); break;
                    case "--certificate-identity": call.CertificateIdentity = Value(call.CertificateIdentity); break;
                    case "--certificate-oidc-issuer": call.CertificateOidcIssuer = Value(call.CertificateOidcIssuer); break;
                    case "--trusted-root": call.TrustedRoot = Value(call.TrustedRoot); break;
                    case "--signing-config": call.SigningConfig = Value(call.SigningConfig); break;
                    case "--identity-token": call.IdentityToken = Value(call.IdentityToken); break;
                    case ['-', '-', ..]: throw new ArgumentException($"unknown option {argument}");
                    default: last = last is null ? argument : throw new ArgumentException("more than one file"); break;
                }

                // Once each: of two identities neither could be the one that was meant.
                string Value(string? before) => before is null && rest.TryDequeue(out string? value) ? value : throw new ArgumentException($"{argument} has no value, or two");
            }

            if (call.Key is not null && (call.CertificateIdentity ?? call.CertificateOidcIssuer) is not null)
            {
                throw new ArgumentException("--key does not go with an identity");
            }

            call.Last = last ?? throw new ArgumentException("the file is missing");
            return call;
        }
    }
}
