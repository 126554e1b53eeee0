// Both sides of a WebSocket's handshake: a server answers whatever a client asks with something
// that may be sent and logged, a client takes what a server agrees to, and says what is wrong with
// other answers in one line. Input: lines "name:value", the fields of the request and of the
// response.

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <string_view>

#include "base/bytes.h"
#include "base/check.h"
#include "http/fields.h"
#include "http/websocket_handshake.h"

namespace {

using namespace tern;
using namespace tern::http;

Fields fields_of(std::string_view text) {
  Fields fields;
  while (!text.empty()) {
    const std::string_view line = text.substr(0, text.find('\n'));
    text.remove_prefix(std::min(text.size(), line.size() + 1));
    const std::size_t colon = std::min(line.find(':'), line.size());
    const std::string_view name = line.substr(0, colon);
    const std::string_view value = line.substr(std::min(colon + 1, line.size()));
    // Others do not get through HTTP.
    if (Fields::valid_name(name) && Fields::valid_value(value)) fields.add_lower(name, value);
  }
  return fields;
}

/// For logs and terminals.
void check_line(std::string_view text) {
  TERN_CHECK(!text.empty());
  for (const char c : text) TERN_CHECK(static_cast<unsigned char>(c) >= ' ' && c != 0x7f);
}

void answer(const Fields& fields) {
  RequestHead request;
  request.method = "CONNECT";
  request.protocol = "websocket";
  request.authority = "example.org";
  request.fields = fields;
  const auto deflate = WebSocketDeflateOptions().context_takeover(true);
  const auto options = WebSocketOptions().protocol("chat").protocol("bearer.x").deflate(deflate);
  const WebSocketAnswer answer = answer_websocket(request, options);
  TERN_CHECK(!answer.response.fields().first_invalid());
  if (!answer.refusal.empty()) {
    TERN_CHECK(code(answer.response.status()) >= 400);
    return check_line(answer.refusal);
  }
  TERN_CHECK(answer.response.status() == Status::ok);
  TERN_CHECK(answer.terms.protocol.empty() || fields.contains("sec-websocket-protocol"));
  // A client that had offered all of this takes the answer.
  const auto confirmed = confirm_websocket(answer.response, options);
  TERN_CHECK(confirmed && confirmed->protocol == answer.terms.protocol);
  TERN_CHECK(confirmed->deflate.has_value() == answer.terms.deflate.has_value());
  const std::string_view token = bearer_token(request);
  TERN_CHECK(token.empty() || fields.contains("authorization") ||
             fields.contains("sec-websocket-protocol"));
}

void confirm(const Fields& fields) {
  for (const Status status : {Status::ok, Status::found, Status::unauthorized, Status(426)}) {
    Response response(status);
    response.fields(fields);
    const auto options = WebSocketOptions().protocol("chat");
    const auto terms = confirm_websocket(response, options);
    if (!terms) {
      check_line(terms.error().detail);
      continue;
    }
    TERN_CHECK(status == Status::ok && (terms->protocol.empty() || terms->protocol == "chat"));
    TERN_CHECK(!terms->deflate || options.deflate().enabled());
  }
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const Fields fields = fields_of(as_text(ByteView(data, size)));
  answer(fields);
  confirm(fields);
  return 0;
}
