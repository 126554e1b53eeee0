#pragma once

#include <algorithm>
#include <chrono>
#include <cstdint>
#include <deque>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <utility>

#include <gtest/gtest.h>

#include "base/bytes.h"
#include "transport/sim/world.h"
#include "transport/tcp/network.h"

/// Programs that send and receive bytes over the simulator's TCP.

namespace tern::sim {

using namespace std::chrono_literals;

/// Part of every test's stream: a byte lost, doubled or moved is noticed. Made once, and then
/// copied and compared: byte by byte that is most of a test's time under the sanitizers.
inline std::string_view pattern(std::uint64_t from, std::size_t size) {
  static std::string made;
  const std::uint64_t end = from + size;
  if (made.size() < end) {
    std::uint64_t i = made.size();
    made.resize(std::max<std::uint64_t>(end, 2 * i));
    for (char* at = made.data() + i; i < made.size(); ++i) {
      *at++ = static_cast<char>(i * 31 + i / 251 + i / 65521);
    }
  }
  return std::string_view(made).substr(from, size);
}

/// One end of a connection. Sends `to_send` bytes of the pattern and checks what it receives
/// against the pattern.
class TcpEnd final : public tcp::StreamSink {
 public:
  explicit TcpEnd(World& in) : world(in) {}

  void own(std::unique_ptr<tcp::Stream> taken) { stream = std::move(taken); }
  /// As fast as the network takes them, then `finish` if wanted.
  void send(std::uint64_t bytes, bool finish_then = true) {
    to_send += bytes;
    finish = finish_then;
    fill();
  }
  bool over() const noexcept { return ended || error; }
  int failure() const { return error ? static_cast<int>(error->code) : 0; }

  World& world;
  std::unique_ptr<tcp::Stream> stream;
  bool is_connected = false;
  std::uint64_t to_send = 0;
  std::uint64_t written = 0;
  bool finish = false;
  std::uint64_t received = 0;
  bool damaged = false;
  bool ended = false;
  Duration ended_at{0};
  std::optional<Error> error;
  Duration failed_at{0};
  std::size_t most_queued = 0;
  std::function<void()> on_receive;

 private:
  void fill() {
    constexpr std::size_t kPiece = 16 * 1024;
    while (stream && written < to_send && stream->queued() <= 64 * 1024) {
      const auto size =
          static_cast<std::size_t>(std::min<std::uint64_t>(kPiece, to_send - written));
      const auto taken = stream->write(Bytes::copy(pattern(written, size)));
      if (!taken) return;
      written += size;
      most_queued = std::max(most_queued, stream->queued());
    }
    if (stream && finish && written == to_send) stream->finish();
  }
  void connected(tcp::Stream&) override {
    is_connected = true;
    fill();
  }
  void receive(tcp::Stream&, MutableBytes bytes) override {
    EXPECT_FALSE(over());
    if (as_text(bytes) != pattern(received, bytes.size())) damaged = true;
    received += bytes.size();
    if (on_receive) on_receive();
  }
  void end_of_stream(tcp::Stream&) override {
    EXPECT_FALSE(over());
    ended = true;
    ended_at = world.elapsed();
  }
  void writable(tcp::Stream&) override { fill(); }
  void failed(tcp::Stream&, const Error& why) override {
    EXPECT_FALSE(error);
    error = why;
    failed_at = world.elapsed();
  }
};

/// A program that listens, and keeps each stream in an end of its own.
class TcpServer final : public tcp::ListenSink {
 public:
  TcpServer(Host& host, tcp::ListenOptions options, std::size_t worker = 0) : host_(host) {
    auto opened = host.network(worker).tcp().listen(options, *this);
    if (!opened) throw std::runtime_error(opened.error().to_string());
    listener = std::move(*opened);
  }
  std::unique_ptr<tcp::Listener> listener;
  std::deque<TcpEnd> ends;
  std::function<void(TcpEnd&)> on_accept;

 private:
  void accepted(tcp::Listener&, std::unique_ptr<tcp::Stream> stream) override {
    TcpEnd& end = ends.emplace_back(host_.world());
    end.own(std::move(stream));
    if (on_accept) on_accept(end);
    end.stream->attach(end);
  }
  Host& host_;
};

/// A client, a server on port 443, one link.
struct TcpPair {
  explicit TcpPair(const LinkOptions& options, std::uint64_t seed = 1)
      : world(seed),
        link(world.link(world.host("client"), world.host("server"), options)),
        server(world.host("server"), listen_on_443()) {}

  static tcp::ListenOptions listen_on_443() {
    tcp::ListenOptions options;
    options.bind = udp::Address::v4(0, 443);
    return options;
  }
  tcp::ConnectOptions to_server() {
    tcp::ConnectOptions options;
    options.remote = world.host("server").v4(443);
    return options;
  }
  bool connect(const tcp::ConnectOptions& options) {
    auto opened = world.host("client").network().tcp().connect(options, client);
    if (!opened) return false;
    client.own(std::move(*opened));
    return true;
  }
  bool connect() { return connect(to_server()); }
  /// Both ends of the connection stand.
  void establish(const tcp::ConnectOptions& options) {
    ASSERT_TRUE(connect(options));
    ASSERT_TRUE(world.run_until([&] { return client.is_connected && !server.ends.empty(); }));
  }
  void establish() { establish(to_server()); }
  TcpEnd& accepted() { return server.ends.at(0); }

  World world;
  Link& link;
  TcpServer server;
  TcpEnd client{world};
};

}  // namespace tern::sim
