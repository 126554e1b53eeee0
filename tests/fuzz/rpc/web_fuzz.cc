// gRPC-Web: trailers of a body, and bodies in base64. What is read is written and read again the
// same; base64 gives the same in any pieces. Input: a byte that says where to cut, then the text.

#include <cstddef>
#include <cstdint>
#include <string>

#include "base/check.h"
#include "rpc/grpc_web.h"

using namespace tern;
using namespace tern::rpc;

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  if (size == 0) return 0;
  const ByteView text(data + 1, size - 1);
  if (const auto fields = parse_web_trailers(as_text(text))) {
    const auto again = parse_web_trailers(web_trailers(*fields));
    TERN_CHECK(again.has_value() && again->size() == fields->size());
    TERN_CHECK(!fields->first_invalid());
  }
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
