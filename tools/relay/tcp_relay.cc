#include "tools/relay/tcp_relay.h"

#include <deque>
#include <utility>

#include "base/check.h"

namespace tern::relay {

namespace {

/// Route i is this port plus i on the far host.
constexpr std::uint16_t kFirstFarTcpPort = 1000;
/// What a pipe holds in each direction before it stops reading.
constexpr std::size_t kMostHeld = 256 * 1024;
/// As long as the systems people use try to connect.
constexpr Duration kConnectTimeout = std::chrono::minutes(2);

udp::Address wildcard(std::uint16_t port) noexcept { return udp::Address::v6(in6addr_any, port); }

}  // namespace

// ---- Pipe ---------------------------------------------------------------------------------------

/// A real stream and a simulated one that continue each other.
///
/// The simulated stream is only touched while the world stands at the present: what a real stream
/// brings waits until `settle`.
class TcpRelay::Pipe {
 public:
  explicit Pipe(TcpRelay& relay) noexcept : relay_(relay) {}

  void take_real(std::unique_ptr<tcp::Stream> stream) { real_ = std::move(stream); }
  void take_simulated(std::unique_ptr<tcp::Stream> stream) { simulated_ = std::move(stream); }
  tcp::StreamSink& real_sink() noexcept { return real_sink_; }
  tcp::StreamSink& simulated_sink() noexcept { return simulated_sink_; }
  /// Attaches the sinks of accepted streams; those that connect have theirs.
  void attach_real() { real_->attach(real_sink_); }
  void attach_simulated() { simulated_->attach(simulated_sink_); }

  /// A client's pipe connects in the world when that stands at the present.
  void connect_later(const udp::Address& remote) {
    connect_to_ = remote;
    touch();
  }

  /// The world stands at the present.
  void settle() {
    touched_ = false;
    if (over_) return;
    if (real_failed_) return break_off();
    if (simulated_ == nullptr && !connect()) return break_off();
    pour();
    if (simulated_->paused() && real_->queued() <= kMostHeld / 2) simulated_->resume();
    end_if_done();
  }

  void break_off() {
    if (over_) return;
    if (real_ != nullptr && !real_failed_) real_->reset();
    if (simulated_ != nullptr && !simulated_failed_) simulated_->reset();
    end();
  }

  bool over() const noexcept { return over_; }
  std::uint64_t retransmitted() const {
    return simulated_ == nullptr ? 0 : simulated_->info().segments_retransmitted;
  }

 private:
  struct RealSink final : tcp::StreamSink {
    explicit RealSink(Pipe& of) noexcept : pipe(of) {}
    void receive(tcp::Stream&, MutableBytes bytes) override {
      pipe.held_.push_back(Bytes::copy(ByteView(bytes)));
      pipe.held_bytes_ += bytes.size();
      if (pipe.held_bytes_ > kMostHeld) pipe.real_->pause();
      pipe.touch();
    }
    void end_of_stream(tcp::Stream&) override {
      pipe.real_ended_ = true;
      pipe.touch();
    }
    void writable(tcp::Stream&) override { pipe.touch(); }
    void connected(tcp::Stream& stream) override {
      pipe.real_connected_ = true;
      if (Capture* capture = pipe.relay_.captures_.servers.get()) {
        capture->show(pipe.simulated_->remote(), stream.local(), stream.remote());
      }
    }
    void failed(tcp::Stream&, const Error& error) override {
      pipe.real_failed_ = true;
      pipe.touch();
      const bool to_server = !pipe.connect_to_.specified();
      if (to_server && !pipe.real_connected_) pipe.relay_.refused(error);
    }
    Pipe& pipe;
  };
  struct SimulatedSink final : tcp::StreamSink {
    explicit SimulatedSink(Pipe& of) noexcept : pipe(of) {}
    void receive(tcp::Stream& stream, MutableBytes bytes) override {
      if (!pipe.real_->write(Bytes::copy(ByteView(bytes)))) return pipe.break_off();
      if (pipe.real_->queued() > kMostHeld) stream.pause();
    }
    void end_of_stream(tcp::Stream&) override {
      pipe.simulated_ended_ = true;
      pipe.real_->finish();
      pipe.end_if_done();
    }
    void writable(tcp::Stream&) override {
      pipe.pour();
      pipe.end_if_done();
    }
    void failed(tcp::Stream&, const Error&) override {
      pipe.simulated_failed_ = true;
      pipe.break_off();
    }
    Pipe& pipe;
  };

  void touch() {
    if (!std::exchange(touched_, true)) relay_.touched_.push_back(this);
  }

  bool connect() {
    tcp::ConnectOptions options;
    options.remote = connect_to_;
    options.timeout = kConnectTimeout;
    options.stream.linger(relay_.options_.idle_timeout_);
    auto connecting = relay_.world_.near().network().tcp().connect(options, simulated_sink_);
    if (!connecting) return false;
    simulated_ = std::move(*connecting);
    if (Capture* capture = relay_.captures_.clients.get()) {
      capture->show(simulated_->local(), real_->remote(), real_->local());
    }
    return true;
  }

  /// From the real stream into the simulated one, as far as that takes it.
  void pour() {
    if (over_ || simulated_ == nullptr) return;
    while (!held_.empty() && simulated_->queued() <= kMostHeld) {
      held_bytes_ -= held_.front().size();
      const Result<void> written = simulated_->write(std::move(held_.front()));
      held_.pop_front();
      if (!written) return break_off();
    }
    if (held_.empty() && real_ended_ && !simulated_finished_) {
      simulated_finished_ = true;
      simulated_->finish();
    }
    if (real_->paused() && held_bytes_ <= kMostHeld / 2) real_->resume();
  }

  /// Both directions have ended: what is left to send is the streams' affair, as long as they may
  /// linger.
  void end_if_done() {
    if (simulated_ended_ && simulated_finished_) end();
  }
  void end() {
    if (!std::exchange(over_, true)) relay_.over_.push_back(this);
  }

  TcpRelay& relay_;
  RealSink real_sink_{*this};
  SimulatedSink simulated_sink_{*this};
  udp::Address connect_to_;
  std::deque<Bytes> held_;  // received, not yet written to the simulated stream
  std::size_t held_bytes_ = 0;
  bool touched_ = false;
  bool real_connected_ = false;
  bool real_ended_ = false;
  bool real_failed_ = false;
  bool simulated_ended_ = false;
  bool simulated_failed_ = false;
  bool simulated_finished_ = false;
  bool over_ = false;
  std::unique_ptr<tcp::Stream> real_;
  std::unique_ptr<tcp::Stream> simulated_;
};

// ---- Route --------------------------------------------------------------------------------------

/// Where clients connect to, and the far host's end of it.
class TcpRelay::Route {
 public:
  Route(TcpRelay& relay, const udp::Address& server, std::uint16_t far_port) noexcept
      : relay_(relay), server_(server), far_port_(far_port) {}

  Result<void> open(const udp::Address& listen) {
    tcp::ListenOptions real;
    real.bind = listen;
    real.max_streams = relay_.options_.max_clients_;
    real.stream.keep_alive(tcp::KeepAlive()).linger(relay_.options_.idle_timeout_);
    TERN_TRY(listening_, relay_.network_.listen(real, clients_));
    tcp::ListenOptions simulated;
    simulated.bind = wildcard(far_port_);
    simulated.max_streams = relay_.options_.max_clients_;
    simulated.stream.linger(relay_.options_.idle_timeout_);
    TERN_TRY(far_, relay_.world_.far().network().tcp().listen(simulated, servers_));
    return {};
  }
  const tcp::Listener& listening() const noexcept { return *listening_; }
  const udp::Address& server() const noexcept { return server_; }
  udp::Address far_address() const noexcept {
    sim::Host& host = relay_.world_.far();
    return server_.is_v6() ? host.v6(far_port_) : host.v4(far_port_);
  }

 private:
  struct FromClients final : tcp::ListenSink {
    explicit FromClients(Route& of) noexcept : route(of) {}
    void accepted(tcp::Listener&, std::unique_ptr<tcp::Stream> stream) override {
      route.relay_.from_client(route, std::move(stream));
    }
    Route& route;
  };
  struct ToServers final : tcp::ListenSink {
    explicit ToServers(Route& of) noexcept : route(of) {}
    void accepted(tcp::Listener&, std::unique_ptr<tcp::Stream> stream) override {
      route.relay_.to_server(route, std::move(stream));
    }
    Route& route;
  };

  TcpRelay& relay_;
  const udp::Address server_;
  const std::uint16_t far_port_;
  FromClients clients_{*this};
  ToServers servers_{*this};
  std::unique_ptr<tcp::Listener> listening_;
  std::unique_ptr<tcp::Listener> far_;
};

// ---- TcpRelay -----------------------------------------------------------------------------------

TcpRelay::TcpRelay(PacedWorld& world, tcp::Network& network, OutsideAddresses& outside,
                   const Captures& captures, const RelayOptions& options)
    : world_(world), network_(network), outside_(outside), captures_(captures), options_(options) {
  world_.add(*this);
}

TcpRelay::~TcpRelay() { world_.remove(*this); }

Result<void> TcpRelay::open(const std::vector<udp::Address>& listen) {
  TERN_CHECK(listen.size() == options_.routes_.size());
  for (const udp::Address& address : listen) {
    const std::size_t index = routes_.size();
    routes_.push_back(std::make_unique<Route>(
        *this, options_.routes_[index].to, static_cast<std::uint16_t>(kFirstFarTcpPort + index)));
    if (auto opened = routes_.back()->open(address); !opened) return opened;
  }
  capture();
  return {};
}

void TcpRelay::capture() {
  for (const auto& route : routes_) {
    if (captures_.clients) {
      captures_.clients->show_server(route->far_address(), route->listening().local());
    }
    if (captures_.servers) captures_.servers->show_server(route->far_address(), route->server());
  }
  if (captures_.clients) {
    captures_.clients->tap(world_.near(), [](const udp::Address& inside) { return inside; });
  }
  if (captures_.servers) {
    captures_.servers->tap(world_.far(), [&real = outside_](const udp::Address& outside) {
      udp::Address shown = real.real(outside);
      shown.set_port(outside.port());
      return shown;
    });
  }
}

std::vector<udp::Address> TcpRelay::addresses() const {
  std::vector<udp::Address> found;
  for (const auto& route : routes_) found.push_back(route->listening().local());
  return found;
}

void TcpRelay::add_to(RelayStats& stats) const {
  stats.connections_seen += counted_.connections_seen;
  stats.connections_refused += counted_.connections_refused;
  stats.segments_retransmitted += counted_.segments_retransmitted;
  for (const auto& [pipe, owned] : pipes_) stats.segments_retransmitted += pipe->retransmitted();
  // Each has a pipe at either end of the link.
  stats.connections_open += (pipes_.size() + 1) / 2;
}

TcpRelay::Pipe& TcpRelay::add_pipe() {
  auto pipe = std::make_unique<Pipe>(*this);
  Pipe& added = *pipe;
  pipes_.emplace(&added, std::move(pipe));
  return added;
}

void TcpRelay::from_client(Route& route, std::unique_ptr<tcp::Stream> stream) {
  world_.start_clock();
  ++counted_.connections_seen;
  Pipe& pipe = add_pipe();
  pipe.take_real(std::move(stream));
  pipe.connect_later(route.far_address());
  pipe.attach_real();
}

void TcpRelay::to_server(Route& route, std::unique_ptr<tcp::Stream> stream) {
  tcp::ConnectOptions options;
  options.remote = route.server();
  options.local = outside_.real(stream->remote());
  options.timeout = kConnectTimeout;
  options.stream.keep_alive(tcp::KeepAlive()).linger(options_.idle_timeout_);
  Pipe& pipe = add_pipe();
  pipe.take_simulated(std::move(stream));
  auto connecting = network_.connect(options, pipe.real_sink());
  if (!connecting) {
    refused(connecting.error());
    return pipe.break_off();
  }
  pipe.take_real(std::move(*connecting));
  pipe.attach_simulated();
}

void TcpRelay::refused(const Error& error) {
  if (counted_.connections_refused++ == 0) {
    world_.runtime().log().line(LogLevel::warning, "no connection to the server: " + error.detail);
  }
}

void TcpRelay::enter() {
  for (Pipe* pipe : std::exchange(touched_, {})) pipe->settle();
}

void TcpRelay::leave() {
  for (Pipe* pipe : std::exchange(over_, {})) {
    counted_.segments_retransmitted += pipe->retransmitted();
    std::erase(touched_, pipe);
    pipes_.erase(pipe);
  }
}

}  // namespace tern::relay
