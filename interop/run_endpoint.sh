#!/bin/bash
# tern in the QUIC interop runner: https://github.com/quic-interop/quic-interop-runner
#
# The runner's environment says what to do: ROLE, TESTCASE, REQUESTS, SSLKEYLOGFILE, QLOGDIR, and
# CLIENT_PARAMS or SERVER_PARAMS with more arguments. /www, /downloads, /certs and /logs are its
# mounts. The exit status is 127 for a test case that tern does not know. TERN_PROTOCOL, which the
# image sets, is webtransport for the runner's other list of cases.
set -u

# tern alone gets the libraries that came with it: the programs below belong to another system.
tern=(env "LD_LIBRARY_PATH=/opt/tern/lib${LD_LIBRARY_PATH:+:$LD_LIBRARY_PATH}"
  /opt/tern/bin/tern interop endpoint)

[[ ${TERN_PROTOCOL:-quic} != webtransport ]] || tern+=(--webtransport)

# Before anything else: the runner asks for cases that nobody knows to see that they are refused.
"${tern[@]}" --check || exit

# Routes through the simulator, checksums, /logs/qlog.
/setup.sh

if [[ $ROLE == client ]]; then
  /wait-for-it.sh sim:57832 -s -t 30
  read -ra parameters <<<"${CLIENT_PARAMS:-}"
else
  read -ra parameters <<<"${SERVER_PARAMS:-}"
fi
exec "${tern[@]}" "${parameters[@]}"
