// What the handshakes of WebTransport's carriers say in fields and subprotocols: answers may be
// sent and logged, a client takes what a server chose of its offer, windows only grow and read
// back. Input: lines, wt-available-protocols, wt-protocol, webtransport-init, origin, a
// subprotocol.

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "base/bytes.h"
#include "base/check.h"
#include "webtransport/handshake.h"

namespace {

using namespace tern;
using namespace tern::webtransport;

/// With what HTTP lets through.
void add(http::Fields& fields, std::string_view name, std::string_view value) {
  if (!value.empty() && http::Fields::valid_value(value)) fields.add(name, value);
}

/// For logs and terminals.
void check_line(std::string_view text) {
  TERN_CHECK(!text.empty());
  for (const char c : text) TERN_CHECK(static_cast<unsigned char>(c) >= ' ' && c != 0x7f);
}

void answer(std::string_view available, std::string_view origin) {
  http::RequestHead request;
  request.method = "CONNECT";
  request.protocol = "webtransport";
  request.authority = "example.org";
  add(request.fields, "wt-available-protocols", available);
  add(request.fields, "origin", origin);
  const std::vector<std::string> ours = {"chat", "a \"b\\", "c"};
  for (const bool clients : {false, true}) {
    ServerOptions options;
    for (const std::string& name : ours) options.protocol(name);
    if (clients) options.client_preference();
    const Answer answer = answer_session(request, options);
    TERN_CHECK(!answer.response.fields().first_invalid());
    if (!answer.refusal.empty()) {
      TERN_CHECK(http::code(answer.response.status()) >= 400);
      return check_line(answer.refusal);
    }
    const auto chosen = chosen_protocol(answer.response, ours);
    TERN_CHECK(chosen && *chosen == answer.protocol);
  }
}

void choice(std::string_view field) {
  http::Response response;
  add(response.fields(), "wt-protocol", field);
  const std::vector<std::string> offered = {"chat", "x"};
  const auto chosen = chosen_protocol(response, offered);
  if (!chosen) return check_line(chosen.error().detail);
  TERN_CHECK(chosen->empty() ||
             std::find(offered.begin(), offered.end(), *chosen) != offered.end());
}

void windows(std::string_view field) {
  http::Fields fields;
  add(fields, "webtransport-init", field);
  CapsuleWindows raised = initial_windows();
  raise_windows(raised, fields);
  const CapsuleWindows before = initial_windows();
  TERN_CHECK(raised.stream_data_uni >= before.stream_data_uni);
  TERN_CHECK(raised.stream_data_bidi_local >= before.stream_data_bidi_local);
  TERN_CHECK(raised.stream_data_bidi_remote >= before.stream_data_bidi_remote);
  TERN_CHECK(raised.data == before.data && raised.streams_uni == before.streams_uni);
  http::Fields written;
  written.add("webtransport-init", init_field(raised));
  CapsuleWindows again = initial_windows();
  raise_windows(again, written);
  TERN_CHECK(again.stream_data_uni == raised.stream_data_uni);
  TERN_CHECK(again.stream_data_bidi_local == raised.stream_data_bidi_local);
  TERN_CHECK(again.stream_data_bidi_remote == raised.stream_data_bidi_remote);
}

void subprotocol(std::string_view text) {
  TERN_CHECK(protocol_of(subprotocol_of(text)) == text);
  if (const auto name = protocol_of(text)) {
    TERN_CHECK(protocol_of(subprotocol_of(*name)) == name);
  }
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  std::string_view text = as_text(ByteView(data, size));
  const auto next_line = [&text] {
    const std::string_view line = text.substr(0, text.find('\n'));
    text.remove_prefix(std::min(text.size(), line.size() + 1));
    return line;
  };
  const std::string_view available = next_line();
  choice(next_line());
  windows(next_line());
  answer(available, next_line());
  subprotocol(text);
  return 0;
}
