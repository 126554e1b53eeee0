#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "base/log.h"
#include "base/time.h"
#include "http/exchange.h"

namespace tern::http {

enum class AccessLogFormat : std::uint8_t { text, json };

/// What one line tells.
struct AccessEntry {
  UnixSeconds time = 0;
  std::string remote;  ///< "192.0.2.1:4000"
  std::string protocol;
  std::string method;
  std::string path;  ///< with its query, secrets replaced
  int status = 0;    ///< 0: none was sent
  std::uint64_t bytes = 0;
  Duration duration{};

  static AccessEntry of(const Exchange& exchange);
};

/// One line without its newline:
///   text  2026-11-06T08:49:37Z 192.0.2.1:4000 h3 GET "/a?b" 200 1234 0.512ms
///   json  {"time":"2026-11-06T08:49:37Z","remote":"192.0.2.1:4000",…,"duration_ms":0.512}
/// What came from the peer is escaped: it can neither start a line nor leave its quotes.
std::string access_line(const AccessEntry& entry, AccessLogFormat format);

/// `query` with the values of parameters that usually are secrets (token, password, key, code,
/// signature and names that hold those words) replaced by "***".
std::string without_secrets(std::string_view query);
/// A field's value as it may stand in a log: "***" for those of authorization, proxy-authorization,
/// cookie and set-cookie, and for a token among the subprotocols (`bearer_token`); the secrets of
/// `:path` and referer replaced. `name` in lower case.
std::string without_secrets(std::string_view name, std::string_view value);

/// Writes a line for each exchange; fits `serve`'s `done`. The sink outlives it.
class AccessLog {
 public:
  AccessLog(LogSink& sink, AccessLogFormat format) noexcept : sink_(&sink), format_(format) {}
  void operator()(const Exchange& exchange) const;

 private:
  LogSink* sink_;
  AccessLogFormat format_;
};

}  // namespace tern::http
