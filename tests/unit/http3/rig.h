#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "base/varint.h"
#include "http3/context.h"
#include "http3/frame_walker.h"
#include "tests/unit/http/fetch.h"
#include "transport/quic/bound_endpoint.h"
#include "transport/sim/world.h"
#include "transport/tls/development.h"
#include "transport/tls/key_ring.h"

/// A server and a client host in virtual time, with real endpoints and sessions on them.

namespace tern::http3::testing {

using namespace std::chrono_literals;

inline constexpr UnixSeconds kNow = sim::World::kUnixEpoch;

inline const tls::Identity& authority() {
  static const tls::Identity identity =
      *tls::make_authority(tls::DevelopmentOptions(kNow).days(365));
  return identity;
}

inline tls::Certificate server_certificate() {
  static const tls::Identity leaf =
      *tls::make_leaf(authority(), tls::DevelopmentOptions(kNow).names({"server"}));
  return *tls::Certificate::parse(leaf.certificate, leaf.key);
}

using http::testing::fetch;
using http::testing::get;
using http::testing::post;
using http::testing::Reply;

/// A client or server without HTTP/3: says what it is told, keeps what it hears.
class RawPeer final : public quic::Application {
 public:
  explicit RawPeer(quic::Connection& connection, std::optional<Error>& closed)
      : connection_(connection), closed_(closed) {}

  void handle(const quic::Event& event) override {
    using Type = quic::Event::Type;
    switch (event.type) {
      case Type::stream_data:
        received[event.stream] += event.data.text();
        if (event.fin) finished[event.stream] = true;
        if (consume) connection_.consumed(event.stream, event.data.size());
        break;
      case Type::stream_reset: resets[event.stream] = event.value; break;
      case Type::stream_closed: codes[event.stream] = event.value; break;
      case Type::datagram: datagrams.emplace_back(event.data.text()); break;
      case Type::closed: closed_ = connection_.close_reason(); break;
      default: break;
    }
  }

  quic::Connection& connection() noexcept { return connection_; }
  quic::StreamId uni(std::string_view bytes, bool fin = false) {
    const quic::StreamId id = *connection_.open_uni();
    connection_.write(id, Bytes::copy(bytes), fin);
    return id;
  }
  quic::StreamId bidi(std::string_view bytes, bool fin = false) {
    const quic::StreamId id = *connection_.open_bidi();
    connection_.write(id, Bytes::copy(bytes), fin);
    return id;
  }
  void more(quic::StreamId id, std::string_view bytes, bool fin = false) {
    connection_.write(id, Bytes::copy(bytes), fin);
  }

  std::map<quic::StreamId, std::string> received;
  std::map<quic::StreamId, bool> finished;
  std::map<quic::StreamId, std::uint64_t> resets;
  std::map<quic::StreamId, std::uint64_t> codes;  // of closed streams
  std::vector<std::string> datagrams;
  bool consume = true;

 private:
  quic::Connection& connection_;
  std::optional<Error>& closed_;
};

/// Collects a runtime's log.
class Lines final : public LogSink {
 public:
  bool enabled(LogLevel) const noexcept override { return true; }
  void line(LogLevel, std::string_view text) noexcept override { all.emplace_back(text); }
  std::vector<std::string> all;
};

class RigOptions {
 public:
  RigOptions& server(SessionOptions options) { return server_ = std::move(options), *this; }
  RigOptions& client(SessionOptions options) { return client_ = std::move(options), *this; }
  RigOptions& transport(quic::TransportOptions options) {
    return server_transport_ = client_transport_ = options, *this;
  }
  RigOptions& client_transport(quic::TransportOptions options) {
    return client_transport_ = options, *this;
  }
  RigOptions& link(sim::LinkOptions options) { return link_ = std::move(options), *this; }
  RigOptions& early_data_context(std::vector<std::uint8_t> context) {
    return early_data_context_ = std::move(context), *this;
  }
  RigOptions& qlog(quic::QlogOpener opener) { return qlog_ = std::move(opener), *this; }

 private:
  friend class Rig;
  SessionOptions server_;
  SessionOptions client_;
  quic::TransportOptions server_transport_;
  quic::TransportOptions client_transport_;
  sim::LinkOptions link_ = sim::LinkOptions().delay(10ms);
  std::vector<std::uint8_t> early_data_context_;
  quic::QlogOpener qlog_;
};

class Rig {
 public:
  explicit Rig(http::Handler handler, RigOptions options = RigOptions())
      : options_(std::move(options)) {
    world.link(client_host(), server_host(), options_.link_);
    server_host().runtime().log_to(server_log);
    client_host().runtime().log_to(client_log);
    http::ServerHooks hooks;
    hooks.handler = std::move(handler);
    hooks.done = [this](const http::Exchange& exchange) {
      served.emplace_back(exchange.request().method + " " + exchange.request().path + " " +
                          std::to_string(exchange.status()));
    };
    server_context.emplace(server_host().runtime(), options_.server_, std::move(hooks));
    client_context.emplace(client_host().runtime(), options_.client_);
    start_server();
    client_endpoint = *quic::BoundEndpoint::create(client_host().runtime(), client_host().network(),
                                                   endpoint_options());
    udp::SocketOptions socket;
    socket.bind = udp::Address::v4(0, 0);
    client_address_ = *client_endpoint->bind(socket);
  }

  ~Rig() {
    client_endpoint.reset();
    server_endpoint.reset();
    // After their sessions, before the runtimes their tasks run on.
    client_context.reset();
    server_context.reset();
  }

  sim::Host& server_host() { return world.host("server"); }
  sim::Host& client_host() { return world.host("client"); }
  Runtime& runtime() { return client_host().runtime(); }

  void start_server() { start_server(options_.early_data_context_); }
  void start_server(std::vector<std::uint8_t> early_data_context) {
    quic::EndpointOptions options;
    options.transport = options_.server_transport_;
    options.server_context = *tls::ServerContext::create(tls::ServerContextOptions()
                                                             .certificate(server_certificate())
                                                             .alpn({"h3", "hq-interop"})
                                                             .early_data(true)
                                                             .ticket_keys(ticket_keys()));
    options.token_keys = ticket_keys();
    static Random random(97);
    static const auto reset_key = std::make_shared<quic::StatelessResetKey>(random);
    options.reset_key = reset_key;
    options.early_data_context = std::move(early_data_context);
    options.qlog = options_.qlog_;
    server_endpoint =
        *quic::BoundEndpoint::create(server_host().runtime(), server_host().network(), options);
    udp::SocketOptions socket;
    socket.bind = udp::Address::v4(0, 443);
    ASSERT_TRUE(server_endpoint->bind(socket).has_value());
    server_endpoint->serve([this](quic::Connection& connection) {
      if (accept) return accept(connection);
      auto made = server_context->accept(connection);
      server_session = made.get();
      return std::unique_ptr<quic::Application>(std::move(made));
    });
  }

  /// A server that speaks QUIC only: the next connection's peer is `server` then, and `told` why
  /// it ended. Both outlive the rig's connections.
  void serve_raw(RawPeer*& server, std::optional<Error>& told) {
    accept = [&server, &told](quic::Connection& connection) {
      auto made = std::make_unique<RawPeer>(connection, told);
      server = made.get();
      return std::unique_ptr<quic::Application>(std::move(made));
    };
  }

  /// A client session; waits for it. nullptr when the connection failed.
  Session* connect(std::optional<quic::Session> resume = std::nullopt, bool early = false) {
    auto options = connect_options();
    options.session = resume;
    options.early_data = early;
    session = nullptr;
    const auto factory = [this, resume](quic::Connection& connection) {
      ClientHooks hooks;
      if (resume) hooks.remembered = resume->application;
      hooks.session = [this](quic::Session s) { sessions.push_back(std::move(s)); };
      hooks.closed = [this](const Error& error) {
        closed = error;
        session = nullptr;
      };
      hooks.goaway = [this] { ++goaways; };
      auto made = client_context->connect(connection, std::move(hooks));
      session = made.get();
      return std::unique_ptr<quic::Application>(std::move(made));
    };
    auto connection =
        client_endpoint->connect(options, factory, [this](const Error& error) { closed = error; });
    EXPECT_TRUE(connection.has_value());
    world.run_until([&] { return session != nullptr || closed.has_value(); });
    return session;
  }

  /// A client that speaks QUIC only.
  RawPeer* connect_raw(std::string alpn = "h3") {
    auto options = connect_options();
    options.alpn = {std::move(alpn)};
    raw = nullptr;
    const auto factory = [this](quic::Connection& connection) {
      auto made = std::make_unique<RawPeer>(connection, closed);
      raw = made.get();
      return std::unique_ptr<quic::Application>(std::move(made));
    };
    EXPECT_TRUE(client_endpoint->connect(options, factory, [this](const Error& e) { closed = e; }));
    world.run_until([&] { return raw != nullptr || closed.has_value(); });
    return raw;
  }

  quic::ConnectOptions connect_options() {
    quic::ConnectOptions options;
    options.context =
        *tls::ClientContext::create(tls::ClientContextOptions().ca_pem(authority().certificate));
    options.local = client_address_;
    options.remote = server_host().v4(443);
    options.server_name = "server";
    options.transport = options_.client_transport_;
    return options;
  }

  /// Starts a request on `session`; the reply fills as the world runs.
  std::shared_ptr<Reply> start(http::RequestHead head, std::string body = {},
                               http::Fields trailers = {}) {
    return http::testing::start(runtime(), *session, std::move(head), std::move(body),
                                std::move(trailers));
  }
  /// The same, and waits for the reply.
  Reply ask(http::RequestHead head, std::string body = {}, http::Fields trailers = {}) {
    auto reply = start(std::move(head), std::move(body), std::move(trailers));
    EXPECT_TRUE(world.run_until([&] { return reply->done; })) << "no reply";
    return *reply;
  }

  /// Runs until the client's connection is over; its error then.
  Error wait_closed(Duration limit = 60s) {
    world.run_until([&] { return closed.has_value(); }, limit);
    if (closed) return *closed;
    ADD_FAILURE() << "the connection is not closed";
    return Error();
  }

  std::uint64_t server_count(std::string_view name) {
    return server_host().runtime().counters().at(name).value();
  }

  static std::shared_ptr<const tls::KeyRing> ticket_keys() {
    static Random random(98);
    static const auto keys = std::make_shared<tls::KeyRing>(random, kNow);
    return keys;
  }

  // Outlive the world's runtimes.
  Lines server_log;
  Lines client_log;
  std::vector<std::string> served;

  sim::World world{1};
  std::optional<Context> server_context;
  std::optional<Context> client_context;
  std::unique_ptr<quic::BoundEndpoint> server_endpoint;
  std::unique_ptr<quic::BoundEndpoint> client_endpoint;
  /// Replaces HTTP/3 on the server.
  std::function<std::unique_ptr<quic::Application>(quic::Connection&)> accept;
  Session* server_session = nullptr;
  Session* session = nullptr;
  RawPeer* raw = nullptr;
  std::optional<Error> closed;
  std::vector<quic::Session> sessions;
  int goaways = 0;

 private:
  quic::EndpointOptions endpoint_options() {
    quic::EndpointOptions options;
    options.transport = options_.client_transport_;
    return options;
  }

  RigOptions options_;
  udp::Address client_address_;
};

// ---- frames, for raw peers ----------------------------------------------------------------------

inline std::string varint(std::uint64_t value) {
  std::uint8_t bytes[8];
  return std::string(bytes, write_varint(bytes, value));
}
inline std::string frame(std::uint64_t type, std::string_view payload) {
  return varint(type) + varint(payload.size()) + std::string(payload);
}
inline std::string settings(std::vector<Setting> entries = {}) {
  std::string payload;
  for (const Setting& entry : entries) payload += varint(entry.id) + varint(entry.value);
  return frame(kFrameSettings, payload);
}
inline std::string control(std::string_view frames) {
  return varint(kStreamControl) + std::string(frames);
}

/// A QPACK section of literals without a dynamic table (RFC 9204 §4.5.6).
inline std::string section(const std::vector<std::pair<std::string, std::string>>& lines) {
  std::string out("\0\0", 2);
  const auto number = [&](std::uint8_t first, unsigned bits, std::size_t value) {
    const std::size_t most = (std::size_t{1} << bits) - 1;
    if (value < most) {
      out += static_cast<char>(first | value);
      return;
    }
    out += static_cast<char>(first | most);
    for (value -= most; value >= 128; value >>= 7) out += static_cast<char>(0x80 | (value & 0x7f));
    out += static_cast<char>(value);
  };
  for (const auto& [name, value] : lines) {
    number(0x20, 3, name.size());
    out += name;
    number(0, 7, value.size());
    out += value;
  }
  return out;
}
inline std::string headers(const std::vector<std::pair<std::string, std::string>>& lines) {
  return frame(kFrameHeaders, section(lines));
}
inline std::string get_headers(std::string path = "/") {
  return headers(
      {{":method", "GET"}, {":scheme", "https"}, {":authority", "server"}, {":path", path}});
}

/// A handler.
inline Task<void> hello(http::Exchange& exchange) {
  co_await exchange.respond(http::Status::ok, "Hello World!");
}

}  // namespace tern::http3::testing
