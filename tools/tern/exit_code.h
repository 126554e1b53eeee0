#pragma once

#include <cstdint>
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
  cannot_resolve_proxy = 5,
  cannot_resolve = 6,
  cannot_connect = 7,
  weird_answer = 8,     ///< its head breaks HTTP/1.1
  http2_error = 16,     ///< of the connection
  partial_answer = 18,  ///< the connection ended in the middle of a body
  http_error = 22,      ///< status ≥ 400 with --fail
  cannot_write = 23,
  cannot_read = 26,  ///< a file to send
  timed_out = 28,
  tls_handshake = 35,
  too_many_redirects = 47,
  no_answer = 52,  ///< the connection ended before one
  receive_failed = 56,
  bad_certificate = 58,  ///< our own
  not_trusted = 60,
  bad_coding = 61,  ///< what came does not decode
  bad_ca = 77,      ///< a file of CAs
  http2_stream_error = 92,
  http3_error = 95,
  quic_error = 96,
  proxy_refused = 97,  ///< a tunnel
  unsupported = 127,   ///< the interop runner's test case is not known
  interrupted = 130,   ///< by a second Ctrl-C
};

/// The code that tells a script what went wrong with a request.
ExitCode exit_code(const Error& error) noexcept;
/// How far a request came.
enum class Stage : std::uint8_t { connecting, answer, body };
/// The same, as exactly as curl tells it. `over_tcp`, `open`: its connection is HTTP/2 or HTTP/1.1,
/// and is there still.
ExitCode exit_code(const Error& error, Stage stage, bool over_tcp, bool open) noexcept;
/// What a person is told of it, in one line.
std::string describe(const Error& error);

/// A verb gives up: its message is one line that names the thing and the fix, printed by main.
struct Failure {
  ExitCode code = ExitCode::failed;
  std::string message;
};

/// Throws a Failure for `error`; `what` names the thing it happened to.
[[noreturn]] void fail_with(const Error& error, std::string_view what = {});
[[noreturn]] void fail_with(ExitCode code, std::string message);

}  // namespace tern::cli
