// A whole HTTP/3 server against a peer that says anything on any stream, over QUIC in virtual time.
// The server must answer, reset or close, never crash; when the connection is over nothing of it is
// left. Input: commands, one byte each:
//
//   bits 0-1  0: bytes on a stream   1: the same and its end   2: reset or stop   3: wait, datagram
//   bits 2-4  which of the peer's eight streams (four bidi, four uni); opened on first use
//   bits 5-7  for bytes: how many length bytes follow less one (0 or 1), and a preamble

#include <array>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "base/check.h"
#include "http3/context.h"
#include "transport/quic/bound_endpoint.h"
#include "transport/sim/world.h"
#include "transport/tls/development.h"
#include "transport/tls/key_ring.h"

namespace {

using namespace tern;
using namespace tern::http3;
using namespace std::chrono_literals;

constexpr UnixSeconds kNow = sim::World::kUnixEpoch;

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

/// Answers with what it got.
Task<void> echo(http::Exchange& exchange) {
  auto body = co_await exchange.read_all(100'000);
  if (!body) co_return;
  http::Fields none;
  co_await exchange.inform(http::Status::early_hints, none);
  http::Response response;
  response.field("x-path", "seen");
  co_await exchange.start(response);
  Bytes bytes = Bytes::copy(*body);
  co_await exchange.write(std::move(bytes));
  co_await exchange.finish(exchange.trailers());
}

class Peer final : public quic::Application {
 public:
  Peer(quic::Connection& connection, bool& over) : connection_(connection), over_(over) {
    streams_.fill(-1);
  }
  void handle(const quic::Event& event) override {
    if (event.type == quic::Event::Type::stream_data) {
      connection_.consumed(event.stream, event.data.size());
    } else if (event.type == quic::Event::Type::closed) {
      over_ = true;  // this object and the connection go now
    }
  }
  quic::Connection& connection() noexcept { return connection_; }

  quic::StreamId stream(std::size_t index) {
    if (streams_[index] >= 0) return streams_[index];
    const auto opened = index < 4 ? connection_.open_bidi() : connection_.open_uni();
    if (opened) streams_[index] = *opened;
    return streams_[index];
  }
  /// The next use of it opens another one.
  void leave(std::size_t index) { streams_[index] = -1; }

 private:
  quic::Connection& connection_;
  bool& over_;
  std::array<quic::StreamId, 8> streams_;
};

std::string preamble(std::size_t which) {
  static const std::string settings("\0\4\0", 3);
  // :method GET, :scheme https, :authority, :path / of QPACK's static table; the end of a section.
  static const std::string get("\1\7\0\0\xd1\xd7\xc1\x50\0", 9);
  switch (which) {
    case 1: return settings;
    case 2: return get;
    case 3: return std::string("\2", 1);
    default: return {};
  }
}

void play(ByteView script) {
  static const Identities identities;
  sim::World world(1);
  sim::Host& server = world.host("server");
  sim::Host& client = world.host("client");
  world.link(client, server);
  http::ServerHooks hooks;
  hooks.handler = echo;
  SessionOptions options;
  options.max_body = 50'000;
  options.qpack_blocked_streams = 3;
  Context context(server.runtime(), options, std::move(hooks));

  quic::EndpointOptions server_options;
  server_options.server_context = identities.server;
  server_options.token_keys = identities.keys;
  server_options.reset_key = identities.reset_key;
  auto listening = *quic::BoundEndpoint::create(server.runtime(), server.network(), server_options);
  udp::SocketOptions socket;
  socket.bind = udp::Address::v4(0, 443);
  TERN_CHECK(listening->bind(socket).has_value());
  Session* session = nullptr;
  listening->serve([&](quic::Connection& connection) {
    auto made = context.accept(connection);
    session = made.get();
    return made;
  });

  quic::EndpointOptions client_options;
  auto endpoint = *quic::BoundEndpoint::create(client.runtime(), client.network(), client_options);
  socket.bind = udp::Address::v4(0, 0);
  quic::ConnectOptions connect;
  connect.context = identities.client;
  connect.local = *endpoint->bind(socket);
  connect.remote = server.v4(443);
  connect.server_name = "localhost";
  Peer* peer = nullptr;
  bool over = false;
  TERN_CHECK(endpoint->connect(
      connect,
      [&](quic::Connection& connection) {
        auto made = std::make_unique<Peer>(connection, over);
        peer = made.get();
        return made;
      },
      [&](const Error&) { over = true; }));
  world.run_until([&] { return peer != nullptr; });
  TERN_CHECK(peer != nullptr && session != nullptr);
  quic::Connection& connection = peer->connection();
  const auto gone = [&] { return over || listening->endpoint().connections() == 0; };

  while (!script.empty() && !gone()) {
    const std::uint8_t command = script[0];
    script = script.subspan(1);
    const std::size_t index = command >> 2 & 7;
    switch (command & 3) {
      case 0:
      case 1: {
        std::size_t size = 0;
        for (int i = 0; i <= (command >> 5 & 1) && !script.empty(); ++i) {
          size = size << 8 | script[0];
          script = script.subspan(1);
        }
        size = std::min(size, script.size());
        const quic::StreamId id = peer->stream(index);
        if (id >= 0) {
          std::string bytes = preamble(command >> 6);
          bytes.append(as_text(script.first(size)));
          const bool end = (command & 1) != 0;
          connection.write(id, Bytes::copy(bytes), end);
          if (end) peer->leave(index);
        }
        script = script.subspan(size);
        break;
      }
      case 2: {
        const quic::StreamId id = peer->stream(index);
        if (id < 0) break;
        if ((command & 0x20) != 0 && index < 4) {
          connection.stop_sending(id, 0x100 + (command >> 6));
        } else {
          connection.reset(id, 0x10c);
          peer->leave(index);
        }
        break;
      }
      case 3:
        if ((command & 0x20) != 0) {
          const std::size_t size = std::min<std::size_t>(index + 1, script.size());
          connection.send_datagram(Bytes::copy(script.first(size)));
          script = script.subspan(size);
        } else {
          world.run_for(std::chrono::milliseconds(1 << index));
        }
        break;
    }
  }
  world.run_for(20ms);
  endpoint.reset();  // without a word
  listening.reset();
  world.run_for(1ms);
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  if (size > 0) play({data, size});
  return 0;
}
