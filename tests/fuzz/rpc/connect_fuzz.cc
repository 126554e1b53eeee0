// Connect: errors, ends of streams, queries, and the envelopes around them. What is read is written
// and read again the same. Input: a byte that says what it is, then it.

#include <cstddef>
#include <cstdint>
#include <string>

#include "base/check.h"
#include "rpc/connect.h"
#include "rpc/envelope.h"

using namespace tern;
using namespace tern::rpc;

namespace {

void error(std::string_view json) {
  const Status status = parse_connect_error(json, rpc::Code::internal);
  TERN_CHECK(!status.ok());
  TERN_CHECK(parse_connect_error(connect_error(status), rpc::Code::unknown) == status);
}

void end(std::string_view json) {
  const auto read = parse_connect_end(json);
  if (!read) return;
  const auto again = parse_connect_end(connect_end(read->status, read->trailers));
  TERN_CHECK(again.has_value() && again->status == read->status);
  TERN_CHECK(again->trailers.size() == read->trailers.size());
}

void query(std::string_view text) {
  const auto read = parse_connect_query(text);
  if (!read) return;
  const auto again = parse_connect_query(to_string(*read));
  TERN_CHECK(again.has_value() && again->message == read->message);
  TERN_CHECK(again->codec == read->codec && again->coding == read->coding);
}

void envelopes(ByteView body) {
  EnvelopeReader reader(256);
  reader.push(Bytes::copy(body));
  for (;;) {
    const auto next = reader.next();
    if (!next || !*next) return;
    TERN_CHECK((*next)->payload.size() <= 256);
    if ((*next)->flags == kConnectEnd) end((*next)->payload.text());
  }
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  if (size == 0) return 0;
  const ByteView rest(data + 1, size - 1);
  switch (data[0] % 4) {
    case 0: error(as_text(rest)); break;
    case 1: end(as_text(rest)); break;
    case 2: query(as_text(rest)); break;
    default: envelopes(rest); break;
  }
  return 0;
}
