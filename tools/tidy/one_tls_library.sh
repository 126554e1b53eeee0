#!/usr/bin/env bash
# Fails unless PROGRAM loads exactly one libcrypto and at most one libssl, both of BoringSSL:
#   one_tls_library.sh PROGRAM
set -euo pipefail

loaded=$(ldd "$1" | sed -nE 's|.*=> (/[^ ]*/lib(ssl\|crypto)\.so[^ ]*) .*|\1|p' | sort -u)
crypto=$(grep -c 'libcrypto' <<<"$loaded" || true)
ssl=$(grep -c 'libssl' <<<"$loaded" || true)
if [[ $crypto -ne 1 || $ssl -gt 1 ]] || grep -Ev '/android/' <<<"$loaded"; then
  printf '%s loads these TLS libraries, and should load those of BoringSSL alone:\n%s\n' "$1" "$loaded" >&2
  exit 1
fi
