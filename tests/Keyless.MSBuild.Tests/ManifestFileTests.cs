using Keyless.Testing;
using Microsoft.Build.Framework;
using Microsoft.Build.Utilities;
using Task = System.Threading.Tasks.Task;

namespace Keyless.MSBuild.Tests;

/// <summary>Files that say what is deployed, verified as a whole and written again with digests.</summary>
[TestClass]
public sealed class ManifestFileTests
{
    private static World world = null!;
    private static string app = null!, other = null!, unsigned = null!;
    private readonly string folder = $"deploy-{Guid.NewGuid():N}";

    public required TestContext TestContext { get; init; }

    [ClassInitialize]
    public static async Task Start(TestContext context)
    {
        world = await World.StartAsync(context.CancellationToken);
        (app, other, unsigned) = (world.Push("team/app"), world.Push("team/other"), world.Push("team/unsigned"));
        KeylessSignContainer sign = world.Sign(app, other);
        Assert.IsTrue(sign.Execute(), World.Log(sign));
    }

    [ClassCleanup]
    public static async Task Stop() => await world.DisposeAsync();

    [TestMethod]
    public void Every_image_is_verified_and_pinned_and_all_else_stays()
    {
        string text = $$"""
            # what runs
            services:
              web: { image: "{{Tag(app)}}" }   # the shop
              worker:
                image: {{Tag(app)}}
              db:
                image: '{{other}}'

            """;
        KeylessVerifyContainer task = Verify(text, ("PinnedOutput", $"{folder}/out/pinned.yaml"));

        Assert.IsTrue(task.Execute(), World.Log(task));

        string digest = app.Split('@')[1];
        Assert.AreEqual(text.Replace(Tag(app), $"{Tag(app)}@{digest}", StringComparison.Ordinal), File.ReadAllText(world.Folder[$"{folder}/out/pinned.yaml"]));
        Assert.AreEqual($"{app} {other}", string.Join(' ', task.VerifiedContainerImages.Select(image => image.ItemSpec)), "named twice, it is one");
        Assert.IsTrue(task.VerifiedContainerImages.All(image => image.GetMetadata("Policy") == "release"));

        KeylessVerifyContainer again = Verify(File.ReadAllText(world.Folder[$"{folder}/out/pinned.yaml"]));
        Assert.IsTrue(again.Execute(), World.Log(again));
    }

    [TestMethod]
    public void A_refused_image_is_an_error_where_the_file_names_it()
    {
        KeylessVerifyContainer task = Verify(
            $$"""
            apiVersion: v1
            kind: Pod
            spec:
              containers:
                - name: app
                  image: {{Tag(app)}}
                - image: {{Tag(unsigned)}}
              initContainers:
                - { name: again, image: {{Tag(unsigned)}} }
            """,
            ("PinnedOutput", $"{folder}/pinned.yaml"));

        string refusal = World.Refusal(task, "KEYLESS4001");

        BuildErrorEventArgs error = ((RecordingEngine)task.BuildEngine).Errors.Single();
        Assert.AreEqual((world.Folder[$"{folder}/deploy.yaml"], 7, 14), (error.File, error.LineNumber, error.ColumnNumber));
        Assert.Contains($"also named at {world.Folder[$"{folder}/deploy.yaml"]}(9,29)", refusal);
        Assert.IsFalse(File.Exists(world.Folder[$"{folder}/pinned.yaml"]), "nothing is written where one image is refused");
        Assert.AreEqual(app, task.VerifiedContainerImages.Single().ItemSpec);
    }

    [TestMethod]
    public void Under_warn_what_is_refused_stays_as_it_was()
    {
        KeylessVerifyContainer task = Verify($"services:\n  a: {{ image: {Tag(app)} }}\n  b: {{ image: {Tag(unsigned)} }}\n", ("PinnedOutput", $"{folder}/pinned.yaml"));
        task.ContainerTrustPolicies = [world.Image("release", ("Mode", "warn"))];

        Assert.IsTrue(task.Execute(), World.Log(task));

        Assert.AreEqual($"services:\n  a: {{ image: {Tag(app)}@{app.Split('@')[1]} }}\n  b: {{ image: {Tag(unsigned)} }}\n", File.ReadAllText(world.Folder[$"{folder}/pinned.yaml"]));
        BuildWarningEventArgs warning = ((RecordingEngine)task.BuildEngine).Warnings.Single();
        Assert.AreEqual((world.Folder[$"{folder}/deploy.yaml"], 3, 15), (warning.File, warning.LineNumber, warning.ColumnNumber));
    }

    [TestMethod]
    public void The_digest_that_was_verified_is_written_although_the_tag_is_moved()
    {
        string moving = world.Push("team/moving");
        KeylessSignContainer sign = world.Sign(moving);
        Assert.IsTrue(sign.Execute(), World.Log(sign));
        KeylessVerifyContainer task = Verify($"services:\n  a: {{ image: {Tag(moving)} }}\n", ("PinnedOutput", $"{folder}/pinned.yaml"));
        task.ContainerPinnedImagesFile = $"{folder}/pinned.json";
        bool moved = false;
        // Somebody pushes under the tag as soon as it has been resolved.
        world.Sandbox.RegistryServer.Intercept = context =>
        {
            if (context.Request.Path.Value!.Contains("/team/moving/referrers/", StringComparison.Ordinal) && !moved)
            {
                moved = true;
                world.Push("team/moving");
            }

            return Task.CompletedTask;
        };

        Assert.IsTrue(task.Execute(), World.Log(task));

        Assert.IsTrue(moved);
        Assert.AreNotEqual(moving.Split('@')[1], world.Sandbox.Registry.FindManifest("team/moving", "1.0")!.Digest);
        Assert.Contains($"@{moving.Split('@')[1]} ", File.ReadAllText(world.Folder[$"{folder}/pinned.yaml"]));
        Assert.Contains(moving, File.ReadAllText(world.Folder[$"{folder}/pinned.json"]));
        Assert.AreEqual(moving, task.VerifiedContainerImages.Single().ItemSpec);
    }

    [TestMethod]
    public void Looks_at_fields_that_a_path_names_and_warns_of_those_that_none_does()
    {
        string text = $"apiVersion: example.org/v1\nkind: Shop\nspec:\n  shopImage: {Tag(app)}\n  image: {Tag(other)}\n";

        KeylessVerifyContainer task = Verify(text, ("ImagePath", "spec.shopImage; spec.image"));
        Assert.IsTrue(task.Execute(), World.Log(task));
        Assert.HasCount(2, task.VerifiedContainerImages);

        KeylessVerifyContainer less = Verify(text, ("ImagePath", "spec.shopImage"));
        Assert.IsTrue(less.Execute(), World.Log(less));
        BuildWarningEventArgs warning = ((RecordingEngine)less.BuildEngine).Warnings.Single();
        Assert.AreEqual(("KEYLESS5016", world.Folder[$"{folder}/deploy.yaml"], 5), (warning.Code, warning.File, warning.LineNumber));
    }

    [TestMethod]
    [DataRow("Policy", "relaese", "KEYLESS5010", "did you mean release?")]
    [DataRow("Policy", "", "KEYLESS5001", "empty Policy")]
    [DataRow("Policy", null, "KEYLESS5008", "has no Policy")]
    [DataRow("PinedOutput", "x", "KEYLESS5002", "did you mean PinnedOutput?")]
    [DataRow("CertificateIdentity", "x", "KEYLESS5002", "CertificateIdentity")]
    [DataRow("Recursive", "ture", "KEYLESS5001", "Recursive")]
    [DataRow("ImagePath", "spec..image", "KEYLESS5001", "ImagePath")]
    public void Is_refused_for_what_is_wrong_with_its_item(string metadata, string? value, string code, string what)
    {
        string nobodys = $"nobody-{Guid.NewGuid():N}";
        KeylessVerifyContainer task = Verify($"services:\n  a: {{ image: {world.Sandbox.RegistryHost}/{nobodys}/app:1.0 }}\n", (metadata, value));

        Assert.Contains(what, World.Refusal(task, code));

        Assert.IsFalse(world.Sandbox.Traffic.Snapshot().Any(exchange => exchange.Path.Contains(nobodys, StringComparison.Ordinal)));
    }

    [TestMethod]
    public void Is_refused_where_it_is_not_there_or_cannot_be_read()
    {
        KeylessVerifyContainer missing = Verify("services: {}");
        File.Delete(world.Folder[$"{folder}/deploy.yaml"]);
        Assert.Contains("deploy.yaml", World.Refusal(missing, "KEYLESS5012"));

        KeylessVerifyContainer template = Verify("services:\n  a:\n    image: ${REGISTRY}/app:1.0\n");
        World.Refusal(template, "KEYLESS5015");
        BuildErrorEventArgs error = ((RecordingEngine)template.BuildEngine).Errors.Single();
        Assert.AreEqual((world.Folder[$"{folder}/deploy.yaml"], 3, 12), (error.File, error.LineNumber, error.ColumnNumber));
    }

    [TestMethod]
    public void Two_files_do_not_share_an_output()
    {
        KeylessVerifyContainer task = Verify($"services:\n  a: {{ image: {Tag(app)} }}\n", ("PinnedOutput", $"{folder}/pinned.yaml"));
        task.ContainerManifestFiles = [task.ContainerManifestFiles[0], new TaskItem(task.ContainerManifestFiles[0])];

        Assert.Contains("PinnedOutput", World.Refusal(task, "KEYLESS5009"));
    }

    [TestMethod]
    [DataRow("deploy.yaml")]
    [DataRow("below/../Deploy.yaml")]
    public void Does_not_write_over_what_is_read(string output)
    {
        string text = $"services:\n  a: {{ image: {Tag(app)} }}\n";
        KeylessVerifyContainer task = Verify(text, ("PinnedOutput", $"{folder}/{output}"));

        Assert.Contains("is read as a ContainerManifestFile", World.Refusal(task, "KEYLESS5009"));

        Assert.AreEqual(text, File.ReadAllText(world.Folder[$"{folder}/deploy.yaml"]));
        Assert.AreEqual("deploy.yaml", string.Join(' ', Directory.GetFileSystemEntries(world.Folder[folder]).Select(Path.GetFileName)));
    }

    [TestMethod]
    [DataRow("", "is a folder")]
    [DataRow("deploy.yaml/pinned.yaml", "cannot be written")]
    public void Says_that_a_file_cannot_be_written_before_anything_is_asked_and_writes_no_other(string output, string why)
    {
        string nobodys = $"nobody-{Guid.NewGuid():N}";
        KeylessVerifyContainer task = Verify($"services:\n  a: {{ image: {world.Sandbox.RegistryHost}/{nobodys}/app:1.0 }}\n", ("PinnedOutput", $"{folder}/pinned.yaml"));
        var second = new TaskItem(task.ContainerManifestFiles[0]);
        second.SetMetadata("PinnedOutput", output.Length == 0 ? world.Folder[folder] : $"{folder}/{output}");
        task.ContainerManifestFiles = [task.ContainerManifestFiles[0], second];

        Assert.Contains(why, World.Refusal(task, "KEYLESS5012"));

        Assert.AreEqual("deploy.yaml", string.Join(' ', Directory.GetFileSystemEntries(world.Folder[folder]).Select(Path.GetFileName)));
        Assert.IsFalse(world.Sandbox.Traffic.Snapshot().Any(exchange => exchange.Path.Contains(nobodys, StringComparison.Ordinal)));
    }

    [TestMethod]
    public void Is_not_written_where_the_pinned_images_file_cannot_be()
    {
        string namesake = world.Push("team/app", "2.0");
        KeylessSignContainer sign = world.Sign(namesake);
        Assert.IsTrue(sign.Execute(), World.Log(sign));
        KeylessVerifyContainer task = Verify($"services:\n  a: {{ image: {app} }}\n  b: {{ image: {namesake} }}\n", ("PinnedOutput", $"{folder}/pinned.yaml"));
        task.ContainerPinnedImagesFile = $"{folder}/pinned.env";

        Assert.Contains("TEAM_APP_IMAGE", World.Refusal(task, "KEYLESS5009"));

        Assert.IsFalse(File.Exists(world.Folder[$"{folder}/pinned.yaml"]));
        Assert.IsFalse(File.Exists(world.Folder[$"{folder}/pinned.env"]));
    }

    private KeylessVerifyContainer Verify(string text, params (string Name, string? Value)[] metadata)
    {
        world.Folder.Write($"{folder}/deploy.yaml", text);
        var item = new TaskItem($"{folder}/deploy.yaml", new Dictionary<string, string> { ["Policy"] = "release" });
        foreach ((string name, string? value) in metadata)
        {
            if (value is null)
            {
                item.RemoveMetadata(name);
            }
            else
            {
                item.SetMetadata(name, value);
            }
        }

        KeylessVerifyContainer task = world.Verify();
        task.ContainerTrustPolicies = [world.Image("release")];
        task.ContainerManifestFiles = [item];
        return task;
    }

    private static string Tag(string pinned) => $"{pinned.Split('@')[0]}:1.0";
}
