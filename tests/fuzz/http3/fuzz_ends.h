#pragma once

#include <algorithm>
#include <array>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <string_view>
#include <utility>

#include "base/check.h"
#include "base/varint.h"
#include "http3/options.h"
#include "transport/quic/bound_endpoint.h"
#include "transport/sim/world.h"
#include "transport/tls/development.h"
#include "transport/tls/key_ring.h"

/// A server and a client over QUIC in virtual time, one of them a peer that says anything; the same
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

/// A frame of HTTP/3.
inline std::string frame(std::uint64_t type, std::string_view payload) {
  return varint(type) + varint(payload.size()).append(payload);
}

/// What a stream says next, of a length that the input says: of its bytes, or kilobytes of nothing.
inline std::string more_bytes(bool kilobytes, Script& script) {
  const std::uint8_t size = script.byte();
  if (kilobytes) return std::string(std::size_t{size} * 1024, 'm');
  return std::string(script.take(size));
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
  /// Told of the other's bytes.
  std::function<void(const quic::Event&)> heard;

 private:
  quic::Connection& connection_;
  bool& over_;
};

/// What makes the options of HTTP/3, which may want the runtime.
using MakeOptions = std::function<SessionOptions(Runtime&)>;

/// What both ends prove who they are with, made once.
struct Identities {
  Identities() {
    const tls::Identity authority = *tls::make_authority(tls::DevelopmentOptions(kNow).days(99));
    const tls::Identity leaf = *tls::make_leaf(authority, tls::DevelopmentOptions(kNow));
    server = *tls::ServerContext::create(tls::ServerContextOptions().certificate(
        *tls::Certificate::parse(leaf.certificate, leaf.key)));
    client = *tls::ClientContext::create(tls::ClientContextOptions().ca_pem(authority.certificate));
    Random random(5);
    keys = std::make_shared<tls::KeyRing>(random, kNow);
    reset_key = std::make_shared<quic::StatelessResetKey>(random);
  }
  std::shared_ptr<const tls::ServerContext> server;
  std::shared_ptr<const tls::ClientContext> client;
  std::shared_ptr<const tls::KeyRing> keys;
  std::shared_ptr<const quic::StatelessResetKey> reset_key;
};
inline const Identities& identities() {
  static const Identities made;
  return made;
}

/// The two, with one connection between them.
class FuzzEnds {
 public:
  FuzzEnds(const FuzzEnds&) = delete;
  FuzzEnds& operator=(const FuzzEnds&) = delete;

  sim::World& world() noexcept { return world_; }

 protected:
  using Speaker = std::function<std::unique_ptr<quic::Application>(quic::Connection&)>;

  FuzzEnds() { world_.link(client(), server()); }
  ~FuzzEnds() = default;

  sim::Host& server() { return world_.host("server"); }
  sim::Host& client() { return world_.host("client"); }

  /// Until both speak. `over`: the connection did not come about.
  void begin(Speaker at_server, Speaker at_client, bool& over) {
    listen(std::move(at_server));
    connect(std::move(at_client), over);
    world_.run_until([&] { return accepted_ && connected_; });
    TERN_CHECK(accepted_ && connected_);
  }
  /// Without a word.
  void end() {
    world_.run_for(std::chrono::milliseconds(20));
    connecting_.reset();
    listening_.reset();
    world_.run_for(std::chrono::milliseconds(1));
  }
  std::size_t connections_of_server() const { return listening_->endpoint().connections(); }
  std::size_t connections_of_client() const { return connecting_->endpoint().connections(); }

 private:
  void listen(Speaker speaker) {
    quic::EndpointOptions options;
    options.server_context = identities().server;
    options.token_keys = identities().keys;
    options.reset_key = identities().reset_key;
    listening_ = *quic::BoundEndpoint::create(server().runtime(), server().network(), options);
    udp::SocketOptions socket;
    socket.bind = udp::Address::v4(0, 443);
    TERN_CHECK(listening_->bind(socket).has_value());
    listening_->serve([this, speaker = std::move(speaker)](quic::Connection& connection) {
      accepted_ = true;
      return speaker(connection);
    });
  }

  void connect(Speaker speaker, bool& over) {
    const quic::EndpointOptions none;
    connecting_ = *quic::BoundEndpoint::create(client().runtime(), client().network(), none);
    udp::SocketOptions socket;
    socket.bind = udp::Address::v4(0, 0);
    quic::ConnectOptions options;
    options.context = identities().client;
    options.local = *connecting_->bind(socket);
    options.remote = server().v4(443);
    options.server_name = "localhost";
    const auto factory = [this, speaker = std::move(speaker)](quic::Connection& connection) {
      connected_ = true;
      return speaker(connection);
    };
    TERN_CHECK(connecting_->connect(options, factory, [&over](const Error&) { over = true; }));
  }

  sim::World world_{1};
  std::unique_ptr<quic::BoundEndpoint> listening_;
  std::unique_ptr<quic::BoundEndpoint> connecting_;
  bool accepted_ = false;
  bool connected_ = false;
};

}  // namespace tern::http3::fuzz
