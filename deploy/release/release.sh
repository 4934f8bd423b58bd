#!/usr/bin/env bash
# Builds what a release consists of: archive, Debian package, Helm chart, list of crates, checksums.
#
# usage: release.sh
#
# PROFILE=dev   builds without optimisation, to try the script
# DRAFT=1       also where the checkout has changes or CHANGELOG.md has no section for the version
#
# The files are in target/package/VERSION afterwards. docs/release.md says what else a release takes.

set -euo pipefail
root=$(cd "$(dirname "${BASH_SOURCE[0]}")/../.." && pwd)
cd "$root"
profile=${PROFILE:-release}
version=$(sed -n 's/^version = "\(.*\)"/\1/p' Cargo.toml)
package=$root/target/package
files=$package/$version

complain() {
  echo "release.sh: $1" >&2
  [ -n "${DRAFT:-}" ] || exit 1
}

grep -q "^## \[$version\] - [0-9-]*$" CHANGELOG.md || complain "CHANGELOG.md has no section \"## [$version] - DATE\""
[ -z "$(git status --porcelain)" ] || complain "the checkout has changes that are not committed"

# shellcheck source=deploy/release/environment.sh
. deploy/release/environment.sh "$root"
cargo auditable build --locked --features sso --profile "$profile"
folder=$root/target/$([ "$profile" = dev ] && echo debug || echo "$profile")

rm -rf "$package"
mkdir -p "$package/man" "$files"
"$folder/sagetrail" manual "$package/man"
"$folder/sagetrail" completions bash >"$package/sagetrail.bash"
"$folder/sagetrail" completions zsh >"$package/_sagetrail"
"$folder/sagetrail" completions fish >"$package/sagetrail.fish"

maintainer=$(sed -n 's/^maintainer = "\(.*\)"/\1/p' Cargo.toml)
cat >"$package/changelog" <<END
sagetrail ($version-1) stable; urgency=medium

  * What changed is in /usr/share/doc/sagetrail/CHANGELOG.md.

 -- $maintainer  $(date --utc --rfc-email --date="@$SOURCE_DATE_EPOCH")
END

# The archive holds what an installation by hand takes; order, owners and times are fixed.
name=sagetrail-$version-$(rustc -vV | sed -n 's/^host: //p')
archive=$package/$name
mkdir -p "$archive/completions"
install "$folder/sagetrail" "$archive/sagetrail"
cp -r "$package/man" README.md CHANGELOG.md LICENSE config/sagetrail.toml deploy/systemd "$archive"
cp "$package"/{sagetrail.bash,_sagetrail,sagetrail.fish} "$archive/completions"
tar --create --directory "$package" --sort=name --owner=0 --group=0 --numeric-owner --mode=go=rX,u+rw,a-s \
  --mtime="@$SOURCE_DATE_EPOCH" "$name" | gzip --no-name --best >"$files/$name.tar.gz"

cargo deb --locked --no-build --profile "$profile" --output "$files/"

cargo cyclonedx --format json --spec-version 1.5 --override-filename sagetrail.cdx
sed "s|file://$root|file:///sagetrail|g" sagetrail.cdx.json >"$files/sagetrail-$version.cdx.json"
rm sagetrail.cdx.json

if command -v helm >/dev/null; then
  helm package deploy/helm/sagetrail --destination "$files" >/dev/null
else
  echo "release.sh: no Helm chart, because helm is missing" >&2
fi

(cd "$files" && sha256sum -- * >SHA256SUMS && cat SHA256SUMS)
