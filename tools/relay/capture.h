#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <iosfwd>
#include <memory>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "base/bytes.h"
#include "tools/relay/paced_world.h"
#include "transport/sim/host.h"
#include "transport/sim/pcapng.h"
#include "transport/sim/trace.h"
#include "transport/udp/address.h"
#include "transport/udp/network.h"

namespace tern::relay {

/// A pcapng file of one side of the relay: the real datagrams, and the segments of the simulated
/// TCP on that side with the addresses of the real connections that it continues. Internal to
/// tools/relay.
class Capture final : private sim::TraceObserver {
 public:
  /// Of connections: the one not heard of for longest is forgotten, and shown under the NAT's port.
  static constexpr std::size_t kMaxConnections = 16'384;
  /// Segments of one connection that wait for its real addresses.
  static constexpr std::size_t kMaxHeld = 32;

  /// The client's end of a connection that `show` was not told of, as it is to be shown.
  using Fallback = std::function<udp::Address(const udp::Address& inside)>;

  /// World and stream outlive it.
  Capture(PacedWorld& world, std::ostream& out, std::string_view name);
  Capture(const Capture&) = delete;
  Capture& operator=(const Capture&) = delete;
  ~Capture();

  void write(const udp::Address& source, const udp::Address& destination, udp::Ecn ecn,
             ByteView payload);
  /// TCP as it comes and goes at `host`, the world's near or far one, from now on.
  void tap(sim::Host& host, Fallback fallback);
  /// The world's server at `inside` is shown as this one, unless `show` says more.
  void show_server(const udp::Address& inside, const udp::Address& server);
  /// The connection whose client's end `host` knows as `inside` is shown as of these two, from its
  /// first segment on.
  void show(const udp::Address& inside, const udp::Address& client, const udp::Address& server);

 private:
  struct Segment {
    std::uint64_t time = 0;
    bool to_server = false;
    udp::Address server;  // inside
    sim::TcpHeader header;
    std::vector<std::uint8_t> payload;
  };
  struct Connection {
    std::uint64_t used = 0;
    std::uint32_t opened = 0;  // the SYN's sequence number
    bool known = false;
    udp::Address client;
    udp::Address server;
    std::vector<Segment> held;
  };

  void observe(const sim::TraceEvent& event) override;
  Connection& begin(const udp::Address& inside);
  /// Writes what waited, under the addresses known by now.
  void release(Connection& connection, const udp::Address& inside);
  void write_segment(const Connection* connection, const udp::Address& inside,
                     const Segment& segment);

  PacedWorld& world_;
  sim::PcapngWriter file_;
  std::uint32_t interface_;
  sim::Host* tapped_ = nullptr;
  Fallback fallback_;
  std::unordered_map<udp::Address, udp::Address> servers_;
  std::unordered_map<udp::Address, Connection> connections_;  // by the client's end
};

/// Those that are asked for.
struct Captures {
  std::unique_ptr<Capture> clients;
  std::unique_ptr<Capture> servers;
};

}  // namespace tern::relay
