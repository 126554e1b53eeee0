#include "rpc/metadata.h"

#include <algorithm>
#include <array>
#include <charconv>
#include <cstdint>

#include "base/ascii.h"

namespace tern::rpc {

namespace {

constexpr std::string_view kStandard =
    "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
constexpr std::string_view kUrl =
    "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
constexpr std::uint8_t kNoDigit = 0xff;

constexpr std::array<std::uint8_t, 256> kDigits = [] {
  std::array<std::uint8_t, 256> digits{};
  digits.fill(kNoDigit);
  for (const std::string_view alphabet : {kStandard, kUrl}) {
    for (std::size_t i = 0; i < alphabet.size(); ++i) {
      digits[static_cast<unsigned char>(alphabet[i])] = static_cast<std::uint8_t>(i);
    }
  }
  return digits;
}();

constexpr std::array kReserved = {
    std::string_view("accept"),
    std::string_view("accept-encoding"),
    std::string_view("connect-accept-encoding"),
    std::string_view("connect-content-encoding"),
    std::string_view("connect-protocol-version"),
    std::string_view("connect-timeout-ms"),
    std::string_view("connection"),
    std::string_view("content-encoding"),
    std::string_view("content-length"),
    std::string_view("content-type"),
    std::string_view("date"),
    std::string_view("early-data"),
    std::string_view("expect"),
    std::string_view("host"),
    std::string_view("keep-alive"),
    std::string_view("priority"),
    std::string_view("proxy-connection"),
    std::string_view("te"),
    std::string_view("trailer"),
    std::string_view("transfer-encoding"),
    std::string_view("upgrade"),
};
static_assert(std::is_sorted(kReserved.begin(), kReserved.end()));

bool is_lower(std::string_view key) noexcept {
  return std::none_of(key.begin(), key.end(), [](char c) { return c >= 'A' && c <= 'Z'; });
}

}  // namespace

// ---- base64 and percent -------------------------------------------------------------------------

std::string to_base64(std::string_view bytes, bool padded, bool url) {
  const std::string_view alphabet = url ? kUrl : kStandard;
  std::string text;
  text.reserve((bytes.size() + 2) / 3 * 4);
  for (std::size_t i = 0; i < bytes.size(); i += 3) {
    const std::size_t count = std::min<std::size_t>(3, bytes.size() - i);
    std::uint32_t group = 0;
    for (std::size_t j = 0; j < 3; ++j) {
      group = group << 8 | (j < count ? static_cast<unsigned char>(bytes[i + j]) : 0U);
    }
    for (std::size_t j = 0; j <= count; ++j) text += alphabet[group >> (18 - 6 * j) & 63];
    if (padded) text.append(3 - count, '=');
  }
  return text;
}

bool from_base64(std::string_view text, std::string& bytes) {
  std::size_t size = text.size();
  if (size % 4 == 0) {  // padding, if any, makes it so
    for (int i = 0; i < 2 && size > 0 && text[size - 1] == '='; ++i) --size;
  }
  if (size % 4 == 1) return false;
  bytes.reserve(bytes.size() + size / 4 * 3 + 2);
  std::uint32_t group = 0;
  int bits = 0;
  for (std::size_t i = 0; i < size; ++i) {
    const std::uint8_t digit = kDigits[static_cast<unsigned char>(text[i])];
    if (digit == kNoDigit) return false;
    group = group << 6 | digit;
    bits += 6;
    if (bits >= 8) {
      bits -= 8;
      bytes += static_cast<char>(group >> bits & 0xff);
    }
  }
  return true;
}

std::string encode_message(std::string_view text) {
  constexpr std::string_view kHex = "0123456789ABCDEF";
  std::string value;
  value.reserve(text.size());
  for (const char c : text) {
    const auto byte = static_cast<unsigned char>(c);
    if (byte >= 0x20 && byte <= 0x7e && c != '%') {
      value += c;
    } else {
      value += '%';
      value += kHex[byte >> 4];
      value += kHex[byte & 15];
    }
  }
  // HTTP trims blanks around a field value (RFC 9110 §5.5), so those are encoded too.
  if (!value.empty() && value.back() == ' ') value.replace(value.size() - 1, 1, "%20");
  if (!value.empty() && value.front() == ' ') value.replace(0, 1, "%20");
  return value;
}

std::string decode_message(std::string_view value) {
  std::string text;
  text.reserve(value.size());
  for (std::size_t i = 0; i < value.size(); ++i) {
    if (value[i] == '%' && i + 2 < value.size()) {
      const int high = ascii::hex_value(value[i + 1]);
      const int low = ascii::hex_value(value[i + 2]);
      if (high >= 0 && low >= 0) {
        text += static_cast<char>(high << 4 | low);
        i += 2;
        continue;
      }
    }
    text += value[i];
  }
  return text;
}

// ---- metadata -----------------------------------------------------------------------------------

bool Metadata::is_reserved(std::string_view key) noexcept {
  return key.starts_with("grpc-") || key.starts_with(':') ||
         std::binary_search(kReserved.begin(), kReserved.end(), key);
}

bool Metadata::valid_key(std::string_view key) noexcept {
  const auto allowed = [](char c) {
    return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') || c == '_' || c == '-' || c == '.';
  };
  return !key.empty() && std::all_of(key.begin(), key.end(), allowed) && !is_reserved(key);
}

bool Metadata::valid_value(std::string_view key, std::string_view value) noexcept {
  if (is_binary(key)) return true;
  return ascii::trimmed(value).size() == value.size() &&
         std::all_of(value.begin(), value.end(), [](char c) { return c >= 0x20 && c <= 0x7e; });
}

Result<Metadata> Metadata::from(const http::Fields& fields) {
  Metadata metadata;
  for (const http::Field field : fields) {
    if (is_reserved(field.name)) continue;
    if (!is_binary(field.name)) {
      metadata.entries_.push_back({std::string(field.name), std::string(field.value)});
      continue;
    }
    std::string_view rest = field.value;
    for (;;) {
      const auto comma = rest.find(',');
      Entry entry{std::string(field.name), {}};
      if (!from_base64(ascii::trimmed(rest.substr(0, comma)), entry.value)) {
        return fail(Code::internal, "metadata " + entry.key + " is not base64");
      }
      metadata.entries_.push_back(std::move(entry));
      if (comma == std::string_view::npos) break;
      rest.remove_prefix(comma + 1);
    }
  }
  return metadata;
}

void Metadata::add_to(http::Fields& fields, std::string_view prefix) const {
  std::string name;
  for (const Entry& entry : entries_) {
    std::string_view key = entry.key;
    if (!prefix.empty()) key = name.assign(prefix).append(entry.key);
    if (is_binary(entry.key)) {
      fields.add_lower(key, to_base64(entry.value));
    } else {
      fields.add_lower(key, entry.value);
    }
  }
}

bool Metadata::add(std::string_view key, std::string_view value) {
  std::string name(key);
  if (!is_lower(key)) {
    for (char& c : name) c = c >= 'A' && c <= 'Z' ? static_cast<char>(c | 0x20) : c;
  }
  if (!valid_key(name) || !valid_value(name, value)) return false;
  entries_.push_back({std::move(name), std::string(value)});
  return true;
}

void Metadata::remove(std::string_view key) {
  std::erase_if(entries_, [key](const Entry& entry) { return entry.key == key; });
}

std::optional<std::string_view> Metadata::find(std::string_view key) const noexcept {
  for (const Entry& entry : entries_) {
    if (entry.key == key) return entry.value;
  }
  return std::nullopt;
}

std::vector<std::string_view> Metadata::all(std::string_view key) const {
  std::vector<std::string_view> values;
  for (const Entry& entry : entries_) {
    if (entry.key == key) values.push_back(entry.value);
  }
  return values;
}

// ---- a status in trailers -----------------------------------------------------------------------

void add_status(http::Fields& fields, const Status& status) {
  std::array<char, 4> digits;
  const auto written = std::to_chars(digits.data(), digits.data() + digits.size(),
                                     static_cast<unsigned>(status.code()));
  fields.add_lower(
      "grpc-status",
      std::string_view(digits.data(), static_cast<std::size_t>(written.ptr - digits.data())));
  if (!status.message().empty()) {
    fields.add_lower("grpc-message", encode_message(status.message()));
  }
  if (!status.details().empty()) {
    fields.add_lower("grpc-status-details-bin", to_base64(serialise(status)));
  }
}

std::optional<Status> find_status(const http::Fields& fields) {
  const auto number = fields.find("grpc-status");
  if (!number) return std::nullopt;
  unsigned value = 0;
  const auto read = std::from_chars(number->data(), number->data() + number->size(), value);
  const bool known =
      read.ec == std::errc() && read.ptr == number->data() + number->size() && value < kCodes;
  const Code code = known ? static_cast<Code>(value) : Code::unknown;
  if (code == Code::ok) return Status();
  std::string message = decode_message(fields.find("grpc-message").value_or(std::string_view()));
  if (!known && message.empty()) message = "grpc-status \"" + std::string(*number) + "\"";
  Status status(code, std::move(message));
  if (const auto details = fields.find("grpc-status-details-bin")) {
    std::string bytes;
    if (from_base64(*details, bytes)) {
      // The code and the message are the trailers'; a proxy may have rewritten them.
      if (const auto rich = parse_status(bytes)) {
        for (const Detail& detail : rich->details()) status.detail(detail);
      }
    }
  }
  return status;
}

}  // namespace tern::rpc
