#pragma once

#include <deque>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "tests/unit/engine/engine_fixture.h"
#include "transport/tcp/network.h"

namespace tern::engine {

/// Keeps what happens to a stream, and the stream itself if it is given one.
class StreamRecorder final : public tcp::StreamSink {
 public:
  void connected(tcp::Stream& stream) override;
  void receive(tcp::Stream& stream, MutableBytes bytes) override;
  void end_of_stream(tcp::Stream& stream) override;
  void writable(tcp::Stream& stream) override;
  void failed(tcp::Stream& stream, const Error& error) override;
  bool over() const noexcept { return ended || error; }
  /// The errno value it failed with; 0: it has not.
  int failure() const { return error ? static_cast<int>(error->code) : 0; }

  std::unique_ptr<tcp::Stream> stream;
  bool is_connected = false;
  std::string bytes;
  std::size_t receives = 0;
  bool ended = false;
  std::size_t writables = 0;
  std::optional<Error> error;
  /// Run first, in any callback, with its name.
  std::function<void(std::string_view)> hook;
};

/// Keeps the streams that a listener accepts, each in a recorder of its own.
class Accepter final : public tcp::ListenSink {
 public:
  void accepted(tcp::Listener& listener, std::unique_ptr<tcp::Stream> stream) override;
  void accept_failed(tcp::Listener& listener, const Error& error) override;
  StreamRecorder& operator[](std::size_t index) { return streams.at(index); }
  std::size_t size() const noexcept { return streams.size(); }

  std::deque<StreamRecorder> streams;
  std::vector<Error> failures;
  bool attach = true;  ///< at once; else the stream stays without a sink
  std::function<void()> hook;
};

/// A network of the engine under test, with a listener on it.
class TcpTest : public EngineTest {
 protected:
  tcp::Network& tcp() { return network->tcp(); }
  void listen(std::string_view where, tcp::ListenOptions options = {});
  /// A stream to the listener.
  bool connect(StreamRecorder& to, tcp::StreamOptions options = {});
  /// A connected pair: `client`, and the newest of `server`.
  StreamRecorder& pair(StreamRecorder& client, tcp::StreamOptions options = {});
  static std::string pattern(std::size_t size);

  Accepter server;
  std::unique_ptr<tcp::Listener> listener;
};

/// A peer by plain system calls, blocking.
class PlainSocket {
 public:
  PlainSocket();
  explicit PlainSocket(const udp::Address& connect_to);
  PlainSocket(PlainSocket&& other) noexcept : fd_(std::exchange(other.fd_, -1)) {}
  ~PlainSocket() { close(); }
  void connect(const udp::Address& to);
  void set(int level, int option, int value);
  void send(std::string_view bytes);
  void close();
  int fd() const noexcept { return fd_; }

 private:
  int fd_;
};

}  // namespace tern::engine
