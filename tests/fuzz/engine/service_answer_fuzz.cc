// DNS responses with HTTPS records: what is read can be connected to. Input: the message.

#include <cstddef>
#include <cstdint>

#include "base/bytes.h"
#include "base/check.h"
#include "transport/engine/service_resolver.h"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const auto answer = tern::engine::read_service_answer(tern::ByteView(data, size));
  if (answer) {
    std::uint16_t before = 0;
    for (const tern::udp::ServiceRecord& record : answer->records) {
      TERN_CHECK(record.priority >= before && record.target.size() <= 255);
      before = record.priority;
      for (const char c : record.target) TERN_CHECK(c > ' ' && c < 0x7f);
      for (const std::string& protocol : record.alpn) TERN_CHECK(!protocol.empty());
      TERN_CHECK(!record.port || *record.port != 0);
    }
  }
  // The same bytes as one record's.
  static_cast<void>(tern::udp::parse_service_record(tern::ByteView(data, size)));
  return 0;
}
