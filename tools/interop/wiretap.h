#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "base/bytes.h"
#include "base/time.h"
#include "transport/quic/cid.h"
#include "transport/udp/forwarding_network.h"

namespace tern::interop {

/// What datagrams show without their keys (RFC 8999), counted as they pass.
struct WireFacts {
  /// A connection's peer changes it a few times; more are not kept.
  static constexpr std::size_t kMaxCids = 16;

  std::uint64_t sent = 0;             ///< datagrams
  std::uint64_t sent_bytes = 0;       ///< UDP payload
  std::uint64_t initials_sent = 0;    ///< datagrams that begin with an Initial
  std::uint64_t marked = 0;           ///< sent with ECT(0) or ECT(1)
  std::uint64_t received = 0;         ///< datagrams
  std::uint64_t received_bytes = 0;   ///< UDP payload
  std::uint64_t received_marked = 0;  ///< of them ECT(0), ECT(1) or CE
  std::uint64_t short_headers = 0;    ///< received datagrams that begin with a 1-RTT packet
  std::uint64_t spin_set = 0;         ///< of them with the spin bit (RFC 9000 §17.4)
  std::uint64_t fixed_bit_clear = 0;  ///< of them without the QUIC bit (RFC 9287)
  std::vector<quic::ConnectionId>
      cids;  ///< destinations of received 1-RTT packets, first seen first
  udp::Address last_sender;
};

/// A network that looks at what passes through it: everything goes to the network beneath, which is
/// the runtime's driver. For one connection's sockets; outlives them. Runtime's thread.
class Wiretap final : public udp::ForwardingNetwork {
 public:
  /// The network outlives the tap. Connection IDs that our sockets receive are as long as
  /// `cid_length`.
  Wiretap(udp::Network& network, std::size_t cid_length) noexcept;

  ~Wiretap() override;

  const WireFacts& facts() const noexcept { return facts_; }
  /// Called for everything that arrives, before its sink gets it.
  std::function<void()> on_received;

  Result<std::unique_ptr<udp::Socket>> open(const udp::SocketOptions& options,
                                            udp::Sink& sink) override;
  void submit(udp::Slab* slab) override;

 private:
  class Ear;  // between a socket and its sink

  void note_received(const udp::Arrival& arrival);

  std::size_t cid_length_;
  WireFacts facts_;
  std::vector<std::unique_ptr<Ear>> ears_;  // of every socket there was
};

/// A long header's version-independent part (RFC 8999 §5.1), as views into the datagram.
struct LongHeader {
  std::uint8_t first = 0;
  std::uint32_t version = 0;
  ByteView dcid;
  ByteView scid;
  ByteView rest;
};

/// False for a short header and for what is cut off.
bool read_long_header(ByteView datagram, LongHeader& header) noexcept;

}  // namespace tern::interop
