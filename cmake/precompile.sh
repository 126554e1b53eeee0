#!/usr/bin/env bash
# precompile.sh COMMAND...   runs the compiler's COMMAND; where that makes NAME.pch, writes NAME.pch.sum as well: a hash of the
# command and of every file the header reads. ccache takes it for the header itself (pch_external_checksum), in which clang
# writes the path of the checkout, so that no other checkout would ever find what was compiled with it.
set -euo pipefail
root=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)

"$@"

output='' dependencies='' before=''
for argument; do
  case $before in
    -o) output=$argument ;;
    -MF) dependencies=$argument ;;
  esac
  before=$argument
done
if [[ $output == *.pch ]]; then
  {
    printf '%s\n' "$@"
    sed '1s/^[^:]*://; s/\\$//' "$dependencies" | xargs sha256sum
  } | sed "s|$root||g" | sha256sum >"$output.sum"
fi
