#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <iosfwd>
#include <string_view>

#include "base/bytes.h"
#include "base/time.h"
#include "transport/sim/tcp_header.h"
#include "transport/udp/address.h"
#include "transport/udp/network.h"

/// What happened to every datagram, as a hash (two runs of one seed must agree), as counts and as
/// text.

namespace tern::sim {

/// What became of a datagram at the end of a channel, or in the host behind it.
enum class Verdict : std::uint8_t {
  delivered,
  loss,        ///< independent random loss
  burst_loss,  ///< Gilbert–Elliott loss
  listed,      ///< in the channel's drop list
  filtered,    ///< refused by the channel's filter
  queue_full,  ///< the channel's queue had no room
  too_big,     ///< above the channel's MTU
  cut,         ///< the link was cut, or was cut while the datagram was on it
  blackhole,   ///< in a scheduled hole
  interface_down,
  host_down,
  nat,          ///< no mapping for it
  no_route,     ///< neither for this host nor to be forwarded
  hop_limit,    ///< forwarded too often
  no_socket,    ///< nobody listens at its address and port
  buffer_full,  ///< the socket's receive buffer had no room
  closed,       ///< the socket was closed before it was read
  checksum,     ///< a TCP segment was damaged, and its checksum told
};
inline constexpr std::size_t kVerdicts = static_cast<std::size_t>(Verdict::checksum) + 1;

std::string_view verdict_name(Verdict verdict) noexcept;

struct TraceEvent {
  Timestamp now;
  std::uint32_t link = 0;      ///< in order of creation; kLoopback for a host's own traffic
  std::uint8_t direction = 0;  ///< 0: up, 1: down
  Verdict verdict = Verdict::delivered;
  std::string_view where;  ///< "wifi phone>server", or the host that dropped it
  udp::Address source;
  udp::Address destination;
  udp::Ecn ecn = udp::Ecn::not_ect;
  ByteView payload;
  const TcpHeader* tcp = nullptr;  ///< a TCP segment's; else it is a UDP datagram
};

inline constexpr std::uint32_t kLoopback = UINT32_MAX;

/// Who wants to see each event, e.g. `Capture`.
class TraceObserver {
 public:
  virtual void observe(const TraceEvent& event) = 0;

 protected:
  ~TraceObserver() = default;
};

/// A 64-bit hash over time, link, direction, size and verdict of every event, and the numbers of
/// TCP's headers. The bytes are left
/// out: keys and signatures come from BoringSSL's own random numbers.
class TraceHash {
 public:
  void add(const TraceEvent& event) noexcept;
  std::uint64_t value() const noexcept { return value_; }
  std::uint64_t events() const noexcept { return events_; }

 private:
  std::uint64_t value_ = 0x7465726e5f73696d;
  std::uint64_t events_ = 0;
};

/// Writes a line an event: "   12.345678 wifi phone>server 1252 ect0 delivered 10.…:1 > 10.…:2".
class TraceText final : public TraceObserver {
 public:
  /// The stream outlives this object.
  explicit TraceText(std::ostream& out) noexcept : out_(out) {}
  void observe(const TraceEvent& event) override;

 private:
  std::ostream& out_;
};

}  // namespace tern::sim
