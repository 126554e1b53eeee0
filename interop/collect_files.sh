#!/bin/sh
# What tern needs on a system that lacks its libraries: the program and all shared libraries but
# those of the C library, which are the system's own.
#
#   interop/collect_files.sh build/release/tern DIR     makes DIR/bin/tern and DIR/lib/*.so*
set -eu

[ $# -eq 2 ] || { echo "usage: interop/collect_files.sh TERN DIR" >&2; exit 2; }
mkdir -p "$2/bin" "$2/lib"
cp "$1" "$2/bin/tern"
strip "$2/bin/tern"
ldd "$1" | while read -r name arrow path _; do
  [ "$arrow" = '=>' ] || continue
  case $name in
    libc.so.* | libm.so.* | libdl.so.* | libpthread.so.* | librt.so.* | libresolv.so.*) continue ;;
  esac
  cp -L "$path" "$2/lib/$name"
done
