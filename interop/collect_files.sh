#!/bin/sh
# What tern needs on a system that lacks its libraries: the program and all shared libraries but
# those of the C library, which are the system's own.
#
#   interop/collect_files.sh build/release/tern DIR     makes DIR/bin/tern and DIR/lib/*.so*
set -eu

[ $# -eq 2 ] || { echo "usage: interop/collect_files.sh TERN DIR" >&2; exit 2; }
mkdir -p "$2/bin" "$2/lib"
folder=$(cd "$2" && pwd)
cp "$1" "$folder/bin/tern"
strip "$folder/bin/tern"

# "name path" of each library of the program, but those of the C library.
libraries() {
  ldd "$1" | while read -r name arrow path _; do
    [ "$arrow" = '=>' ] || continue
    case $name in
      libc.so.* | libm.so.* | libdl.so.* | libpthread.so.* | librt.so.* | libresolv.so.*) ;;
      *) echo "$name $path" ;;
    esac
  done
}

libraries "$1" | while read -r name path; do cp -L "$path" "$folder/lib/$name"; done
left_out=$(LD_LIBRARY_PATH=$folder/lib libraries "$folder/bin/tern" | awk -v ours=" $folder/lib/" '!index($0, ours)')
[ -z "$left_out" ] || { echo "collect_files.sh: left out: $left_out" >&2; exit 1; }
