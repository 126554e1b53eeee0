// Datagrams as an attacker off the path sends them: the first byte chooses the Retry policy, then
// each datagram is a 2-byte length and its bytes; length 0 lets time pass.

#include <algorithm>

#include "tests/fuzz/quic/fuzz_endpoint.h"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  if (size < 1) return 0;
  tern::quic::fuzz::FuzzEndpoint server((data[0] & 1) != 0 ? tern::quic::RetryPolicy::always
                                                           : tern::quic::RetryPolicy::never);
  std::size_t at = 1;
  while (at + 2 <= size) {
    const std::size_t wanted = static_cast<std::size_t>(data[at]) << 8 | data[at + 1];
    at += 2;
    const std::size_t length = std::min(wanted, size - at);
    if (length == 0) {
      server.wait();
    } else {
      server.feed({data + at, length});
    }
    at += length;
  }
  return 0;
}
