#include "gateway/session_cache.h"

#include <algorithm>
#include <filesystem>
#include <utility>

#include "base/bytes.h"
#include "transport/tls/private_file.h"

namespace tern {
namespace {

// The file: one line to know it by, then for each session, newest first, a line
// "<origin> <session in hex> <address it came from>", without the address if it is not known.
// Origins have no spaces.
constexpr std::string_view kFirstLine = "tern sessions 1";

char hex_digit(unsigned value) noexcept { return "0123456789abcdef"[value]; }

int hex_value(char c) noexcept {
  if (c >= '0' && c <= '9') return c - '0';
  if (c >= 'a' && c <= 'f') return c - 'a' + 10;
  return -1;
}

std::optional<std::vector<std::uint8_t>> from_hex(std::string_view text) {
  if (text.size() % 2 != 0) return std::nullopt;
  std::vector<std::uint8_t> bytes;
  bytes.reserve(text.size() / 2);
  for (std::size_t i = 0; i < text.size(); i += 2) {
    const int high = hex_value(text[i]);
    const int low = hex_value(text[i + 1]);
    if (high < 0 || low < 0) return std::nullopt;
    bytes.push_back(static_cast<std::uint8_t>(high << 4 | low));
  }
  return bytes;
}

}  // namespace

void SessionCache::put(std::string_view origin, quic::Session session, const udp::Address& remote) {
  std::size_t of_origin = 0;
  entries_.remove_if(
      [&](const Entry& entry) { return entry.origin == origin && ++of_origin >= kMaxPerOrigin; });
  if (entries_.size() >= kMaxSessions) entries_.pop_back();
  entries_.push_front({std::string(origin), std::move(session), remote});
}

std::optional<quic::Session> SessionCache::take(std::string_view origin, std::string_view alpn,
                                                std::uint32_t version, UnixSeconds now) {
  entries_.remove_if([&](const Entry& entry) { return entry.session.expires <= now; });
  const auto fits = [&](const Entry& entry) {
    return entry.origin == origin && entry.session.alpn == alpn &&
           (version == 0 || entry.session.quic_version == version);
  };
  const auto found = std::find_if(entries_.begin(), entries_.end(), fits);
  if (found == entries_.end()) return std::nullopt;
  if (std::find_if(std::next(found), entries_.end(), fits) == entries_.end()) {
    // The last one: it may be used again, but its token may not (RFC 9000 §8.1.3).
    quic::Session session = found->session;
    found->session.token.clear();
    return session;
  }
  quic::Session session = std::move(found->session);
  entries_.erase(found);
  return session;
}

udp::Address SessionCache::remote(std::string_view origin) const {
  for (const Entry& entry : entries_) {
    if (entry.origin == origin) return entry.remote;
  }
  return {};
}

void SessionCache::forget_remote(std::string_view origin) {
  for (Entry& entry : entries_) {
    if (entry.origin == origin) entry.remote = udp::Address();
  }
}

std::string SessionCache::to_text() const {
  std::string text(kFirstLine);
  text += '\n';
  for (const Entry& entry : entries_) {
    text += entry.origin;
    text += ' ';
    for (const std::uint8_t byte : entry.session.serialize()) {
      text += hex_digit(byte >> 4);
      text += hex_digit(byte & 15);
    }
    if (entry.remote.specified()) {
      text += ' ';
      text += entry.remote.to_string();
    }
    text += '\n';
  }
  return text;
}

Result<void> SessionCache::save(const std::string& path) const {
  return tls::write_private_file(path, to_text());
}

Result<void> SessionCache::load(const std::string& path) {
  std::error_code ignored;
  if (!std::filesystem::exists(path, ignored)) return {};
  TERN_TRY(const std::string text, tls::read_file(path));
  auto read = from_text(text);
  if (!read) {
    return fail(Error::invalid("session file " + path + ": " + read.error().detail +
                               "; remove it to start afresh"));
  }
  return {};
}

Result<void> SessionCache::from_text(std::string_view text) {
  const auto broken = [](std::string_view what) { return fail(Error::invalid(std::string(what))); };
  std::string_view rest = text;
  const auto next_line = [&rest] {
    const std::size_t end = std::min(rest.find('\n'), rest.size());
    const std::string_view line = rest.substr(0, end);
    rest.remove_prefix(std::min(end + 1, rest.size()));
    return line;
  };
  if (rest.empty()) return {};  // as `mktemp` leaves it
  if (next_line() != kFirstLine) return broken("is not one of tern's");
  std::list<Entry> loaded;
  while (!rest.empty() && loaded.size() < kMaxSessions) {
    const std::string_view line = next_line();
    if (line.empty()) continue;
    const std::size_t space = line.find(' ');
    if (space == std::string_view::npos || space == 0)
      return broken("has a line without an origin");
    std::string_view hex = line.substr(space + 1);
    udp::Address remote;
    if (const std::size_t second = hex.find(' '); second != std::string_view::npos) {
      const auto address = udp::Address::parse(hex.substr(second + 1));
      if (!address) return broken("has a session with a broken address");
      remote = *address;
      hex = hex.substr(0, second);
    }
    const auto bytes = from_hex(hex);
    if (!bytes) return broken("has a session that is not hexadecimal");
    auto session = quic::Session::parse(ByteView(*bytes));
    if (!session) return broken(session.error().detail);
    loaded.push_back({std::string(line.substr(0, space)), std::move(*session), remote});
  }
  entries_.splice(entries_.end(), loaded);
  while (entries_.size() > kMaxSessions) entries_.pop_back();
  return {};
}

}  // namespace tern
