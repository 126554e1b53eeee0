#pragma once

#include <string>
#include <string_view>

#include "base/error.h"

/// How `tern` ends: the codes of curl where curl has one (docs/cli.md).

namespace tern::cli {

enum class ExitCode : int {
  done = 0,
  failed = 1,
  usage = 2,
  bad_url = 3,
  cannot_resolve = 6,
  cannot_connect = 7,
  http_error = 22,  ///< status ≥ 400 with --fail
  cannot_write = 23,
  cannot_read = 26,  ///< a file to send
  timed_out = 28,
  tls_handshake = 35,
  receive_failed = 56,
  not_trusted = 60,
  http3_error = 95,
  quic_error = 96,
  proxy_refused = 97,  ///< a tunnel
  unsupported = 127,   ///< the interop runner's test case is not known
  interrupted = 130,   ///< by a second Ctrl-C
};

/// The code that tells a script what went wrong with a request.
ExitCode exit_code(const Error& error) noexcept;

/// A verb gives up: its message is one line that names the thing and the fix, printed by main.
struct Failure {
  ExitCode code = ExitCode::failed;
  std::string message;
};

/// Throws a Failure for `error`; `what` names the thing it happened to.
[[noreturn]] void fail_with(const Error& error, std::string_view what = {});
[[noreturn]] void fail_with(ExitCode code, std::string message);

}  // namespace tern::cli
