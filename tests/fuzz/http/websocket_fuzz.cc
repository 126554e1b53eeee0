// Any split of a peer's bytes gives the same messages and the same end, limits hold, and what one
// side sends the other one reads. Input: a byte of flags (1: we are the client, 2: with
// permessage-deflate, 4: with context takeover), two that choose the split, then the stream.

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "base/check.h"
#include "base/random.h"
#include "http/utf8.h"
#include "http/websocket_protocol.h"

namespace {

using tern::ByteView;
using tern::http::WebSocketProtocol;
using Event = WebSocketProtocol::Event;

struct Setup {
  WebSocketProtocol::Role role = WebSocketProtocol::Role::server;
  std::optional<tern::http::WebSocketDeflateAgreement> deflate;
};

WebSocketProtocol::Limits limits() {
  WebSocketProtocol::Limits limits;
  limits.max_message = 100'000;
  limits.max_ratio = 50;
  limits.ratio_grace = 20'000;
  return limits;
}

/// What came of it: whole messages, control frames, the end.
std::vector<std::string> read(const Setup& setup, ByteView stream, std::size_t piece,
                              std::size_t growth) {
  tern::Random random(1);
  WebSocketProtocol protocol(setup.role, limits(), random, setup.deflate, {});
  std::vector<std::string> seen;
  std::string message;
  bool over = false;
  while (!stream.empty()) {
    const std::size_t size = std::min(std::max<std::size_t>(piece, 1), stream.size());
    const std::vector<std::uint8_t> copy(stream.begin(), stream.begin() + size);
    protocol.feed(copy);
    while (const std::optional<Event> event = protocol.next()) {
      TERN_CHECK(!over);
      switch (event->type) {
        case Event::Type::part:
          message.append(tern::as_text(event->payload));
          TERN_CHECK(message.size() <= limits().max_message);
          if (!event->last) break;
          TERN_CHECK(!event->text || tern::http::is_utf8(tern::as_bytes(message)));
          seen.push_back((event->text ? "text " : "binary ") + message);
          message.clear();
          break;
        case Event::Type::ping:
        case Event::Type::pong:
          TERN_CHECK(event->payload.size() <= 125);
          seen.push_back("control " + std::string(tern::as_text(event->payload)));
          break;
        case Event::Type::close:
          TERN_CHECK(event->code == tern::http::websocket_code::kNone ||
                     tern::http::valid_close_code(event->code));
          over = true;
          seen.push_back("close " + std::to_string(event->code) + event->reason);
          break;
        case Event::Type::failure:
          TERN_CHECK(tern::http::valid_close_code(event->code) && !event->reason.empty());
          over = true;
          seen.push_back("failure " + std::to_string(event->code));
          break;
      }
    }
    stream = stream.subspan(size);
    piece = piece * growth % 97;
  }
  return seen;
}

/// Of two faults in one compressed piece (a bomb that is no UTF-8) the split decides which is told.
std::vector<std::string> without_codes(std::vector<std::string> seen, const Setup& setup) {
  if (setup.deflate && !seen.empty() && seen.back().starts_with("failure")) seen.back() = "failure";
  return seen;
}

/// The stream as a message of ours, read by the other role.
void send(const Setup& setup, ByteView payload) {
  using Role = WebSocketProtocol::Role;
  tern::Random random(2);
  WebSocketProtocol ours(setup.role, limits(), random, setup.deflate, {});
  const auto frame = ours.message(false, tern::Bytes::copy(payload), true, true);
  std::string bytes(frame.head.text());
  bytes += frame.payload.text();
  Setup theirs = setup;
  theirs.role = setup.role == Role::client ? Role::server : Role::client;
  const auto seen = read(theirs, tern::as_bytes(bytes), SIZE_MAX, 1);
  const bool bomb = seen.size() == 1 && seen[0] == "failure 1009";
  TERN_CHECK(bomb ||
             (seen.size() == 1 && seen[0] == "binary " + std::string(tern::as_text(payload))));
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  if (size < 3) return 0;
  Setup setup;
  if ((data[0] & 1) != 0) setup.role = WebSocketProtocol::Role::client;
  if ((data[0] & 2) != 0) {
    setup.deflate.emplace();
    setup.deflate->send_takeover = setup.deflate->receive_takeover = (data[0] & 4) != 0;
  }
  const ByteView stream(data + 3, size - 3);
  const auto whole = without_codes(read(setup, stream, SIZE_MAX, 1), setup);
  TERN_CHECK(without_codes(read(setup, stream, 1, 1), setup) == whole);
  TERN_CHECK(without_codes(read(setup, stream, data[1], data[2]), setup) == whole);
  send(setup, stream);
  return 0;
}
