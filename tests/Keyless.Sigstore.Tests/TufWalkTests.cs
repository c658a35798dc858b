using System.Text.Json.Nodes;
using CsCheck;
using Keyless.Sandbox;

namespace Keyless.Sigstore.Tests;

/// <summary>
/// Random histories of one repository and one client: honest changes, attackers with too few keys, broken servers and broken files in any order.
/// Whatever happens, versions on disk go down only after a key was taken away, nothing that is not signed by enough keys replaces anything, and once
/// everything is well again the client is up to date.
/// </summary>
[TestClass]
public sealed class TufWalkTests(TestContext test)
{
    private static readonly string[] Roles = ["root", "timestamp", "snapshot", "targets"];

    private enum Step
    {
        PublishTargets,
        PublishTimestamp,
        PublishRoot,
        RotateTimestamp,
        RotateSnapshot,
        RotateTargets,
        RotateRoot,
        ForgeRoot,
        ForgeTimestamp,
        ForgeTargets,
        ReplayTimestamp,
        HideSnapshot,
        BreakServer,
        CutAnswer,
        CorruptFile,
        DeleteFile,
        WaitADay,
    }

    [TestMethod]
    public void Never_goes_back_never_believes_an_attacker_and_always_recovers()
    {
        Gen.Int[0, (int)Step.WaitADay].Select(step => (Step)step).Array[1, 20]
            .Sample(steps => WalkAsync(steps).GetAwaiter().GetResult(), iter: 30, threads: 2, writeLine: test.WriteLine);
    }

    private static async Task WalkAsync(Step[] steps)
    {
        await using TufWorld world = await TufWorld.StartKnownAsync();
        var walk = new Walk(world);
        foreach (Step step in steps)
        {
            await walk.GoAsync(step);
        }

        await walk.RecoverAsync();
    }

    private sealed class Walk(TufWorld world)
    {
        private readonly TufRepository repository = world.Repository;
        private readonly HashSet<string> honest = [];
        private readonly Dictionary<string, long> highest = Roles.ToDictionary(role => role, world.Version, StringComparer.Ordinal);
        private readonly Dictionary<string, byte[]> faults = new(StringComparer.Ordinal);

        public async Task GoAsync(Step step)
        {
            Remember();
            Take(step);
            Remember();
            SortedDictionary<string, byte[]> before = world.Files();
            try
            {
                await world.RefreshAsync();
            }
            catch (Exception e) when (e is TufException or ServiceException)
            {
                // Refusing is always allowed; what is on disk is the matter here.
            }

            SortedDictionary<string, byte[]> after = world.Files();
            foreach (string role in Roles)
            {
                byte[]? was = before.GetValueOrDefault($"{role}.json"), now = after.GetValueOrDefault($"{role}.json");
                if (now is null)
                {
                    // Only a root that takes keys away makes the client forget.
                    Assert.IsTrue(was is null || (world.Version("root") > highest["root"] && role is "timestamp" or "snapshot"), $"{role} was lost by {step}");
                    highest[role] = 0;
                }
                else if (was is null || !was.AsSpan().SequenceEqual(now))
                {
                    Assert.Contains(Convert.ToHexString(now), honest, $"{role} was replaced by {step}");
                    bool keysGone = world.Version("root") > highest["root"];
                    Assert.IsTrue(world.Version(role) >= highest[role] || keysGone, $"{role} went from {highest[role]} to {world.Version(role)} by {step}");
                }
            }

            foreach (string role in Roles.Where(role => after.TryGetValue($"{role}.json", out byte[]? now) && honest.Contains(Convert.ToHexString(now))))
            {
                highest[role] = world.Version(role);
            }
        }

        public async Task RecoverAsync()
        {
            repository.SetExpiry("timestamp", TimeSpan.FromDays(7));
            repository.SetExpiry("root", TimeSpan.FromDays(197));
            Heal();
            repository.Publish("root", "targets");
            await world.RefreshAsync();
            foreach (string role in Roles)
            {
                CollectionAssert.AreEqual(repository.Files[$"{role}.json"], world.Files()[$"{role}.json"], role);
            }
        }

        private void Take(Step step)
        {
            string role = Roles[(int)(repository.Version("timestamp") % Roles.Length)];
            string file = Path.Combine(world.Folder, $"{role}.json");
            switch (step)
            {
                case Step.PublishTargets or Step.PublishTimestamp or Step.PublishRoot:
                    Heal();
                    repository.Publish(step.ToString()["Publish".Length..].ToLowerInvariant());
                    break;
                case Step.RotateTimestamp or Step.RotateSnapshot or Step.RotateTargets or Step.RotateRoot:
                    Heal();
                    string rotates = step.ToString()["Rotate".Length..].ToLowerInvariant();
                    repository.RotateKeys(rotates);
                    repository.Publish(rotates);
                    break;
                case Step.ForgeRoot:
                    Fault($"{repository.Version("root") + 1}.root.json", Forge("root", [repository.Signers["root"][0], TufSigner.Create()]));
                    break;
                case Step.ForgeTimestamp:
                    Fault("timestamp.json", Forge("timestamp", [TufSigner.Create()]));
                    break;
                case Step.ForgeTargets:
                    repository.Publish("targets");
                    Fault($"{repository.Version("targets")}.targets.json", Forge("targets", [repository.Signers["targets"][1]]));
                    break;
                case Step.ReplayTimestamp:
                    Fault("timestamp.json", repository.Files["1.timestamp.json"]);
                    break;
                case Step.HideSnapshot:
                    repository.Publish("snapshot");
                    Fault($"{repository.Version("snapshot")}.snapshot.json", null);
                    break;
                case Step.BreakServer:
                    world.Server.Intercept = context =>
                    {
                        context.Response.StatusCode = 503;
                        return Task.CompletedTask;
                    };
                    break;
                case Step.CutAnswer:
                    repository.Publish("targets");
                    Fault($"{repository.Version("targets")}.targets.json", repository.Files["targets.json"][..100]);
                    break;
                case Step.CorruptFile:
                    File.WriteAllBytes(file, [1, 2, 3]);
                    highest[role] = 0;
                    break;
                case Step.DeleteFile:
                    File.Delete(file);
                    highest[role] = 0;
                    break;
                default:
                    world.Clock.Now += TimeSpan.FromDays(1);
                    break;
            }
        }

        private byte[] Forge(string role, TufSigner[] signers)
        {
            JsonObject content = repository[role].DeepClone().AsObject();
            content["version"] = repository.Version(role) + 1;
            content["forged"] = true;
            return TufRepository.Envelope(content, signers);
        }

        private void Fault(string file, byte[]? content)
        {
            Remember();
            if (repository.Files.TryGetValue(file, out byte[]? bytes))
            {
                faults.TryAdd(file, bytes);
                repository.Files.Remove(file, out _);
            }
            else
            {
                faults.TryAdd(file, []);
            }

            if (content is not null)
            {
                repository.Files[file] = content;
            }
        }

        private void Heal()
        {
            world.Server.Intercept = null;
            foreach ((string file, byte[] content) in faults)
            {
                if (content.Length > 0)
                {
                    repository.Files[file] = content;
                }
                else
                {
                    repository.Files.Remove(file, out _);
                }
            }

            faults.Clear();
        }

        /// <summary>Everything that the repository has served in honesty so far.</summary>
        private void Remember()
        {
            foreach ((string file, byte[] content) in repository.Files.Where(file => !faults.ContainsKey(file.Key)))
            {
                honest.Add(Convert.ToHexString(content));
            }
        }
    }
}
