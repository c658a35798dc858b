using System.Globalization;
using System.Text;

namespace Keyless.MSBuild;

/// <summary>
/// What a project had signed, in Markdown for the page of the CI run: what, by whom, and how others check it, ready to be pasted.
/// </summary>
/// <param name="isPublicGood">Whether cosign and admission controllers trust the instance without being told.</param>
/// <param name="elsewhere">The repository of the signatures where that is another one than the images'; else null.</param>
internal sealed class StepSummary(SignedProject project, bool isPublicGood, string? elsewhere)
{
    /// <summary>With everything, then with less: a file that the CI system would refuse helps nobody.</summary>
    public IReadOnlyList<string> Versions => [Write(howTo: true, policies: true), Write(howTo: true, policies: false), Write(howTo: false, policies: false)];

    private string Write(bool howTo, bool policies)
    {
        var text = new StringBuilder();
        text.Append(CultureInfo.InvariantCulture, $"### {Quoted.Text(project.Name)}: signed\n\n");
        text.Append("| image | platform | log index | signed at |\n| --- | --- | ---: | --- |\n");
        foreach (SignedImage image in project.Images.SelectMany(image => image))
        {
            string name = image.Image.Within is null ? Quoted.Code(image.Reference) : $"in it: {Quoted.Code(image.Image.Digest.ToString())}";
            name += image.Format == SignaturesWanted.Legacy ? ", in the form of cosign 2" : "";
            text.Append(CultureInfo.InvariantCulture,
                $"| {name} | {Quoted.Text(image.Image.Platform ?? "")} | {image.Bundle.LogIndex} | {VerificationReport.Format(image.Bundle.SignedAt)} |\n");
        }

        SignedImage first = project.Images[0][0];
        text.Append(CultureInfo.InvariantCulture, $"\nSigned by {Quoted.Code(first.Bundle.SignedBy)}, whom {Quoted.Code(first.Bundle.Signer!.Issuer)} vouches for.\n\n");
        foreach (SignedImage image in howTo ? project.Images.Select(image => image[0]) : [])
        {
            var recipe = new Recipe(
                image.Image.Reference.Registry, image.Image.Reference.Repository, image.Reference, image.Bundle.SignedBy, image.Bundle.Signer!.Issuer, isPublicGood, elsewhere, image.Format == SignaturesWanted.Legacy);
            text.Append("Whoever pulls it checks it with cosign 3:\n\n").Append(Quoted.Block("sh", recipe.Cosign)).Append('\n');
            text.Append("A project that deploys it, with `dotnet build -t:VerifyContainerImages`:\n\n").Append(Quoted.Block("xml", recipe.Item)).Append('\n');
            if (!isPublicGood)
            {
                text.Append("It was signed at an instance of its own, not at Sigstore's public one: give cosign its trusted root with `--trusted-root`, the project with `SigstoreTrustedRoot`.\n\n");
            }

            if (elsewhere is not null)
            {
                text.Append(CultureInfo.InvariantCulture, $"Its signatures are kept in {Quoted.Code(elsewhere)}: the project that deploys sets `ContainerSigningRepository` to that, and a cluster's policy has to name it as the source.\n\n");
            }
            else if (policies)
            {
                text.Append("<details><summary>A cluster that admits nothing else under this name</summary>\n\n");
                text.Append("policy-controller 0.13 or newer:\n\n").Append(Quoted.Block("yaml", recipe.ClusterImagePolicy)).Append('\n');
                text.Append(CultureInfo.InvariantCulture, $"Kyverno {(isPublicGood ? "1.18" : "1.19")} or newer:\n\n").Append(Quoted.Block("yaml", recipe.KyvernoPolicy)).Append("\n</details>\n\n");
            }
        }
        return text.ToString();
    }

    /// <summary>How others verify one image: commands and documents made from the certificate that it was signed with.</summary>
    /// <param name="registry">As <see cref="Keyless.Oci.ImageReference"/> has it, and the repository, too.</param>
    /// <param name="pinned">The reference with the digest.</param>
    /// <param name="subject">Of the certificate.</param>
    /// <param name="issuer">Of the identity, as the certificate has it.</param>
    /// <param name="elsewhere">As of the summary.</param>
    internal sealed class Recipe(string registry, string repository, string pinned, string subject, string issuer, bool isPublicGood, string? elsewhere = null, bool isLegacy = false)
    {
        public string Cosign =>
            $"""
            {(elsewhere is null ? "" : $"COSIGN_REPOSITORY={Quoted.Shell(elsewhere)} ")}cosign verify {Quoted.Shell(pinned)} \
              --certificate-identity {Quoted.Shell(subject)} \
              --certificate-oidc-issuer {Quoted.Shell(issuer)}
            """;

        public string Item =>
            $"""
            <ContainerImageToVerify
                Include="{Quoted.Attribute(pinned)}"
                CertificateIdentity="{Quoted.Attribute(subject)}"
                CertificateOidcIssuer="{Quoted.Attribute(issuer)}" />
            """;

        /// <summary>policy-controller, API policy.sigstore.dev/v1beta1 (docs/ci.md says of when). Without a format it looks for cosign 2's.</summary>
        public string ClusterImagePolicy =>
            $$"""
            apiVersion: policy.sigstore.dev/v1beta1
            kind: ClusterImagePolicy
            metadata:
              name: {{Quoted.Yaml(PolicyName)}}
            spec:
              images:
                - glob: {{Quoted.Yaml($"{NameIn("index.docker.io")}@sha256:*")}}
              authorities:
                - name: signer
            {{(isLegacy ? "" : "      signatureFormat: bundle\n")}}      keyless:
                    {{(isPublicGood ? "url: https://fulcio.sigstore.dev" : "trustRootRef: my-trust-root # a TrustRoot with this instance's trusted root")}}
                    identities:
                      - issuer: {{Quoted.Yaml(issuer)}}
                        subject: {{Quoted.Yaml(subject)}}
                  ctlog:
                    {{(isPublicGood ? "url: https://rekor.sigstore.dev" : "trustRootRef: my-trust-root")}}
            {{(isLegacy ? "" : $"""
                  attestations: # of bundles it looks at statements; this is the one that means "I signed this"
                    - name: signature
                      predicateType: {Quoted.Yaml(ImageSigner.PredicateType)}
            """)}}
            """;

        /// <summary>Kyverno, API policies.kyverno.io/v1 (docs/ci.md says of when).</summary>
        public string KyvernoPolicy =>
            $$"""
            apiVersion: policies.kyverno.io/v1
            kind: ImageValidatingPolicy
            metadata:
              name: {{Quoted.Yaml(PolicyName)}}
            spec:
              validationActions: [Deny]
              matchConstraints:
                resourceRules:
                  - apiGroups: [""]
                    apiVersions: ["v1"]
                    operations: ["CREATE", "UPDATE"]
                    resources: ["pods"]
              matchImageReferences:
            {{string.Join('\n', NamesInPods.Select(name => $"    - glob: {Quoted.Yaml(name)}"))}}
              attestors:
                - name: signer
                  cosign:
                    keyless:
                      identities:
                        - issuer: {{Quoted.Yaml(issuer)}}
                          subject: {{Quoted.Yaml(subject)}}
            {{(isPublicGood ? "" : "        trustedRoot:\n          expression: variables.trustedRoot # a variable with this instance's trusted root\n")}}        ctlog:
                      url: {{(isPublicGood ? "https://rekor.sigstore.dev" : "https://rekor.example # this instance's log")}}
              validations:
                - expression: (images.containers + images.initContainers + images.ephemeralContainers).map(image, verifyImageSignatures(image, [attestors.signer])).all(count, count > 0)
                  message: the image is not signed by whom it should be
            """;

        /// <summary>
        /// Kyverno looks at what stands in the pod, letter by letter, and lets pass what no glob matches: with a digest or a tag, or with neither, which
        /// means "latest"; Docker Hub by each of its names, or by none.
        /// </summary>
        private IEnumerable<string> NamesInPods
        {
            get
            {
                string[] hosts = registry == "docker.io" ? ["", "docker.io/", "index.docker.io/", "registry-1.docker.io/"] : [$"{registry}/"];
                string[] names = registry == "docker.io" && repository.StartsWith("library/", StringComparison.Ordinal) ? [repository, repository["library/".Length..]] : [repository];
                return from host in hosts from name in names from end in (string[])["@*", ":*", ""] select $"{host}{name}{end}";
            }
        }

        private string NameIn(string dockerHub) => $"{(registry == "docker.io" ? dockerHub : registry)}/{repository}";

        /// <summary>RFC 1123, at most 63 characters; a policy of the same name is replaced when this one is applied.</summary>
        private string PolicyName
        {
            get
            {
                string name = string.Concat(repository.Select(c => char.IsAsciiLetterOrDigit(c) ? char.ToLowerInvariant(c) : '-'));
                return $"signed-{(name.Length <= 56 ? name : name[^56..])}".TrimEnd('-');
            }
        }
    }
}
