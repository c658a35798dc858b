using Keyless.Conformance;

// The launchers beside this file say which client is meant; the rest is the suite's.
return args switch
{
    ["tuf", .. string[] rest] => await TufConformanceClient.RunAsync(rest),
    ["bundle", .. string[] rest] => await BundleClient.RunAsync(rest),
    _ => Usage(),
};

static int Usage()
{
    Console.Error.WriteLine("keyless-conformance: start keyless-conformance or keyless-tuf-conformance instead");
    return 2;
}
