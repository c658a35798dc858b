namespace Keyless.Conformance;

/// <summary>Sigstore's client conformance protocol.</summary>
internal static class BundleClient
{
    public static Task<int> RunAsync(string[] arguments)
    {
        Console.Error.WriteLine($"keyless-conformance: {(arguments.Length > 0 ? arguments[0] : "no command")} is not built yet");
        return Task.FromResult(2);
    }
}
