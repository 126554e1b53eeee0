#pragma once

#include <cstdint>
#include <span>

#include <ngtcp2/ngtcp2.h>

#include "base/random.h"
#include "transport/quic/cid.h"
#include "transport/quic/options.h"
#include "transport/udp/address.h"

/// What ngtcp2 wants, made from what we have. Internal to transport/quic.

namespace tern::quic {

inline std::uint64_t to_library(Timestamp time) noexcept {
  return static_cast<std::uint64_t>(time.time_since_epoch().count());
}
inline std::uint64_t to_library(Duration duration) noexcept {
  return static_cast<std::uint64_t>(duration.count());
}
inline Timestamp from_library(std::uint64_t time) noexcept {
  return time >= static_cast<std::uint64_t>(INT64_MAX)
             ? kNever
             : Timestamp(Duration(static_cast<std::int64_t>(time)));
}

inline ngtcp2_cid to_library(const ConnectionId& cid) noexcept {
  ngtcp2_cid out;
  ngtcp2_cid_init(&out, cid.data(), cid.size());
  return out;
}
inline ConnectionId from_library(const ngtcp2_cid& cid) noexcept {
  return ConnectionId(ByteView(cid.data, cid.datalen));
}

/// A view of `path`, which must outlive it. ngtcp2 takes non-const pointers and writes nothing.
inline ngtcp2_path to_library(const udp::Path& path) noexcept {
  return {{const_cast<sockaddr*>(path.local.data()), path.local.size()},
          {const_cast<sockaddr*>(path.remote.data()), path.remote.size()},
          nullptr};
}
inline udp::Path from_library(const ngtcp2_path& path) noexcept {
  return {udp::Address::from(path.local.addr, path.local.addrlen),
          udp::Address::from(path.remote.addr, path.remote.addrlen)};
}

/// All callbacks: ours and CryptoBridge's. The `user_data` of a connection is its `Connection*`.
/// Ours append events and return.
const ngtcp2_callbacks& callbacks();

/// Borrows the versions of `options` until the connection is made, and the probes for its life.
ngtcp2_settings make_settings(const TransportOptions& options,
                              std::span<const std::uint16_t> mtu_probes, Timestamp now,
                              Random& random);
/// Connection IDs of the peer's that ngtcp2 takes beyond the limit it is told: while it validates a
/// path it counts the one used there again, though it may be that of the path before (a NAT has
/// rebound). A peer that migrates at that moment and replaces what it retired would be closed with
/// CONNECTION_ID_LIMIT_ERROR, though it keeps to the limit.
inline constexpr std::uint64_t kSpareConnectionIds = 2;
/// For ngtcp2; the peer is told `announced_parameters`.
ngtcp2_transport_params make_transport_params(const TransportOptions& options);
ngtcp2_transport_params announced_parameters(const ngtcp2_transport_params& params) noexcept;

}  // namespace tern::quic
