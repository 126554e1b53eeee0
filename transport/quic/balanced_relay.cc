#include "transport/quic/balanced_relay.h"

#include <algorithm>
#include <cstring>
#include <utility>

#include "base/check.h"

namespace tern::quic {

Result<std::unique_ptr<BalancedRelay>> BalancedRelay::create(
    Runtime& runtime, udp::Network& network, LoadBalancer balancer, const udp::Address& listen,
    std::vector<udp::Address> machines, std::size_t max_clients) {
  if (machines.size() != balancer.machines()) {
    return fail(Error::invalid("each machine has an id and an address"));
  }
  std::unique_ptr<BalancedRelay> relay(
      new BalancedRelay(runtime, network, std::move(balancer), std::move(machines), max_clients));
  udp::SocketOptions options;
  options.bind = listen;
  TERN_TRY(relay->front_, network.open(options, *relay));
  return relay;
}

BalancedRelay::BalancedRelay(Runtime& runtime, udp::Network& network, LoadBalancer balancer,
                             std::vector<udp::Address> machines, std::size_t max_clients)
    : runtime_(runtime),
      network_(network),
      balancer_(std::move(balancer)),
      machines_(std::move(machines)),
      max_clients_(std::max<std::size_t>(1, max_clients)),
      by_connection_id_(runtime.counters().at("balancer.by_connection_id")),
      hashed_(runtime.counters().at("balancer.hashed")),
      returned_(runtime.counters().at("balancer.returned")),
      dropped_(runtime.counters().at("balancer.dropped")),
      forgotten_(runtime.counters().at("balancer.clients_forgotten")) {
  runtime_.add(*this);
}

BalancedRelay::~BalancedRelay() {
  runtime_.remove(*this);
  if (slab_ != nullptr) network_.submit(slab_);
}

void BalancedRelay::receive(udp::Socket& socket, const udp::Arrival& arrival) {
  if (&socket == front_.get()) return from_client(arrival);
  const auto found = by_socket_.find(&socket);
  if (found != by_socket_.end()) from_machine(*found->second, arrival);
}

void BalancedRelay::from_client(const udp::Arrival& arrival) {
  Flow* flow = flow_of(arrival.path);
  ByteView rest = arrival.bytes;
  // What one client sent together mostly has one connection ID: runs for one machine stay together.
  while (!rest.empty()) {
    std::size_t length = 0;
    LoadBalancer::Route first;
    while (length < rest.size()) {
      const std::size_t size = std::min(arrival.segment_size, rest.size() - length);
      const LoadBalancer::Route route =
          balancer_.route(rest.subspan(length, size), arrival.path.remote);
      if (length != 0 && route.machine != first.machine) break;
      if (length == 0) first = route;
      (route.by_connection_id ? by_connection_id_ : hashed_).add();
      length += size;
    }
    if (flow == nullptr) {
      dropped_.add();
    } else {
      udp::Path path;
      path.remote = machines_[first.machine];
      send(*flow->socket, path, arrival.ecn, rest.first(length), arrival.segment_size);
    }
    rest = rest.subspan(length);
  }
}

void BalancedRelay::from_machine(const Flow& flow, const udp::Arrival& arrival) {
  if (std::find(machines_.begin(), machines_.end(), arrival.path.remote) == machines_.end()) {
    dropped_.add();  // nobody else has business with a client's socket
    return;
  }
  returned_.add((arrival.bytes.size() + arrival.segment_size - 1) / arrival.segment_size);
  send(*front_, flow.client, arrival.ecn, arrival.bytes, arrival.segment_size);
}

BalancedRelay::Flow* BalancedRelay::flow_of(const udp::Path& client) {
  if (const auto found = by_client_.find(client.remote); found != by_client_.end()) {
    flows_.splice(flows_.begin(), flows_, found->second);
    found->second->client = client;
    return &flows_.front();
  }
  udp::SocketOptions options;
  options.bind = machines_.front().is_v4() ? udp::Address::v4(INADDR_ANY, 0)
                                           : udp::Address::v6(in6addr_any, 0);
  auto socket = network_.open(options, *this);
  if (!socket) return nullptr;
  Flow& flow = flows_.emplace_front();
  flow.client = client;
  flow.socket = std::move(*socket);
  by_client_.emplace(client.remote, flows_.begin());
  by_socket_.emplace(flow.socket.get(), flows_.begin());
  return &flow;
}

void BalancedRelay::send(udp::Socket& socket, const udp::Path& path, udp::Ecn ecn,
                         ByteView datagrams, std::size_t segment_size) {
  if (slab_ != nullptr && udp::Slab::kSize - used_ < datagrams.size()) {
    network_.submit(std::exchange(slab_, nullptr));
  }
  if (slab_ == nullptr) {
    slab_ = network_.acquire();
    used_ = 0;
  }
  if (slab_ == nullptr || datagrams.size() > udp::Slab::kMaxTransmit) {
    dropped_.add();
    return;
  }
  std::memcpy(slab_->space().data() + used_, datagrams.data(), datagrams.size());
  udp::Transmit transmit;
  transmit.path = path;
  transmit.ecn = ecn;
  transmit.offset = static_cast<std::uint32_t>(used_);
  transmit.length = static_cast<std::uint32_t>(datagrams.size());
  transmit.segment_size = static_cast<std::uint32_t>(std::min(segment_size, datagrams.size()));
  slab_->add(socket, transmit);
  used_ += datagrams.size();
}

void BalancedRelay::flush(Timestamp) {
  if (slab_ != nullptr) network_.submit(std::exchange(slab_, nullptr));
  // Not while the network delivers: a socket may not be closed there.
  const std::size_t most = std::exchange(forget_all_, false) ? 0 : max_clients_;
  while (flows_.size() > most) {
    by_client_.erase(flows_.back().client.remote);
    by_socket_.erase(flows_.back().socket.get());
    flows_.pop_back();
    forgotten_.add();
  }
}

}  // namespace tern::quic
