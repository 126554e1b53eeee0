// What another process of the server says while it hands over. What is read is written and read
// again the same. Input: a message.

#include <cstddef>
#include <cstdint>
#include <vector>

#include "base/bytes.h"
#include "base/check.h"
#include "gateway/handover_message.h"

namespace {

using namespace tern;
using namespace tern::handover;

void datagram(ByteView message) {
  const auto read = read_datagram(message);
  if (!read) return;
  TERN_CHECK(!read->bytes.empty());
  const auto head = datagram_head(read->path, read->ecn);
  std::vector<std::uint8_t> written(head.begin(), head.end());
  written.insert(written.end(), read->bytes.begin(), read->bytes.end());
  const auto again = read_datagram(written);
  TERN_CHECK(again && again->path == read->path && again->ecn == read->ecn);
  TERN_CHECK(as_text(again->bytes) == as_text(read->bytes));
}

void addresses(ByteView message) {
  const auto read = read_addresses(message);
  TERN_CHECK(read_addresses(addresses_message(Kind::ready, read)) == read);
}

void handshakes(ByteView message) {
  std::vector<quic::ConnectionId> cids;
  read_handshakes(message, cids);
  std::vector<quic::ConnectionId> again;
  for (const auto& written : handshake_messages(cids)) {
    TERN_CHECK(kind_of(written) == Kind::handshakes);
    read_handshakes(written, again);
  }
  TERN_CHECK(again == cids);
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const ByteView message(data, size);
  if (const auto kind = kind_of(message)) {
    TERN_CHECK(as_text(handover::message(*kind, message.subspan(1))) == as_text(message));
  }
  datagram(message);
  addresses(message);
  handshakes(message);
  return 0;
}
