#include "http/date.h"

#include <algorithm>
#include <chrono>
#include <cstdint>

namespace tern::http {

namespace {

constexpr std::string_view kDays = "SunMonTueWedThuFriSat";
constexpr std::string_view kMonths = "JanFebMarAprMayJunJulAugSepOctNovDec";
constexpr std::array<std::string_view, 7> kLongDays = {"Sunday",   "Monday", "Tuesday", "Wednesday",
                                                       "Thursday", "Friday", "Saturday"};
constexpr UnixSeconds kDaySeconds = 86400;
constexpr UnixSeconds kFirst = -62167219200;  // 0000-01-01T00:00:00Z
constexpr UnixSeconds kLast = 253402300799;   // 9999-12-31T23:59:59Z

struct Civil {
  int year;
  unsigned month;  // 1 to 12
  unsigned day;
  unsigned weekday;  // 0 is Sunday
  unsigned second_of_day;
};

Civil civil(UnixSeconds seconds) noexcept {
  seconds = std::clamp(seconds, kFirst, kLast);
  UnixSeconds days = seconds / kDaySeconds;
  UnixSeconds rest = seconds % kDaySeconds;
  if (rest < 0) {
    rest += kDaySeconds;
    --days;
  }
  const std::chrono::sys_days date{std::chrono::days(days)};
  const std::chrono::year_month_day parts(date);
  Civil result;
  result.year = static_cast<int>(parts.year());
  result.month = static_cast<unsigned>(parts.month());
  result.day = static_cast<unsigned>(parts.day());
  result.weekday = std::chrono::weekday(date).c_encoding();
  result.second_of_day = static_cast<unsigned>(rest);
  return result;
}

char* put2(char* out, unsigned value) noexcept {
  *out++ = static_cast<char>('0' + value / 10 % 10);
  *out++ = static_cast<char>('0' + value % 10);
  return out;
}

char* put4(char* out, unsigned value) noexcept { return put2(put2(out, value / 100), value % 100); }

char* put(char* out, std::string_view text) noexcept {
  return std::copy(text.begin(), text.end(), out);
}

char* put_time(char* out, unsigned second_of_day) noexcept {
  out = put2(out, second_of_day / 3600);
  *out++ = ':';
  out = put2(out, second_of_day / 60 % 60);
  *out++ = ':';
  return put2(out, second_of_day % 60);
}

/// Reads fixed layouts; the first mismatch makes everything after it fail.
class Reader {
 public:
  explicit Reader(std::string_view text) noexcept : text_(text) {}

  void literal(std::string_view wanted) noexcept {
    if (!text_.starts_with(wanted)) ok_ = false;
    if (ok_) text_.remove_prefix(wanted.size());
  }
  unsigned digits(std::size_t count) noexcept {
    unsigned value = 0;
    if (text_.size() < count) ok_ = false;
    for (std::size_t i = 0; ok_ && i < count; ++i) {
      if (text_[i] < '0' || text_[i] > '9') {
        ok_ = false;
      } else {
        value = value * 10 + static_cast<unsigned>(text_[i] - '0');
      }
    }
    if (ok_) text_.remove_prefix(count);
    return value;
  }
  /// asctime's day of the month: two places, the first may be a space.
  unsigned padded_day() noexcept {
    if (!text_.starts_with(' ')) return digits(2);
    text_.remove_prefix(1);
    return digits(1);
  }
  /// 0-based place of a three-letter name in `names`.
  unsigned name(std::string_view names) noexcept {
    const std::size_t at =
        text_.size() < 3 ? std::string_view::npos : names.find(text_.substr(0, 3));
    if (at == std::string_view::npos || at % 3 != 0) ok_ = false;
    if (!ok_) return 0;
    text_.remove_prefix(3);
    return static_cast<unsigned>(at / 3);
  }
  unsigned time_of_day() noexcept {
    const unsigned hour = digits(2);
    literal(":");
    const unsigned minute = digits(2);
    literal(":");
    const unsigned second = digits(2);
    if (hour > 23 || minute > 59 || second > 60) ok_ = false;  // 60: a leap second
    return hour * 3600 + minute * 60 + second;
  }
  bool done() const noexcept { return ok_ && text_.empty(); }

 private:
  std::string_view text_;
  bool ok_ = true;
};

std::optional<UnixSeconds> seconds_of(unsigned year, unsigned month, unsigned day,
                                      unsigned second_of_day) noexcept {
  const std::chrono::year_month_day date{std::chrono::year(static_cast<int>(year)),
                                         std::chrono::month(month), std::chrono::day(day)};
  if (!date.ok()) return std::nullopt;
  return std::chrono::sys_days(date).time_since_epoch().count() * kDaySeconds + second_of_day;
}

std::optional<UnixSeconds> parse_fixdate(std::string_view text) noexcept {
  Reader reader(text);
  reader.name(kDays);
  reader.literal(", ");
  const unsigned day = reader.digits(2);
  reader.literal(" ");
  const unsigned month = reader.name(kMonths) + 1;
  reader.literal(" ");
  const unsigned year = reader.digits(4);
  reader.literal(" ");
  const unsigned time = reader.time_of_day();
  reader.literal(" GMT");
  if (!reader.done()) return std::nullopt;
  return seconds_of(year, month, day, time);
}

std::optional<UnixSeconds> parse_rfc850(std::string_view text, UnixSeconds now) noexcept {
  const std::size_t comma = text.find(',');
  const std::string_view weekday = text.substr(0, comma);
  if (std::find(kLongDays.begin(), kLongDays.end(), weekday) == kLongDays.end()) {
    return std::nullopt;
  }
  Reader reader(text.substr(weekday.size()));
  reader.literal(", ");
  const unsigned day = reader.digits(2);
  reader.literal("-");
  const unsigned month = reader.name(kMonths) + 1;
  reader.literal("-");
  const unsigned short_year = reader.digits(2);
  reader.literal(" ");
  const unsigned time = reader.time_of_day();
  reader.literal(" GMT");
  if (!reader.done()) return std::nullopt;
  const auto this_year = static_cast<unsigned>(civil(now).year);
  unsigned year = this_year / 100 * 100 + short_year;
  if (year > this_year + 50) {
    year -= 100;
  } else if (year + 50 <= this_year) {
    year += 100;
  }
  return seconds_of(year, month, day, time);
}

std::optional<UnixSeconds> parse_asctime(std::string_view text) noexcept {
  Reader reader(text);
  reader.name(kDays);
  reader.literal(" ");
  const unsigned month = reader.name(kMonths) + 1;
  reader.literal(" ");
  const unsigned day = reader.padded_day();
  reader.literal(" ");
  const unsigned time = reader.time_of_day();
  reader.literal(" ");
  const unsigned year = reader.digits(4);
  if (!reader.done()) return std::nullopt;
  return seconds_of(year, month, day, time);
}

}  // namespace

HttpDate::HttpDate(UnixSeconds seconds) noexcept {
  const Civil date = civil(seconds);
  char* out = text_.data();
  out = put(out, kDays.substr(date.weekday * 3, 3));
  out = put(out, ", ");
  out = put2(out, date.day);
  *out++ = ' ';
  out = put(out, kMonths.substr((date.month - 1) * 3, 3));
  *out++ = ' ';
  out = put4(out, static_cast<unsigned>(date.year));
  *out++ = ' ';
  out = put_time(out, date.second_of_day);
  put(out, " GMT");
}

std::optional<UnixSeconds> parse_http_date(std::string_view text, UnixSeconds now) noexcept {
  if (text.size() < 4) return std::nullopt;
  if (text[3] == ',') return parse_fixdate(text);
  if (text[3] == ' ') return parse_asctime(text);
  return parse_rfc850(text, now);
}

Rfc3339::Rfc3339(UnixSeconds seconds) noexcept {
  const Civil date = civil(seconds);
  char* out = put4(text_.data(), static_cast<unsigned>(date.year));
  *out++ = '-';
  out = put2(out, date.month);
  *out++ = '-';
  out = put2(out, date.day);
  *out++ = 'T';
  out = put_time(out, date.second_of_day);
  *out = 'Z';
}

}  // namespace tern::http
