using System.Text;
using Keyless.Sandbox;
using Microsoft.Build.Utilities;
using Task = System.Threading.Tasks.Task;

namespace Keyless.MSBuild.Tests;

/// <summary>A signature that was made and did not reach the registry is pushed by the next build, and by nobody whom it does not speak for.</summary>
[TestClass]
public sealed class KeptBundleTests
{
    public required TestContext TestContext { get; init; }

    [TestMethod]
    [DataRow("bundle", true)]
    [DataRow("bundle", false)]
    [DataRow("legacy", true)]
    public async Task Pushes_what_the_build_before_could_not_and_asks_for_no_certificate(string format, bool referrersApi)
    {
        await using World world = await World.StartAsync(TestContext.CancellationToken, new SandboxOptions { Rekor = RekorVersion.V1, ReferrersApi = referrersApi });
        string image = world.Push();
        KeylessSignContainer failed = await FailToAttachAsync(world, format, image);
        StringAssert.Contains(World.Log(failed), "is made and not in the registry; it is kept in", StringComparison.Ordinal);
        long mark = world.Sandbox.Traffic.Mark();
        KeylessSignContainer task = Sign(world, format, image);

        Assert.IsTrue(task.Execute(), World.Log(task));

        string[] asked = [.. world.Sandbox.Traffic.Snapshot(mark).Select(exchange => exchange.Part).Distinct()];
        Assert.IsEmpty(asked.Except(["registry", "issuer"]));
        StringAssert.Contains(World.Log(task), "is pushed; nothing is signed anew", StringComparison.Ordinal);
        KeylessVerifyContainer verify = world.Verify(world.Image(image));
        Assert.IsTrue(verify.Execute(), World.Log(verify));
        Assert.AreEqual(format, verify.VerifiedContainerImages.Single().GetMetadata("Format"));
    }

    [TestMethod]
    public async Task Signs_anew_what_was_finished()
    {
        await using World world = await World.StartAsync(TestContext.CancellationToken);
        string image = world.PushSigned();
        KeylessSignContainer task = world.Sign(image);

        Assert.IsTrue(task.Execute(), World.Log(task));

        Assert.HasCount(2, world.Referrers(image));
    }

    [TestMethod]
    public async Task Makes_one_entry_of_a_bundle_that_is_pushed_twice()
    {
        await using World world = await World.StartAsync(TestContext.CancellationToken, new SandboxOptions { ReferrersApi = false });
        string image = world.PushSigned();
        // As if the build had ended between the push and the marker.
        File.Delete(Directory.GetFiles(world.PathOf("bundles"), "*.attached").Single());
        KeylessSignContainer task = world.Sign(image);

        Assert.IsTrue(task.Execute(), World.Log(task));

        byte[] list = world.Sandbox.Registry.FindManifest("team/app", image.Split('@')[1].Replace(':', '-'))!.Bytes;
        Assert.HasCount(1, System.Text.Json.Nodes.JsonNode.Parse(list)!["manifests"]!.AsArray());
    }

    [TestMethod]
    [DataRow("sha", "policy.extension")]
    [DataRow("ref", "policy.extension")]
    [DataRow("repository", "policy.extension")]
    [DataRow("job_workflow_ref", "policy.identity")]
    [DataRow("annotation", "policy.annotation")]
    [DataRow("torn", "bundle.json")]
    [DataRow("another image's", "subject.digest")]
    [DataRow("empty", "bundle.json")]
    public async Task Does_not_use_a_bundle_that_is_not_what_would_be_signed_now(string differs, string reason)
    {
        await using World world = await World.StartAsync(TestContext.CancellationToken);
        string image = world.Push();
        await FailToAttachAsync(world, "bundle", image);
        string file = Directory.GetFiles(world.PathOf("bundles"), "*.sigstore.json").Single();
        KeylessSignContainer task = Sign(world, "bundle", image);
        switch (differs)
        {
            case "annotation":
                task.ContainerSigningAnnotations = [new TaskItem("env", new Dictionary<string, string> { ["Value"] = "prod" })];
                break;
            case "torn":
                byte[] half = await File.ReadAllBytesAsync(file, TestContext.CancellationToken);
                await File.WriteAllBytesAsync(file, half[..(half.Length / 2)], TestContext.CancellationToken);
                break;
            case "empty":
                await File.WriteAllBytesAsync(file, [], TestContext.CancellationToken);
                break;
            case "another image's":
                string other = world.Push();
                await FailToAttachAsync(world, "bundle", other);
                File.Move(Directory.GetFiles(world.PathOf("bundles"), $"{other.Split('@')[1].Replace(':', '-')}*.sigstore.json").Single(), file, overwrite: true);
                break;
            default:
                world.Sandbox.Issuer.Claims[differs] = differs switch
                {
                    "sha" => new string('7', 40),
                    "ref" => "refs/heads/other",
                    "repository" => "example-org/other",
                    _ => "example-org/example-repo/.github/workflows/other.yml@refs/heads/main",
                };
                break;
        }

        Assert.IsTrue(task.Execute(), World.Log(task));

        StringAssert.Contains(World.Log(task), $"is not used ({reason})", StringComparison.Ordinal);
        Assert.HasCount(1, world.Referrers(image));
        Assert.HasCount(1, world.Sandbox.Traffic.Snapshot().Where(exchange => exchange.Part == "registry" && exchange.Path.Contains("/manifests/sha256:", StringComparison.Ordinal) && exchange.Method == "PUT" && exchange.Status == 201));
    }

    [TestMethod]
    public async Task Does_not_follow_a_link_in_the_bundle_s_place()
    {
        await using World world = await World.StartAsync(TestContext.CancellationToken);
        string image = world.Push();
        await FailToAttachAsync(world, "bundle", image);
        string file = Directory.GetFiles(world.PathOf("bundles"), "*.sigstore.json").Single();
        File.Move(file, world.PathOf("elsewhere"));
        File.CreateSymbolicLink(file, world.PathOf("elsewhere"));
        KeylessSignContainer task = world.Sign(image);

        Assert.IsTrue(task.Execute(), World.Log(task));

        Assert.DoesNotContain("is pushed; nothing is signed anew", World.Log(task));
        Assert.IsNull(new FileInfo(file).LinkTarget);
    }

    /// <summary>Whatever is in the bundle's place: it is not pushed, nobody waits for it, and one message says so.</summary>
    [TestMethod]
    [DataRow("too large", "cannot be read: it is larger than 1048576 bytes")]
    [DataRow("a link", "cannot be read: it is a link, which is not followed")]
    [DataRow("a link that leads nowhere", "cannot be read: it is a link, which is not followed")]
    [DataRow("a link to a folder", "cannot be read: it is a link, which is not followed")]
    [DataRow("a pipe", "is not used (bundle.json)")]
    [DataRow("a legacy one", "is not used (")]
    [DataRow("another instance's", "is not used (")]
    [DataRow("another predicate", "is not used (subject.predicate-type)")]
    [DataRow("another issuer", "is not used (policy.issuer)")]
    [DataRow("an expired certificate", "is not used (cert.")]
    [DataRow("no SCT", "is not used (sct.missing)")]
    [DataRow("no log entry", "is not used (tlog.missing)")]
    [DataRow("a message signature", "is not used (bundle.content)")]
    public async Task Says_once_why_it_does_not_use_what_is_there(string what, string says)
    {
        await using World world = await World.StartAsync(TestContext.CancellationToken, new SandboxOptions { Rekor = RekorVersion.V1 });
        string image = world.Push();
        await FailToAttachAsync(world, "bundle", image);
        string file = Directory.GetFiles(world.PathOf("bundles"), "*.sigstore.json").Single();
        byte[] bundle = await File.ReadAllBytesAsync(file, TestContext.CancellationToken);
        File.Delete(file);
        string elsewhere = world.PathOf("elsewhere");
        switch (what)
        {
            case "too large":
                await File.WriteAllBytesAsync(file, [.. bundle, .. Enumerable.Repeat((byte)' ', 1024 * 1024)], TestContext.CancellationToken);
                break;
            case "a link":
                await File.WriteAllBytesAsync(elsewhere, bundle, TestContext.CancellationToken);
                File.CreateSymbolicLink(file, elsewhere);
                break;
            case "a link that leads nowhere":
                File.CreateSymbolicLink(file, elsewhere);
                break;
            case "a link to a folder":
                Directory.CreateDirectory(elsewhere);
                File.CreateSymbolicLink(file, elsewhere);
                break;
            case "a pipe":
                if (!OperatingSystem.IsLinux())
                {
                    Assert.Inconclusive("pipes in folders are made by mkfifo");
                }

                using (var make = System.Diagnostics.Process.Start("mkfifo", [file]))
                {
                    await make.WaitForExitAsync(TestContext.CancellationToken);
                }

                break;
            case "a legacy one":
                await FailToAttachAsync(world, "legacy", image);
                File.Move(Directory.GetFiles(world.PathOf("bundles"), "*.legacy.sigstore.json").Single(), file);
                break;
            case "another instance's":
                await using (World other = await World.StartAsync(TestContext.CancellationToken))
                {
                    KeylessSignContainer theirs = other.Sign(image);
                    Assert.IsTrue(theirs.Execute(), World.Log(theirs));
                    File.Copy(theirs.SignedContainers.Single().GetMetadata("BundlePath"), file);
                }

                break;
            default:
                var forge = new BundleForge(world, image);
                forge = what switch
                {
                    "another predicate" => forge with { PredicateType = "https://example.org/other/v1" },
                    "another issuer" => forge with { Signer = new ForgedSigner(world) { Claims = claims => claims["iss"] = "https://issuer.example" } },
                    "an expired certificate" => forge with { Signer = new ForgedSigner(world) { NotBefore = DateTimeOffset.UtcNow.AddHours(-1) } },
                    "no SCT" => forge with { Signer = new ForgedSigner(world) { WithSct = false } },
                    "no log entry" => forge with { Logged = false, Stamped = true },
                    _ => forge with { Message = true },
                };
                await File.WriteAllBytesAsync(file, forge.Make(), TestContext.CancellationToken);
                break;
        }

        int before = world.Referrers(image).Count;
        KeylessSignContainer task = Sign(world, "bundle", image);

        Assert.IsTrue(await Task.Run(task.Execute, TestContext.CancellationToken).WaitAsync(TimeSpan.FromMinutes(1), TestContext.CancellationToken), World.Log(task));

        Assert.ContainsSingle(World.Log(task).Split('\n').Where(line => line.Contains(says, StringComparison.Ordinal) && line.EndsWith("; the image is signed anew", StringComparison.Ordinal)), World.Log(task));
        Assert.HasCount(before + 1, world.Referrers(image));
        Assert.IsNull(new FileInfo(file).LinkTarget);
        Assert.AreEqual(task.SignedContainers.Single().GetMetadata("BundlePath"), file);
        Assert.IsGreaterThan(1000, new FileInfo(file).Length);
        if (what == "a link")
        {
            Assert.AreSequenceEqual(bundle, await File.ReadAllBytesAsync(elsewhere, TestContext.CancellationToken));
        }
    }

    [TestMethod]
    public async Task Does_not_use_a_bundle_in_the_place_of_a_signature_of_the_other_form()
    {
        await using World world = await World.StartAsync(TestContext.CancellationToken, new SandboxOptions { Rekor = RekorVersion.V1 });
        string image = world.Push();
        await FailToAttachAsync(world, "bundle", image);
        string file = Directory.GetFiles(world.PathOf("bundles"), "*.bundle.sigstore.json").Single();
        File.Move(file, file.Replace(".bundle.", ".legacy.", StringComparison.Ordinal));
        KeylessSignContainer task = Sign(world, "legacy", image);

        Assert.IsTrue(task.Execute(), World.Log(task));

        Assert.Contains("is not used (bundle.content)", World.Log(task));
    }

    /// <summary>The marker says nothing for a bundle that is not there, and is believed for no other than it names.</summary>
    [TestMethod]
    [DataRow("no bundle", false)]
    [DataRow("another's", true)]
    [DataRow("a link", true)]
    [DataRow("a folder", true)]
    [DataRow("empty", true)]
    public async Task A_marker_speaks_for_the_bundle_it_names_alone(string what, bool pushes)
    {
        await using World world = await World.StartAsync(TestContext.CancellationToken);
        string image = world.PushSigned();
        string marker = Directory.GetFiles(world.PathOf("bundles"), "*.attached").Single();
        string content = await File.ReadAllTextAsync(marker, TestContext.CancellationToken);
        switch (what)
        {
            case "no bundle":
                File.Delete(marker.Replace(".attached", "", StringComparison.Ordinal));
                break;
            case "another's":
                await File.WriteAllTextAsync(marker, image.Split('@')[1], TestContext.CancellationToken);
                break;
            case "a link":
                File.Move(marker, world.PathOf("elsewhere"));
                File.CreateSymbolicLink(marker, world.PathOf("elsewhere"));
                break;
            case "a folder":
                File.Delete(marker);
                Directory.CreateDirectory(marker);
                break;
            default:
                await File.WriteAllTextAsync(marker, "", TestContext.CancellationToken);
                break;
        }

        KeylessSignContainer task = world.Sign(image);

        Assert.IsTrue(task.Execute(), World.Log(task));

        // What is pushed twice is one.
        Assert.HasCount(pushes ? 1 : 2, world.Referrers(image));
        Assert.AreEqual(pushes, World.Log(task).Contains("is pushed; nothing is signed anew", StringComparison.Ordinal));
        Assert.AreEqual(what != "a folder", File.Exists(marker) && new FileInfo(marker).LinkTarget is null && await File.ReadAllTextAsync(marker, TestContext.CancellationToken) != "");
        Assert.AreEqual(pushes && what != "a folder", File.Exists(marker) && await File.ReadAllTextAsync(marker, TestContext.CancellationToken) == content);
    }

    [TestMethod]
    [DataRow("a folder in the place of the bundle")]
    [DataRow("a folder that takes no files")]
    [DataRow("a file in the place of the folder")]
    public async Task Refuses_before_anything_is_signed_where_nothing_can_be_kept(string what)
    {
        await using World world = await World.StartAsync(TestContext.CancellationToken);
        string image = world.Push();
        KeylessSignContainer task = world.Sign(image);
        switch (what)
        {
            case "a folder in the place of the bundle":
                Directory.CreateDirectory(world.PathOf($"bundles/{image.Split('@')[1].Replace(':', '-')}.bundle.sigstore.json"));
                break;
            case "a folder that takes no files":
                if (!OperatingSystem.IsLinux())
                {
                    Assert.Inconclusive("there is no such folder for whoever may do everything");
                }

                task.ContainerSigningBundleDirectory = "/proc";
                break;
            default:
                world.Folder.Write("bundles", "");
                break;
        }

        Assert.Contains("ContainerSigningBundleDirectory '", World.Refusal(task, "KEYLESS5012"));

        Assert.IsEmpty(world.Sandbox.Traffic.Snapshot().Where(exchange => exchange.Part is "timestamp" or "rekor-v2"));
        Assert.IsEmpty(world.Referrers(image));
    }

    [TestMethod]
    public async Task Two_builds_that_keep_the_same_file_lose_nothing()
    {
        // Whoever writes last is waited for in the time that the machine takes: a clock that leaps over it would not.
        await using World world = await World.StartAsync(TestContext.CancellationToken, new SandboxOptions { ReferrersApi = false }, TimeProvider.System);
        string image = world.Push();
        KeylessSignContainer[] tasks = [world.Sign(image), world.Sign(image), world.Sign(image)];

        await Task.WhenAll(tasks.Select(task => Task.Run(() => Assert.IsTrue(task.Execute(), World.Log(task)), TestContext.CancellationToken)));

        string file = Directory.GetFiles(world.PathOf("bundles"), "*.sigstore.json").Single();
        Assert.HasCount(2, Directory.GetFiles(world.PathOf("bundles"), "*", new EnumerationOptions { AttributesToSkip = 0 }), "something half written is left");
        if (!OperatingSystem.IsWindows())
        {
            Assert.AreEqual(UnixFileMode.UserRead | UnixFileMode.UserWrite, File.GetUnixFileMode(file));
        }

        byte[] list = world.Sandbox.Registry.FindManifest("team/app", image.Split('@')[1].Replace(':', '-'))!.Bytes;
        // Who came last may have found the bundle of another, unfinished, and pushed that.
        Assert.IsGreaterThanOrEqualTo(1, System.Text.Json.Nodes.JsonNode.Parse(list)!["manifests"]!.AsArray().Count);
        foreach (string reference in tasks.Select(task => task.SignedContainers.Single().GetMetadata("SignatureReference")))
        {
            Assert.Contains(reference.Split('@')[1], Encoding.UTF8.GetString(list));
        }
    }

    [TestMethod]
    [DataRow(true)]
    [DataRow(false)]
    public async Task A_signing_config_that_does_not_fit_is_one_error_where_something_may_be_done_already(bool skips)
    {
        await using World world = await World.StartAsync(TestContext.CancellationToken);
        await using World other = await World.StartAsync(TestContext.CancellationToken);
        string image = world.Push();
        await FailToAttachAsync(world, "bundle", image);
        KeylessSignContainer task = world.Sign(image);
        task.SigstoreSigningConfig = other.PathOf("signing_config.json");
        if (skips)
        {
            task.ContainerSigningSkipIfSigned = "true";
            task.ContainerSigningBundleDirectory = "others";
        }

        Assert.Contains("which the trusted root does not know", World.Refusal(task, "KEYLESS2102"));
    }

    private static async Task<KeylessSignContainer> FailToAttachAsync(World world, string format, string image)
    {
        KeylessSignContainer task = Sign(world, format, image);
        world.Sandbox.RegistryServer.Intercept = context =>
        {
            if (context.Request.Method == "PUT" && context.Request.Path.Value!.Contains("/manifests/", StringComparison.Ordinal))
            {
                context.Response.StatusCode = 503;
            }

            return Task.CompletedTask;
        };
        World.Refusal(task, "KEYLESS3001");
        world.Sandbox.RegistryServer.Intercept = null;
        await Task.CompletedTask;
        return task;
    }

    private static KeylessSignContainer Sign(World world, string format, string image)
    {
        KeylessSignContainer task = world.Sign(image);
        task.ContainerSigningFormat = format;
        return task;
    }
}
