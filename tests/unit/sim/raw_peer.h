#pragma once

#include <chrono>
#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "base/bytes.h"
#include "base/check.h"
#include "transport/sim/world.h"
#include "transport/udp/network.h"

/// A program on a simulated host that sends and receives bare datagrams.

namespace tern::sim {

using namespace std::chrono_literals;

class RawPeer final : public udp::Sink {
 public:
  struct Received {
    Duration at;
    udp::Path path;
    udp::Ecn ecn;
    std::string text;
    std::size_t batch;  ///< which call of Sink::receive brought it
  };
  struct Failed {
    udp::Path path;
    int error;
  };

  RawPeer(Host& host, const udp::SocketOptions& options, std::size_t worker = 0)
      : host_(host), network_(host.network(worker)) {
    auto socket = network_.open(options, *this);
    if (!socket) throw std::runtime_error(socket.error().to_string());
    socket_ = std::move(*socket);
  }
  RawPeer(Host& host, const udp::Address& bind, std::size_t worker = 0)
      : RawPeer(host, with_bind(bind), worker) {}

  static udp::SocketOptions with_bind(const udp::Address& bind) {
    udp::SocketOptions options;
    options.bind = bind;
    return options;
  }

  /// Sends each datagram back to where it came from, from the address it was sent to.
  RawPeer& echo() { return echo_ = true, *this; }

  bool send(const udp::Address& to, std::string_view text, udp::Ecn ecn = udp::Ecn::not_ect) {
    udp::Path path;
    path.remote = to;
    return send(path, text, ecn, text.size());
  }
  bool send(const udp::Path& path, std::string_view text, udp::Ecn ecn, std::size_t segment_size) {
    udp::Slab* slab = network_.acquire();
    if (slab == nullptr) return false;
    TERN_CHECK(text.size() <= slab->space().size());
    std::copy(text.begin(), text.end(), slab->space().begin());
    udp::Transmit transmit;
    transmit.path = path;
    transmit.ecn = ecn;
    transmit.length = static_cast<std::uint32_t>(text.size());
    transmit.segment_size = static_cast<std::uint32_t>(segment_size);
    slab->add(*socket_, transmit);
    network_.submit(slab);
    return true;
  }

  const udp::Address& local() const { return socket_->local(); }
  void close() { socket_.reset(); }

  std::vector<Received> received;
  std::vector<Failed> failed;
  std::size_t batches = 0;

 private:
  void receive(udp::Socket&, const udp::Arrival& arrival) override {
    MutableBytes rest = arrival.bytes;
    while (!rest.empty()) {
      const MutableBytes one = rest.first(std::min(rest.size(), arrival.segment_size));
      rest = rest.subspan(one.size());
      received.push_back(
          {host_.world().elapsed(), arrival.path, arrival.ecn, std::string(as_text(one)), batches});
      if (echo_) send(arrival.path, received.back().text, arrival.ecn, one.size());
    }
    ++batches;
  }
  void send_failed(udp::Socket&, const udp::Path& path, int error) override {
    failed.push_back({path, error});
  }

  Host& host_;
  udp::Network& network_;
  std::unique_ptr<udp::Socket> socket_;
  bool echo_ = false;
};

inline udp::Address any_v4(std::uint16_t port = 0) { return udp::Address::v4(0, port); }
inline udp::Address any_v6(std::uint16_t port = 0) { return *udp::Address::parse_ip("::", port); }

/// Two hosts, one link, a socket on each: 90 % of what the tests need.
struct Pair {
  explicit Pair(const LinkOptions& options, std::uint64_t seed = 1)
      : world(seed), link(world.link(world.host("client"), world.host("server"), options)) {}

  World world;
  Link& link;
  RawPeer client{world.host("client"), any_v4()};
  RawPeer server{world.host("server"), any_v4(4433)};
  udp::Address server_address = world.host("server").v4(4433);

  /// One datagram of `size` bytes from client to server.
  bool send(std::size_t size, char fill = 'x', udp::Ecn ecn = udp::Ecn::not_ect) {
    return client.send(server_address, std::string(size, fill), ecn);
  }
  /// `count` datagrams, one each `spacing` of virtual time, beginning now.
  void send_train(std::size_t count, std::size_t size, Duration spacing,
                  udp::Ecn ecn = udp::Ecn::not_ect) {
    for (std::size_t i = 0; i < count; ++i) {
      world.after(spacing * static_cast<Duration::rep>(i), [this, size, ecn, i] {
        std::string text = std::to_string(i);
        text.resize(size, '.');
        client.send(server_address, text, ecn);
      });
    }
  }
};

}  // namespace tern::sim
