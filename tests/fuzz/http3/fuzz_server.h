#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <utility>

#include "base/check.h"
#include "base/varint.h"
#include "http3/context.h"
#include "transport/quic/bound_endpoint.h"
#include "transport/sim/world.h"
#include "transport/tls/development.h"
#include "transport/tls/key_ring.h"

/// A whole HTTP/3 server and a peer of it that says anything, over QUIC in virtual time; the same
/// for every input.

namespace tern::http3::fuzz {

inline constexpr UnixSeconds kNow = sim::World::kUnixEpoch;

/// A script being read: numbers and bytes, nothing at its end.
class Script {
 public:
  explicit Script(ByteView bytes) noexcept : left_(bytes) {}
  bool over() const noexcept { return left_.empty(); }
  std::uint8_t byte() {
    if (left_.empty()) return 0;
    const std::uint8_t value = left_[0];
    left_ = left_.subspan(1);
    return value;
  }
  /// At most `count` bytes.
  std::string_view take(std::size_t count) {
    const std::string_view taken = as_text(left_.first(std::min(count, left_.size())));
    left_ = left_.subspan(taken.size());
    return taken;
  }

 private:
  ByteView left_;
};

inline std::string varint(std::uint64_t value) {
  std::array<std::uint8_t, kMaxVarintSize> buffer;
  const auto size = static_cast<std::size_t>(write_varint(buffer.data(), value) - buffer.data());
  return std::string(as_text(ByteView(buffer.data(), size)));
}

/// Speaks QUIC and nothing else.
class Peer final : public quic::Application {
 public:
  Peer(quic::Connection& connection, bool& over) : connection_(connection), over_(over) {}
  void handle(const quic::Event& event) override {
    if (event.type == quic::Event::Type::stream_data) {
      if (heard) heard(event);
      connection_.consumed(event.stream, event.data.size());
    } else if (event.type == quic::Event::Type::closed) {
      over_ = true;  // this object and the connection go now
    }
  }
  quic::Connection& connection() noexcept { return connection_; }
  /// Told of the server's bytes.
  std::function<void(const quic::Event&)> heard;

 private:
  quic::Connection& connection_;
  bool& over_;
};

/// What makes the server's options, which may want its runtime.
using MakeOptions = std::function<SessionOptions(Runtime&)>;

class FuzzServer {
 public:
  /// With a connection that is ready.
  FuzzServer(http::Handler handler, const MakeOptions& options) {
    world_.link(client(), server());
    http::ServerHooks hooks;
    hooks.handler = std::move(handler);
    context_.emplace(server().runtime(), options(server().runtime()), std::move(hooks));
    listen();
    connect();
    world_.run_until([&] { return peer_ != nullptr && accepted_; });
    TERN_CHECK(peer_ != nullptr && accepted_);
  }
  FuzzServer(const FuzzServer&) = delete;
  FuzzServer& operator=(const FuzzServer&) = delete;
  ~FuzzServer() {
    world_.run_for(std::chrono::milliseconds(20));
    endpoint_.reset();  // without a word
    listening_.reset();
    world_.run_for(std::chrono::milliseconds(1));
  }

  sim::World& world() noexcept { return world_; }
  Runtime& runtime() { return server().runtime(); }
  std::uint64_t count(std::string_view name) { return runtime().counters().at(name).value(); }
  /// Only while the connection is not `gone`.
  Peer& peer() noexcept { return *peer_; }
  quic::Connection& connection() noexcept { return peer_->connection(); }
  bool gone() const { return over_ || listening_->endpoint().connections() == 0; }

 private:
  struct Identities {
    Identities() {
      const tls::Identity authority = *tls::make_authority(tls::DevelopmentOptions(kNow).days(99));
      const tls::Identity leaf = *tls::make_leaf(authority, tls::DevelopmentOptions(kNow));
      server = *tls::ServerContext::create(tls::ServerContextOptions().certificate(
          *tls::Certificate::parse(leaf.certificate, leaf.key)));
      client =
          *tls::ClientContext::create(tls::ClientContextOptions().ca_pem(authority.certificate));
      Random random(5);
      keys = std::make_shared<tls::KeyRing>(random, kNow);
      reset_key = std::make_shared<quic::StatelessResetKey>(random);
    }
    std::shared_ptr<const tls::ServerContext> server;
    std::shared_ptr<const tls::ClientContext> client;
    std::shared_ptr<const tls::KeyRing> keys;
    std::shared_ptr<const quic::StatelessResetKey> reset_key;
  };
  static const Identities& identities() {
    static const Identities made;
    return made;
  }

  sim::Host& server() { return world_.host("server"); }
  sim::Host& client() { return world_.host("client"); }

  void listen() {
    quic::EndpointOptions options;
    options.server_context = identities().server;
    options.token_keys = identities().keys;
    options.reset_key = identities().reset_key;
    listening_ = *quic::BoundEndpoint::create(server().runtime(), server().network(), options);
    udp::SocketOptions socket;
    socket.bind = udp::Address::v4(0, 443);
    TERN_CHECK(listening_->bind(socket).has_value());
    listening_->serve([this](quic::Connection& connection) {
      accepted_ = true;
      return context_->accept(connection);
    });
  }

  void connect() {
    const quic::EndpointOptions none;
    endpoint_ = *quic::BoundEndpoint::create(client().runtime(), client().network(), none);
    udp::SocketOptions socket;
    socket.bind = udp::Address::v4(0, 0);
    quic::ConnectOptions options;
    options.context = identities().client;
    options.local = *endpoint_->bind(socket);
    options.remote = server().v4(443);
    options.server_name = "localhost";
    const auto factory = [this](quic::Connection& connection) {
      auto made = std::make_unique<Peer>(connection, over_);
      peer_ = made.get();
      return made;
    };
    TERN_CHECK(endpoint_->connect(options, factory, [this](const Error&) { over_ = true; }));
  }

  sim::World world_{1};
  std::optional<Context> context_;  // before the runtime, after the endpoint
  std::unique_ptr<quic::BoundEndpoint> listening_;
  std::unique_ptr<quic::BoundEndpoint> endpoint_;
  Peer* peer_ = nullptr;
  bool accepted_ = false;
  bool over_ = false;
};

}  // namespace tern::http3::fuzz
