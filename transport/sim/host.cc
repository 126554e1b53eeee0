#include "transport/sim/host.h"

#include <algorithm>
#include <utility>

#include "base/check.h"
#include "transport/sim/nat.h"
#include "transport/sim/network.h"
#include "transport/sim/packet.h"
#include "transport/sim/tcp_stack.h"
#include "transport/sim/world.h"

namespace tern::sim {

namespace {

constexpr std::uint8_t kMaxHops = 32;
/// Host-level drops in the trace: beside the links' numbers.
constexpr std::uint32_t kHostTrace = 0x80000000;

udp::Address with_port(udp::Address address, std::uint16_t port) noexcept {
  address.set_port(port);
  return address;
}

/// Which socket of a SO_REUSEPORT group gets a datagram, as the engine's classic BPF decides
/// (docs/decisions/0021): the worker's byte of the destination connection ID, which begins after
/// the flags of a short header and after flags, version and length of a long one (RFC 8999 §5). A
/// load beyond the end ends the program with 0. Without steering: a hash of addresses and ports.
std::uint32_t steer(const Packet& packet, const udp::ReusePort& group) noexcept {
  if (!group.worker_offset) {
    return static_cast<std::uint32_t>((packet.source.hash() * 31 + packet.destination.hash()) %
                                      group.count);
  }
  const ByteView bytes = packet.payload;
  if (bytes.empty()) return 0;
  const std::size_t offset = ((bytes[0] & 0x80) != 0 ? 6U : 1U) + *group.worker_offset;
  return offset < bytes.size() ? bytes[offset] % group.count : 0;
}

}  // namespace

Host::Host(World& world, std::uint32_t index, std::string name, bool forwards)
    : world_(world), index_(index), name_(std::move(name)), forwards_(forwards) {
  world_.topology_.number(*this);
  tcp_ = std::make_unique<TcpStack>(*this);
  add_worker();
}

Host::~Host() = default;

Runtime& Host::runtime(std::size_t worker) { return workers_.at(worker)->runtime(); }

udp::Network& Host::network(std::size_t worker) { return workers_.at(worker)->network(); }

LogSink& Host::log(std::size_t worker) { return workers_.at(worker)->log(); }

std::size_t Host::add_worker() {
  const std::size_t index = workers_.size();
  Random source(world_.derive("worker", name_, index));
  Random::Key key;
  source.fill(key);
  workers_.push_back(std::make_unique<Worker>(*this, index, key));
  return index;
}

udp::Address Host::v4(std::uint16_t port) const noexcept { return with_port(v4_, port); }
udp::Address Host::v6(std::uint16_t port) const noexcept { return with_port(v6_, port); }

Host& Host::slabs(std::size_t count, Duration busy) {
  TERN_CHECK(count > 0);
  slabs_ = count;
  slab_busy_ = busy;
  return *this;
}

std::uint64_t Host::tcp_bytes_in_vain() const { return tcp_->in_vain(); }

std::optional<tcp::StreamInfo> Host::tcp_info(const udp::Address& local,
                                              const udp::Address& remote) const {
  return tcp_->info(local, remote);
}

void Host::arrive(Packet* packet, Interface& interface) {
  if (!powered_) return drop(packet, Verdict::host_down);
  if (interface.nat != nullptr && !interface.nat->inbound(*packet)) {
    return drop(packet, Verdict::nat);
  }
  if (owns(packet->destination)) return deliver(packet, &interface);
  if (!forwards_) return drop(packet, Verdict::no_route);
  if (++packet->hops > kMaxHops) return drop(packet, Verdict::hop_limit);
  Interface* out = world_.topology_.route(*this, packet->destination);
  if (out == nullptr) return drop(packet, Verdict::no_route);
  transmit(packet, out);
}

void Host::send(Packet* packet, Interface* out) {
  if (tap_ != nullptr) show(*packet, 0);
  transmit(packet, out);
}

void Host::transmit(Packet* packet, Interface* out) {
  if (!powered_) return drop(packet, Verdict::host_down);
  if (out == nullptr) {
    ++looping_;
    world_.events_.push(world_.now(), *this, 0, packet);
    return;
  }
  if (out->nat != nullptr && !out->nat->outbound(*packet)) return drop(packet, Verdict::nat);
  out->out->transmit(packet);
}

void Host::fire(std::uint32_t, void* argument) {
  --looping_;
  deliver(static_cast<Packet*>(argument), nullptr);
}

void Host::deliver(Packet* packet, Interface* interface) {
  if (packet->damaged) return drop(packet, Verdict::checksum);
  if (tap_ != nullptr) show(*packet, 1);
  if (packet->is_tcp) return tcp_->receive(packet, interface);
  SimSocket* socket = find_socket(*packet, interface);
  if (socket == nullptr) return drop(packet, Verdict::no_socket);
  if (socket->waiting_bytes_ + packet->payload.size() > receive_buffer_) {
    return drop(packet, Verdict::buffer_full);
  }
  socket->network_.enqueue(*socket, packet);
}

bool Host::owns(const udp::Address& address) const noexcept {
  if (address.is_loopback()) return true;
  const Topology::Owner owner = world_.topology_.owner(address);
  if (owner.host != this) return false;
  // A NAT's outside address belongs to the NAT.
  return owner.interface == nullptr || owner.interface->address_like(address).same_ip(address);
}

void Host::interfaces_changed() {
  for (const auto& worker : workers_) worker->network().interfaces_changed();
}

SimSocket* Host::find_socket(const Packet& packet, const Interface* interface) const {
  const auto found = sockets_.find(packet.destination.port());
  if (found == sockets_.end()) return nullptr;
  SimSocket* best = nullptr;
  int best_fit = 0;
  for (SimSocket* socket : found->second) {
    const int fit = socket->fit(packet, interface);
    if (fit > best_fit) {
      best_fit = fit;
      best = socket;
    }
  }
  if (best == nullptr || best->options_.reuse_port.count <= 1) return best;
  const std::uint32_t index = steer(packet, best->options_.reuse_port);
  for (SimSocket* socket : found->second) {
    if (socket->fit(packet, interface) == best_fit && socket->options_.reuse_port.index == index) {
      return socket;
    }
  }
  return best;  // that worker has not bound yet: the kernel gives it to another of the group
}

std::uint16_t Host::free_port() {
  for (;;) {
    const std::uint16_t port = next_port_;
    next_port_ = next_port_ == UINT16_MAX ? 49152 : static_cast<std::uint16_t>(port + 1);
    const auto used = sockets_.find(port);
    if (used == sockets_.end() || used->second.empty()) return port;
  }
}

TraceEvent Host::event_of(const Packet& packet) const noexcept {
  TraceEvent event;
  event.now = world_.now();
  event.link = kHostTrace | index_;
  event.where = name_;
  event.source = packet.source;
  event.destination = packet.destination;
  event.ecn = packet.ecn;
  event.payload = packet.payload;
  if (packet.is_tcp) event.tcp = &packet.tcp;
  return event;
}

void Host::show(const Packet& packet, std::uint8_t direction) const {
  TraceEvent event = event_of(packet);
  event.direction = direction;
  tap_->observe(event);
}

void Host::drop(Packet* packet, Verdict why) {
  ++dropped_[static_cast<std::size_t>(why)];
  TraceEvent event = event_of(*packet);
  event.verdict = why;
  world_.record(event);
  world_.pool_.give(packet);
}

}  // namespace tern::sim
