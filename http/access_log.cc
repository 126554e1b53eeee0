#include "http/access_log.h"

#include <algorithm>
#include <array>
#include <cstdio>

#include "http/date.h"
#include "http/escape.h"

namespace tern::http {

namespace {

/// What secret parameters' names hold.
constexpr std::array<std::string_view, 9> kSecretWords = {
    "token", "passw", "secret", "apikey", "api_key", "auth", "signature", "session", "credential"};
/// Names that are secret when they are just that.
constexpr std::array<std::string_view, 6> kSecretNames = {"key", "code", "sig",
                                                          "pwd", "pass", "sid"};

bool is_secret(std::string_view name) {
  std::string lower(name);
  std::transform(lower.begin(), lower.end(), lower.begin(), [](char c) {
    return c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c;
  });
  return std::find(kSecretNames.begin(), kSecretNames.end(), lower) != kSecretNames.end() ||
         std::any_of(kSecretWords.begin(), kSecretWords.end(), [&lower](std::string_view word) {
           return lower.find(word) != std::string::npos;
         });
}

/// Milliseconds with three places.
std::string milliseconds(Duration duration) {
  const auto microseconds = std::max<std::int64_t>(duration / std::chrono::microseconds(1), 0);
  std::array<char, 32> text;
  const int size = std::snprintf(text.data(), text.size(), "%lld.%03lld",
                                 static_cast<long long>(microseconds / 1000),
                                 static_cast<long long>(microseconds % 1000));
  return std::string(text.data(), static_cast<std::size_t>(size));
}

void append_member(std::string& out, std::string_view name, std::string_view text) {
  out.append(out.size() == 1 ? "\"" : ",\"").append(name).append("\":\"");
  append_json_escaped(out, text);
  out.push_back('"');
}

}  // namespace

AccessEntry AccessEntry::of(const Exchange& exchange) {
  AccessEntry entry;
  Runtime& runtime = exchange.runtime();
  entry.time = runtime.unix_seconds();
  entry.remote = exchange.path().remote.to_string();
  entry.protocol = exchange.protocol();
  entry.method = exchange.method();
  const RequestHead& request = exchange.request();
  entry.path = request.path_only();
  if (entry.path.size() < request.path.size()) {
    entry.path.append("?").append(without_secrets(request.query()));
  }
  if (entry.path.empty()) entry.path = request.authority;  // plain CONNECT
  entry.status = exchange.status();
  entry.bytes = exchange.sent_bytes();
  entry.duration = runtime.now() - exchange.started();
  return entry;
}

std::string access_line(const AccessEntry& entry, AccessLogFormat format) {
  const Rfc3339 time(entry.time);
  std::string line;
  if (format == AccessLogFormat::text) {
    line.append(time).append(" ").append(entry.remote).append(" ").append(entry.protocol);
    line.append(" ").append(escaped(entry.method, 32)).append(" \"");
    line.append(escaped(entry.path)).append("\" ").append(std::to_string(entry.status));
    line.append(" ").append(std::to_string(entry.bytes)).append(" ");
    line.append(milliseconds(entry.duration)).append("ms");
    return line;
  }
  line.push_back('{');
  append_member(line, "time", time);
  append_member(line, "remote", entry.remote);
  append_member(line, "protocol", entry.protocol);
  append_member(line, "method", entry.method);
  append_member(line, "path", entry.path);
  line.append(",\"status\":").append(std::to_string(entry.status));
  line.append(",\"bytes\":").append(std::to_string(entry.bytes));
  line.append(",\"duration_ms\":").append(milliseconds(entry.duration)).append("}");
  return line;
}

std::string without_secrets(std::string_view query) {
  std::string out;
  for (bool more = !query.empty(); more;) {
    const std::size_t ampersand = query.find('&');
    const std::string_view pair = query.substr(0, ampersand);
    more = ampersand != std::string_view::npos;
    if (more) query.remove_prefix(ampersand + 1);
    const std::size_t equals = pair.find('=');
    if (equals != std::string_view::npos && is_secret(pair.substr(0, equals))) {
      out.append(pair.substr(0, equals + 1)).append("***");
    } else {
      out.append(pair);
    }
    if (more) out.push_back('&');
  }
  return out;
}

std::string without_secrets(std::string_view name, std::string_view value) {
  if (name == "authorization" || name == "proxy-authorization" || name == "cookie" ||
      name == "set-cookie") {
    return "***";
  }
  std::string out;
  if (name == ":path" || name == "referer") {
    const std::size_t query = std::min(value.find('?'), value.size() - 1) + 1;
    out.append(value.substr(0, query)).append(without_secrets(value.substr(query)));
    return out;
  }
  if (name != "sec-websocket-protocol") return std::string(value);
  constexpr std::string_view kBearer = "bearer.";
  for (std::size_t at = value.find(kBearer); at != std::string_view::npos;
       at = value.find(kBearer)) {
    out.append(value.substr(0, at + kBearer.size())).append("***");
    value.remove_prefix(std::min(value.find(',', at), value.size()));
  }
  return out.append(value);
}

void AccessLog::operator()(const Exchange& exchange) const {
  if (!sink_->enabled(LogLevel::info)) return;
  sink_->line(LogLevel::info, access_line(AccessEntry::of(exchange), format_));
}

}  // namespace tern::http
