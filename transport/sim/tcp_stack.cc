#include "transport/sim/tcp_stack.h"

#include <algorithm>
#include <cerrno>
#include <utility>

#include "base/check.h"
#include "transport/sim/host.h"
#include "transport/sim/tcp_network.h"
#include "transport/sim/world.h"

namespace tern::sim {

namespace {

constexpr std::size_t kLoopbackInterfaceMtu = 65536;
constexpr std::size_t kV4Headers = 40;
constexpr std::size_t kV6Headers = 60;

bool same_family(const udp::Address& a, const udp::Address& b) noexcept {
  return a.is_v4() == b.is_v4();
}

/// How well a listener's address fits a segment's; 0: not at all.
int fit(const TcpListening& listening, const udp::Address& to, const Interface* interface) {
  const tcp::ListenOptions& options = listening.options;
  if (listening.device != nullptr && listening.device != interface) return 0;
  const int device = listening.device != nullptr ? 1 : 0;
  if (options.bind.same_ip(to)) return 3 + device;
  if (!options.bind.is_wildcard()) return 0;
  const bool family = same_family(options.bind, to) || (options.bind.is_v6() && !options.v6_only);
  return family ? 1 + device : 0;
}

bool overlap(const TcpListening& a, const TcpListening& b) noexcept {
  if (a.device != nullptr && b.device != nullptr && a.device != b.device) return false;
  const udp::Address& one = a.options.bind;
  const udp::Address& other = b.options.bind;
  if (one.same_ip(other)) return true;
  const auto covers = [](const TcpListening& wide, const udp::Address& address) {
    return wide.options.bind.is_wildcard() &&
           (same_family(wide.options.bind, address) ||
            (wide.options.bind.is_v6() && !wide.options.v6_only));
  };
  return covers(a, other) || covers(b, one);
}

}  // namespace

TcpStack::TcpStack(Host& host)
    : host_(host),
      random_(host.world_.derive("tcp", host.name(), 0)),
      next_port_(static_cast<std::uint16_t>(kFirstPort + random_.below(10'000))) {}

TcpStack::~TcpStack() = default;

const TcpModel& TcpStack::model() const noexcept { return host_.tcp_model_; }
World& TcpStack::world() const noexcept { return host_.world_; }
TimerHeap& TcpStack::timers() const noexcept { return host_.world_.protocol_timers_; }

// ---- out ----------------------------------------------------------------------------------------

Packet* TcpStack::make(const TcpConnection::Ends& ends, const TcpHeader& header) {
  Packet* packet = host_.world_.pool_.take();
  packet->source = ends.local;
  packet->destination = ends.remote;
  packet->ecn = udp::Ecn::not_ect;
  packet->is_tcp = true;
  packet->tcp = header;
  return packet;
}

void TcpStack::send(const TcpConnection::Ends& ends, const TcpHeader& header, ByteView bytes) {
  Packet* packet = make(ends, header);
  packet->payload.assign(bytes.begin(), bytes.end());
  transmit(packet, ends);
}

Interface* TcpStack::way(const TcpConnection::Ends& ends, bool& found) const {
  found = false;
  // An address that the host has lost is nobody's: the connection is stuck with it all the same.
  if (!host_.owns(ends.local)) return nullptr;
  if (host_.owns(ends.remote)) {
    found = true;
    return nullptr;
  }
  Topology& topology = host_.world_.topology_;
  Interface* out = ends.device != nullptr ? ends.device : topology.owner(ends.local).interface;
  if (out == nullptr) out = topology.route(host_, ends.remote);
  if (out == nullptr || !out->up) return nullptr;
  found = true;
  return out;
}

void TcpStack::transmit(Packet* packet, const TcpConnection::Ends& ends) {
  bool found = false;
  Interface* out = way(ends, found);
  if (!found) return host_.drop(packet, Verdict::interface_down);
  host_.send(packet, out);
}

std::uint16_t TcpStack::mss(const TcpConnection::Ends& ends) const {
  bool found = false;
  const Interface* out = way(ends, found);
  const std::size_t mtu =
      out == nullptr ? (found ? kLoopbackInterfaceMtu : 1280) : out->link->interface_mtu();
  const std::size_t headers = ends.remote.is_v6() ? kV6Headers : kV4Headers;
  // Room for the options at least.
  return static_cast<std::uint16_t>(std::clamp<std::size_t>(mtu - headers, 88, 65483));
}

// ---- in -----------------------------------------------------------------------------------------

void TcpStack::receive(Packet* packet, Interface* interface) {
  const Key key{packet->destination, packet->source};
  if (const auto known = connections_.find(key); known != connections_.end()) {
    const std::shared_ptr<TcpConnection> connection = known->second;
    connection->receive(*packet);
    return host_.world_.pool_.give(packet);
  }
  if (answered_in_wait(*packet)) return host_.world_.pool_.give(packet);
  const TcpHeader& header = packet->tcp;
  const bool opens = header.has(TcpHeader::kSyn) && !header.has(TcpHeader::kAck);
  const auto listening = find_listener(*packet, interface);
  if (opens && listening != nullptr) {
    // Linux drops SYNs while nobody accepts, and while too many are half open.
    const std::size_t most = listening->options.backlog;
    if (listening->backlog.size() >= most || listening->half_open.size() >= most) {
      return host_.drop(packet, Verdict::buffer_full);
    }
    open_from(*packet, listening);
    return host_.world_.pool_.give(packet);
  }
  if (!header.has(TcpHeader::kRst)) refuse(*packet);
  host_.drop(packet, Verdict::no_socket);
}

void TcpStack::open_from(const Packet& syn, std::shared_ptr<TcpListening> listening) {
  const TcpConnection::Ends ends{syn.destination, syn.source, listening->device};
  const auto connection = open(ends, listening->options.stream);
  connection->answer(std::move(listening), syn);
}

/// RFC 9293 §3.10.7.1: a reset that the sender of `packet` accepts.
void TcpStack::refuse(const Packet& packet) {
  const TcpHeader& header = packet.tcp;
  TcpHeader reset;
  reset.flags = TcpHeader::kRst;
  if (header.has(TcpHeader::kAck)) {
    reset.sequence = header.acknowledgment;
  } else {
    reset.flags |= TcpHeader::kAck;
    reset.acknowledgment = header.sequence + header.length(packet.payload.size());
  }
  send({packet.destination, packet.source, nullptr}, reset, {});
}

bool TcpStack::answered_in_wait(const Packet& packet) {
  const auto known = waiting_.find({packet.destination, packet.source});
  if (known == waiting_.end()) return false;
  const TcpHeader& header = packet.tcp;
  if (known->second.until <= host_.world_.now() || header.has(TcpHeader::kSyn)) {
    waiting_.erase(known);  // a new connection may follow (RFC 9293 §3.6.1)
    return false;
  }
  if (header.has(TcpHeader::kRst)) return true;  // RFC 1337
  // The peer has not heard our last acknowledgment.
  if (header.length(packet.payload.size()) != 0) {
    send({packet.destination, packet.source, nullptr}, known->second.answer, {});
  }
  return true;
}

// ---- connections --------------------------------------------------------------------------------

int TcpStack::choose(const tcp::ConnectOptions& options, TcpConnection::Ends& ends) {
  const udp::Address& remote = options.remote;
  ends.remote = remote;
  Topology& topology = host_.world_.topology_;
  if (options.local.specified() && !options.local.is_wildcard()) {
    if (!same_family(options.local, remote)) return EAFNOSUPPORT;
    if (!host_.owns(options.local)) return EADDRNOTAVAIL;
    ends.local = options.local;
  } else if (host_.owns(remote)) {
    ends.local = remote;
  } else {
    const Interface* out = ends.device != nullptr ? ends.device : topology.route(host_, remote);
    if (out == nullptr || !out->up) return ENETUNREACH;
    ends.local = out->address_like(remote);
    if (!ends.local.specified()) return ENETUNREACH;
  }
  ends.local.set_port(options.local.specified() ? options.local.port() : 0);
  bool found = false;
  way(ends, found);
  if (!found) return ENETUNREACH;
  if (ends.local.port() != 0) {
    return connections_.contains({ends.local, ends.remote}) ? EADDRINUSE : 0;
  }
  for (int tries = kLastPort - kFirstPort; tries >= 0; --tries) {
    next_port_ = next_port_ >= kLastPort ? kFirstPort : static_cast<std::uint16_t>(next_port_ + 1);
    ends.local.set_port(next_port_);
    const Key key{ends.local, ends.remote};
    const bool listened = listeners_.contains(next_port_);
    if (!listened && !connections_.contains(key) && !waiting_.contains(key)) return 0;
  }
  return EADDRNOTAVAIL;
}

std::uint64_t TcpStack::in_vain() const {
  std::uint64_t sum = in_vain_;
  for (const auto& [ends, connection] : connections_) sum += connection->bytes_under_way();
  return sum;
}

std::optional<tcp::StreamInfo> TcpStack::info(const udp::Address& local,
                                              const udp::Address& remote) const {
  const auto known = connections_.find({local, remote});
  if (known == connections_.end()) return std::nullopt;
  return known->second->info();
}

std::shared_ptr<TcpConnection> TcpStack::open(const TcpConnection::Ends& ends,
                                              const tcp::StreamOptions& options) {
  auto connection = std::make_shared<TcpConnection>(*this, ends, options);
  const bool fresh = connections_.emplace(Key{ends.local, ends.remote}, connection).second;
  TERN_CHECK(fresh);
  return connection;
}

void TcpStack::remove(TcpConnection& connection, const TcpHeader* wait) {
  const Key key{connection.ends().local, connection.ends().remote};
  connections_.erase(key);
  if (wait == nullptr) return;
  const Timestamp now = host_.world_.now();
  const auto over = [&] {
    return !waits_.empty() && (waits_.front().first <= now || waits_.size() >= kMaxTimeWaits);
  };
  for (; over(); waits_.pop_front()) {
    const auto oldest = waiting_.find(waits_.front().second);
    // A port that is used again has a later wait of its own.
    if (oldest != waiting_.end() && oldest->second.until <= waits_.front().first) {
      waiting_.erase(oldest);
    }
  }
  waiting_.insert_or_assign(key, Waiting{now + kTimeWait, *wait});
  waits_.emplace_back(now + kTimeWait, key);
}

// ---- listeners ----------------------------------------------------------------------------------

int TcpStack::add(const std::shared_ptr<TcpListening>& listening) {
  tcp::ListenOptions& options = listening->options;
  const tcp::ReusePort& group = options.reuse_port;
  if (options.bind.port() == 0) {
    do {
      next_port_ =
          next_port_ >= kLastPort ? kFirstPort : static_cast<std::uint16_t>(next_port_ + 1);
    } while (listeners_.contains(next_port_));
    options.bind.set_port(next_port_);
  }
  auto& others = listeners_[options.bind.port()];
  for (const auto& other : others) {
    const tcp::ReusePort& theirs = other->options.reuse_port;
    const bool shared = group.count > 1 && theirs.count == group.count &&
                        theirs.index != group.index && other->options.bind.same_ip(options.bind);
    if (!shared && overlap(*listening, *other)) return EADDRINUSE;
  }
  others.push_back(listening);
  return 0;
}

void TcpStack::remove(TcpListening& listening) {
  const auto found = listeners_.find(listening.options.bind.port());
  TERN_CHECK(found != listeners_.end());
  std::erase_if(found->second, [&](const auto& other) { return other.get() == &listening; });
  if (found->second.empty()) listeners_.erase(found);
  for (TcpConnection* connection : std::exchange(listening.half_open, {})) connection->drop();
  for (const auto& connection : std::exchange(listening.backlog, {})) connection->drop();
}

std::shared_ptr<TcpListening> TcpStack::find_listener(const Packet& packet,
                                                      const Interface* interface) const {
  const auto found = listeners_.find(packet.destination.port());
  if (found == listeners_.end()) return nullptr;
  std::shared_ptr<TcpListening> best;
  int best_fit = 0;
  for (const auto& listening : found->second) {
    const int fitness = fit(*listening, packet.destination, interface);
    if (fitness > best_fit) {
      best_fit = fitness;
      best = listening;
    }
  }
  if (best == nullptr || best->options.reuse_port.count <= 1) return best;
  std::vector<std::shared_ptr<TcpListening>> group;
  for (const auto& listening : found->second) {
    if (fit(*listening, packet.destination, interface) == best_fit) group.push_back(listening);
  }
  return group[(packet.source.hash() * 31 + packet.destination.hash()) % group.size()];
}

}  // namespace tern::sim
