#include "transport/quic/bound_endpoint.h"

#include <algorithm>
#include <cerrno>
#include <utility>

#include <fmt/format.h>

namespace tern::quic {

namespace {
/// H3_NO_ERROR would be HTTP/3's; here no protocol runs yet.
constexpr std::uint64_t kInternalError = 0x01;  // RFC 9000 §20.1
}  // namespace

Result<std::unique_ptr<BoundEndpoint>> BoundEndpoint::create(Runtime& runtime,
                                                             udp::Network& network,
                                                             EndpointOptions options) {
  auto endpoint = Endpoint::create(std::move(options), runtime.timers(), runtime.random(),
                                   runtime.counters(), runtime.log());
  if (!endpoint) return fail(std::move(endpoint).error());
  std::unique_ptr<BoundEndpoint> bound(new BoundEndpoint(runtime, network));
  bound->endpoint_ = std::move(*endpoint);
  return bound;
}

BoundEndpoint::BoundEndpoint(Runtime& runtime, udp::Network& network)
    : runtime_(runtime), network_(network), send_errors_(runtime.counters().at("udp.send_errors")) {
  runtime_.add(*this);
}

BoundEndpoint::~BoundEndpoint() {
  runtime_.remove(*this);
  connecting_.clear();
  // Sockets before connections: nothing arrives any more while these go.
  sockets_.clear();
}

Result<udp::Address> BoundEndpoint::bind(const udp::SocketOptions& options) {
  auto socket = network_.open(options, *this);
  if (!socket) return fail(std::move(socket).error());
  sockets_.push_back(std::move(*socket));
  return sockets_.back()->local();
}

void BoundEndpoint::unbind(const udp::Address& local) {
  std::erase_if(sockets_, [&](const auto& socket) { return socket->local() == local; });
}

Result<Connection*> BoundEndpoint::connect(const ConnectOptions& options,
                                           ApplicationFactory factory,
                                           std::function<void(const Error&)> failed) {
  if (socket_for(options.local) == nullptr) {
    return fail(Error::invalid(fmt::format("no socket is bound to {}", options.local.to_string())));
  }
  auto connection = endpoint_->connect(options, runtime_.now(), runtime_.unix_seconds());
  if (!connection) return connection;
  Outgoing outgoing;
  outgoing.factory = std::move(factory);
  outgoing.failed = std::move(failed);
  connecting_.emplace(*connection, std::move(outgoing));
  return connection;
}

void BoundEndpoint::receive_handed_over(const udp::Path& path, udp::Ecn ecn,
                                        MutableBytes datagram) {
  udp::Arrival arrival;
  arrival.path = path;
  arrival.ecn = ecn;
  arrival.bytes = datagram;
  arrival.segment_size = datagram.size();
  endpoint_->receive(arrival, runtime_.now(), runtime_.unix_seconds(), true);
}

void BoundEndpoint::receive(udp::Socket& socket, const udp::Arrival& arrival) {
  if (endpoint_->options().server_context != nullptr) {
    endpoint_->receive(arrival, runtime_.now(), runtime_.unix_seconds());
    return;
  }
  // A client's path begins at the address its socket is bound to, which may be a wildcard; only a
  // server needs to know which of its addresses was asked.
  udp::Arrival normalised = arrival;
  normalised.path.local = socket.local();
  endpoint_->receive(normalised, runtime_.now(), runtime_.unix_seconds());
}

void BoundEndpoint::send_failed(udp::Socket&, const udp::Path& path, int error) {
  // As good as lost on the way: loss recovery, PMTUD and path validation find out. But who only
  // begins to connect need not wait for that.
  send_errors_.add();
  if (error != EMSGSIZE && error != ENOBUFS && error != ENOMEM && !connecting_.empty()) {
    endpoint_->cannot_send(path, error, runtime_.now());
  }
}

void BoundEndpoint::unreachable(udp::Socket&, const udp::Address& remote, int error,
                                ByteView quoted) {
  endpoint_->unreachable(remote, quoted, error, runtime_.now());
}

/// A server gives way to the handler of each request. A client's coroutines see all that has come:
/// the server's SETTINGS, for one, before they send what it would refuse.
void BoundEndpoint::drain(Timestamp) {
  take_events(endpoint_->options().server_context != nullptr);
}

void BoundEndpoint::take_events(bool give_way) {
  Event event;
  undrained_ = gave_way_ = false;
  while (endpoint_->next_event(event)) {
    dispatch(event);
    const Connection* next = endpoint_->next_connection();
    if (next == nullptr) continue;
    if (++drained_ >= kDrainEvents && next != event.connection) {
      undrained_ = true;
      return;
    }
    if (give_way && !runtime_.ready().empty()) {
      gave_way_ = true;
      return;
    }
  }
}

void BoundEndpoint::dispatch(const Event& event) {
  Connection& connection = *event.connection;
  if (event.type == Event::Type::ready) {
    const auto found = connecting_.find(&connection);
    const ApplicationFactory& factory =
        found != connecting_.end() ? found->second.factory : factory_;
    auto application = factory ? factory(connection) : nullptr;
    if (found != connecting_.end()) found->second.factory = nullptr;
    if (application == nullptr) {
      connection.close_transport(kInternalError, "no protocol for this connection");
      return;
    }
    connection.set_application(std::move(application));
  }
  if (Application* application = connection.application(); application != nullptr) {
    application->handle(event);
  }
  if (event.type != Event::Type::closed) return;
  if (const auto found = connecting_.find(&connection); found != connecting_.end()) {
    auto outgoing = std::move(found->second);
    connecting_.erase(found);
    if (connection.application() == nullptr && outgoing.failed) {
      outgoing.failed(connection.close_reason());
    }
  }
  connection.set_application(nullptr);
}

bool BoundEndpoint::pending() const {
  return endpoint_->has_events() || (endpoint_->has_work() && !out_of_slabs_);
}

void BoundEndpoint::flush(Timestamp now) {
  out_of_slabs_ = false;
  drained_ = 0;
  for (; slabs_filled_ < kMaxSlabsPerTurn && endpoint_->has_work(); ++slabs_filled_) {
    udp::Slab* slab = network_.acquire();
    if (slab == nullptr) {
      out_of_slabs_ = true;
      break;
    }
    std::size_t used = 0;
    transmits_.clear();
    endpoint_->fill(slab->space(), used, transmits_, now);
    for (const udp::Transmit& transmit : transmits_) {
      udp::Socket* socket = socket_for(transmit.path.local);
      if (socket != nullptr) slab->add(*socket, transmit);
    }
    network_.submit(slab);
    // Filling may have made a 0-RTT connection ready: its requests go with the first flight.
    if (endpoint_->has_events() && !undrained_ && !gave_way_) take_events(false);
  }
  if (!undrained_) slabs_filled_ = 0;
}

udp::Socket* BoundEndpoint::socket_for(const udp::Address& local) noexcept {
  for (const auto& socket : sockets_) {
    const udp::Address& bound = socket->local();
    if (bound.port() == local.port() && (bound.is_wildcard() || bound.same_ip(local))) {
      return socket.get();
    }
  }
  return nullptr;
}

}  // namespace tern::quic
