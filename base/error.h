#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <utility>

#include <tl/expected.hpp>

/// One error type for everything a peer, a file or the OS can cause. It can be switched on
/// (`domain`, `code`), says who caused it (`origin`) and carries one readable line (`detail`).

namespace tern {

enum class Domain : std::uint8_t {
  tern,         ///< `code` is a `tern::Code`
  os,           ///< `code` is an errno value
  tls,          ///< `code` is a TLS alert number (RFC 8446 §6), 0 if none was sent
  quic,         ///< `code` is a QUIC transport error code (RFC 9000 §20.1)
  application,  ///< `code` is a QUIC application error code, for HTTP/3 that of RFC 9114 §8.1; or
                ///< HTTP/2's (RFC 9113 §7)
  http,         ///< `code` is an HTTP status
};

enum class Origin : std::uint8_t {
  local,   ///< we found it or decided it
  remote,  ///< the peer sent it
};

/// Codes of `Domain::tern`.
enum class Code : std::uint64_t {
  closed = 1,       ///< the object is gone: connection, stream, session, runtime
  cancelled,        ///< given up by our side
  timed_out,        ///< a deadline or an idle timeout passed
  limit,            ///< one of our documented limits was reached
  invalid,          ///< an argument, a file or a config value is wrong
  unsupported,      ///< not available in this build, kernel or peer
  not_found,        ///< a name, address or file does not exist
  stateless_reset,  ///< the peer has lost the connection's state (RFC 9000 §10.3)
  version,          ///< no QUIC version in common
  certificate,      ///< the peer's certificate is not trusted
  rejected,         ///< the peer refused before processing: safe to retry
};

struct Error {
  Domain domain = Domain::tern;
  Origin origin = Origin::local;
  std::uint64_t code = 0;
  std::string detail;

  Error() = default;
  Error(Domain error_domain, std::uint64_t error_code, std::string text,
        Origin error_origin = Origin::local)
      : domain(error_domain), origin(error_origin), code(error_code), detail(std::move(text)) {}
  Error(Code error_code, std::string text, Origin error_origin = Origin::local)
      : Error(Domain::tern, static_cast<std::uint64_t>(error_code), std::move(text), error_origin) {
  }

  static Error closed(std::string text = "closed") { return Error(Code::closed, std::move(text)); }
  static Error invalid(std::string text) { return Error(Code::invalid, std::move(text)); }
  static Error limit(std::string text) { return Error(Code::limit, std::move(text)); }
  /// From an errno value: `what` names the thing, e.g. "open cert.pem".
  static Error os(int error_number, std::string_view what);

  bool is(Code wanted) const noexcept {
    return domain == Domain::tern && code == static_cast<std::uint64_t>(wanted);
  }
  /// "quic 0xa (remote): STREAM_LIMIT_ERROR …", for logs and people.
  std::string to_string() const;
};

template <typename T>
using Result = tl::expected<T, Error>;

inline tl::unexpected<Error> fail(Error error) { return tl::unexpected<Error>(std::move(error)); }

}  // namespace tern

/// Statement form, safe in coroutines (see the gcc 12 rules in docs/ARCHITECTURE.md):
///   TERN_TRY(auto file, open(path));
#define TERN_TRY(declaration, expression) \
  TERN_TRY_IMPL(TERN_TRY_NAME(tern_try_, __COUNTER__), declaration, expression)
#define TERN_TRY_NAME_IMPL(prefix, counter) prefix##counter
#define TERN_TRY_NAME(prefix, counter) TERN_TRY_NAME_IMPL(prefix, counter)
#define TERN_TRY_IMPL(name, declaration, expression)       \
  auto name = (expression);                                \
  if (!name) return ::tern::fail(std::move(name).error()); \
  declaration = std::move(*name)
