// gRPC: framing split anywhere, metadata, timeouts, statuses in trailers. What is read is written
// and read again the same. Input: a byte that says what it is, then it.

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/bytes.h"
#include "base/check.h"
#include "http/fields.h"
#include "rpc/envelope.h"
#include "rpc/metadata.h"
#include "rpc/status.h"
#include "rpc/timeout.h"

using namespace tern;
using namespace tern::rpc;

namespace {

constexpr std::size_t kLimit = 300;

struct Read {
  std::vector<std::string> payloads;
  bool failed = false;
  bool whole = false;
};

Read read_in_pieces(ByteView body, std::size_t piece) {
  Read read;
  EnvelopeReader reader(kLimit);
  for (std::size_t at = 0; at < body.size() && !read.failed; at += piece) {
    reader.push(Bytes::copy(body.subspan(at, std::min(piece, body.size() - at))));
    for (;;) {
      const auto next = reader.next();
      read.failed = !next;
      if (!next || !*next) break;
      TERN_CHECK((*next)->payload.size() <= kLimit);
      read.payloads.emplace_back((*next)->payload.text());
    }
  }
  read.whole = reader.at_boundary();
  return read;
}

/// The first byte is the size of the pieces.
void framing(ByteView input) {
  if (input.empty()) return;
  const std::size_t piece = std::size_t{input[0]} + 1;
  const ByteView body = input.subspan(1);
  const Read split = read_in_pieces(body, piece);
  const Read at_once = read_in_pieces(body, body.size() + 1);
  TERN_CHECK(split.payloads == at_once.payloads && split.failed == at_once.failed);
  TERN_CHECK(split.failed || split.whole == at_once.whole);
}

/// Lines "name:value".
http::Fields fields_of(std::string_view text) {
  http::Fields fields;
  while (!text.empty()) {
    const std::string_view line = text.substr(0, text.find('\n'));
    text.remove_prefix(std::min(text.size(), line.size() + 1));
    const auto colon = line.find(':');
    if (colon == std::string_view::npos) continue;
    const std::string_view name = line.substr(0, colon);
    if (http::Fields::valid_name(name)) fields.add_lower(name, line.substr(colon + 1));
  }
  return fields;
}

void metadata(std::string_view text) {
  const http::Fields fields = fields_of(text);
  const auto read = Metadata::from(fields);
  if (!read) return;
  http::Fields written;
  read->add_to(written);
  const auto again = Metadata::from(written);
  TERN_CHECK(again.has_value() && *again == *read);
}

void trailers(std::string_view text) {
  const auto status = find_status(fields_of(text));
  if (!status) return;
  http::Fields written;
  add_status(written, *status);
  const auto again = find_status(written);
  TERN_CHECK(again.has_value() && *again == *status);
}

void timeouts(std::string_view text) {
  if (const auto timeout = parse_grpc_timeout(text)) {
    const auto again = parse_grpc_timeout(format_grpc_timeout(*timeout));
    TERN_CHECK(again.has_value() && *again >= *timeout);
  }
  if (const auto timeout = parse_connect_timeout(text)) {
    TERN_CHECK(parse_connect_timeout(format_connect_timeout(*timeout)) == *timeout);
  }
}

void details(std::string_view bytes) {
  const auto status = parse_status(bytes);
  if (!status) return;
  const auto again = parse_status(serialise(*status));
  TERN_CHECK(again.has_value() && *again == *status);
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  if (size == 0) return 0;
  const ByteView input(data + 1, size - 1);
  switch (data[0] % 5) {
    case 0: framing(input); break;
    case 1: metadata(as_text(input)); break;
    case 2: trailers(as_text(input)); break;
    case 3: timeouts(as_text(input)); break;
    default: details(as_text(input)); break;
  }
  return 0;
}
