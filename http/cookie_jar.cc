#include "http/cookie_jar.h"

#include <algorithm>
#include <array>
#include <cerrno>
#include <charconv>
#include <fstream>
#include <libpsl.h>
#include <sstream>
#include <utility>
#include <vector>

#include "base/ascii.h"
#include "transport/tls/private_file.h"
#include "transport/udp/address.h"

namespace tern::http {
namespace {

constexpr std::size_t kMaxFile = 16'000'000;

bool starts_with_any_case(std::string_view text, std::string_view prefix) noexcept {
  return text.size() >= prefix.size() &&
         std::equal(prefix.begin(), prefix.end(), text.begin(),
                    [](char a, char b) { return ascii::lower(a) == ascii::lower(b); });
}

/// §5.1.3
bool domain_matches(std::string_view host, std::string_view domain) noexcept {
  if (host == domain) return true;
  return host.size() > domain.size() && host.ends_with(domain) &&
         host[host.size() - domain.size() - 1] == '.' &&
         !udp::Address::parse_ip(host, 0).has_value();
}

/// §5.1.4
bool path_matches(std::string_view path, std::string_view cookie) noexcept {
  if (!path.starts_with(cookie)) return false;
  return path.size() == cookie.size() || cookie.ends_with('/') || path[cookie.size()] == '/';
}

std::string default_path(const std::string& path) {
  const std::size_t slash = path.rfind('/');
  return slash == 0 || slash == std::string::npos ? "/" : path.substr(0, slash);
}

bool has_control_character(std::string_view text, bool tab_allowed) noexcept {
  return std::any_of(text.begin(), text.end(), [&](char c) {
    const auto byte = static_cast<unsigned char>(c);
    return (byte < 0x20 && !(tab_allowed && c == '\t')) || byte == 0x7f;
  });
}

std::optional<std::int64_t> seconds_in(std::string_view text) noexcept {
  std::int64_t value = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (end != text.data() + text.size() || error == std::errc::invalid_argument) {
    return std::nullopt;
  }
  if (error == std::errc::result_out_of_range) {
    return text.starts_with('-') ? INT64_MIN : INT64_MAX;
  }
  return value;
}

/// Days from 1970-01-01 (proleptic Gregorian).
std::int64_t days_of(std::int64_t year, unsigned month, unsigned day) noexcept {
  year -= month <= 2 ? 1 : 0;
  const std::int64_t era = year / 400;
  const auto of_era = static_cast<std::int64_t>(year - era * 400);
  const std::int64_t of_year = (153 * (month > 2 ? month - 3 : month + 9) + 2) / 5 + day - 1;
  return era * 146097 + of_era * 365 + of_era / 4 - of_era / 100 + of_year - 719468;
}

/// `least` to `most` digits at the beginning, with no digit behind.
std::optional<int> leading_number(std::string_view text, std::size_t least, std::size_t most,
                                  std::size_t* used = nullptr) noexcept {
  std::size_t count = 0;
  int value = 0;
  while (count < text.size() && count <= most && ascii::is_digit(text[count])) {
    value = value * 10 + (text[count++] - '0');
  }
  if (count < least || count > most) return std::nullopt;
  if (used != nullptr) *used = count;
  return value;
}

struct Attributes {
  std::optional<std::string> domain;
  std::optional<std::string> path;
  std::optional<UnixSeconds> expires;
  std::optional<std::int64_t> max_age;
  bool secure = false;
  bool http_only = false;
};

Attributes read_attributes(std::string_view text) {
  Attributes out;
  while (!text.empty()) {
    const std::size_t end = std::min(text.find(';'), text.size());
    const std::string_view part = text.substr(0, end);
    text.remove_prefix(std::min(end + 1, text.size()));
    const std::size_t equals = part.find('=');
    const std::string name = ascii::lower_case(ascii::trimmed(part.substr(0, equals)));
    const std::string_view value = equals == std::string_view::npos
                                       ? std::string_view()
                                       : ascii::trimmed(part.substr(equals + 1));
    if (value.size() > CookieJar::kMaxAttribute) continue;
    if (name == "domain") {
      if (!value.empty())
        out.domain = ascii::lower_case(value.substr(value.front() == '.' ? 1 : 0));
    } else if (name == "path") {
      out.path = value.starts_with('/') ? std::optional<std::string>(value) : std::nullopt;
    } else if (name == "expires") {
      if (const auto date = parse_cookie_date(value)) out.expires = date;
    } else if (name == "max-age") {
      const bool plain = !value.empty() && (ascii::is_digit(value[0]) || value[0] == '-');
      if (const auto age = plain ? seconds_in(value) : std::nullopt) out.max_age = age;
    } else if (name == "secure") {
      out.secure = true;
    } else if (name == "httponly") {
      out.http_only = true;
    }
  }
  return out;
}

/// §5.7 steps 20, 21: what the prefixes promise.
bool keeps_its_prefix(const Cookie& cookie, bool has_path) noexcept {
  const std::string_view named = cookie.name.empty() ? cookie.value : cookie.name;
  const bool secure = starts_with_any_case(named, "__Secure-");
  const bool host = starts_with_any_case(named, "__Host-");
  if (!secure && !host) return true;
  if (cookie.name.empty() || !cookie.secure) return false;
  return !host || (cookie.host_only && has_path && cookie.path == "/");
}

}  // namespace

std::optional<UnixSeconds> parse_cookie_date(std::string_view text) {
  static constexpr std::array<std::string_view, 12> kMonths = {
      "jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec"};
  const auto is_delimiter = [](char c) {
    const auto byte = static_cast<unsigned char>(c);
    return byte == 0x09 || (byte >= 0x20 && byte <= 0x2f) || (byte >= 0x3b && byte <= 0x40) ||
           (byte >= 0x5b && byte <= 0x60) || (byte >= 0x7b && byte <= 0x7e);
  };
  std::optional<std::array<int, 3>> time;
  std::optional<int> day;
  std::optional<unsigned> month;
  std::optional<int> year;
  const auto read_time = [](std::string_view token) -> std::optional<std::array<int, 3>> {
    std::array<int, 3> parts{};
    for (std::size_t i = 0; i < 3; ++i) {
      std::size_t used = 0;
      const auto part = leading_number(token, 1, 2, &used);
      if (!part) return std::nullopt;
      parts[i] = *part;
      token.remove_prefix(used);
      if (i == 2) break;
      if (!token.starts_with(':')) return std::nullopt;
      token.remove_prefix(1);
    }
    return parts;
  };
  while (!text.empty()) {
    const auto begin = std::find_if_not(text.begin(), text.end(), is_delimiter);
    const auto end = std::find_if(begin, text.end(), is_delimiter);
    const std::string_view token(begin, end);
    text = std::string_view(end, text.end());
    if (token.empty()) break;
    if (!time) {
      if ((time = read_time(token))) continue;
    }
    if (!day) {
      if ((day = leading_number(token, 1, 2))) continue;
    }
    if (!month) {
      const std::string name = ascii::lower_case(token.substr(0, 3));
      const auto found = std::find(kMonths.begin(), kMonths.end(), name);
      if (found != kMonths.end()) {
        month = static_cast<unsigned>(found - kMonths.begin()) + 1;
        continue;
      }
    }
    if (!year) {
      if ((year = leading_number(token, 2, 4))) continue;
    }
  }
  if (!time || !day || !month || !year) return std::nullopt;
  if (*year >= 70 && *year <= 99) *year += 1900;
  if (*year >= 0 && *year <= 69) *year += 2000;
  const auto [hour, minute, second] = *time;
  static constexpr std::array<int, 12> kDays = {31, 29, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31};
  const bool leap = (*year % 4 == 0 && *year % 100 != 0) || *year % 400 == 0;
  if (*year < 1601 || *day < 1 || *day > kDays[*month - 1] ||
      (*month == 2 && *day == 29 && !leap) || hour > 23 || minute > 59 || second > 59) {
    return std::nullopt;
  }
  return days_of(*year, *month, static_cast<unsigned>(*day)) * 86400 + hour * 3600 + minute * 60 +
         second;
}

// ---- CookieJar ----------------------------------------------------------------------------------

/// The list that the library was built with: it is the same on every machine of a release.
struct CookieJar::PublicSuffixes {
  const psl_ctx_t* list = psl_builtin();
};

CookieJar::CookieJar() : suffixes_(std::make_unique<PublicSuffixes>()) {}

CookieJar::~CookieJar() = default;

bool CookieJar::is_public_suffix(const std::string& domain) const {
  // Without a list every name that has no dot is one.
  if (suffixes_->list == nullptr) return domain.find('.') == std::string::npos;
  return psl_is_public_suffix(suffixes_->list, domain.c_str()) == 1;
}

bool CookieJar::store(const Url& url, std::string_view set_cookie, UnixSeconds now) {
  if (has_control_character(set_cookie, true)) return false;
  const std::size_t end = std::min(set_cookie.find(';'), set_cookie.size());
  const std::string_view pair = set_cookie.substr(0, end);
  const std::size_t equals = pair.find('=');
  Cookie cookie;
  if (equals == std::string_view::npos) {
    cookie.value = ascii::trimmed(pair);
  } else {
    cookie.name = ascii::trimmed(pair.substr(0, equals));
    cookie.value = ascii::trimmed(pair.substr(equals + 1));
  }
  if (cookie.name.empty() && cookie.value.empty()) return false;
  if (cookie.name.size() + cookie.value.size() > kMaxSize) return false;
  // A tab inside would not come back from a file.
  if (has_control_character(cookie.name + cookie.value, false)) return false;

  const Attributes attributes =
      read_attributes(set_cookie.substr(std::min(end + 1, set_cookie.size())));
  if (attributes.max_age) {
    const std::int64_t age = std::min(*attributes.max_age, kMaxAge);
    cookie.expires = age <= 0 ? 0 : now + age;
  } else if (attributes.expires) {
    cookie.expires = std::min(*attributes.expires, now + kMaxAge);
  }
  cookie.domain = url.host();
  if (attributes.domain && *attributes.domain != url.host()) {
    if (is_public_suffix(*attributes.domain)) return false;
    if (!domain_matches(url.host(), *attributes.domain)) return false;
    cookie.domain = *attributes.domain;
    cookie.host_only = false;
  } else if (attributes.domain) {
    // §5.7 step 10: a public suffix may have a site of its own.
    cookie.host_only = url.host_is_ip() || is_public_suffix(url.host());
  }
  cookie.path = attributes.path.value_or(default_path(url.path()));
  if (cookie.path.size() > kMaxAttribute || has_control_character(cookie.path, false)) return false;
  cookie.secure = attributes.secure;
  cookie.http_only = attributes.http_only;
  const bool secure_origin = url.scheme() == "https";
  if (cookie.secure && !secure_origin) return false;
  if (!keeps_its_prefix(cookie, attributes.path.has_value())) return false;
  // §5.7 step 15: who can be listened to does not replace what nobody else may see.
  const auto shadows = [&](const Cookie& other) {
    return other.secure && other.name == cookie.name &&
           (domain_matches(other.domain, cookie.domain) ||
            domain_matches(cookie.domain, other.domain)) &&
           path_matches(cookie.path, other.path);
  };
  if (!secure_origin && std::any_of(cookies_.begin(), cookies_.end(), shadows)) return false;
  put(std::move(cookie), now);
  return true;
}

void CookieJar::put(Cookie cookie, UnixSeconds now) {
  drop_expired(now);
  const bool expired = cookie.expires && *cookie.expires <= now;
  const auto same = std::find_if(cookies_.begin(), cookies_.end(), [&](const Cookie& other) {
    return other.name == cookie.name && other.domain == cookie.domain &&
           other.host_only == cookie.host_only && other.path == cookie.path;
  });
  if (same != cookies_.end()) {
    if (expired) {
      cookies_.erase(same);
    } else {
      *same = std::move(cookie);  // keeps its place: it was made then
    }
    return;
  }
  if (expired) return;
  const std::string domain = cookie.domain;
  cookies_.push_back(std::move(cookie));
  const auto of_domain = [&](const Cookie& other) { return other.domain == domain; };
  const auto count = std::count_if(cookies_.begin(), cookies_.end(), of_domain);
  if (static_cast<std::size_t>(count) > kMaxPerDomain) {
    // §5.7: those that are not secure first.
    auto victim = std::find_if(cookies_.begin(), cookies_.end(), [&](const Cookie& other) {
      return of_domain(other) && !other.secure;
    });
    if (victim == cookies_.end())
      victim = std::find_if(cookies_.begin(), cookies_.end(), of_domain);
    cookies_.erase(victim);
  }
  if (cookies_.size() > kMaxCookies) cookies_.pop_front();
}

void CookieJar::drop_expired(UnixSeconds now) {
  cookies_.remove_if(
      [&](const Cookie& cookie) { return cookie.expires && *cookie.expires <= now; });
}

std::string CookieJar::header_for(const Url& url, UnixSeconds now) {
  drop_expired(now);
  std::vector<const Cookie*> chosen;
  for (const Cookie& cookie : cookies_) {
    const bool for_host =
        cookie.host_only ? url.host() == cookie.domain : domain_matches(url.host(), cookie.domain);
    if (for_host && path_matches(url.path(), cookie.path) &&
        (!cookie.secure || url.scheme() == "https")) {
      chosen.push_back(&cookie);
    }
  }
  std::stable_sort(chosen.begin(), chosen.end(), [](const Cookie* left, const Cookie* right) {
    return left->path.size() > right->path.size();
  });
  std::string text;
  for (const Cookie* cookie : chosen) {
    if (text.size() + cookie->name.size() + cookie->value.size() + 3 > kMaxHeader) break;
    if (!text.empty()) text += "; ";
    if (!cookie->name.empty()) text.append(cookie->name).append("=");
    text += cookie->value;
  }
  return text;
}

void CookieJar::store_all(const Url& url, const Fields& response, UnixSeconds now) {
  for (const Field& field : response) {
    if (field.name == "set-cookie") store(url, field.value, now);
  }
}

void CookieJar::add_to(const Url& url, Fields& request, UnixSeconds now) {
  std::string cookies = header_for(url, now);
  if (cookies.empty()) return;
  if (const auto own = request.joined("cookie")) cookies = *own + "; " + cookies;
  request.set("cookie", cookies);
}

// ---- files --------------------------------------------------------------------------------------

std::string CookieJar::to_text(UnixSeconds now) {
  drop_expired(now);
  std::string text = "# Netscape HTTP Cookie File\n# Made by tern.\n\n";
  for (const Cookie& cookie : cookies_) {
    if (cookie.http_only) text += "#HttpOnly_";
    if (!cookie.host_only) text += '.';
    text += cookie.domain + (cookie.host_only ? "\tFALSE\t" : "\tTRUE\t") + cookie.path +
            (cookie.secure ? "\tTRUE\t" : "\tFALSE\t") +
            std::to_string(cookie.expires.value_or(0)) + "\t" + cookie.name + "\t" + cookie.value +
            "\n";
  }
  return text;
}

Result<void> CookieJar::from_text(std::string_view text, UnixSeconds now) {
  constexpr std::string_view kHttpOnly = "#HttpOnly_";
  std::size_t line_number = 0;
  while (!text.empty()) {
    const std::size_t end = std::min(text.find('\n'), text.size());
    std::string_view line = text.substr(0, end);
    text.remove_prefix(std::min(end + 1, text.size()));
    ++line_number;
    if (line.ends_with('\r')) line.remove_suffix(1);
    Cookie cookie;
    cookie.http_only = line.starts_with(kHttpOnly);
    if (cookie.http_only) line.remove_prefix(kHttpOnly.size());
    if (line.empty() || line.front() == '#') continue;
    std::vector<std::string_view> columns;
    while (columns.size() < 6 && line.find('\t') != std::string_view::npos) {
      columns.push_back(line.substr(0, line.find('\t')));
      line.remove_prefix(columns.back().size() + 1);
    }
    columns.push_back(line);
    const auto bad = [&] {
      return fail(Error::invalid("line " + std::to_string(line_number) +
                                 " is no line of a Netscape cookie file"));
    };
    if (columns.size() == 6) columns.emplace_back();  // an empty value
    if (columns.size() != 7) return bad();
    const auto expires = seconds_in(columns[4]);
    std::string_view domain = columns[0];
    if (domain.starts_with('.')) domain.remove_prefix(1);
    if (!expires || domain.empty() || !columns[2].starts_with('/') ||
        std::any_of(columns.begin(), columns.end(),
                    [](std::string_view part) { return has_control_character(part, false); }) ||
        columns[5].size() + columns[6].size() > kMaxSize || columns[0].size() > kMaxAttribute ||
        columns[2].size() > kMaxAttribute) {
      return bad();
    }
    cookie.domain = ascii::lower_case(domain);
    cookie.host_only = columns[1] != "TRUE";
    cookie.path = columns[2];
    cookie.secure = columns[3] == "TRUE";
    if (*expires != 0) cookie.expires = *expires;
    cookie.name = columns[5];
    cookie.value = columns[6];
    put(std::move(cookie), now);
  }
  return {};
}

Result<void> CookieJar::load(const std::string& path, UnixSeconds now) {
  std::ifstream file(path, std::ios::binary);
  if (!file) return fail(Error::os(errno, "cannot read " + path));
  std::string text;
  std::array<char, 16 * 1024> block;
  while (file) {
    file.read(block.data(), block.size());
    text.append(block.data(), static_cast<std::size_t>(file.gcount()));
    if (text.size() > kMaxFile) return fail(Error::limit(path + " has more than 16 MB"));
  }
  if (file.bad()) return fail(Error::os(errno, "cannot read " + path));  // a folder, for one
  Result<void> read = from_text(text, now);
  if (!read) return fail(Error::invalid(path + ": " + read.error().detail));
  return read;
}

Result<void> CookieJar::save(const std::string& path, UnixSeconds now) {
  return tls::write_private_file(path, to_text(now));
}

}  // namespace tern::http
