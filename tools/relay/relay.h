#pragma once

#include <cstddef>
#include <cstdint>
#include <iosfwd>
#include <memory>
#include <utility>
#include <vector>

#include "base/error.h"
#include "base/runtime.h"
#include "base/time.h"
#include "tools/relay/timeline.h"
#include "transport/sim/link.h"
#include "transport/sim/link_options.h"
#include "transport/sim/nat.h"
#include "transport/udp/address.h"
#include "transport/udp/network.h"

namespace tern::relay {

struct Captures;
class OutsideAddresses;
class PacedWorld;
class TcpRelay;
class UdpRelay;

/// Where the NAT is, which decides what a rebinding costs.
enum class NatPlace : std::uint8_t {
  /// Beyond the link, as a mobile carrier's: what is on the link survives, and the client's
  /// packets on it already leave from the new port.
  carrier,
  /// At the clients' end of the link, as a home router: what is on the link belongs to the old
  /// port. A client that only waits has to speak up before it hears anything again.
  home,
};

class RelayOptions {
 public:
  static constexpr std::size_t kMaxRoutes = 64;
  /// Longer than any relay runs.
  static constexpr Duration kForever = std::chrono::hours(24 * 365);

  struct Route {
    udp::Address listen;
    udp::Address to;
  };

  /// What clients send to `listen` goes to the server at `to`; again for more, which share the
  /// link and the NAT: a server's preferred address, say. At least one, at most kMaxRoutes. A
  /// `listen` port of 0 is chosen by the OS.
  RelayOptions& route(const udp::Address& listen, const udp::Address& to) {
    return routes_.push_back({listen, to}), *this;
  }
  /// What is relayed, on the same addresses. Default: both.
  RelayOptions& udp(bool on) { return udp_ = on, *this; }
  RelayOptions& tcp(bool on) { return tcp_ = on, *this; }
  /// Decides, with the order in which datagrams come, which are lost, delayed, changed. Default 1.
  RelayOptions& seed(std::uint64_t value) { return seed_ = value, *this; }
  /// What happens to datagrams on their way. Default: nothing; IP packets above 1500 bytes vanish.
  RelayOptions& to_server(sim::ChannelModel model) { return up_ = std::move(model), *this; }
  RelayOptions& to_client(sim::ChannelModel model) { return down_ = std::move(model), *this; }
  /// How the NAT behaves. Default: mappings last, and only servers that were sent to may answer.
  RelayOptions& nat(const sim::NatOptions& options) { return nat_ = options, *this; }
  /// Default: carrier.
  RelayOptions& nat_place(NatPlace place) { return nat_place_ = place, *this; }
  RelayOptions& timeline(Timeline timeline) {
    if (!timeline.empty()) timelines_.push_back(std::move(timeline));
    return *this;
  }
  /// This machine's IP addresses that servers see, in turn: the next whenever the NAT's address
  /// changes. Default: the one the kernel takes; for servers on 127.0.0.0/8, afterwards another of
  /// the same /24 each time.
  RelayOptions& outside(const udp::Address& ip) { return outside_.push_back(ip), *this; }

  /// Clients (addresses with ports) at a time; datagrams of more are dropped. And so many TCP
  /// connections of each route; more wait to be accepted. Default 1024, at most 16000.
  RelayOptions& max_clients(std::size_t count) { return max_clients_ = count, *this; }
  /// Sockets towards servers: one for each address and port that the NAT has given out. Above that
  /// the one idle for longest is closed. Default 4096.
  RelayOptions& max_bindings(std::size_t count) { return max_bindings_ = count, *this; }
  /// Datagrams on the link and in its queues, both directions; more are dropped. Default 131072.
  RelayOptions& max_in_flight(std::size_t count) { return max_in_flight_ = count, *this; }
  /// Clients and sockets that nothing came through for so long are forgotten, and TCP connections
  /// that have ended are given so long to deliver what is left. Default 5 min.
  RelayOptions& idle_timeout(Duration time) { return idle_timeout_ = time, *this; }

  /// Writes every datagram and TCP segment to and from clients, or servers, as pcapng with the real
  /// addresses. TCP is the simulated one in the middle, at that end of the link: what a real
  /// connection over such a link would have been. What waits for a connection's real addresses is
  /// written when they are known, at the latest when the relay dies; the stream outlives it.
  RelayOptions& capture_clients(std::ostream& out) { return capture_clients_ = &out, *this; }
  RelayOptions& capture_servers(std::ostream& out) { return capture_servers_ = &out, *this; }

 private:
  friend class PacedWorld;
  friend class Relay;
  friend class TcpRelay;
  friend class UdpRelay;
  std::vector<Route> routes_;
  bool udp_ = true;
  bool tcp_ = true;
  std::uint64_t seed_ = 1;
  sim::ChannelModel up_, down_;
  sim::NatOptions nat_ = sim::NatOptions().timeout(kForever).tcp_timeout(kForever);
  NatPlace nat_place_ = NatPlace::carrier;
  std::vector<Timeline> timelines_;
  std::vector<udp::Address> outside_;
  std::size_t max_clients_ = 1024;
  std::size_t max_bindings_ = 4096;
  std::size_t max_in_flight_ = 131'072;
  Duration idle_timeout_ = std::chrono::minutes(5);
  std::ostream* capture_clients_ = nullptr;
  std::ostream* capture_servers_ = nullptr;
};

struct RelayStats {
  sim::ChannelStats to_server;
  sim::ChannelStats to_client;
  std::uint64_t clients_seen = 0;
  std::uint64_t clients_open = 0;
  std::uint64_t bindings_seen = 0;  ///< addresses and ports that servers saw clients at
  std::uint64_t bindings_open = 0;
  std::uint64_t rebindings = 0;
  std::uint64_t nat_dropped = 0;       ///< came to a binding that is no more
  std::uint64_t connections_seen = 0;  ///< of TCP
  std::uint64_t connections_open = 0;
  std::uint64_t segments_retransmitted = 0;  ///< on the link
  // Lost beside the model; all 0 unless a limit was reached or a server is not there.
  std::uint64_t refused_clients = 0;  ///< datagrams of clients above max_clients
  std::uint64_t overload = 0;         ///< datagrams above max_in_flight, or without a send buffer
  std::uint64_t send_failed = 0;      ///< sends that the kernel refused
  std::uint64_t unreachable = 0;      ///< times that ICMP said nobody is there
  std::uint64_t connections_refused = 0;  ///< the server could not be connected to
  std::uint64_t strangers = 0;            ///< datagrams to a binding from somebody who is no server
};

/// A network of bad quality between real clients and real servers, in user space: datagrams that
/// come to a listening address pass the simulator's link and NAT (transport/sim) and leave to the
/// server from a socket of their own, one for each address and port of the NAT's outside; answers
/// go the same way back. ECN is carried both ways, batches are taken apart.
///
/// A TCP connection ends here and goes on as one of the simulator's over the same link, and from
/// there as another one to the server. So what is lost is repeated, what comes late holds up what
/// follows, and a cut or a rebinding does to it what it does to TCP. A client is connected before
/// the server is; one that cannot be is a reset. Segments fit the MTU that the link begins with,
/// and with TCP on, datagrams towards clients never exceed it.
///
///   relay::RelayOptions options;
///   options.route(listen, server).to_server(model).to_client(model);
///   TERN_TRY(auto relay, relay::Relay::open(runtime, network, options));
///   runtime.run();
///
/// Time. The simulated world follows the runtime's clock and never runs ahead of it; a datagram
/// leaves at most kCoarseness after its time, plus what the operating system adds. Its clock starts
/// with the first datagram of a client: from then on timelines and black holes count.
///
/// Reproducible: which datagrams of a direction are lost, duplicated, corrupted, reordered depends
/// on the seed and their number and sizes alone; what a full queue or a black hole swallows depends
/// on when they come.
///
/// Empty datagrams are dropped. IP fragments, options and the TTL are not carried.
///
/// Belongs to the runtime's thread, and dies before runtime and network.
class Relay {
 public:
  static constexpr Duration kCoarseness = std::chrono::microseconds(50);

  /// Listens. Errors: Code::invalid for options that cannot be, the OS's for addresses that cannot
  /// be bound or reached.
  static Result<std::unique_ptr<Relay>> open(Runtime& runtime, udp::Network& network,
                                             const RelayOptions& options);
  Relay(const Relay&) = delete;
  Relay& operator=(const Relay&) = delete;
  ~Relay();

  /// Where clients send to, with real ports, in the order of the routes.
  std::vector<udp::Address> addresses() const;

  /// Makes something happen now. Between turns or from the runtime's coroutines.
  void perform(const Action& action);
  RelayStats stats() const;

 private:
  Relay();
  Result<void> choose_outside();
  Result<void> open_sockets(udp::Network& network);

  std::unique_ptr<RelayOptions> options_;  // the others refer to it
  std::unique_ptr<PacedWorld> world_;
  std::unique_ptr<OutsideAddresses> outside_;
  std::unique_ptr<Captures> captures_;
  std::unique_ptr<UdpRelay> udp_;
  std::unique_ptr<TcpRelay> tcp_;
};

}  // namespace tern::relay
