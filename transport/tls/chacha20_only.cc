#include <cstring>

#include "transport/tls/handshake_state.h"

namespace tern::tls {
namespace {

constexpr std::uint8_t kSuite[2] = {0x13, 0x03};
constexpr std::uint8_t kEmptyPadding[4] = {0x00, 0x15, 0x00, 0x00};  // RFC 7685

std::size_t read16(const std::uint8_t* at) noexcept {
  return static_cast<std::size_t>(at[0]) << 8 | at[1];
}

}  // namespace

bool offer_only_chacha20(MutableBytes hello) noexcept {
  // msg_type(1) length(3) version(2) random(32) session_id<0..32> cipher_suites<2..>
  // compression_methods<1..> extensions<..> (RFC 8446 §4.1.2)
  std::size_t at = 4 + 2 + 32;
  if (hello.size() < at + 1 || hello[0] != 1) return false;
  at += 1 + hello[at];
  if (hello.size() < at + 2) return false;
  std::uint8_t* const suites_length = &hello[at];
  const std::size_t length = read16(suites_length);
  at += 2;
  if (hello.size() < at + length + 1) return false;
  std::uint8_t* const suites = &hello[at];
  if (length == 2) return std::memcmp(suites, kSuite, 2) == 0;
  if (length != 6) return false;  // exactly the three suites of TLS 1.3: 4 bytes to fill
  at += length;
  at += 1 + hello[at];
  if (hello.size() < at + 2) return false;
  const std::size_t extensions = read16(&hello[at]);
  if (hello.size() != at + 2 + extensions || extensions + sizeof(kEmptyPadding) > 0xffff)
    return false;

  suites_length[0] = 0;
  suites_length[1] = 2;
  std::memcpy(suites, kSuite, 2);
  std::memmove(suites + 2, suites + 6,
               static_cast<std::size_t>(hello.data() + hello.size() - (suites + 6)));
  std::uint8_t* const extensions_length = &hello[at - 4];
  extensions_length[0] = static_cast<std::uint8_t>((extensions + 4) >> 8);
  extensions_length[1] = static_cast<std::uint8_t>(extensions + 4);
  std::memcpy(hello.data() + hello.size() - 4, kEmptyPadding, sizeof(kEmptyPadding));
  return true;
}

}  // namespace tern::tls
