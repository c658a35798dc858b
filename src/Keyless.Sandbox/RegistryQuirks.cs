namespace Keyless.Sandbox;

/// <summary>What a registry says to a second manifest under a tag.</summary>
public enum ImmutableTags
{
    /// <summary>It moves the tag.</summary>
    None,

    /// <summary>
    /// Amazon ECR with tag immutability: 400 in words of its own. A filter such as <c>sha256-*</c> may except tags since July 2025.
    /// Source: docs.aws.amazon.com/AmazonECR/latest/userguide/image-tag-mutability.html, read 2026-11-25; sigstore/cosign issue 313, 2021-05-08.
    /// </summary>
    AsEcr,

    /// <summary>
    /// Harbor with an immutability rule: 412, the status of a condition that failed.
    /// Source: goharbor/harbor issue 17332, 2022-08-05.
    /// </summary>
    AsHarbor,
}

/// <summary>What a registry does when a tag is to be deleted by its name (distribution-spec 1.1, "Deleting tags").</summary>
public enum TagDeletion
{
    /// <summary>The tag goes, what it held stays.</summary>
    Untags,

    /// <summary>
    /// 405 UNSUPPORTED: GHCR, Docker Hub, and distribution 2.8.3 as it comes (400 DIGEST_INVALID where deleting is enabled).
    /// Source: containers/skopeo issue 1880, 2023-01-25; genuinetools/reg issue 143, 2018-09-26; distribution tried on 2026-11-26.
    /// </summary>
    Refused,

    /// <summary>
    /// 202, and the manifest goes with all its tags, as in Harbor 1. Source: goharbor/harbor issues 2663, 2017-06-29, and 6994, 2019-02-21.
    /// </summary>
    TakesManifest,

    /// <summary>
    /// Amazon ECR: 202, and with its last tag a manifest goes, too. Source: the AWS CLI's reference of <c>ecr batch-delete-image</c>, read 2026-11-26.
    /// </summary>
    TakesUntagged,
}

/// <summary>
/// How well-known registries differ from distribution-spec, one switch each. Each names where that is written and when; the services move on, and
/// a switch stays for those that run the older version.
/// </summary>
public sealed record RegistryQuirks
{
    /// <summary>
    /// GHCR: the referrers API is neither there nor 404; it answers 303 to an address of the website.
    /// Source: artifacthub/hub issue 4785, 2026-04-24.
    /// </summary>
    public bool ReferrersLeadElsewhere { get; init; }

    /// <summary>What becomes of a tag that is written twice.</summary>
    public ImmutableTags ImmutableTags { get; init; }

    /// <summary>What becomes of a tag that is deleted by its name.</summary>
    public TagDeletion TagDeletion { get; init; }

    /// <summary>
    /// Quay without general OCI support: a manifest whose config is not an image's is MANIFEST_INVALID, whatever it refers to.
    /// Source: aquasecurity/trivy-plugin-referrer issue 16, 2023-07-26.
    /// </summary>
    public bool ImageConfigsOnly { get; init; }

    /// <summary>
    /// Azure Container Registry: the token service wants to be told its <c>service</c>, and calls the token <c>access_token</c> only.
    /// Source: azure.github.io/acr/AAD-OAuth.html, read 2026-11-25.
    /// </summary>
    public bool AccessTokenOnly { get; init; }

    /// <summary>
    /// Amazon ECR, Azure Container Registry: 307 sends to storage of another name for a blob, and that refuses whoever also brings the credentials
    /// for the registry. Source: open-policy-agent/opa issue 6580, 2024-02-09;
    /// learn.microsoft.com/azure/container-registry/container-registry-dedicated-data-endpoints, read 2026-11-25.
    /// </summary>
    public bool BlobsElsewhere { get; init; }

    /// <summary>
    /// Docker Hub: after so many requests 429 with Retry-After, for all that follow. Null: no limit.
    /// Source: docker/docs pull requests 22157, 2025-03-04, and 22916, 2025-06-25.
    /// </summary>
    public int? RequestsAllowed { get; init; }

    /// <summary>
    /// Artifactory behind a proxy that does not tell it its name: uploads are to be continued at the address it believes to have.
    /// Source: jfrog/charts issue 1575, 2022-01-21.
    /// </summary>
    public bool UploadsElsewhere { get; init; }

    /// <summary>Entries on one page of referrers; null: all. distribution-spec 1.1, "Listing Referrers": <c>Link</c> leads on.</summary>
    public int? ReferrersPerPage { get; init; }
}
