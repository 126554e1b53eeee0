#include "transport/udp/service_record.h"

#include <algorithm>
#include <cstddef>
#include <cstring>
#include <string_view>
#include <utility>

namespace tern::udp {
namespace {

/// SvcParamKeys (RFC 9460 §14.3.2).
enum Key : std::uint16_t {
  kMandatory = 0,
  kAlpn = 1,
  kNoDefaultAlpn = 2,
  kPort = 3,
  kIpv4Hint = 4,
  kEch = 5,
  kIpv6Hint = 6,
};

constexpr std::size_t kMaxName = 255;

tl::unexpected<Error> malformed(std::string_view what) {
  return fail(Error::invalid("an HTTPS record with " + std::string(what)));
}

std::uint16_t number(ByteView two) noexcept {
  return static_cast<std::uint16_t>(two[0] << 8 | two[1]);
}

/// A name without compression, from the front of `bytes`. Host names alone: what else a label may
/// hold cannot be connected to.
Result<std::string> take_name(ByteView& bytes) {
  std::string name;
  for (;;) {
    if (bytes.empty()) return malformed("a name that does not end");
    const std::size_t length = bytes[0];
    bytes = bytes.subspan(1);
    if (length == 0) return name;
    if (length > 63 || length > bytes.size() || name.size() + length + 1 > kMaxName) {
      return malformed("a name that is none");
    }
    if (!name.empty()) name += '.';
    for (const std::uint8_t byte : bytes.first(length)) {
      const auto c = static_cast<char>(byte >= 'A' && byte <= 'Z' ? byte + 32 : byte);
      const bool plain = (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '-' || c == '_';
      if (!plain) return malformed("a target that is no host name");
      name += c;
    }
    bytes = bytes.subspan(length);
  }
}

bool is_known(std::uint16_t key) noexcept {
  return key == kAlpn || key == kNoDefaultAlpn || key == kPort || key == kIpv4Hint ||
         key == kIpv6Hint;
}

Result<void> read_alpn(ByteView value, ServiceRecord& record) {
  if (value.empty()) return malformed("an empty alpn");
  while (!value.empty()) {
    const std::size_t length = value[0];
    if (length == 0 || length >= value.size()) return malformed("an alpn that is none");
    record.alpn.emplace_back(as_text(value.subspan(1, length)));
    value = value.subspan(1 + length);
  }
  return {};
}

Result<void> read_hints(ByteView value, std::size_t size, ServiceRecord& record) {
  if (value.empty() || value.size() % size != 0) return malformed("hints that are no addresses");
  for (; !value.empty(); value = value.subspan(size)) {
    if (size == 4) {
      const auto high = static_cast<std::uint32_t>(number(value));
      record.hints.push_back(Address::v4(high << 16 | number(value.subspan(2)), 0));
    } else {
      in6_addr ip{};
      std::memcpy(&ip, value.data(), size);
      record.hints.push_back(Address::v6(ip, 0));
    }
  }
  return {};
}

}  // namespace

bool ServiceRecord::offers(std::string_view protocol) const noexcept {
  if (protocol == "http/1.1" && !no_default_alpn) return true;
  return std::find(alpn.begin(), alpn.end(), protocol) != alpn.end();
}

Result<ServiceRecord> parse_service_record(ByteView rdata) {
  if (rdata.size() < 3) return malformed("too few bytes");
  ServiceRecord record;
  record.priority = number(rdata);
  rdata = rdata.subspan(2);
  TERN_TRY(record.target, take_name(rdata));
  if (record.is_alias()) return record;  // §2.4.2: parameters are not looked at
  std::vector<std::uint16_t> keys;
  std::vector<std::uint16_t> mandatory;
  while (!rdata.empty()) {
    if (rdata.size() < 4) return malformed("a parameter that is cut short");
    const std::uint16_t key = number(rdata);
    const std::size_t length = number(rdata.subspan(2));
    rdata = rdata.subspan(4);
    if (length > rdata.size()) return malformed("a parameter that is cut short");
    if (!keys.empty() && key <= keys.back()) return malformed("parameters out of order");
    keys.push_back(key);
    ByteView value = rdata.first(length);
    rdata = rdata.subspan(length);
    Result<void> read;
    switch (key) {
      case kMandatory:
        if (value.empty() || value.size() % 2 != 0) return malformed("a list of keys that is none");
        for (; !value.empty(); value = value.subspan(2)) {
          const std::uint16_t wanted = number(value);
          if (wanted == kMandatory || (!mandatory.empty() && wanted <= mandatory.back())) {
            return malformed("mandatory keys out of order");
          }
          mandatory.push_back(wanted);
        }
        break;
      case kAlpn: read = read_alpn(value, record); break;
      case kNoDefaultAlpn:
        if (!value.empty()) return malformed("a no-default-alpn that says something");
        record.no_default_alpn = true;
        break;
      case kPort:
        if (value.size() != 2 || number(value) == 0) return malformed("a port that is none");
        record.port = number(value);
        break;
      case kIpv4Hint: read = read_hints(value, 4, record); break;
      case kIpv6Hint: read = read_hints(value, 16, record); break;
      default: break;  // ech, too: there is no Encrypted Client Hello here
    }
    if (!read) return fail(std::move(read).error());
  }
  if (record.no_default_alpn && record.alpn.empty()) return malformed("no protocol at all");
  for (const std::uint16_t key : mandatory) {
    if (std::find(keys.begin(), keys.end(), key) == keys.end()) {
      return malformed("a mandatory key that is not there");
    }
    record.usable = record.usable && is_known(key);
  }
  return record;
}

}  // namespace tern::udp
