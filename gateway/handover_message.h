#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/bytes.h"
#include "transport/quic/cid.h"
#include "transport/udp/network.h"

/// What two processes of a server say to each other while one takes over from the other
/// (docs/decisions/0013). One message a packet; its first byte is the kind.
///
///     new: hello            old: sockets, listeners, cleartext (one for each run of descriptors) …
///                                keys, offered
///     new: listening, ready old: handshakes …, yours
///     new: datagram …, stopping, passed_on          old: finished

namespace tern::handover {

/// Both sides have the same, or there is no hand-over.
inline constexpr std::uint8_t kVersion = 2;

enum class Kind : std::uint8_t {
  hello =
      'H',  ///< kVersion; the old one's answer when the new one's is another, before it hangs up
  sockets = 'S',     ///< descriptors of one address, in the order of their group
  listeners = 'L',   ///< the same of an address on TCP, with TLS
  cleartext = 'C',   ///< and without
  keys = 'K',        ///< the stateless reset secret, 32 bytes, and the key ring's text
  offered = 'O',     ///< the end of the offer
  listening = 'T',   ///< the addresses on TCP that are taken over
  ready = 'R',       ///< those on UDP
  handshakes = 'I',  ///< connection IDs that clients chose, of handshakes that go on in the old
  yours = 'Y',       ///< the old one reads no more
  datagram = 'D',    ///< for a connection of the old one's
  stopping = 'B',    ///< the new one is told to stop: so should the old one
  passed_on = 'P',   ///< the new one was replaced in turn: the old one will not serve again
  finished = 'F',    ///< the old one has no connection left
};

std::vector<std::uint8_t> message(Kind kind, ByteView body = {});
std::optional<Kind> kind_of(ByteView message) noexcept;

/// A datagram's way here, before its bytes: kind, ECN, both addresses.
inline constexpr std::size_t kDatagramHead = 2 + 2 * 23;
std::array<std::uint8_t, kDatagramHead> datagram_head(const udp::Path& path, udp::Ecn ecn) noexcept;
struct Datagram {
  udp::Path path;
  udp::Ecn ecn;
  ByteView bytes;
};
/// nullopt: not a whole one.
std::optional<Datagram> read_datagram(ByteView message) noexcept;

std::vector<std::uint8_t> addresses_message(Kind kind, const std::vector<udp::Address>& addresses);
std::vector<udp::Address> read_addresses(ByteView message);

/// As many messages as it takes.
std::vector<std::vector<std::uint8_t>> handshake_messages(
    const std::vector<quic::ConnectionId>& cids);
void read_handshakes(ByteView message, std::vector<quic::ConnectionId>& cids);

}  // namespace tern::handover
