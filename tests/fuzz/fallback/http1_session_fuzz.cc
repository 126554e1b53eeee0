#include <algorithm>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "base/check.h"
#include "http/fallback/context.h"
#include "tests/unit/http/fetch.h"
#include "transport/sim/world.h"

/// A server's HTTP/1.1 session that hears anything at all, and a client's that is answered with it:
/// whatever it is and however it is cut, the same answers come, the world comes to rest, and
/// nothing is left. Input: a byte of flags (1: the server is the one that says anything), one for
/// the pieces, then the bytes.

namespace {

using namespace std::chrono_literals;
using tern::Bytes;
using tern::ByteView;
using tern::Task;
namespace fallback = tern::fallback;
namespace http = tern::http;
namespace sim = tern::sim;
namespace tcp = tern::tcp;
namespace udp = tern::udp;

Task<void> handler(http::Exchange& exchange) {
  if (exchange.request().path == "/ignore") {
    co_await exchange.respond(http::Status::ok, "x");
    co_return;
  }
  if (exchange.method() == "CONNECT") {
    http::Response head;
    co_await exchange.start(head);
  }
  for (;;) {
    auto piece = co_await exchange.read();
    if (!piece || piece->empty()) break;
    if (exchange.tunnel()) co_await exchange.write(*std::move(piece));
  }
  if (!exchange.responded()) co_await exchange.respond(http::Status::ok, "y");
}

class Sink final : public tcp::StreamSink {
 public:
  bool is_connected = false;
  std::unique_ptr<tcp::Stream> stream;
  std::string heard;

 private:
  void connected(tcp::Stream&) override { is_connected = true; }
  void receive(tcp::Stream&, tern::MutableBytes bytes) override { heard += tern::as_text(bytes); }
  void end_of_stream(tcp::Stream&) override {}
  void failed(tcp::Stream&, const tern::Error&) override {}
};

class Acceptor final : public tcp::ListenSink {
 public:
  Acceptor(fallback::Context& server, Sink& raw, bool raw_server)
      : server_(server), raw_(raw), raw_server_(raw_server) {}

 private:
  void accepted(tcp::Listener&, std::unique_ptr<tcp::Stream> stream) override {
    if (raw_server_) {
      stream->attach(raw_);
      raw_.stream = std::move(stream);
    } else {
      server_.accept(std::move(stream), fallback::Protocol::http1);
    }
  }
  fallback::Context& server_;
  Sink& raw_;
  bool raw_server_;
};

constexpr std::size_t kMostPieces = 8;

/// What is heard without what depends on when: dates, and interim answers to who waits for them.
std::string without_times(std::string heard) {
  const auto cut = [&heard](std::string_view begin, std::string_view end) {
    for (std::size_t at = 0; (at = heard.find(begin, at)) != std::string::npos;) {
      const std::size_t behind = heard.find(end, at);
      if (behind == std::string::npos) return;
      heard.erase(at, behind + end.size() - at);
    }
  };
  cut("date: ", "\r\n");
  cut("HTTP/1.1 100 ", "\r\n\r\n");
  return heard;
}

/// What came of the requests: of one that failed only that it did, for what it had got before is a
/// matter of the pieces.
std::string told(const http::testing::Reply& reply) {
  if (!reply.done) return "waits;";
  if (reply.error) return "failed;";
  std::string text = std::to_string(reply.status);
  for (const http::Field field : reply.fields) {
    text.append(" ").append(field.name).append("=").append(field.value);
  }
  text.append(" (").append(reply.body).append(")");
  for (const http::Field field : reply.trailers) {
    text.append(" ").append(field.name).append("=").append(field.value);
  }
  return text + ";";
}

/// All that was heard of us, in at most `pieces`.
std::string run(ByteView input, bool raw_server, std::size_t pieces) {
  sim::World world(1);
  sim::Host& server_host = world.host("server");
  sim::Host& client_host = world.host("client");
  world.link(client_host, server_host, sim::LinkOptions().delay(1ms));
  fallback::SessionOptions options;
  options.max_body = 4096;
  options.idle_timeout = 5s;
  http::ServerHooks hooks;
  hooks.handler = handler;
  Sink raw;
  Sink waiting;
  std::string outcome;
  {
    fallback::Context server(server_host.runtime(), options, hooks);
    fallback::Context client(client_host.runtime(), options);
    Acceptor acceptor(server, raw, raw_server);
    tcp::ListenOptions listen;
    listen.bind = udp::Address::v4(0, 80);
    auto listener = *server_host.network().tcp().listen(listen, acceptor);
    tcp::ConnectOptions connect;
    connect.remote = server_host.v4(80);
    Sink& dialing = raw_server ? waiting : raw;
    dialing.stream = *client_host.network().tcp().connect(connect, dialing);
    world.run_until([&] { return dialing.is_connected && (!raw_server || raw.stream); });
    std::vector<std::shared_ptr<http::testing::Reply>> replies;
    if (raw_server) {
      auto& session = client.connect(std::move(waiting.stream), fallback::Protocol::http1);
      for (int i = 0; i < 3; ++i) {
        http::RequestHead head;
        head.method = i == 1 ? "HEAD" : "GET";
        head.authority = "a";
        if (i == 2) {
          head.method = "CONNECT";
          head.protocol = "websocket";
        }
        replies.push_back(http::testing::start(client_host.runtime(), session, head));
      }
      world.run_for(10ms);
    }
    const std::size_t piece = std::max<std::size_t>((input.size() + pieces - 1) / pieces, 1);
    for (std::size_t at = 0; at < input.size(); at += piece) {
      const ByteView part = input.subspan(at, std::min(piece, input.size() - at));
      if (!raw.stream->write(Bytes::copy(part))) break;
      world.run_for(5ms);
    }
    raw.stream->finish();
    world.run_for(300s);
    TERN_CHECK(server.sessions() == 0);
    for (const auto& reply : replies) outcome += told(*reply);
    if (!raw_server) outcome = without_times(std::move(raw.heard));
    raw.stream.reset();
    listener.reset();
  }
  world.run_for(60s);
  return outcome;
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  if (size < 2) return 0;
  const bool raw_server = (data[0] & 1) != 0;
  const ByteView input(data + 2, size - 2);
  const std::string whole = run(input, raw_server, 1);
  const std::string split = run(input, raw_server, 2 + data[1] % (kMostPieces - 1));
  // What comes before its request was sent is no answer to a client (RFC 9112 §9.2), so there the
  // pieces matter.
  TERN_CHECK(raw_server || split == whole);
  return 0;
}
