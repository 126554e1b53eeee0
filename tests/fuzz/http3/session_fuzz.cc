// A whole HTTP/3 server against a peer that says anything on any stream, over QUIC in virtual time.
// The server must answer, reset or close, never crash; when the connection is over nothing of it is
// left. Input: commands, one byte each:
//
//   bits 0-1  0: bytes on a stream   1: the same and its end   2: reset or stop   3: wait, datagram
//   bits 2-4  which of the peer's eight streams (four bidi, four uni); opened on first use
//   bits 5-7  for bytes: how many length bytes follow less one (0 or 1), and a preamble

#include <algorithm>
#include <array>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <string>

#include "tests/fuzz/http3/fuzz_server.h"

namespace {

using namespace tern;
using namespace std::chrono_literals;
using http3::fuzz::FuzzServer;
using http3::fuzz::Script;

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

/// The peer's eight streams.
class Streams {
 public:
  Streams() { ids_.fill(-1); }
  /// Opened on first use; negative where the server allows no more.
  quic::StreamId at(std::size_t index, quic::Connection& connection) {
    if (ids_[index] >= 0) return ids_[index];
    const auto opened = index < 4 ? connection.open_bidi() : connection.open_uni();
    if (opened) ids_[index] = *opened;
    return ids_[index];
  }
  /// The next use of it opens another one.
  void leave(std::size_t index) { ids_[index] = -1; }

 private:
  std::array<quic::StreamId, 8> ids_;
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

http3::SessionOptions options(Runtime&) {
  http3::SessionOptions options;
  options.max_body = 50'000;
  options.qpack_blocked_streams = 3;
  return options;
}

void play(ByteView input) {
  FuzzServer server(echo, options);
  quic::Connection& connection = server.connection();
  Streams streams;
  Script script(input);
  while (!script.over() && !server.gone()) {
    const std::uint8_t command = script.byte();
    const std::size_t index = command >> 2 & 7;
    switch (command & 3) {
      case 0:
      case 1: {
        std::size_t size = 0;
        for (int i = 0; i <= (command >> 5 & 1) && !script.over(); ++i) {
          size = size << 8 | script.byte();
        }
        const std::string_view given = script.take(size);
        const quic::StreamId id = streams.at(index, connection);
        if (id < 0) break;
        std::string bytes = preamble(command >> 6);
        bytes.append(given);
        const bool end = (command & 1) != 0;
        connection.write(id, Bytes::copy(bytes), end);
        if (end) streams.leave(index);
        break;
      }
      case 2: {
        const quic::StreamId id = streams.at(index, connection);
        if (id < 0) break;
        if ((command & 0x20) != 0 && index < 4) {
          connection.stop_sending(id, 0x100 + (command >> 6));
        } else {
          connection.reset(id, 0x10c);
          streams.leave(index);
        }
        break;
      }
      case 3:
        if ((command & 0x20) != 0) {
          connection.send_datagram(Bytes::copy(script.take(index + 1)));
        } else {
          server.world().run_for(std::chrono::milliseconds(1 << index));
        }
        break;
    }
  }
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  if (size > 0) play({data, size});
  return 0;
}
