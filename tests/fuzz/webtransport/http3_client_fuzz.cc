// Two sessions of a client over HTTP/3 against a server that does anything in any order, over QUIC
// in virtual time. Whatever it does: what the client sends keeps to the session's flow control; a
// connection on which nothing but WebTransport's rules was broken lives and takes a request; and
// when it is over no session is left.
// Input: a byte for the server's SETTINGS and the application (`Mode`), then commands, one byte
// each; what follows a command is in `Server`. The lower three bits say which:
//
//   0  an answer to a CONNECT, or a piece   4  more bytes on one of the last eight streams
//   1  a capsule                            5  a reset or STOP_SENDING
//   2  any bytes behind an answer           6  a datagram
//   3  a stream of a session                7  time goes by, GOAWAY

#include <algorithm>
#include <array>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <utility>

#include "tests/fuzz/http3/fuzz_client.h"
#include "tests/fuzz/webtransport/application.h"
#include "webtransport/capsule_reader.h"
#include "webtransport/capsule_type.h"
#include "webtransport/client.h"
#include "webtransport/error_code.h"
#include "webtransport/http3.h"

namespace {

using namespace tern;
using namespace std::chrono_literals;
using namespace webtransport::fuzz;
using http3::fuzz::frame;
using http3::fuzz::FuzzClient;
using http3::fuzz::more_bytes;
using http3::fuzz::Script;
using http3::fuzz::varint;

// ---- the client ---------------------------------------------------------------------------------

struct Visits {
  std::size_t begun = 0;
  std::size_t over = 0;
};

http::RequestHead head_for(std::string path) {
  http::RequestHead head;
  head.scheme = "https";
  head.authority = "localhost";
  head.path = std::move(path);
  return head;
}

Task<void> visit(http3::Session& http3, std::uint8_t mode, Visits& visits) {
  ++visits.begun;
  Result<std::unique_ptr<http::ClientExchange>> exchange = http3.open();
  if (exchange) {
    const webtransport::ClientOptions options = webtransport::ClientOptions().protocol("a");
    http::RequestHead head = head_for("/wt");
    webtransport::complete_request(head, options, webtransport::kTokens[1]);
    Result<std::unique_ptr<webtransport::Session>> session =
        co_await webtransport::open_session(std::move(*exchange), std::move(head), options);
    if (session) co_await attend(**session, mode);
  }
  ++visits.over;
}

Task<void> ask(http3::Session& http3, bool& answered) {
  Result<std::unique_ptr<http::ClientExchange>> exchange = http3.open();
  if (!exchange) co_return;
  http::RequestHead head = head_for("/");
  head.method = "GET";
  co_await (*exchange)->send(head, true);
  const Result<http::Response> response = co_await (*exchange)->response();
  answered = response.has_value();
}

// ---- the server ---------------------------------------------------------------------------------

/// `:status` of QPACK's static table, and an application protocol that the client has offered, or
/// not.
std::string answer(bool well, std::string_view protocol) {
  std::string section("\0\0", 2);
  section += well ? '\xd9' : '\xdb';  // 200, 404
  if (!protocol.empty()) {
    section += std::string("\x27\x04wt-protocol", 13);
    section += static_cast<char>(protocol.size());
    section.append(protocol);
  }
  return frame(1, section);
}

class Server {
 public:
  Server(FuzzClient& client, std::uint8_t mode) : client_(client), flow_((mode & kFlow) != 0) {
    std::string settings = varint(8) + varint(1) + varint(0x33) + varint(1) + varint(0x2c7cf000) +
                           varint(1) + varint(0x2b603742) + varint(1);
    if (flow_) {
      const bool tight = (mode & kTight) != 0;
      allowed_ = tight ? 100 : 100'000;
      settings += varint(0x2b61) + varint(allowed_);
      settings += varint(0x2b64) + varint(tight ? 1 : 50);
      settings += varint(0x2b65) + varint(tight ? 1 : 50);
    }
    client_.peer().heard = [this](const quic::Event& event) { hear(event); };
    control_ = *connection().open_uni();
    write(control_, std::string(1, '\0') + frame(4, settings), false);
  }

  void act(std::uint8_t command, Script& script) {
    const std::uint8_t argument = command >> 3;
    switch (command & 7) {
      case 0: return respond(argument, script);
      case 1: return say_capsule(argument, script);
      case 2: return say_anything(argument, script);
      case 3: return open_stream(argument, script);
      case 4: return say_more(argument, script);
      case 5: return give_up(argument, script);
      case 6: return send_datagram(argument, script);
      case 7: return let_time_go_by(argument, script);
    }
  }

  /// Only rules of WebTransport were broken.
  bool lives() const noexcept { return lives_; }
  bool said_goaway() const noexcept { return said_goaway_; }

  /// The client has sent no more than it was allowed by the SETTINGS and a capsule, if there was
  /// one that could be meant so.
  void check_flow() const {
    if (!flow_) return;
    for (std::size_t i = 0; i < places_.size(); ++i) {
      std::uint64_t most = allowed_;
      webtransport::CapsuleReader reader(1000);
      reader.feed(as_bytes(places_[i].capsules));
      while (const auto event = reader.next()) {
        if (event->id != webtransport::capsule_type::kMaxData || event->bytes.empty()) continue;
        VarintReader limit;
        ByteView payload = event->bytes;
        if (limit.take(payload)) most = std::max(most, limit.value());
      }
      TERN_CHECK(places_[i].heard <= most);
    }
  }

 private:
  struct Sending {
    quic::StreamId id = -1;
    bool over = true;  // nothing more may be written
  };
  /// One of the client's two CONNECTs, the stream of which is four times its index.
  struct Place : Sending {
    std::string rest;  // of an answer that has begun
    bool answered = false;
    std::string capsules;
    std::uint64_t heard = 0;  // bytes on the session's streams, headers not counted
  };
  /// What a stream of the client's has begun with.
  struct Beginning {
    std::string bytes;
    std::optional<std::size_t> place;
  };

  quic::Connection& connection() { return client_.connection(); }
  void write(quic::StreamId id, std::string_view bytes, bool end) {
    connection().write(id, Bytes::copy(bytes), end);
  }
  void say(Sending& stream, std::string_view bytes, bool end) {
    if (stream.over) return;
    stream.over = end;
    write(stream.id, bytes, end);
  }

  void hear(const quic::Event& event) {
    if (event.stream == 0 || event.stream == 4) {
      Place& place = places_[static_cast<std::size_t>(event.stream / 4)];
      if (place.id < 0) static_cast<Sending&>(place) = {event.stream, false};
      return;
    }
    if (quic::is_server_initiated(event.stream)) {
      const auto session = ours_.find(event.stream);
      if (session != ours_.end()) places_[session->second].heard += event.data.size();
      return;
    }
    Beginning& beginning = theirs_[event.stream];
    if (beginning.place) {
      places_[*beginning.place].heard += event.data.size();
      return;
    }
    // Two bytes of signal or type, one of the session's ID.
    beginning.bytes += event.data.text();
    const bool known =
        beginning.bytes.starts_with("\x40\x41") || beginning.bytes.starts_with("\x40\x54");
    if (beginning.bytes.size() < 3 || !known) return;
    beginning.place = static_cast<std::size_t>(beginning.bytes[2] / 4);
    TERN_CHECK(*beginning.place < places_.size() && beginning.bytes[2] % 4 == 0);
    places_[*beginning.place].heard += beginning.bytes.size() - 3;
    if (!quic::is_unidirectional(event.stream)) keep({event.stream, false});
  }
  void keep(Sending stream) { streams_[next_stream_++ % streams_.size()] = stream; }

  /// Bit 0: of which CONNECT; 1: the first half of it, or what was left of one; 2: 404; 3: and the
  /// end; 4: with a protocol, which a byte says.
  void respond(std::uint8_t argument, Script& script) {
    Place& place = places_[argument & 1];
    const bool end = (argument & 8) != 0;
    std::string protocol;
    if ((argument & 16) != 0) protocol = (script.byte() & 1) != 0 ? "\"a\"" : "\"b\"";
    if (!place.rest.empty()) return say(place, std::exchange(place.rest, {}), end);
    if (place.over || std::exchange(place.answered, true)) return;
    std::string head = answer((argument & 4) == 0, protocol);
    if ((argument & 2) == 0) return say(place, head, end);
    place.rest = head.substr(3);
    say(place, head.substr(0, 3), false);
  }

  /// Bit 0: the session; 1 to 3: which; 4: nothing. A byte says how long it is.
  void say_capsule(std::uint8_t argument, Script& script) {
    using namespace webtransport::capsule_type;
    static constexpr std::array<std::uint64_t, 8> kTypes = {
        kCloseSession, kDrainSession, kMaxData, kMaxStreamsBidirectional, kMaxStreamsUnidirectional,
        kDataBlocked,  kDatagram,     kStream};
    const std::string_view payload = script.take(script.byte());
    say_body(places_[argument & 1], frame(kTypes[argument >> 1 & 7], payload), false);
  }

  void say_body(Place& place, std::string_view bytes, bool end) {
    if (!place.answered || !place.rest.empty() || place.over) return;
    place.capsules += bytes;
    say(place, bytes.empty() ? std::string() : frame(0, bytes), end);
  }

  /// Bit 0: the session; 1: its end follows; 2: no frame around the bytes.
  void say_anything(std::uint8_t argument, Script& script) {
    Place& place = places_[argument & 1];
    const std::string_view bytes = script.take(script.byte());
    const bool end = (argument & 2) != 0;
    if ((argument & 4) == 0 && place.answered && place.rest.empty()) {
      return say_body(place, bytes, end);
    }
    // Bytes without a frame, or an end in the middle of the answer: H3_FRAME_ERROR.
    if (!place.over && (!bytes.empty() || end)) lives_ = false;
    say(place, bytes, end);
  }

  /// Bit 0: unidirectional; 1: the session; 2: another, which a byte says; 3: and the end.
  void open_stream(std::uint8_t argument, Script& script) {
    std::uint64_t session = 4 * (argument >> 1 & 1);
    if ((argument & 4) != 0) session = script.byte();
    const std::string_view bytes = script.take(script.byte());
    if (session % 4 != 0) lives_ = false;  // H3_ID_ERROR
    const bool bidirectional = (argument & 1) == 0;
    const auto opened = bidirectional ? connection().open_bidi() : connection().open_uni();
    if (!opened) return;
    Sending stream{*opened, false};
    if (session < 8 && session % 4 == 0) ours_[*opened] = static_cast<std::size_t>(session / 4);
    say(stream, varint(bidirectional ? 0x41 : 0x54) + varint(session).append(bytes),
        (argument & 8) != 0);
    keep(stream);
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
    Sending& stream = (argument & 16) != 0 ? static_cast<Sending&>(places_[argument & 1])
                                           : streams_[argument & 7];
    const std::uint64_t code = given < 128 ? webtransport::to_http3(given) : given;
    if (stream.id < 0) return;
    if ((argument & 8) != 0) {
      if (!quic::is_unidirectional(stream.id)) connection().stop_sending(stream.id, code);
      return;
    }
    if (stream.over) return;
    stream.over = true;
    connection().reset(stream.id, code);
  }

  /// Bit 0: the session; 1: whatever bytes. A byte says how long.
  void send_datagram(std::uint8_t argument, Script& script) {
    const std::string_view bytes = script.take(script.byte());
    std::string whole(bytes);
    if ((argument & 2) != 0) {
      lives_ = false;  // H3_DATAGRAM_ERROR, perhaps
    } else {
      whole = varint(argument & 1).append(bytes);
    }
    connection().send_datagram(Bytes::copy(whole));
  }

  /// Bits 0 to 3: how long; 4: GOAWAY before, with four times a byte for an ID.
  void let_time_go_by(std::uint8_t argument, Script& script) {
    if ((argument & 16) != 0) {
      const std::uint64_t id = std::uint64_t{4} * script.byte();
      if (!std::exchange(said_goaway_, true)) write(control_, frame(7, varint(id)), false);
    }
    client_.world().run_for(std::chrono::milliseconds(1 << (argument & 15)));
  }

  FuzzClient& client_;
  const bool flow_;
  std::uint64_t allowed_ = 0;
  quic::StreamId control_ = -1;
  std::array<Place, 2> places_;
  std::array<Sending, 8> streams_;
  std::size_t next_stream_ = 0;
  std::map<quic::StreamId, Beginning> theirs_;
  std::map<quic::StreamId, std::size_t> ours_;
  bool said_goaway_ = false;
  bool lives_ = true;
};

http3::SessionOptions options(Runtime& runtime) {
  http3::SessionOptions options;
  webtransport::enable_http3(options, runtime);
  return options;
}

/// A page is still to be had.
void expect_answer(FuzzClient& client) {
  bool answered = false;
  client.peer().heard = [&client, told = false](const quic::Event& event) mutable {
    // A GET is the only thing that ends with its first bytes.
    const bool get = event.fin && event.data.text().starts_with('\x01');
    if (!get || std::exchange(told, true)) return;
    client.connection().write(event.stream, Bytes::copy(answer(true, {})), true);
  };
  Scope scope(client.runtime().ready());
  scope.spawn(ask(*client.session(), answered));
  client.world().run_until([&] { return answered || client.gone(); }, 10s);
  TERN_CHECK(answered);
}

void play(std::uint8_t mode, ByteView input) {
  FuzzClient client(options);
  Server server(client, mode);
  Visits visits;
  {
    Scope scope(client.runtime().ready());
    for (int i = 0; i < 2; ++i) scope.spawn(visit(*client.session(), mode, visits));
    client.world().run_for(20ms);
    Script script(input);
    while (!script.over() && !client.gone()) server.act(script.byte(), script);
    if (!client.gone()) client.world().run_for(20ms);
    if (server.lives()) {
      server.check_flow();
      TERN_CHECK(client.count("http3.errors") == 0);
      if (!client.gone() && !server.said_goaway()) expect_answer(client);
    }
    if (!client.gone()) client.connection().close(0x100, "enough");
    client.world().run_for(10s);
    TERN_CHECK(client.gone() && client.session() == nullptr);
    TERN_CHECK(visits.begun == 2 && visits.over == 2);
  }
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  if (size > 0 && size <= 600) play(data[0], {data + 1, size - 1});
  return 0;
}
