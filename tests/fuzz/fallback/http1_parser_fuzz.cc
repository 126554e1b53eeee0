#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <string>

#include "http/fallback/http1_parser.h"

/// HTTP/1.1 messages, read at once and byte by byte: both must see the same. The first byte says
/// whose messages they are.

namespace {

using tern::ByteView;
using tern::fallback::Http1Limits;
using tern::fallback::Http1Parser;

void add_fields(std::string& out, const tern::http::Fields& fields) {
  for (const tern::http::Field field : fields) {
    out.append(field.name).append("=").append(field.value).append(";");
  }
}

/// Everything the parser says, in words.
std::string read(ByteView input, bool requests, bool no_body, std::size_t piece) {
  Http1Limits limits;
  limits.max_field_section = 2048;
  limits.max_fields = 32;
  limits.max_target = 512;
  Http1Parser parser(requests, limits);
  if (no_body) parser.expect_no_body();
  std::string out;
  const auto say = [&](Http1Parser::Event event) {
    using Event = Http1Parser::Event;
    switch (event) {
      case Event::more: break;
      case Event::head: {
        const auto& head = parser.head();
        out.append("<").append(head.method).append(" ").append(head.target).append(" ");
        out.append(std::to_string(head.status)).append(head.http10 ? " old" : "");
        out.append(head.keep_alive ? " keep" : "").append(head.upgrade ? " up " : " ");
        out.append(std::to_string(static_cast<int>(head.framing))).append(" ");
        add_fields(out, head.fields);
        out.append(">");
        break;
      }
      case Event::body: out.append(tern::as_text(parser.body())); break;
      case Event::end:
        out.append("<end ");
        add_fields(out, parser.trailers());
        out.append(">");
        break;
      case Event::failed:
        out.append("<failed ").append(std::to_string(parser.failure().status)).append(" ");
        out.append(parser.failure().reason).append(">");
        break;
    }
    return event;
  };
  for (std::size_t at = 0; at < input.size(); at += piece) {
    ByteView bytes = input.subspan(at, std::min(piece, input.size() - at));
    for (;;) {
      const auto event = say(parser.next(bytes));
      if (event == Http1Parser::Event::failed) return out;
      if (event == Http1Parser::Event::more) break;
    }
    // What is kept is bounded by the limits.
    if (parser.held() > 8192) std::abort();
  }
  say(parser.finish());
  return out;
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  if (size == 0) return 0;
  const bool requests = (data[0] & 1) == 0;
  const bool no_body = (data[0] & 2) != 0 && !requests;
  const ByteView input(data + 1, size - 1);
  const std::string whole = read(input, requests, no_body, input.size() + 1);
  if (read(input, requests, no_body, 1) != whole) std::abort();
  if (read(input, requests, no_body, 7) != whole) std::abort();
  return 0;
}
