// gRPC-Web: trailers of a body, bodies in base64, and the heads of calls on WebTransport streams.
// What is read is written and read again the same; base64 and heads give the same in any pieces.
// Input: a byte that says where to cut, then the text.

#include <cstddef>
#include <cstdint>
#include <string>

#include "base/check.h"
#include "rpc/grpc_web.h"
#include "rpc/stream_head.h"

using namespace tern;
using namespace tern::rpc;

namespace {

/// The lines of the head that is read, with what comes behind it; or why there is none.
std::string head_in_pieces(ByteView text, std::size_t cut) {
  HeadReader reader;
  std::size_t at = 0;
  for (const ByteView piece : {text.first(cut), text.subspan(cut)}) {
    const auto there = reader.push(piece);
    if (!there) return there.error().to_string();
    at += piece.size();
    if (!*there) continue;
    return std::string(reader.text()) + std::string(reader.rest().text()) +
           std::string(as_text(text.subspan(at)));
  }
  return "not yet";
}

void heads(ByteView text, std::size_t cut) {
  TERN_CHECK(head_in_pieces(text, cut) == head_in_pieces(text, 0));
  const auto head = parse_call_head(as_text(text));
  if (!head) return;
  const Bytes written = call_head_envelope(head->path, head->fields);
  HeadReader reader;
  const auto there = reader.push(written);
  if (!there) return;  // too long now
  const auto again = parse_call_head(reader.text());
  TERN_CHECK(again && again->path == head->path && again->fields.size() == head->fields.size());
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  if (size == 0) return 0;
  const ByteView text(data + 1, size - 1);
  if (const auto fields = parse_web_trailers(as_text(text))) {
    const auto again = parse_web_trailers(web_trailers(*fields));
    TERN_CHECK(again.has_value() && again->size() == fields->size());
    TERN_CHECK(!fields->first_invalid());
  }
  heads(text, data[0] % size);
  const auto decode = [&](std::size_t cut, std::string& out) {
    WebTextDecoder decoder;
    return decoder.decode(text.first(cut), out) && decoder.decode(text.subspan(cut), out) &&
           decoder.complete();
  };
  std::string whole, cut;
  const bool good = decode(0, whole);
  TERN_CHECK(decode(data[0] % size, cut) == good);
  TERN_CHECK(!good || whole == cut);
  return 0;
}
