#pragma once

#include "tools/interop/case.h"

/// The cases' coroutines, for the table in case.cc. What each does is said there.

namespace tern::interop {

// handshake_cases.cc
Task<Verdict> version_negotiation(Probe& probe);
Task<Verdict> handshake(Probe& probe);
Task<Verdict> closing(Probe& probe);
Task<Verdict> retry(Probe& probe);
Task<Verdict> large_client_hello(Probe& probe);
Task<Verdict> version_2(Probe& probe);
Task<Verdict> chacha20(Probe& probe);
Task<Verdict> grease(Probe& probe);

// data_cases.cc
Task<Verdict> stream_data(Probe& probe);
Task<Verdict> http3_requests(Probe& probe);
Task<Verdict> qpack_dynamic_table(Probe& probe);
Task<Verdict> throughput(Probe& probe);
Task<Verdict> resumption(Probe& probe);
Task<Verdict> zero_rtt(Probe& probe);

// path_cases.cc
Task<Verdict> key_update(Probe& probe);
Task<Verdict> cid_change(Probe& probe);
Task<Verdict> nat_rebinding(Probe& probe);
Task<Verdict> address_mobility(Probe& probe);
Task<Verdict> preferred_address(Probe& probe);
Task<Verdict> ecn(Probe& probe);

// feature_cases.cc
Task<Verdict> datagrams(Probe& probe);
Task<Verdict> extended_connect(Probe& probe);
Task<Verdict> webtransport(Probe& probe);

}  // namespace tern::interop
