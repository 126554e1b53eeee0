#include "tools/interop/wiretap.h"

#include <algorithm>
#include <utility>

#include "transport/quic/event.h"

namespace tern::interop {
namespace {

constexpr std::uint8_t kLongHeader = 0x80;
constexpr std::uint8_t kFixedBit = 0x40;
constexpr std::uint8_t kSpinBit = 0x20;
constexpr std::uint8_t kLongType = 0x30;

bool is_initial(ByteView datagram) noexcept {
  LongHeader header;
  if (!read_long_header(datagram, header) || header.version == 0) return false;
  // 0b00 in version 1 and 0b01 in version 2 (RFC 9369 §3.2).
  const std::uint8_t type = header.version == quic::kVersion2 ? 0x10 : 0x00;
  return (header.first & kLongType) == type;
}

/// Calls `visit` for each datagram of a run of them.
template <typename Visit>
void each_datagram(ByteView bytes, std::size_t segment, Visit&& visit) {
  while (!bytes.empty()) {
    const std::size_t size = std::min(segment == 0 ? bytes.size() : segment, bytes.size());
    visit(bytes.first(size));
    bytes = bytes.subspan(size);
  }
}

}  // namespace

bool read_long_header(ByteView datagram, LongHeader& header) noexcept {
  constexpr std::size_t kBeforeCids = 5;
  if (datagram.size() <= kBeforeCids || (datagram[0] & kLongHeader) == 0) return false;
  header.first = datagram[0];
  header.version = 0;
  for (std::size_t i = 1; i < kBeforeCids; ++i) header.version = header.version << 8 | datagram[i];
  ByteView rest = datagram.subspan(kBeforeCids);
  for (ByteView* cid : {&header.dcid, &header.scid}) {
    if (rest.empty() || rest.size() < 1 + std::size_t{rest[0]}) return false;
    *cid = rest.subspan(1, rest[0]);
    rest = rest.subspan(1 + std::size_t{rest[0]});
  }
  header.rest = rest;
  return true;
}

class Wiretap::Ear final : public udp::Sink {
 public:
  Ear(Wiretap& tap, udp::Sink& sink) noexcept : tap_(tap), sink_(sink) {}

  void receive(udp::Socket& socket, const udp::Arrival& arrival) override {
    tap_.note_received(arrival);
    sink_.receive(socket, arrival);
  }
  void send_failed(udp::Socket& socket, const udp::Path& path, int error) override {
    sink_.send_failed(socket, path, error);
  }
  void unreachable(udp::Socket& socket, const udp::Address& remote, int error,
                   ByteView quoted) override {
    sink_.unreachable(socket, remote, error, quoted);
  }

 private:
  Wiretap& tap_;
  udp::Sink& sink_;
};

Wiretap::Wiretap(udp::Network& network, std::size_t cid_length) noexcept
    : ForwardingNetwork(network), cid_length_(cid_length) {}
Wiretap::~Wiretap() = default;

Result<std::unique_ptr<udp::Socket>> Wiretap::open(const udp::SocketOptions& options,
                                                   udp::Sink& sink) {
  auto ear = std::make_unique<Ear>(*this, sink);
  auto socket = beneath().open(options, *ear);
  if (socket) ears_.push_back(std::move(ear));
  return socket;
}

void Wiretap::submit(udp::Slab* slab) {
  for (const udp::Slab::Entry& entry : slab->entries()) {
    const udp::Transmit& transmit = entry.transmit;
    each_datagram(ByteView(slab->space()).subspan(transmit.offset, transmit.length),
                  transmit.segment_size, [&](ByteView datagram) {
                    ++facts_.sent;
                    facts_.sent_bytes += datagram.size();
                    if (is_initial(datagram)) ++facts_.initials_sent;
                    if (transmit.ecn != udp::Ecn::not_ect) ++facts_.marked;
                  });
  }
  beneath().submit(slab);
}

void Wiretap::note_received(const udp::Arrival& arrival) {
  facts_.last_sender = arrival.path.remote;
  if (on_received) on_received();
  each_datagram(arrival.bytes, arrival.segment_size, [&](ByteView datagram) {
    ++facts_.received;
    facts_.received_bytes += datagram.size();
    if (arrival.ecn != udp::Ecn::not_ect) ++facts_.received_marked;
    if ((datagram[0] & kLongHeader) != 0 || datagram.size() < 1 + cid_length_) return;
    ++facts_.short_headers;
    if ((datagram[0] & kSpinBit) != 0) ++facts_.spin_set;
    if ((datagram[0] & kFixedBit) == 0) ++facts_.fixed_bit_clear;
    const quic::ConnectionId cid(datagram.subspan(1, cid_length_));
    auto& cids = facts_.cids;
    if (cids.size() < WireFacts::kMaxCids &&
        std::find(cids.begin(), cids.end(), cid) == cids.end()) {
      cids.push_back(cid);
    }
  });
}

}  // namespace tern::interop
