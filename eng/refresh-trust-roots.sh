#!/usr/bin/env bash
# Brings the roots that ship with Keyless.Sigstore up to date: each from the TUF repository of its instance, walked from the root that ships today by our own client.
# usage: bash eng/refresh-trust-roots.sh [NAME URL FOLDER]   without arguments: public-good and staging, in the source
set -euo pipefail
here=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
client="$here/tests/Keyless.Conformance/keyless-tuf-conformance"
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

refresh() { # NAME URL FOLDER
  local root="$3/$1.root.json" trusted="$3/$1.trusted_root.json" fresh="$work/$1"
  "$client" --metadata-dir "$fresh" init "$root"
  "$client" --metadata-url "$2" --metadata-dir "$fresh" --target-name trusted_root.json --target-dir "$work/targets-$1" --target-base-url "${2%/}/targets" download
  cp "$fresh/root.json" "$root"
  [ ! -f "$trusted" ] || cp "$work/targets-$1/trusted_root.json" "$trusted"
  echo "$1: $root"
}

if [ $# -eq 3 ]; then
  refresh "$@"
elif [ $# -eq 0 ]; then
  folder="$here/src/Keyless.Sigstore/Tuf/Roots"
  refresh public-good https://tuf-repo-cdn.sigstore.dev "$folder"
  refresh staging https://tuf-repo-cdn.sigstage.dev "$folder"
  echo "If public-good.trusted_root.json has changed, SigstoreRepository.Shipped is today, and the documents of that age say so."
else
  sed -n '3p' "${BASH_SOURCE[0]}" >&2
  exit 2
fi
