#include "rpc/timeout.h"

#include <algorithm>
#include <array>
#include <cstdint>

namespace tern::rpc {

namespace {

constexpr std::size_t kGrpcDigits = 8;
constexpr std::size_t kConnectDigits = 10;
constexpr std::int64_t kMillisecond = 1'000'000;

struct Unit {
  char name;
  std::int64_t nanoseconds;
};
constexpr std::array kUnits = {
    Unit{'n', 1},
    Unit{'u', 1'000},
    Unit{'m', kMillisecond},
    Unit{'S', 1'000'000'000},
    Unit{'M', 60'000'000'000},
    Unit{'H', 3'600'000'000'000},
};

std::optional<std::int64_t> parse_digits(std::string_view digits, std::size_t most) noexcept {
  if (digits.empty() || digits.size() > most) return std::nullopt;
  std::int64_t value = 0;
  for (const char c : digits) {
    if (c < '0' || c > '9') return std::nullopt;
    value = value * 10 + (c - '0');
  }
  return value;
}

Duration times(std::int64_t count, std::int64_t nanoseconds) noexcept {
  if (count > Duration::max().count() / nanoseconds) return Duration::max();
  return Duration(count * nanoseconds);
}

constexpr std::int64_t power_of_ten(std::size_t digits) noexcept {
  std::int64_t power = 1;
  for (std::size_t i = 0; i < digits; ++i) power *= 10;
  return power;
}

std::int64_t rounded_up(Duration timeout, std::int64_t nanoseconds) noexcept {
  const std::int64_t count = std::max<std::int64_t>(timeout.count(), 0);
  return count / nanoseconds + (count % nanoseconds != 0 ? 1 : 0);
}

}  // namespace

std::optional<Duration> parse_grpc_timeout(std::string_view value) noexcept {
  if (value.empty()) return std::nullopt;
  const auto count = parse_digits(value.substr(0, value.size() - 1), kGrpcDigits);
  if (!count) return std::nullopt;
  for (const Unit& unit : kUnits) {
    if (unit.name == value.back()) return times(*count, unit.nanoseconds);
  }
  return std::nullopt;
}

std::string format_grpc_timeout(Duration timeout) {
  for (const Unit& unit : kUnits) {
    const std::int64_t count = rounded_up(timeout, unit.nanoseconds);
    if (count < power_of_ten(kGrpcDigits)) return std::to_string(count) + unit.name;
  }
  return "99999999H";  // unreachable: a Duration is less than three million hours
}

std::optional<Duration> parse_connect_timeout(std::string_view value) noexcept {
  const auto count = parse_digits(value, kConnectDigits);
  if (!count) return std::nullopt;
  return times(*count, kMillisecond);
}

std::string format_connect_timeout(Duration timeout) {
  return std::to_string(
      std::min(rounded_up(timeout, kMillisecond), power_of_ten(kConnectDigits) - 1));
}

}  // namespace tern::rpc
