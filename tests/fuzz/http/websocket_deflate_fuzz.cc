// permessage-deflate: whatever inflates does so alike in any pieces, what is deflated comes back,
// and headers are read without harm. Input: a byte that chooses the window and the piece, then
// data.

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <string>
#include <vector>

#include "base/check.h"
#include "http/websocket_deflate.h"

namespace {

using tern::ByteView;
namespace http = tern::http;

constexpr std::size_t kMaxOutput = 1024 * 1024;

/// Nothing for what is no deflate data; cut at kMaxOutput.
std::string inflate(ByteView data, int bits, std::size_t piece) {
  http::WebSocketInflater inflater(bits, false);
  std::string out;
  do {
    const std::size_t size = std::min(piece, data.size());
    const std::vector<std::uint8_t> copy(data.begin(), data.begin() + size);
    data = data.subspan(size);
    inflater.feed(copy, data.empty());
    for (;;) {
      const auto part = inflater.next();
      if (!part) return "(invalid)";
      if (!*part) break;
      TERN_CHECK((*part)->size() <= 16 * 1024);
      out.append(tern::as_text(**part));
      if (out.size() > kMaxOutput) return "(too much)";
    }
  } while (!data.empty());
  return out;
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  if (size < 1) return 0;
  const int bits = 9 + data[0] % 7;
  const std::size_t piece = 1 + data[0] / 7;
  const ByteView input(data + 1, size - 1);
  const std::string whole = inflate(input, 15, SIZE_MAX);
  TERN_CHECK(inflate(input, 15, piece) == whole);
  // Who refers to what a smaller window has no more may be caught or not: zlib looks into its
  // output, too, as far as that goes back.
  const std::string narrow = inflate(input, bits, piece);
  TERN_CHECK(narrow == whole || narrow == "(invalid)");

  std::string compressed;
  http::WebSocketDeflater deflater(bits, 5, false);
  for (std::size_t at = 0; at < input.size(); at += 1000) {
    const std::size_t part = std::min<std::size_t>(1000, input.size() - at);
    deflater.deflate(input.subspan(at, part), at + part == input.size(), compressed);
  }
  if (input.empty()) deflater.deflate({}, true, compressed);
  TERN_CHECK(inflate(tern::as_bytes(compressed), bits, piece) == tern::as_text(input));

  const http::WebSocketDeflateOptions options;
  const auto answer = http::accept_deflate(tern::as_text(input), options);
  if (answer && *answer) {
    // A client that had offered this takes the answer.
    const auto permissive = http::WebSocketDeflateOptions().context_takeover(true);
    TERN_CHECK(http::confirm_deflate((**answer).field, permissive));
  }
  const auto confirmed = http::confirm_deflate(tern::as_text(input), options);
  // The server keeps its context unless it says otherwise; ours is kept only where we have offered
  // it.
  TERN_CHECK(!confirmed || !*confirmed || !(*confirmed)->send_takeover);
  return 0;
}
