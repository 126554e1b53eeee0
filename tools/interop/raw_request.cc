#include "tools/interop/raw_request.h"

#include <algorithm>
#include <cstdint>
#include <vector>

#include "base/varint.h"

namespace tern::interop {
namespace {

constexpr std::uint64_t kHeadersFrame = 0x01;

void put_varint(std::vector<std::uint8_t>& out, std::uint64_t value) {
  std::uint8_t encoded[kMaxVarintSize];
  std::uint8_t* const end = write_varint(encoded, value);
  out.insert(out.end(), encoded, end);
}

/// RFC 9114: 0x21 + 0x1f N.
std::uint64_t reserved_type(Random& random) { return 0x21 + 0x1f * random.below(1U << 20); }

/// An integer with an N-bit prefix (RFC 7541 §5.1); `flags` are the bits above it.
void put_prefixed(std::vector<std::uint8_t>& out, std::uint8_t flags, unsigned bits,
                  std::size_t value) {
  const std::size_t most = (std::size_t{1} << bits) - 1;
  if (value < most) {
    out.push_back(static_cast<std::uint8_t>(flags | value));
    return;
  }
  out.push_back(static_cast<std::uint8_t>(flags | most));
  for (value -= most; value >= 0x80; value >>= 7) {
    out.push_back(static_cast<std::uint8_t>(0x80 | (value & 0x7f)));
  }
  out.push_back(static_cast<std::uint8_t>(value));
}

/// A literal value with the name of an entry of the static table (RFC 9204 §4.5.4).
void put_field(std::vector<std::uint8_t>& out, std::size_t name_index, std::string_view value) {
  put_prefixed(out, 0x50, 4, name_index);
  put_prefixed(out, 0x00, 7, value.size());
  out.insert(out.end(), value.begin(), value.end());
}

}  // namespace

Bytes reserved_stream(Random& random) {
  std::vector<std::uint8_t> out;
  put_varint(out, reserved_type(random));
  out.insert(out.end(), {'t', 'e', 'r', 'n'});
  return Bytes::take(std::move(out));
}

Bytes request_after_reserved_frame(Random& random, std::string_view authority,
                                   std::string_view target, std::string_view user_agent) {
  // Entries of the static table (RFC 9204 Appendix A).
  constexpr std::uint8_t kIndexed = 0xc0;
  constexpr std::size_t kAuthority = 0, kPath = 1, kMethodGet = 17, kSchemeHttps = 23;
  constexpr std::size_t kUserAgent = 95;
  std::vector<std::uint8_t> section = {0x00, 0x00};  // no dynamic table
  put_prefixed(section, kIndexed, 6, kMethodGet);
  put_prefixed(section, kIndexed, 6, kSchemeHttps);
  put_field(section, kAuthority, authority);
  put_field(section, kPath, target);
  put_field(section, kUserAgent, user_agent);

  std::vector<std::uint8_t> out;
  put_varint(out, reserved_type(random));
  put_varint(out, 8);
  std::uint8_t noise[8];
  random.fill(noise);
  out.insert(out.end(), noise, noise + sizeof noise);
  put_varint(out, kHeadersFrame);
  put_varint(out, section.size());
  out.insert(out.end(), section.begin(), section.end());
  return Bytes::take(std::move(out));
}

bool has_headers_frame(ByteView stream) noexcept {
  while (!stream.empty()) {
    const auto type = read_varint(stream);
    if (!type) return false;
    stream = stream.subspan(type->size);
    const auto length = read_varint(stream);
    if (!length) return false;
    if (type->value == kHeadersFrame) return true;
    stream = stream.subspan(length->size);
    stream = stream.subspan(std::min<std::uint64_t>(length->value, stream.size()));
  }
  return false;
}

}  // namespace tern::interop
