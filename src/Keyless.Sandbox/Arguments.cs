using System.Globalization;

namespace Keyless.Sandbox;

/// <summary>The command line of <c>keyless-sandbox</c>.</summary>
internal sealed record Arguments(bool Help, string? Folder, TimeSpan Delay, SandboxOptions Options, IReadOnlyList<(string Part, Fault Fault)> Faults)
{
    public const string Usage = """
        keyless-sandbox: a whole Sigstore world on this machine, for trials and tests.

        It starts an OCI registry (with a minimal base image), an OIDC issuer that answers like GitHub's, Fulcio with a CT log,
        Rekor v1 and v2, a timestamp authority and a TUF repository on 127.0.0.1, prints what to export, and runs until Ctrl+C.
        Its keys are made at the start and forgotten at the end: nothing it signs means anything. Do not expose it to a network.

        usage: keyless-sandbox [options]
          --folder DIR            write trusted_root.json, signing_config.json, client_trust_config.json, root.json and
                                  environment to DIR (default: a new temporary folder, removed at the end)
          --rekor v1|v2           the transparency log that the signing config names (default: v2; both run)
          --rekor-v2-key ed25519|ecdsa-p256
                                  the kind of key of Rekor v2 (default: ed25519)
          --no-referrers          a registry without the referrers API
          --delay TIME            wait before each answer, such as 50ms or 1.5s (default: 0ms)
          --fault PART:WHAT[:FIRST-LAST]
                                  let a part fail or lie, for ever or for these of its requests; may be repeated. PART is registry,
                                  issuer, fulcio, rekor-v1, rekor-v2, timestamp or tuf. WHAT is a status such as 502 or 429=2s (with
                                  Retry-After), drop, lost (the work is done), hang, html, empty, cut, cut-chunked, down=2s, slow=2s,
                                  slow-body=2s, or a lie of that part such as other-key (docs/sandbox.md lists them)
          --registry-port N, --issuer-port N, --fulcio-port N, --rekor-v1-port N, --rekor-v2-port N, --timestamp-port N,
          --tuf-port N            fixed ports (default: free ones)
          --help                  this text
        """;

    private const int LargestPort = 65535;

    /// <summary>Longer than any client waits.</summary>
    private static readonly TimeSpan LongestDelay = TimeSpan.FromMinutes(10);

    /// <exception cref="FormatException">An option is unknown, lacks its value or has one that does not parse.</exception>
    public static Arguments Parse(IReadOnlyList<string> args)
    {
        var parsed = new Arguments(false, null, TimeSpan.Zero, new SandboxOptions(), []);
        for (int at = 0; at < args.Count; at++)
        {
            string name = args[at];
            SandboxOptions options = parsed.Options;
            string Value() => ++at < args.Count && args[at] != "" ? args[at] : throw new FormatException($"{name} needs a value");
            int Port() => int.TryParse(Value(), NumberStyles.None, CultureInfo.InvariantCulture, out int port) && port <= LargestPort
                ? port
                : throw new FormatException($"{name} is '{args[at]}', expected a port number");

            parsed = name switch
            {
                "--help" or "-h" or "-?" => parsed with { Help = true },
                "--folder" => parsed with { Folder = Path.GetFullPath(Value()) },
                "--delay" => parsed with { Delay = Time(name, Value()) },
                "--fault" => parsed with { Faults = [.. parsed.Faults, FaultArgument.Parse(Value(), time => Time(name, time))] },
                "--no-referrers" => parsed with { Options = options with { ReferrersApi = false } },
                "--rekor" => parsed with { Options = options with { Rekor = OneOf(name, Value(), ("v1", RekorVersion.V1), ("v2", RekorVersion.V2)) } },
                "--rekor-v2-key" => parsed with { Options = options with { RekorV2Key = OneOf(name, Value(), ("ed25519", RekorV2Key.Ed25519), ("ecdsa-p256", RekorV2Key.EcdsaP256)) } },
                "--registry-port" => parsed with { Options = options with { RegistryPort = Port() } },
                "--issuer-port" => parsed with { Options = options with { IssuerPort = Port() } },
                "--fulcio-port" => parsed with { Options = options with { FulcioPort = Port() } },
                "--rekor-v1-port" => parsed with { Options = options with { RekorV1Port = Port() } },
                "--rekor-v2-port" => parsed with { Options = options with { RekorV2Port = Port() } },
                "--timestamp-port" => parsed with { Options = options with { TimestampPort = Port() } },
                "--tuf-port" => parsed with { Options = options with { TufPort = Port() } },
                _ => throw new FormatException($"'{name}' is not an option"),
            };
        }
        return parsed;
    }

    private static T OneOf<T>(string name, string value, params (string Name, T Value)[] known)
    {
        foreach ((string candidate, T meaning) in known)
        {
            if (candidate == value)
            {
                return meaning;
            }
        }
        throw new FormatException($"{name} is '{value}', expected {string.Join(" or ", known.Select(one => one.Name))}");
    }

    private static TimeSpan Time(string name, string value)
    {
        (string number, int milliseconds) = value switch
        {
            [.. var digits, 'm', 's'] => (digits, 1),
            [.. var digits, 's'] => (digits, 1000),
            _ => ("", 0),
        };
        return double.TryParse(number, NumberStyles.AllowDecimalPoint, CultureInfo.InvariantCulture, out double amount) && amount * milliseconds <= LongestDelay.TotalMilliseconds
            ? TimeSpan.FromMilliseconds(amount * milliseconds)
            : throw new FormatException($"{name} is '{value}', expected a time such as 50ms or 1.5s, at most {LongestDelay.TotalMinutes} minutes");
    }
}
