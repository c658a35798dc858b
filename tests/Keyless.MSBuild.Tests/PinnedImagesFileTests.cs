using System.Text.Json.Nodes;
using Microsoft.Build.Framework;
using Task = System.Threading.Tasks.Task;

namespace Keyless.MSBuild.Tests;

/// <summary>The file with the references that were verified, for whoever deploys.</summary>
[TestClass]
public sealed class PinnedImagesFileTests
{
    private static World world = null!;
    private static string app = null!, other = null!, unsigned = null!;
    private readonly string name = $"pinned-{Guid.NewGuid():N}";

    public required TestContext TestContext { get; init; }

    [ClassInitialize]
    public static async Task Start(TestContext context)
    {
        world = await World.StartAsync(context.CancellationToken);
        (app, other, unsigned) = (world.Push("team/app"), world.Push("team/my.other-app", "2.0"), world.Push("team/unsigned"));
        KeylessSignContainer sign = world.Sign(app, other);
        Assert.IsTrue(sign.Execute(), World.Log(sign));
    }

    [ClassCleanup]
    public static async Task Stop() => await world.DisposeAsync();

    [TestMethod]
    public void Has_a_variable_for_each_repository()
    {
        Run("env", world.Image(Tag(app, "1.0")), world.Image(Tag(other, "2.0")));

        Assert.AreEqual($$"""
            # keyless-msbuild: {"project":"Deploy","run":null}
            TEAM_APP_IMAGE={{app}}
            TEAM_MY_OTHER_APP_IMAGE={{other}}
            # keyless-msbuild: end

            """, Read("env"));
    }

    [TestMethod]
    public void Has_an_entry_for_each_reference_in_JSON()
    {
        Run("json", world.Image(Tag(app, "1.0")), world.Image(app), world.Image(app));

        JsonNode file = JsonNode.Parse(Read("json"))!;
        Assert.AreEqual("keyless-msbuild/pinned-images/v1", (string?)file["schema"]);
        Assert.AreEqual($"{Tag(app, "1.0")} {app}", string.Join(' ', file["images"]!.AsArray().Select(image => (string?)image!["reference"])), "asked for twice, it is one");
        Assert.IsTrue(file["images"]!.AsArray().All(image => (string?)image!["pinned"] == app && (string?)image["digest"] == app.Split('@')[1] && (string?)image["project"] == "Deploy"));
    }

    [TestMethod]
    [DataRow("env")]
    [DataRow("json")]
    public void Is_not_touched_where_one_image_is_refused(string form)
    {
        Run(form, world.Image(app));
        string before = Read(form);
        KeylessVerifyContainer task = Task(form, world.Image(other), world.Image(unsigned));

        World.Refusal(task, "KEYLESS4001");

        Assert.AreEqual(before, Read(form));
    }

    [TestMethod]
    public void Has_only_what_satisfied_its_policy_where_the_others_are_warned_of()
    {
        Run("env", world.Image(app), world.Image(unsigned, ("Mode", "warn")));

        Assert.Contains("TEAM_APP_IMAGE=", Read("env"));
        Assert.DoesNotContain("UNSIGNED", Read("env"));
    }

    [TestMethod]
    public void Keeps_what_its_owner_and_other_projects_have_in_it()
    {
        world.Folder.Write($"{name}.env", "# mine\r\nPORT=80\nexport HOST = x\n# TEAM_APP_IMAGE=commented\nURL=http://TEAM_APP_IMAGE=x\n");
        Run("env", world.Image(app));
        KeylessVerifyContainer second = Task("env", world.Image(other));
        second.ProjectName = "Second";
        Assert.IsTrue(second.Execute(), World.Log(second));
        Run("env", world.Image(app));

        Assert.AreEqual($$"""
            # mine{{'\r'}}
            PORT=80
            export HOST = x
            # TEAM_APP_IMAGE=commented
            URL=http://TEAM_APP_IMAGE=x
            # keyless-msbuild: {"project":"Second","run":null}
            TEAM_MY_OTHER_APP_IMAGE={{other}}
            # keyless-msbuild: end
            # keyless-msbuild: {"project":"Deploy","run":null}
            TEAM_APP_IMAGE={{app}}
            # keyless-msbuild: end

            """, Read("env"));
    }

    [TestMethod]
    [DataRow("env")]
    [DataRow("json")]
    public void Drops_what_another_run_of_the_CI_system_has_left(string form)
    {
        foreach (string run in (string[])["1", "2"])
        {
            KeylessVerifyContainer task = Task(form, world.Image(run == "1" ? other : app));
            task.ProjectName = run == "1" ? "Gone" : "Deploy";
            task.EnvironmentVariable = variable => variable switch { "GITHUB_ACTIONS" => "true", "GITHUB_RUN_ID" => run, "GITHUB_RUN_ATTEMPT" => "1", _ => null };
            Assert.IsTrue(task.Execute(), World.Log(task));
        }

        Assert.Contains("github 2.1", Read(form));
        Assert.DoesNotContain("github 1.1", Read(form));
        Assert.DoesNotContain(other, Read(form));
    }

    [TestMethod]
    [DataRow("TEAM_APP_IMAGE=something")]
    [DataRow("export TEAM_APP_IMAGE = something")]
    [DataRow("export\tTEAM_APP_IMAGE=something")]
    [DataRow("  TEAM_APP_IMAGE: something")]
    public void Does_not_say_what_the_file_says_otherwise(string line)
    {
        world.Folder.Write($"{name}.env", line + "\n");

        Assert.Contains("TEAM_APP_IMAGE already", World.Refusal(Task("env", world.Image(app)), "KEYLESS5009"));

        Assert.AreEqual(line + "\n", Read("env"));
    }

    [TestMethod]
    public void Has_one_value_for_a_variable()
    {
        string again = world.Push("team/app", "1.1");
        KeylessSignContainer sign = world.Sign(again);
        Assert.IsTrue(sign.Execute(), World.Log(sign));

        Assert.Contains("TEAM_APP_IMAGE", World.Refusal(Task("env", world.Image(app), world.Image(again)), "KEYLESS5009"));
        Assert.IsFalse(File.Exists(world.Folder[$"{name}.env"]));
        Run("json", world.Image(app), world.Image(again));
    }

    [TestMethod]
    [DataRow("images.txt", null, "KEYLESS5001")]
    [DataRow("images", null, "KEYLESS5001")]
    [DataRow("other.json", "{\"images\":[]}", "KEYLESS5012")]
    [DataRow("broken.json", "{", "KEYLESS5012")]
    [DataRow("broken.env", "# keyless-msbuild: {\"project\":\"x\",\"run\":null}\nA=1\n", "KEYLESS5012")]
    [DataRow("nested.env", "# keyless-msbuild: {\"project\":\"x\",\"run\":null}\n# keyless-msbuild: {\"project\":\"x\",\"run\":null}\n# keyless-msbuild: end\n", "KEYLESS5012")]
    [DataRow("nobodys.env", "# keyless-msbuild: {}\n# keyless-msbuild: end\n", "KEYLESS5012")]
    [DataRow("number.env", "# keyless-msbuild: {\"project\":1,\"run\":null}\n# keyless-msbuild: end\n", "KEYLESS5012")]
    [DataRow("list.env", "# keyless-msbuild: []\n# keyless-msbuild: end\n", "KEYLESS5012")]
    [DataRow("null.env", "# keyless-msbuild: null\n# keyless-msbuild: end\n", "KEYLESS5012")]
    [DataRow("binary.env", "\uFFFF\0\xD800", "KEYLESS5012")]
    [DataRow("file/images.env", "", "KEYLESS5012")]
    public void Is_refused_before_anything_is_asked(string path, string? content, string code)
    {
        string own = $"{name}/{path}";
        Directory.CreateDirectory(world.Folder[name]);
        if (path.StartsWith("file/", StringComparison.Ordinal))
        {
            File.WriteAllText(world.Folder[$"{name}/file"], "");
        }
        else if (path == "binary.env")
        {
            File.WriteAllBytes(world.Folder[own], [0xff, 0xfe, 0x00]);
        }
        else if (content is not null)
        {
            File.WriteAllText(world.Folder[own], content);
        }

        string user = $"nobody-{Guid.NewGuid():N}";
        KeylessVerifyContainer task = world.Verify(world.Image($"{world.Sandbox.RegistryHost}/{user}/app:1.0"));
        task.ContainerPinnedImagesFile = own;

        World.Refusal(task, code);

        Assert.IsFalse(world.Sandbox.Traffic.Snapshot().Any(exchange => exchange.Path.Contains(user, StringComparison.Ordinal)));
    }

    private void Run(string form, params ITaskItem[] images)
    {
        KeylessVerifyContainer task = Task(form, images);
        Assert.IsTrue(task.Execute(), World.Log(task));
    }

    private KeylessVerifyContainer Task(string form, params ITaskItem[] images)
    {
        KeylessVerifyContainer task = world.Verify(images);
        task.ContainerPinnedImagesFile = $"{name}.{form}";
        task.EnvironmentVariable = _ => null;
        return task;
    }

    private string Read(string form) => File.ReadAllText(world.Folder[$"{name}.{form}"]);

    private static string Tag(string pinned, string tag) => $"{pinned.Split('@')[0]}:{tag}";
}
