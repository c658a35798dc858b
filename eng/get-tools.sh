#!/usr/bin/env bash
# Puts the real clients and servers that the interop tests talk to into a folder, without installing anything on the machine:
# cosign 3 (as cosign), cosign 2 (as cosign2), crane, oras, docker-registry; and, if there is npm, @sigstore/verify and @sigstore/tuf for node,
# and sarif-multitool, which checks SARIF logs.
# Also what was signed at the public-good instance: a package of npm's, and the bundles of sigstore-go's tests, its provenance among them.
#
# usage: bash eng/get-tools.sh [FOLDER]     default: artifacts/tools of this repository; what is there already is kept
#
# They are unpacked from Debian's packages, taken from the mirror this machine's apt is set up with, and from the registry npm is set up with.
set -euo pipefail

root=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
folder=${1:-$root/artifacts/tools}
mkdir -p "$folder/bin"
folder=$(cd "$folder" && pwd)

# npm warns that @sigstore/verify wants a newer node than 20; what is used of it here runs there.
modules=$root/tests/Keyless.Interop.Tests/node
if ! command -v npm >/dev/null; then
  echo "get-tools: no npm here, so no @sigstore/verify and no sarif-multitool: their tests will be skipped; install Node.js 20 or newer for them" >&2
elif [ ! -f "$folder/node/node_modules/.package-lock.json" ] || ! cmp -s "$modules/package-lock.json" "$folder/node/package-lock.json"; then
  mkdir -p "$folder/node"
  cp "$modules/package.json" "$modules/package-lock.json" "$modules/.npmrc" "$folder/node/"
  (cd "$folder/node" && npm ci --ignore-scripts --loglevel=error)
  # all that its own script would do
  chmod -f u+x "$folder"/node/node_modules/@microsoft/sarif-multitool-*/Sarif.Multitool || true
fi
if command -v npm >/dev/null && [ ! -f "$folder/node/sigstore-2.0.0.tgz" ]; then
  (cd "$folder/node" && npm pack --silent sigstore@2.0.0 >/dev/null)
fi

# name in bin/, suite, package, name in the package, the argument with which it shows that it starts
tools=(
  "cosign          sid     cosign          cosign          version"
  "cosign2         trixie  cosign          cosign          version"
  "crane           sid     crane           crane           version"
  "oras            sid     oras            oras            version"
  "docker-registry sid     docker-registry docker-registry --version"
)

# Debian has the source of a Go library as a package, tests and their data included.
sources=golang-github-sigstore-sigstore-go-dev
source_folder=$folder/sid/usr/share/gocode/src/github.com/sigstore/sigstore-go

starts() { "$folder/bin/$1" "$2" >/dev/null 2>&1; }

declare -A missing=()
for tool in "${tools[@]}"; do
  read -r name suite package _ argument <<<"$tool"
  starts "$name" "$argument" || missing[$suite]+=" $package"
done
[ -d "$source_folder" ] || missing[sid]+=" $sources"
if [ "${#missing[@]}" -eq 0 ]; then
  echo "get-tools: everything is in $folder/bin"
  exit 0
fi

for need in apt-get dpkg-deb; do
  command -v "$need" >/dev/null || { echo "get-tools: $need is needed (Debian or a relative of it)" >&2; exit 2; }
done

# both formats of apt's sources: deb822 and one line each
mirror=$({
  cat /etc/apt/sources.list.d/*.sources 2>/dev/null | sed -n 's/^URIs:[[:space:]]*\([^[:space:]]*\).*/\1/p'
  cat /etc/apt/sources.list /etc/apt/sources.list.d/*.list 2>/dev/null | sed -En 's/^deb[[:space:]]+(\[[^]]*\][[:space:]]+)?([^[:space:]]+).*/\2/p'
} | grep -E '/debian/?$' | head -n 1 || true)
[ -n "$mirror" ] || { echo "get-tools: apt has no Debian mirror among its sources" >&2; exit 2; }
keyring=/usr/share/keyrings/debian-archive-keyring.gpg
[ -f "$keyring" ] || { echo "get-tools: $keyring is missing; install debian-archive-keyring" >&2; exit 2; }

for suite in "${!missing[@]}"; do
  state=$folder/.apt/$suite
  mkdir -p "$state/lists/partial" "$state/archives/partial" "$state/packages" "$folder/$suite"
  echo "deb [signed-by=$keyring] $mirror $suite main" >"$state/sources.list"
  options=(
    -qq -o "Dir::Etc::SourceList=$state/sources.list" -o Dir::Etc::SourceParts=/dev/null
    -o "Dir::State::Lists=$state/lists" -o "Dir::Cache::Archives=$state/archives" -o "Dir::Cache::pkgcache=" -o "Dir::Cache::srcpkgcache="
    -o "APT::Sandbox::User=$(id -un)" -o Acquire::Retries=3
  )
  apt-get "${options[@]}" update
  # shellcheck disable=SC2086 # a list of words on purpose
  (cd "$state/packages" && apt-get "${options[@]}" download ${missing[$suite]})
  for package in "$state/packages"/*.deb; do dpkg-deb -x "$package" "$folder/$suite"; done
done

for tool in "${tools[@]}"; do
  read -r name suite _ program argument <<<"$tool"
  ln -sfn "../$suite/usr/bin/$program" "$folder/bin/$name"
  starts "$name" "$argument" || { echo "get-tools: $name does not start on this machine" >&2; exit 1; }
done
echo "get-tools: $(ls "$folder/bin" | tr '\n' ' ')in $folder/bin"
