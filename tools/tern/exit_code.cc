#include "tools/tern/exit_code.h"

#include <cerrno>

#include <fmt/format.h>

namespace tern::cli {

ExitCode exit_code(const Error& error) noexcept {
  constexpr std::uint64_t kCryptoError = 0x100;  // RFC 9000 §20.1: 0x100 + TLS alert
  switch (error.domain) {
    case Domain::tern:
      switch (static_cast<Code>(error.code)) {
        case Code::invalid:
          // What a peer has said is no argument of ours.
          return error.origin == Origin::remote ? ExitCode::receive_failed : ExitCode::bad_url;
        case Code::not_found: return ExitCode::cannot_resolve;
        case Code::timed_out: return ExitCode::timed_out;
        case Code::certificate: return ExitCode::not_trusted;
        case Code::version: return ExitCode::quic_error;
        case Code::closed:
        case Code::stateless_reset:
        case Code::rejected: return ExitCode::receive_failed;
        default: return ExitCode::failed;
      }
    case Domain::os:
      // Who resets a connection has been connected to.
      return error.code == ECONNRESET || error.code == EPIPE ? ExitCode::receive_failed
                                                             : ExitCode::cannot_connect;
    case Domain::tls: return ExitCode::tls_handshake;
    case Domain::quic:
      return (error.code & ~std::uint64_t{0xff}) == kCryptoError ? ExitCode::tls_handshake
                                                                 : ExitCode::quic_error;
    case Domain::application: return ExitCode::http3_error;
    case Domain::http: return ExitCode::http_error;
  }
  return ExitCode::failed;
}

ExitCode exit_code(const Error& error, Stage stage, bool over_tcp, bool open) noexcept {
  const ExitCode plain = exit_code(error);
  if (plain == ExitCode::http3_error && over_tcp) {
    return open ? ExitCode::http2_stream_error : ExitCode::http2_error;
  }
  if (stage == Stage::connecting) return plain;
  if (error.is(Code::closed)) {
    return stage == Stage::answer ? ExitCode::no_answer : ExitCode::partial_answer;
  }
  if (error.is(Code::limit)) return ExitCode::receive_failed;
  const bool odd = error.is(Code::invalid) && error.origin == Origin::remote;
  return odd && stage == Stage::answer ? ExitCode::weird_answer : plain;
}

std::string describe(const Error& error) {
  switch (error.domain) {
    case Domain::tern:
    case Domain::http: return error.detail;
    case Domain::application: {
      const char* way = error.origin == Origin::remote ? "from" : "told to";
      return fmt::format("HTTP error {:#x} {} the server: {}", error.code, way, error.detail);
    }
    default: return error.to_string();
  }
}

void fail_with(const Error& error, std::string_view what) {
  std::string message(what);
  if (!message.empty()) message += ": ";
  fail_with(exit_code(error), message + describe(error));
}

void fail_with(ExitCode code, std::string message) { throw Failure{code, std::move(message)}; }

}  // namespace tern::cli
