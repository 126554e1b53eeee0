#include "transport/sim/network.h"

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <utility>

#include "base/check.h"
#include "transport/sim/packet.h"
#include "transport/sim/tcp_network.h"
#include "transport/sim/world.h"

namespace tern::sim {

namespace {

constexpr std::size_t kMaxCoalesced = 65535;
constexpr std::size_t kLoopbackMtu = 65536;
constexpr std::size_t kUdpV4Header = 28;
constexpr std::size_t kUdpV6Header = 48;

/// Would a socket bound to `bound` take what another one bound to `address` takes?
bool covers(const udp::SocketOptions& bound, const udp::Address& address) noexcept {
  if (bound.bind.same_ip(address)) return true;
  if (!bound.bind.is_wildcard()) return false;
  return bound.bind.is_v4() == address.is_v4() || (bound.bind.is_v6() && !bound.v6_only);
}

}  // namespace

// ---- SimSocket ----------------------------------------------------------------------------------

SimSocket::SimSocket(SimNetwork& network, udp::Sink& sink, const udp::SocketOptions& options,
                     Interface* device)
    : network_(network), sink_(sink), options_(options), device_(device) {
  Host& host = network_.host_;
  host.sockets_[options_.bind.port()].push_back(this);
  ++host.open_sockets_;
}

SimSocket::~SimSocket() { network_.forget(*this); }

bool SimSocket::wants_family(const udp::Address& address) const noexcept {
  return options_.bind.is_v4() == address.is_v4() ||
         (options_.bind.is_v6() && options_.bind.is_wildcard() && !options_.v6_only);
}

int SimSocket::fit(const Packet& packet, const Interface* interface) const noexcept {
  if (device_ != nullptr && device_ != interface) return 0;
  if (!covers(options_, packet.destination)) return 0;
  return 1 + (options_.bind.is_wildcard() ? 0 : 2) + (device_ == nullptr ? 0 : 1);
}

// ---- SimNetwork: slabs --------------------------------------------------------------------------

struct SimNetwork::SimSlab final : udp::Slab {
  explicit SimSlab(std::unique_ptr<std::uint8_t[]> bytes)
      : Slab(bytes.get()), memory(std::move(bytes)) {}
  std::unique_ptr<std::uint8_t[]> memory;
  bool held = false;  // by whoever acquired it
  Timestamp free_at{};
  std::uint64_t free_turn = 0;
};

SimNetwork::SimNetwork(Host& host, Worker& worker, const Random::Key& key)
    : host_(host), worker_(worker), key_(key) {}

SimNetwork::~SimNetwork() {
  for (const auto& [port, sockets] : host_.sockets_) {
    for (const SimSocket* socket : sockets) TERN_CHECK(&socket->network_ != this);
  }
}

tcp::Network& SimNetwork::tcp() {
  if (!tcp_) tcp_ = std::make_unique<SimTcp>(host_, worker_, counters_);
  return *tcp_;
}

udp::Slab* SimNetwork::acquire() {
  for (const auto& slab : slabs_) {
    if (slab->held || slab->free_at > now() || slab->free_turn > turn_) continue;
    slab->held = true;
    return slab.get();
  }
  if (slabs_.size() < host_.slabs_) {
    slabs_.push_back(std::make_unique<SimSlab>(std::make_unique<std::uint8_t[]>(udp::Slab::kSize)));
    slabs_.back()->held = true;
    return slabs_.back().get();
  }
  starved_ = true;
  slabs_exhausted_.add();
  return nullptr;
}

void SimNetwork::submit(udp::Slab* submitted) {
  auto* slab = static_cast<SimSlab*>(submitted);
  TERN_CHECK(slab->held);
  for (const udp::Slab::Entry& entry : slab->entries()) {
    auto& socket = static_cast<SimSocket&>(*entry.socket);
    TERN_CHECK(&socket.network_ == this);
    const udp::Transmit& transmit = entry.transmit;
    TERN_CHECK(std::size_t{transmit.offset} + transmit.length <= udp::Slab::kSize);
    send(socket, transmit, {slab->memory.get() + transmit.offset, transmit.length});
  }
  slab->clear();
  slab->held = false;
  slab->free_at = now() + host_.slab_busy_;
  slab->free_turn = turn_ + 1;
}

std::size_t SimNetwork::slabs_held() const noexcept {
  return static_cast<std::size_t>(
      std::count_if(slabs_.begin(), slabs_.end(), [](const auto& slab) { return slab->held; }));
}

// ---- SimNetwork: out ----------------------------------------------------------------------------

void SimNetwork::send(SimSocket& socket, const udp::Transmit& transmit, ByteView bytes) {
  TERN_CHECK(transmit.segment_size > 0 && bytes.size() <= udp::Slab::kMaxTransmit);
  TERN_CHECK((bytes.size() + transmit.segment_size - 1) / transmit.segment_size <=
             udp::Slab::kMaxSegments);
  Interface* out = nullptr;
  udp::Address source;
  int error = choose_way(socket, transmit.path, out, source);
  if (error == 0) {
    const std::size_t largest = std::min<std::size_t>(transmit.segment_size, bytes.size()) +
                                (transmit.path.remote.is_v6() ? kUdpV6Header : kUdpV4Header);
    if (largest > (out == nullptr ? kLoopbackMtu : out->link->interface_mtu())) error = EMSGSIZE;
  }
  if (error != 0) {
    sends_failed_.add();
    failures_.push_back({&socket, transmit.path, error});
    worker_.schedule(now());
    return;
  }
  source.set_port(socket.options_.bind.port());
  transmits_.add();
  bytes_sent_.add(bytes.size());
  do {
    const ByteView segment =
        bytes.first(std::min<std::size_t>(transmit.segment_size, bytes.size()));
    bytes = bytes.subspan(segment.size());
    Packet* packet = host_.world_.pool_.take();
    packet->source = source;
    packet->destination = transmit.path.remote;
    packet->ecn = transmit.ecn;
    packet->payload.assign(segment.begin(), segment.end());
    datagrams_sent_.add();
    host_.send(packet, out);
  } while (!bytes.empty());
}

int SimNetwork::choose_way(const SimSocket& socket, const udp::Path& path, Interface*& out,
                           udp::Address& source) const {
  const udp::Address& remote = path.remote;
  if (!remote.specified() || remote.port() == 0) return EINVAL;
  if (!socket.wants_family(remote)) return EAFNOSUPPORT;
  Topology& topology = host_.world_.topology_;
  for (const udp::Address* local : {&path.local, &socket.options_.bind}) {
    if (!local->specified() || local->is_wildcard()) continue;
    if (local->is_v4() != remote.is_v4()) return EAFNOSUPPORT;
    if (!host_.owns(*local)) return EADDRNOTAVAIL;
    source = *local;
    break;
  }
  if (host_.owns(remote)) {  // out stays null: loopback
    if (!source.specified()) source = remote;
    return 0;
  }
  if (source.is_loopback()) return EINVAL;
  if (socket.device_ != nullptr) {
    out = socket.device_;
  } else if (source.specified()) {
    out = topology.owner(source).interface;
  }
  if (out == nullptr) out = topology.route(host_, remote);
  if (out == nullptr || !out->up) return ENETUNREACH;
  if (!source.specified()) source = out->address_like(remote);
  return source.specified() ? 0 : ENETUNREACH;
}

// ---- SimNetwork: in -----------------------------------------------------------------------------

void SimNetwork::enqueue(SimSocket& socket, Packet* packet) {
  socket.waiting_bytes_ += packet->payload.size();
  inbox_.push_back({&socket, packet});
  worker_.schedule(now());
}

void SimNetwork::reap(Timestamp now) {
  ++turn_;
  while (!failures_.empty()) {
    const Failure failure = failures_.front();
    failures_.pop_front();
    failure.socket->sink_.send_failed(*failure.socket, failure.path, failure.error);
  }
  for (std::size_t reaped = 0; reaped < kMaxReaped && !inbox_.empty();) reaped += deliver_front();
  // A callback may look up again: that one waits for a later turn.
  std::vector<Lookup> due;
  for (auto lookup = lookups_.begin(); lookup != lookups_.end();) {
    if (lookup->when > now) {
      ++lookup;
      continue;
    }
    due.push_back(std::move(*lookup));
    lookup = lookups_.erase(lookup);
  }
  for (Lookup& lookup : due) lookup.done(std::move(lookup.result));
  if (tcp_) tcp_->reap(now);
  if (std::exchange(tell_watchers_, false)) watchers_.notify();
}

std::size_t SimNetwork::deliver_front() {
  SimSocket& socket = *inbox_.front().socket;
  Packet* first = inbox_.front().packet;
  udp::Arrival arrival;
  arrival.path.local = first->destination;
  arrival.path.remote = first->source;
  arrival.ecn = first->ecn;
  arrival.segment_size = first->payload.size();

  const auto pop = [&] {
    Packet* packet = inbox_.front().packet;
    inbox_.pop_front();
    socket.waiting_bytes_ -= packet->payload.size();
    return packet;
  };
  const auto joins = [&](std::size_t total) {
    if (!host_.coalesce_ || inbox_.empty() || inbox_.front().socket != &socket) return false;
    const Packet& next = *inbox_.front().packet;
    return next.source == arrival.path.remote && next.destination == arrival.path.local &&
           next.ecn == arrival.ecn && !next.payload.empty() &&
           next.payload.size() <= arrival.segment_size &&
           total + next.payload.size() <= kMaxCoalesced;
  };

  pop();
  if (first->payload.empty()) {  // nothing that a transport could want; the engine drops it too
    host_.world_.pool_.give(first);
    return 1;
  }
  if (!joins(first->payload.size())) {
    arrival.bytes = first->payload;
    deliver(socket, arrival, 1);
    host_.world_.pool_.give(first);
    return 1;
  }
  coalesced_.assign(first->payload.begin(), first->payload.end());
  host_.world_.pool_.give(first);
  std::size_t count = 1;
  bool shorter = false;  // only the last one may be
  while (!shorter && count < udp::Slab::kMaxSegments && joins(coalesced_.size())) {
    Packet* next = pop();
    shorter = next->payload.size() < arrival.segment_size;
    coalesced_.insert(coalesced_.end(), next->payload.begin(), next->payload.end());
    host_.world_.pool_.give(next);
    ++count;
  }
  arrival.bytes = coalesced_;
  deliver(socket, arrival, count);
  return count;
}

void SimNetwork::deliver(SimSocket& socket, const udp::Arrival& arrival, std::size_t datagrams) {
  batches_received_.add();
  datagrams_received_.add(datagrams);
  bytes_received_.add(arrival.bytes.size());
  socket.sink_.receive(socket, arrival);
}

void SimNetwork::forget(SimSocket& socket) {
  for (auto waiting = inbox_.begin(); waiting != inbox_.end();) {
    if (waiting->socket != &socket) {
      ++waiting;
      continue;
    }
    host_.drop(waiting->packet, Verdict::closed);
    waiting = inbox_.erase(waiting);
  }
  std::erase_if(failures_, [&](const Failure& failure) { return failure.socket == &socket; });
  std::erase(host_.sockets_[socket.options_.bind.port()], &socket);
  --host_.open_sockets_;
}

// ---- SimNetwork: sockets and names --------------------------------------------------------------

Result<std::unique_ptr<udp::Socket>> SimNetwork::open(const udp::SocketOptions& options,
                                                      udp::Sink& sink) {
  const auto refuse = [&](int error) {
    return fail(Error::os(error, "bind " + options.bind.to_string() + " on " + host_.name()));
  };
  if (!options.bind.specified()) return refuse(EAFNOSUPPORT);
  if (!options.bind.is_wildcard()) {
    const Interface* owner = host_.world_.topology_.owner(options.bind).interface;
    if (!host_.owns(options.bind) || (owner != nullptr && !owner->up)) return refuse(EADDRNOTAVAIL);
  }
  Interface* device = nullptr;
  if (!options.device.empty()) {
    for (Interface* interface : host_.interfaces_) {
      if (interface->link->name() == options.device) device = interface;
    }
    if (device == nullptr) return refuse(ENODEV);
  }
  udp::SocketOptions bound = options;
  if (bound.bind.port() == 0) {
    bound.bind.set_port(host_.free_port());
  } else if (const auto used = host_.sockets_.find(bound.bind.port());
             used != host_.sockets_.end()) {
    for (const SimSocket* other : used->second) {
      const bool shared = bound.reuse_port.count > 1 &&
                          other->options_.reuse_port.count == bound.reuse_port.count &&
                          other->options_.reuse_port.index != bound.reuse_port.index &&
                          other->options_.bind.same_ip(bound.bind);
      const bool apart = device != nullptr && other->device_ != nullptr && device != other->device_;
      if (!shared && !apart &&
          (covers(bound, other->options_.bind) || covers(other->options_, bound.bind))) {
        return refuse(EADDRINUSE);
      }
    }
  }
  return std::make_unique<SimSocket>(*this, sink, bound, device);
}

void SimNetwork::resolve(std::string_view host, std::uint16_t port,
                         std::function<void(Result<std::vector<udp::Address>>)> done) {
  const Timestamp when = now() + host_.resolve_delay_;
  lookups_.push_back({when, look_up(host, port), std::move(done)});
  worker_.schedule(when);
}

Result<std::vector<udp::Address>> SimNetwork::look_up(std::string_view host,
                                                      std::uint16_t port) const {
  std::vector<udp::Address> found;
  if (auto literal = udp::Address::parse_ip(host, port)) {
    found.push_back(*literal);
    return found;
  }
  if (host == "localhost") {
    found.push_back(*udp::Address::parse_ip("::1", port));
    found.push_back(*udp::Address::parse_ip("127.0.0.1", port));
    return found;
  }
  World& world = host_.world_;
  const auto named = world.names_.find(std::string(host));
  if (named == world.names_.end()) {
    return fail(Error(Code::not_found, "no host is called " + std::string(host)));
  }
  // As getaddrinfo does with AI_ADDRCONFIG: only families that can be of use here.
  for (const udp::Address& address : {named->second->v6(port), named->second->v4(port)}) {
    if (host_.owns(address) || world.topology_.route(host_, address) != nullptr) {
      found.push_back(address);
    }
  }
  if (found.empty()) return fail(Error(Code::not_found, "no way to " + std::string(host)));
  return found;
}

// ---- SimNetwork: interfaces ---------------------------------------------------------------------

Result<udp::Interfaces> SimNetwork::interfaces() {
  udp::Interfaces found;
  udp::NetworkInterface& loopback = found.all.emplace_back();
  loopback.index = 1;
  loopback.name = "lo";
  loopback.kind = udp::InterfaceKind::loopback;
  loopback.up = true;
  loopback.addresses.push_back({*udp::Address::parse_ip("127.0.0.1", 0), 8});
  loopback.addresses.push_back({*udp::Address::parse_ip("::1", 0), 128});
  for (const Interface* end : host_.interfaces_) {
    udp::NetworkInterface& interface = found.all.emplace_back();
    interface.index = static_cast<std::uint32_t>(found.all.size());
    interface.name = end->link->name();
    interface.kind = end->link->kind();
    interface.up = end->up;
    if (!end->up) continue;
    if (end->v4.specified()) {
      interface.addresses.push_back({end->v4, 32});
      interface.default_v4 = end->link->metric();
    }
    if (end->v6.specified()) {
      interface.addresses.push_back({end->v6, 128});
      interface.default_v6 = end->link->metric();
    }
  }
  return found;
}

Result<std::unique_ptr<udp::InterfaceWatch>> SimNetwork::watch_interfaces(
    std::function<void()> changed) {
  return watchers_.add(std::move(changed));
}

void SimNetwork::interfaces_changed() {
  if (watchers_.empty()) return;
  tell_watchers_ = true;
  worker_.schedule(now());
}

Result<udp::Address> SimNetwork::source_for(const udp::Address& remote) {
  udp::Address source = remote;
  if (!host_.owns(remote)) {
    const Interface* out = host_.world_.topology_.route(host_, remote);
    if (out == nullptr) return fail(Error::os(ENETUNREACH, "way to " + remote.to_string()));
    source = out->address_like(remote);
  }
  source.set_port(0);
  return source;
}

// ---- SimNetwork: time ---------------------------------------------------------------------------

Timestamp SimNetwork::now() { return host_.world_.now(); }

UnixSeconds SimNetwork::unix_seconds() {
  return World::kUnixEpoch +
         std::chrono::duration_cast<std::chrono::seconds>(host_.world_.elapsed()).count();
}

Duration SimNetwork::wait(Timestamp deadline) {
  if (tcp_) tcp_->flush();
  worker_.wait(deadline);
  return {};
}

void SimNetwork::wake() noexcept { worker_.schedule(now()); }

Timestamp SimNetwork::next_deadline() const {
  const Timestamp now = host_.world_.now();
  if (!inbox_.empty() || !failures_.empty() || tell_watchers_) return now;
  if (tcp_ && tcp_->due()) return now;
  Timestamp next = kNever;
  for (const Lookup& lookup : lookups_) next = std::min(next, lookup.when);
  if (starved_) {
    for (const auto& slab : slabs_) {
      if (!slab->held) next = std::min(next, std::max(now, slab->free_at));
    }
  }
  return next;
}

}  // namespace tern::sim
