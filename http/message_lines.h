#pragma once

#include <array>
#include <cstddef>
#include <string_view>

#include "http/fields.h"
#include "http/message.h"

/// A message's head as the lines of a field section, the same in HTTP/2 (RFC 9113 §8.3) and HTTP/3
/// (RFC 9114 §4.3). Internal to the two.

namespace tern::http {

/// What a line adds to a section's size beside its bytes (RFC 9113 §6.5.2, RFC 9114 §4.2.2).
constexpr std::size_t kLineOverhead = 32;
/// The size of a section with nothing but a `:status`.
constexpr std::size_t kStatusSize = std::string_view(":status").size() + 3 + kLineOverhead;

/// The three digits of a status, without an allocation.
class StatusText {
 public:
  StatusText() noexcept = default;
  explicit StatusText(Status status) noexcept {
    const int number = code(status);
    digits_[0] = static_cast<char>('0' + number / 100 % 10);
    digits_[1] = static_cast<char>('0' + number / 10 % 10);
    digits_[2] = static_cast<char>('0' + number % 10);
  }
  operator std::string_view() const noexcept { return {digits_.data(), digits_.size()}; }

 private:
  std::array<char, 3> digits_{};
};

/// All lines but those that belong to HTTP/1.1 (RFC 9113 §8.2.2, RFC 9114 §4.2).
template <typename OnLine>
void each_line(const Fields& fields, OnLine&& on_line) {
  const bool look = fields.may_be_connection_specific();
  for (const Field field : fields) {
    if (look && Fields::connection_specific(field.name, field.value)) continue;
    on_line(field.name, field.value);
  }
}

/// The lines of a request's head, pseudo-headers first. `priority`: for a `priority` line that
/// `head` does not have itself, unless empty.
template <typename OnLine>
void each_line(const RequestHead& head, std::string_view priority, OnLine&& on_line) {
  const bool plain_connect = head.method == "CONNECT" && head.protocol.empty();
  on_line(":method", head.method);
  if (!plain_connect) on_line(":scheme", head.scheme);
  on_line(":authority", head.authority);
  if (!plain_connect) on_line(":path", head.path);
  if (!head.protocol.empty()) on_line(":protocol", head.protocol);
  each_line(head.fields, on_line);
  if (!priority.empty() && !head.fields.contains("priority")) on_line("priority", priority);
}

/// What `each_line` gives, as the peer's limit counts it.
inline std::size_t section_size(const Fields& fields) {
  std::size_t size = 0;
  each_line(fields, [&size](std::string_view name, std::string_view value) {
    size += name.size() + value.size() + kLineOverhead;
  });
  return size;
}

}  // namespace tern::http
