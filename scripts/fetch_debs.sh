#!/bin/sh
# sh scripts/fetch_debs.sh SUITE ARCH FOLDER PACKAGE...
#
# Downloads packages of another Debian release (trixie, sid) or architecture (arm64) and unpacks them
# into FOLDER. Works without root and leaves the system's package state alone: apt-get gets a private
# tree under .deps/apt, with the system's own sources rewritten to SUITE.
set -eu
suite=$1 arch=$2 folder=$3
shift 3
. /etc/os-release
top=$(cd "$(dirname "$0")/.." && pwd)
tree=$top/.deps/apt/$suite-$arch
rm -rf "$tree"
mkdir -p "$tree/sources.list.d" "$tree/lists/partial" "$tree/cache/archives/partial" "$tree/debs"

# A suite of this release ("bookworm-updates") becomes the one of the other release. Suites which
# that release may lack (backports, third parties) are dropped: "" ends up in their place.
rename='
function renamed(name,    base, rest) {
  base = name; sub(/-.*/, "", base); rest = substr(name, length(base) + 1)
  if (base != codename && base != "stable" && base != "oldstable") return ""
  if (rest == "" || (suite != "sid" && (rest == "-updates" || rest == "-security"))) return suite rest
  return ""
}'
one_line="$rename"'
$1 == "deb" {
  at = 2
  if ($2 ~ /^\[/) while ($(at++) !~ /\]$/) if (at > NF) next
  $(at + 1) = renamed($(at + 1))
  if ($(at + 1) != "") print
}'
deb822="$rename"'
function flush_stanza() {
  if (suites != "" && binary) printf "%sSuites:%s\nTypes: deb\n\n", text, suites
  text = suites = field = ""; binary = 0
}
/^[ \t]*$/ { flush_stanza(); next }
/^#/ { next }
!/^[ \t]/ { field = tolower($1); sub(/:.*/, ":", field) }
field == "suites:" { sub(/^[^ \t]*:/, ""); for (i = 1; i <= NF; ++i) if (renamed($i) != "") suites = suites " " renamed($i); next }
field == "types:" { if ($0 ~ /[ \t:]deb([ \t]|$)/) binary = 1; next }
field == "architectures:" { next }
{ text = text $0 "\n" }
END { flush_stanza() }'

for file in /etc/apt/sources.list /etc/apt/sources.list.d/*.list /etc/apt/sources.list.d/*.sources; do
  [ -f "$file" ] || continue
  case $file in *.sources) program=$deb822 ;; *) program=$one_line ;; esac
  awk -v suite="$suite" -v codename="$VERSION_CODENAME" "$program" "$file" \
    > "$tree/sources.list.d/$(basename "$file")"
done

private_apt() {
  apt-get -qq -o Dir::Etc::SourceList="$tree/none" -o Dir::Etc::SourceParts="$tree/sources.list.d" \
    -o Dir::State::Lists="$tree/lists" -o Dir::Cache="$tree/cache" -o Dir::State::status=/dev/null \
    -o APT::Architecture="$arch" -o APT::Architectures="$arch" -o Acquire::Languages=none \
    -o APT::Sandbox::User="$(id -un)" -o APT::Update::Error-Mode=any "$@"
}
# A source that fails does not matter if the packages come all the same.
private_apt update || echo "fetch_debs: some sources of $suite did not answer, trying what is there" >&2
(cd "$tree/debs" && private_apt download "$@") || {
  echo "fetch_debs: cannot download '$*' of Debian $suite" >&2
  exit 1
}
mkdir -p "$folder"
for deb in "$tree"/debs/*.deb; do dpkg-deb -x "$deb" "$folder"; done
rm -rf "$tree"
