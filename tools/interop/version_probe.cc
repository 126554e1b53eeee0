#include "tools/interop/version_probe.h"

#include <algorithm>
#include <array>
#include <cerrno>
#include <chrono>
#include <cstring>
#include <optional>
#include <utility>

#include "tools/interop/wiretap.h"

namespace tern::interop {
namespace {

using namespace std::chrono_literals;

constexpr std::size_t kCidLength = 8;
constexpr std::size_t kDatagramSize = 1200;  // RFC 9000 §14.1: less need not be answered
constexpr std::array<Duration, 3> kSendAt = {0ms, 500ms, 1500ms};

class VersionProbe final : private udp::Sink {
 public:
  VersionProbe(Runtime& runtime, udp::Network& network, const udp::Address& remote)
      : runtime_(runtime), network_(network), remote_(remote), changed_(runtime) {
    runtime.random().fill(cids_);
    constexpr std::uint32_t kReserved = 0x0a0a0a0a;
    asked_ = kReserved | (static_cast<std::uint32_t>(runtime.random().next()) & 0xf0f0f0f0);
  }

  Task<Result<VersionAnswer>> run() {
    udp::SocketOptions options;
    options.bind =
        remote_.is_v4() ? udp::Address::v4(INADDR_ANY, 0) : udp::Address::v6(in6addr_any, 0);
    options.unreachable = true;
    auto socket = network_.open(options, *this);
    if (!socket) co_return fail(std::move(socket).error());
    const Timestamp begun = runtime_.now();
    Timer timer(runtime_.timers(), [this](Timestamp) { changed_.notify(); });
    while (!result_) {
      const bool more = answer_.datagrams_sent < kSendAt.size();
      if (more && runtime_.now() >= begun + kSendAt[answer_.datagrams_sent]) {
        send(**socket);
        continue;
      }
      timer.arm(more ? begun + kSendAt[answer_.datagrams_sent] : kNever);
      co_await changed_.wait();
    }
    if (*result_) (*result_)->time = runtime_.now() - begun;
    co_return std::move(*result_);
  }

 private:
  void send(udp::Socket& socket) {
    udp::Slab* slab = network_.acquire();
    ++answer_.datagrams_sent;
    if (slab == nullptr) return;  // as good as lost
    const MutableBytes space = slab->space().first(kDatagramSize);
    std::fill(space.begin(), space.end(), std::uint8_t{0});
    std::uint8_t* out = space.data();
    *out++ = 0xc0;
    for (int shift = 24; shift >= 0; shift -= 8)
      *out++ = static_cast<std::uint8_t>(asked_ >> shift);
    for (std::size_t i = 0; i < 2; ++i) {
      *out++ = kCidLength;
      std::memcpy(out, cids_.data() + i * kCidLength, kCidLength);
      out += kCidLength;
    }
    udp::Transmit transmit;
    transmit.path.local = socket.local();
    transmit.path.remote = remote_;
    transmit.length = transmit.segment_size = kDatagramSize;
    slab->add(socket, transmit);
    network_.submit(slab);
  }

  void receive(udp::Socket&, const udp::Arrival& arrival) override {
    const ByteView datagram =
        arrival.bytes.first(std::min(arrival.segment_size, arrival.bytes.size()));
    const ByteView dcid = ByteView(cids_).first(kCidLength);
    const ByteView scid = ByteView(cids_).subspan(kCidLength);
    LongHeader header;
    const bool is_long = read_long_header(datagram, header);
    // Anybody may send us something: only what echoes our connection IDs counts.
    if (!is_long || !std::equal(header.dcid.begin(), header.dcid.end(), scid.begin(), scid.end())) {
      return;
    }
    if (header.version != 0) {
      end(Error::invalid("the answer to an unknown version is no Version Negotiation packet"));
    } else if (!std::equal(header.scid.begin(), header.scid.end(), dcid.begin(), dcid.end())) {
      end(
          Error::invalid("its source connection ID is not the destination of ours (RFC 9000 "
                         "§17.2.1)"));
    } else if (header.rest.empty() || header.rest.size() % 4 != 0) {
      end(Error::invalid("its list of versions is cut off, or empty"));
    } else {
      read_versions(header.rest);
    }
  }

  void read_versions(ByteView rest) {
    for (; rest.size() >= 4; rest = rest.subspan(4)) {
      answer_.versions.push_back(static_cast<std::uint32_t>(rest[0]) << 24 |
                                 static_cast<std::uint32_t>(rest[1]) << 16 |
                                 static_cast<std::uint32_t>(rest[2]) << 8 | rest[3]);
    }
    answer_.asked = asked_;
    if (std::find(answer_.versions.begin(), answer_.versions.end(), asked_) !=
        answer_.versions.end()) {
      end(Error::invalid("it lists the version that was asked for"));
      return;
    }
    if (!result_) result_.emplace(std::move(answer_));
    changed_.notify();
  }

  void send_failed(udp::Socket&, const udp::Path&, int error) override {
    end(Error::os(error, "cannot send to " + remote_.to_string()));
  }

  void unreachable(udp::Socket&, const udp::Address&, int error, ByteView quoted) override {
    LongHeader header;
    if (!read_long_header(quoted, header) || header.version != asked_) return;
    end(error == ECONNREFUSED ? Error(Domain::os, ECONNREFUSED, "nobody listens on that UDP port")
                              : Error::os(error, remote_.to_string()));
  }

  void end(Error error) {
    if (!result_) result_.emplace(fail(std::move(error)));
    changed_.notify();
  }

  Runtime& runtime_;
  udp::Network& network_;
  const udp::Address remote_;
  Signal changed_;
  std::array<std::uint8_t, 2 * kCidLength> cids_{};
  std::uint32_t asked_ = 0;
  VersionAnswer answer_;
  std::optional<Result<VersionAnswer>> result_;
};

}  // namespace

Task<Result<VersionAnswer>> probe_versions(Runtime& runtime, udp::Network& network,
                                           udp::Address remote) {
  VersionProbe probe(runtime, network, remote);
  Result<VersionAnswer> answer = co_await probe.run();
  co_return answer;
}

}  // namespace tern::interop
