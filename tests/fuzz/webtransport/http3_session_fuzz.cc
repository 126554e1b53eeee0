// Sessions over HTTP/3, their streams and datagrams against a client that does anything in any
// order, over QUIC in virtual time. Whatever it does: a connection on which nothing but
// WebTransport's rules was broken lives and answers, and when it is over no session is left.
// Input: a byte for the client's SETTINGS and the application (`Mode`), then commands, one byte
// each; what follows a command is in `Client`. The lower three bits say which:
//
//   0  a CONNECT, or a piece of one    4  more bytes on one of the last eight streams
//   1  a capsule                       5  a reset or STOP_SENDING
//   2  any bytes behind a CONNECT      6  a datagram
//   3  a stream of a session           7  time goes by

#include <algorithm>
#include <array>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <utility>

#include "http/router.h"
#include "tests/fuzz/http3/fuzz_server.h"
#include "tests/fuzz/webtransport/application.h"
#include "webtransport/capsule_type.h"
#include "webtransport/error_code.h"
#include "webtransport/http3.h"
#include "webtransport/server.h"

namespace {

using namespace tern;
using namespace std::chrono_literals;
using http3::fuzz::frame;
using http3::fuzz::FuzzServer;
using http3::fuzz::more_bytes;
using http3::fuzz::Script;
using http3::fuzz::varint;
using namespace webtransport::fuzz;
using webtransport::Session;

// ---- the client ---------------------------------------------------------------------------------

/// A field section of literal lines with QPACK's static table as good as unused.
std::string connect(std::string_view path) {
  const std::pair<std::string_view, std::string_view> lines[] = {{":method", "CONNECT"},
                                                                 {":protocol", "webtransport"},
                                                                 {":scheme", "https"},
                                                                 {":authority", "localhost"},
                                                                 {":path", path}};
  std::string section(2, '\0');
  for (const auto& [name, value] : lines) {
    // RFC 9204 §4.5.6: 001 N H and the name's length, three bits of it here.
    section += name.size() < 7 ? static_cast<char>(0x20 | name.size()) : '\x27';
    if (name.size() >= 7) section += static_cast<char>(name.size() - 7);
    section.append(name);
    section += static_cast<char>(value.size());
    section.append(value);
  }
  return frame(1, section);
}

class Client {
 public:
  Client(FuzzServer& server, std::uint8_t mode) : server_(server) {
    // Without flow control a draft that does not know it, and so lets sessions share.
    std::string settings = varint(0x33) + varint(1) + varint(0x2b603742) + varint(1);
    if ((mode & kFlow) != 0) {
      settings += varint(0x2c7cf000) + varint(1);
      const bool tight = (mode & kTight) != 0;
      settings += varint(0x2b61) + varint(tight ? 100 : 100'000);
      settings += varint(0x2b64) + varint(tight ? 1 : 50);
      settings += varint(0x2b65) + varint(tight ? 1 : 50);
    }
    write(*connection().open_uni(), std::string(1, '\0') + frame(4, settings), false);
  }

  void act(std::uint8_t command, Script& script) {
    const std::uint8_t argument = command >> 3;
    switch (command & 7) {
      case 0: return request(argument);
      case 1: return say_capsule(argument, script);
      case 2: return say_anything(argument, script);
      case 3: return open_stream(argument, script);
      case 4: return say_more(argument, script);
      case 5: return give_up(argument, script);
      case 6: return send_datagram(argument, script);
      case 7: return server_.world().run_for(std::chrono::milliseconds(1 << (argument & 15)));
    }
  }

  /// Only rules of WebTransport were broken.
  bool lives() const noexcept { return lives_; }

 private:
  struct Sending {
    quic::StreamId id = -1;
    bool over = true;  // nothing more may be written
    std::string rest;  // of a CONNECT that has begun
  };

  quic::Connection& connection() { return server_.connection(); }
  void write(quic::StreamId id, std::string_view bytes, bool end) {
    connection().write(id, Bytes::copy(bytes), end);
  }
  void say(Sending& stream, std::string_view bytes, bool end) {
    if (stream.over) return;
    stream.over = end;
    write(stream.id, bytes, end);
  }
  /// The ID that an index stands for: of a CONNECT, or of one that there is not yet.
  quic::StreamId session(std::size_t index) const {
    return index < 3 && sessions_[index].id >= 0 ? sessions_[index].id : next_session();
  }
  quic::StreamId next_session() const { return next_bidi_; }
  quic::StreamId open_bidi() {
    const auto id = connection().open_bidi();
    if (!id) return -1;
    next_bidi_ = *id + 4;
    return *id;
  }

  /// Bits 0 and 1: in whose place it stands; 2: the first half of it, or what was left of one; 3:
  /// nothing is there; 4: and the end.
  void request(std::uint8_t argument) {
    Sending& place = sessions_[std::min<std::size_t>(argument & 3, 2)];
    const bool end = (argument & 16) != 0;
    if (!place.rest.empty()) return say(place, std::exchange(place.rest, {}), end);
    const quic::StreamId id = open_bidi();
    if (id < 0) return;
    place = {id, false, {}};
    std::string head = connect((argument & 8) != 0 ? "/nowhere" : "/wt");
    if ((argument & 4) != 0) {
      place.rest = head.substr(20);
      return say(place, head.substr(0, 20), false);
    }
    say(place, head, end);
  }

  /// Bits 0 and 1: the session; the rest: which. A byte says how long it is.
  void say_capsule(std::uint8_t argument, Script& script) {
    using namespace webtransport::capsule_type;
    static constexpr std::array<std::uint64_t, 8> kTypes = {
        kCloseSession, kDrainSession, kMaxData, kMaxStreamsBidirectional, kMaxStreamsUnidirectional,
        kDataBlocked,  kDatagram,     kStream};
    Sending& place = sessions_[std::min<std::size_t>(argument & 3, 2)];
    const std::string_view payload = script.take(script.byte());
    if (!place.rest.empty()) return;
    say(place, frame(0, frame(kTypes[argument >> 2], payload)), false);
  }

  /// Bits 0 and 1: the session; 2: its end follows; 3: no frame around the bytes.
  void say_anything(std::uint8_t argument, Script& script) {
    Sending& place = sessions_[std::min<std::size_t>(argument & 3, 2)];
    const std::string_view bytes = script.take(script.byte());
    const bool naked = (argument & 8) != 0 || !place.rest.empty();
    const bool end = (argument & 4) != 0;
    // Bytes without a frame, or an end in the middle of the CONNECT: H3_FRAME_ERROR.
    if (!place.over && naked && (!bytes.empty() || end)) lives_ = false;
    say(place, naked || bytes.empty() ? std::string(bytes) : frame(0, bytes), end);
  }

  /// Bit 0: unidirectional; 1 and 2: the session; 3: another, which a byte says; 4: and the end.
  void open_stream(std::uint8_t argument, Script& script) {
    auto id = static_cast<std::uint64_t>(session(argument >> 1 & 3));
    if ((argument & 8) != 0) id = script.byte();
    const std::string_view bytes = script.take(script.byte());
    if (id % 4 != 0) lives_ = false;  // H3_ID_ERROR
    const bool bidirectional = (argument & 1) == 0;
    quic::StreamId opened = -1;
    if (bidirectional) {
      opened = open_bidi();
    } else if (const auto uni = connection().open_uni()) {
      opened = *uni;
    }
    if (opened < 0) return;
    Sending& place = streams_[next_stream_++ % streams_.size()];
    place = {opened, false, {}};
    say(place, varint(bidirectional ? 0x41 : 0x54) + varint(id).append(bytes),
        (argument & 16) != 0);
  }

  /// Bits 0 to 2: the stream; 3: and the end; 4: a kilobyte for each that a byte says.
  void say_more(std::uint8_t argument, Script& script) {
    const std::string bytes = more_bytes((argument & 16) != 0, script);
    say(streams_[argument & 7], bytes, (argument & 8) != 0);
  }

  /// Bits 0 to 2: the stream; 3: STOP_SENDING; 4: it is a CONNECT. A byte says the code: of
  /// applications, or no such.
  void give_up(std::uint8_t argument, Script& script) {
    const std::uint8_t given = script.byte();
    Sending& place = (argument & 16) != 0 ? sessions_[std::min<std::size_t>(argument & 7, 2)]
                                          : streams_[argument & 7];
    const std::uint64_t code = given < 128 ? webtransport::to_http3(given) : given;
    if (place.id < 0) return;
    if ((argument & 8) != 0) {
      if (!quic::is_unidirectional(place.id)) connection().stop_sending(place.id, code);
      return;
    }
    if (place.over) return;
    place.over = true;
    place.rest.clear();
    connection().reset(place.id, code);
  }

  /// Bits 0 and 1: the session; 2: whatever bytes. A byte says how long.
  void send_datagram(std::uint8_t argument, Script& script) {
    const std::string_view bytes = script.take(script.byte());
    std::string whole;
    if ((argument & 4) != 0) {
      lives_ = false;  // H3_DATAGRAM_ERROR, perhaps
      whole = bytes;
    } else {
      whole = varint(static_cast<std::uint64_t>(session(argument & 3)) / 4).append(bytes);
    }
    connection().send_datagram(Bytes::copy(whole));
  }

  FuzzServer& server_;
  std::array<Sending, 3> sessions_;
  std::array<Sending, 8> streams_;
  std::size_t next_stream_ = 0;
  quic::StreamId next_bidi_ = 0;
  bool lives_ = true;
};

http3::SessionOptions options(Runtime& runtime) {
  http3::SessionOptions options;
  webtransport::enable_http3(options, runtime);
  return options;
}

/// A page is still to be had.
void expect_answer(FuzzServer& server) {
  const auto id = server.connection().open_bidi();
  if (!id) return;     // the client has used up what it may open
  std::string answer;  // in as many pieces as packets have room for
  server.peer().heard = [&](const quic::Event& event) {
    if (event.stream == *id) answer.append(event.data.text());
  };
  const auto answered = [&] { return answer.find("a page") != std::string::npos; };
  // :method GET, :scheme https, :authority, :path / of QPACK's static table.
  const std::string get = frame(1, std::string("\0\0\xd1\xd7\xc1\x50\1a", 8));
  server.connection().write(*id, Bytes::copy(get), true);
  server.world().run_until([&] { return answered() || server.gone(); }, 10s);
  server.peer().heard = nullptr;
  TERN_CHECK(answered());
}

void play(std::uint8_t mode, ByteView input) {
  http::Router router;
  webtransport::route(router, "/wt", [mode](Session& session) { return attend(session, mode); });
  router.get("/", [](http::Exchange& exchange) -> Task<void> {
    co_await exchange.respond(http::Status::ok, "a page");
  });
  FuzzServer server(std::move(router), options);
  Client client(server, mode);
  Script script(input);
  while (!script.over() && !server.gone()) client.act(script.byte(), script);
  if (client.lives()) {
    TERN_CHECK(server.count("http3.errors") == 0);
    if (!server.gone()) expect_answer(server);  // without a session it may have been idle for long
  }
  if (!server.gone()) server.connection().close(0x100, "enough");
  server.world().run_for(10s);
  TERN_CHECK(server.gone());
  TERN_CHECK(server.count("webtransport.opened") == server.count("webtransport.closed"));
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  if (size > 0 && size <= 600) play(data[0], {data + 1, size - 1});
  return 0;
}
