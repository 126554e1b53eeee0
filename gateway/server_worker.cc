#include "gateway/server_worker.h"

#include <algorithm>
#include <cerrno>
#include <chrono>
#include <string>
#include <utility>

#include "base/check.h"
#include "gateway/server_handover.h"
#include "http3/hq_session.h"
#include "transport/engine/handed_socket.h"
#include "webtransport/http3.h"

namespace tern {
namespace {

/// Does a socket bound to `bound` receive what is sent to `address`?
bool covers(const udp::Address& bound, const udp::Address& address) noexcept {
  if (bound.port() != address.port()) return false;
  if (bound.is_wildcard()) return bound.is_v6() || address.is_v4();
  return bound.same_ip(address);
}

/// Ports that are tried when any will do, until one is free on UDP and on TCP.
constexpr int kPortAttempts = 32;

http3::SessionOptions session_options(const http3::SessionOptions& options,
                                      const quic::TransportOptions& transport, Runtime& runtime) {
  http3::SessionOptions adjusted = options;
  adjusted.max_requests = transport.max_bidi_streams;
  webtransport::enable_http3(adjusted, runtime);
  return adjusted;
}

}  // namespace

Result<std::shared_ptr<ServerWorker>> ServerWorker::create(std::shared_ptr<ServerShared> shared,
                                                           Runtime& runtime, udp::Network& network,
                                                           std::size_t index) {
  std::shared_ptr<ServerWorker> worker(new ServerWorker(std::move(shared), runtime, index));
  const Result<void> opened = worker->open(network);
  if (!opened) return fail(opened.error());
  worker->shared_->add(index, runtime, network, worker);
  runtime.add(*worker);
  worker->hooked_ = true;
  return worker;
}

ServerWorker::ServerWorker(std::shared_ptr<ServerShared> shared, Runtime& runtime,
                           std::size_t index)
    : shared_(std::move(shared)),
      index_(index),
      runtime_(runtime),
      context_(runtime,
               session_options(shared_->options.http3_, shared_->options.transport_, runtime),
               shared_->hooks()),
      tend_keys_(runtime.timers(),
                 [this](Timestamp now) {
                   shared_->tend_keys(runtime_.random(), runtime_.unix_seconds());
                   tend_keys_.arm(now + shared_->key_check_interval());
                 }),
      deadline_(runtime.timers(), [this](Timestamp) { deadline_passed(); }),
      handed_over_(runtime.counters().at("server.handed_over")),
      handed_over_dropped_(runtime.counters().at("server.handed_over_dropped")),
      forwarded_(runtime.counters().at("server.forwarded")),
      forwarded_dropped_(runtime.counters().at("server.forwarded_dropped")) {}

ServerWorker::~ServerWorker() {
  if (!hooked_) return;
  runtime_.remove(*this);
  if (phase_ != Phase::ended) shared_->worker_ended();
  shared_->remove(index_);
}

Result<void> ServerWorker::open(udp::Network& network) {
  ServerOptions& options = shared_->options;
  const std::size_t count = shared_->worker_count;
  runtime_.log_to(*options.log_);

  quic::EndpointOptions endpoint;
  endpoint.transport = options.transport_;
  endpoint.cids = options.cids_;
  endpoint.cids.worker(static_cast<std::uint8_t>(index_));
  endpoint.reset_key = shared_->reset_key;
  endpoint.token_keys = shared_->keys;
  endpoint.server_context = shared_->contexts().quic;
  endpoint.early_data_context = http3::Context::early_data_context(context_.options());
  endpoint.retry = options.retry_;
  endpoint.max_connections = (options.max_connections_ + count - 1) / count;
  endpoint.workers = count;
  endpoint.qlog = shared_->qlog;
  TERN_TRY(endpoint_, quic::BoundEndpoint::create(runtime_, network, std::move(endpoint)));
  endpoint_->serve([this](quic::Connection& connection) { return accept(connection); });
  endpoint_->endpoint().stray = [this](std::size_t owner, const udp::Arrival& arrival) {
    (shared_->hand_over(owner, arrival) ? handed_over_ : handed_over_dropped_).add();
  };
  if (options.tcp_ || !options.cleartext_.empty()) {
    streams_ = std::make_unique<StreamServer>(runtime_, network.tcp(), shared_->stream_options(),
                                              shared_->hooks());
    streams_->use(shared_->contexts().tcp);
    const std::size_t most = (options.max_connections_ + count - 1) / count;
    streams_->room = [this, most] { return connections() < most; };
    endpoint_->endpoint().other_connections = [this] { return streams_->connections(); };
  }
  const Result<void> bound = bind_all();
  if (!bound) return bound;
  if (index_ == 0) tend_keys_.arm(runtime_.now() + shared_->key_check_interval());
  return {};
}

std::unique_ptr<quic::Application> ServerWorker::accept(quic::Connection& connection) {
  if (connection.handshake().alpn == "hq-interop") {
    return http3::HqSession::accept(context_, connection);
  }
  return context_.accept(connection);
}

Result<void> ServerWorker::bind_all() {
  std::vector<udp::Address> addresses;
  if (index_ != 0) {
    const auto preferred = shared_->preferred();
    for (const udp::Address& address : shared_->bound()) {
      // Those that are only preferred are for clients that have connected already.
      const bool only_udp =
          std::find(preferred.begin(), preferred.end(), address) != preferred.end();
      TERN_TRY(const udp::Address bound, only_udp ? bind(address) : bind_both(address));
      addresses.push_back(bound);
    }
    for (const udp::Address& address : shared_->bound_cleartext()) {
      TERN_TRY(const udp::Address bound, listen(address, true));
      addresses.push_back(bound);
    }
    return {};
  }
  if (shared_->listen().empty()) {
    auto bound = bind_both(udp::Address::v6(in6addr_any, kDefaultPort));
    const bool no_v6 = !bound && bound.error().domain == Domain::os &&
                       (bound.error().code == EAFNOSUPPORT || bound.error().code == EADDRNOTAVAIL);
    if (no_v6) bound = bind_both(udp::Address::v4(INADDR_ANY, kDefaultPort));
    if (!bound) return fail(std::move(bound).error());
    addresses.push_back(*bound);
  }
  for (const udp::Address& address : shared_->listen()) {
    TERN_TRY(const udp::Address bound, bind_both(address));
    addresses.push_back(bound);
  }
  for (const udp::Address& address : shared_->preferred()) {
    const bool there =
        std::any_of(addresses.begin(), addresses.end(),
                    [&](const udp::Address& bound) { return covers(bound, address); });
    if (there) continue;
    TERN_TRY(const udp::Address bound, bind(address));
    addresses.push_back(bound);
  }
  std::vector<udp::Address> cleartext;
  for (const udp::Address& address : shared_->cleartext()) {
    TERN_TRY(const udp::Address bound, listen(address, true));
    cleartext.push_back(bound);
  }
  shared_->set_bound(std::move(addresses), std::move(cleartext),
                     endpoint_->network().description());
  return {};
}

/// On UDP and, if wanted, on TCP. Where any port will do it is one that is free on both.
Result<udp::Address> ServerWorker::bind_both(const udp::Address& address) {
  if (!shared_->options.tcp_) return bind(address);
  if (address.port() != 0 || shared_->find_offered(address)) {
    TERN_TRY(const udp::Address bound, bind(address));
    return listen(bound, false);
  }
  for (int attempt = 1;; ++attempt) {
    TERN_TRY(const udp::Address listening, listen(address, false));
    auto bound = bind(listening);
    if (bound) return bound;
    streams_->unlisten();
    shared_->listeners(false).forget(listening);
    tcp_addresses_.pop_back();
    const bool taken = bound.error().domain == Domain::os && bound.error().code == EADDRINUSE;
    if (!taken || attempt == kPortAttempts) return bound;
  }
}

Result<udp::Address> ServerWorker::listen(const udp::Address& address, bool cleartext) {
  const ServerOptions& options = shared_->options;
  HandedListeners& handed = shared_->listeners(cleartext);
  const std::optional<udp::Address> offered = handed.find_offered(address);
  if (offered && index_ == 0) handed.note_taken(*offered);
  if (offered && index_ < handed.offered(*offered).size()) {
    return adopt_listeners(*offered, cleartext);
  }
  tcp::ReusePort group;
  group.index = static_cast<std::uint32_t>(index_);
  group.count = static_cast<std::uint32_t>(shared_->worker_count);
  if (!options.handover_.empty()) {
    // The process after this one listens beside it for a moment, as this one does beside the
    // process before: it must not want to be alone, as the first of a group does.
    const bool joins = !shared_->taken().empty() || phase_ != Phase::serving;
    group.index += joins ? 1 : 0;
    group.count += 1;
  }
  auto listening = streams_->listen(offered.value_or(address), group, cleartext);
  if (listening) {
    if (!cleartext) tcp_addresses_.push_back(*listening);
    note_listener(*listening, cleartext, index_);
    // It has joined the other process's group: its clients wait, as those of the listeners that
    // were given.
    if (offered) engine::pause(streams_->newest());
    return listening;
  }
  if (listening.error().domain != Domain::os) return listening;
  const auto number = static_cast<int>(listening.error().code);
  Error error = Error::os(number, "cannot listen on " + address.to_string() + " (TCP)");
  if (number == EADDRINUSE) error.detail += "; another server has it: choose another port";
  if (number == EACCES) error.detail += "; ports below 1024 are for root: choose another";
  if (number == EADDRNOTAVAIL) error.detail += "; this machine does not have that address";
  return fail(std::move(error));
}

/// A share of the listeners that the process before had there, as in `adopt`.
Result<udp::Address> ServerWorker::adopt_listeners(const udp::Address& address, bool cleartext) {
  engine::Descriptors& group = shared_->listeners(cleartext).offered(address);
  for (std::size_t place = index_; place < group.size(); place += shared_->worker_count) {
    TERN_TRY(const udp::Address local, streams_->adopt(group.take(place), cleartext));
    note_listener(local, cleartext, place);
  }
  if (!cleartext) tcp_addresses_.push_back(address);
  return address;
}

void ServerWorker::note_listener(const udp::Address& local, bool cleartext, std::size_t place) {
  if (shared_->options.handover_.empty()) return;
  shared_->listeners(cleartext).note(local, place, engine::descriptor_of(streams_->newest()));
}

std::size_t ServerWorker::connections() const {
  const std::size_t streams = streams_ != nullptr ? streams_->connections() : 0;
  return endpoint_->endpoint().connections() + streams;
}

Result<udp::Address> ServerWorker::bind(udp::Address address) {
  const std::optional<udp::Address> offered = shared_->find_offered(address);
  if (offered && index_ == 0) shared_->note_taken(*offered);
  if (offered && index_ < shared_->offered(*offered).size()) return adopt(*offered);
  udp::SocketOptions socket;
  socket.bind = address;
  socket.reuse_port.index = static_cast<std::uint32_t>(index_);
  socket.reuse_port.count = static_cast<std::uint32_t>(shared_->worker_count);
  if (!offered) socket.reuse_port.worker_offset = shared_->worker_offset;  // else `resume` steers
  auto bound = endpoint_->bind(socket);
  if (bound) note_socket(*bound, index_);
  // It has joined the other process's group: what it gets waits, as in the sockets that were given.
  if (bound && offered) engine::pause(*endpoint_->sockets().back());
  if (bound || bound.error().domain != Domain::os) return bound;
  Error error =
      Error::os(static_cast<int>(bound.error().code), "cannot listen on " + address.to_string());
  if (error.code == EADDRINUSE) error.detail += "; another server has it: choose another port";
  if (error.code == EACCES) error.detail += "; ports below 1024 are for root: choose another";
  if (error.code == EADDRNOTAVAIL) error.detail += "; this machine does not have that address";
  return fail(std::move(error));
}

/// A share of what the process before had there. It may have had more sockets than there are
/// workers now: the kernel goes on to give them datagrams.
Result<udp::Address> ServerWorker::adopt(const udp::Address& address) {
  engine::Descriptors& group = shared_->offered(address);
  const bool shares = shared_->worker_count > 1;
  for (std::size_t place = index_; place < group.size(); place += shared_->worker_count) {
    TERN_TRY(auto socket,
             engine::adopt(endpoint_->network(), group.take(place), shares, endpoint_->sink()));
    endpoint_->add(std::move(socket));
    note_socket(address, place);
  }
  return address;
}

void ServerWorker::note_socket(const udp::Address& local, std::size_t place) {
  if (shared_->options.handover_.empty()) return;
  shared_->note_socket(local, place, engine::descriptor_of(*endpoint_->sockets().back()));
}

void ServerWorker::pause(const std::vector<udp::Address>& addresses,
                         const std::vector<udp::Address>& listening) {
  if (streams_ != nullptr) streams_->pause(listening);
  for (const auto& socket : endpoint_->sockets()) {
    const bool meant =
        std::find(addresses.begin(), addresses.end(), socket->local()) != addresses.end();
    if (meant) engine::pause(*socket);
  }
}

std::vector<quic::ConnectionId> ServerWorker::leave() {
  std::vector<quic::ConnectionId> handshakes;
  endpoint_->endpoint().for_each([&](const quic::Connection& connection) {
    if (!connection.handshake_complete()) handshakes.push_back(connection.original_dcid());
  });
  if (phase_ == Phase::serving) {
    phase_ = Phase::leaving;
    endpoint_->endpoint().set_accepting(false);
    // Clients on TCP lose nothing by coming again, to the new process.
    if (streams_ != nullptr) streams_->leave();
    deadline_.arm(runtime_.now() + shared_->options.handover_drain_);
  }
  return handshakes;
}

void ServerWorker::stop_listening() {
  if (streams_ != nullptr) streams_->stop_listening();
  forget_listeners();
}

void ServerWorker::resume() {
  if (streams_ != nullptr) streams_->resume();
  udp::Address steered;
  for (const auto& socket : endpoint_->sockets()) {
    // Once for each address, by the first worker.
    if (index_ == 0 && shared_->worker_count > 1 && shared_->worker_offset &&
        !(socket->local() == steered)) {
      steered = socket->local();
      const auto done = engine::steer(*socket, *shared_->worker_offset,
                                      static_cast<std::uint32_t>(shared_->worker_count));
      if (!done) shared_->log(LogLevel::warning, done.error().to_string());
    }
    engine::resume(*socket);
  }
}

void ServerWorker::return_to_service() {
  if (phase_ != Phase::leaving) return;
  if (const Result<void> listening = listen_again(); !listening) {
    shared_->log(LogLevel::error, listening.error().to_string());
  }
  phase_ = Phase::serving;
  deadline_.disarm();
  endpoint_->endpoint().set_accepting(true);
}

Result<void> ServerWorker::listen_again() {
  std::vector<udp::Address> gone;
  for (const udp::Address& address : tcp_addresses_) {
    if (!streams_->listens(address)) gone.push_back(address);
  }
  for (const udp::Address& address : gone) {
    std::erase(tcp_addresses_, address);
    TERN_TRY(const udp::Address secure, listen(address, false));
    TERN_CHECK(secure == address);
  }
  for (const udp::Address& address : shared_->bound_cleartext()) {
    if (streams_->listens(address)) continue;
    TERN_TRY(const udp::Address bare, listen(address, true));
    TERN_CHECK(bare == address);
  }
  return {};
}

void ServerWorker::forward_to(std::shared_ptr<const Forwarder> forwarder) {
  auto& elsewhere = endpoint_->endpoint().elsewhere;
  if (forwarder == nullptr) {
    elsewhere = nullptr;
    return;
  }
  elsewhere = [this, forwarder = std::move(forwarder)](ByteView dcid, bool initial,
                                                       const udp::Arrival& arrival) {
    if (!forwarder->wants(dcid, initial)) return false;
    (forwarder->forward(arrival) ? forwarded_ : forwarded_dropped_).add();
    return true;
  };
}

void ServerWorker::use(const ServerShared::Contexts& contexts) {
  endpoint_->endpoint().set_server_context(contexts.quic);
  if (streams_ != nullptr) streams_->use(contexts.tcp);
}

void ServerWorker::drain() {
  if (phase_ != Phase::serving && phase_ != Phase::leaving) return;
  phase_ = Phase::draining;
  quic::Endpoint& endpoint = endpoint_->endpoint();
  endpoint.set_accepting(false);
  endpoint.for_each([&endpoint](quic::Connection& connection) {
    auto* const session = dynamic_cast<http3::Session*>(connection.application());
    // A client that is still in its handshake may have left it for another address of ours, and
    // otherwise hears at once that it has to. With requests in 0-RTT it has begun.
    const bool begun = session != nullptr && session->total_requests() > 0;
    if (!connection.handshake_complete() && !begun) {
      endpoint.refuse(connection);
    } else if (session != nullptr) {
      session->drain();
    } else if (auto* hq = dynamic_cast<http3::HqSession*>(connection.application())) {
      hq->drain();
    }
  });
  if (streams_ != nullptr) streams_->drain();
  forget_listeners();
  deadline_.arm(runtime_.now() + shared_->options.drain_timeout_);
}

void ServerWorker::forget_listeners() {
  for (const bool cleartext : {false, true}) shared_->listeners(cleartext).keep({});
}

void ServerWorker::close() {
  if (phase_ == Phase::closing || phase_ == Phase::ended) return;
  phase_ = Phase::closing;
  endpoint_->endpoint().set_accepting(false);
  endpoint_->endpoint().close_all(static_cast<std::uint64_t>(http3::ErrorCode::no_error),
                                  "server stops");
  if (streams_ != nullptr) streams_->close();
  forget_listeners();
  closed_at_ = runtime_.now();
  deadline_.arm(closed_at_ + kLastWords);
}

void ServerWorker::drain(Timestamp) {
  if (streams_ != nullptr) streams_->note_open();
  if (phase_ == Phase::draining && connections() == 0) close();
}

void ServerWorker::deadline_passed() {
  if (phase_ == Phase::leaving) {
    drain();
  } else if (phase_ == Phase::draining) {
    close();
  } else if (phase_ == Phase::closing) {
    // Ten thousand connections' close packets take longer than a few connections'.
    const bool all_said = !endpoint_->endpoint().has_work();
    if (!all_said && runtime_.now() - closed_at_ < kMostLastWords) {
      deadline_.arm(runtime_.now() + kLastWords);
      return;
    }
    phase_ = Phase::ended;
    shared_->worker_ended();
  }
}

void ServerWorker::receive_handed_over(const udp::Path& path, udp::Ecn ecn, MutableBytes datagram) {
  endpoint_->receive_handed_over(path, ecn, datagram);
}

}  // namespace tern
