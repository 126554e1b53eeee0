#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <utility>

#include "base/error.h"
#include "base/task.h"

namespace tern::interop {

class Probe;

enum class Outcome : std::uint8_t {
  pass,
  fail,            ///< the peer did it wrong, or broke off
  unsupported,     ///< the peer does not have it, and need not
  not_applicable,  ///< it cannot be tried with this endpoint, or from here
  timed_out,       ///< the case's time limit passed
  not_run,         ///< no connection could be made, so it was not tried
};

/// "pass", "fail", "unsupported", "not applicable", "timed out", "not run".
std::string_view name(Outcome outcome) noexcept;

/// What a case found: the outcome, and in a few words why.
struct Verdict {
  Outcome outcome = Outcome::fail;
  std::string text;
  std::optional<Error> error;  ///< what ended it, if something did

  static Verdict of(Outcome outcome, std::string text) {
    return {outcome, std::move(text), std::nullopt};
  }
  static Verdict pass(std::string text) { return of(Outcome::pass, std::move(text)); }
  static Verdict fail(std::string text) { return of(Outcome::fail, std::move(text)); }
  static Verdict unsupported(std::string text) { return of(Outcome::unsupported, std::move(text)); }
  static Verdict not_applicable(std::string text) {
    return of(Outcome::not_applicable, std::move(text));
  }
  /// timed_out for Code::timed_out, else fail; `what` was being done.
  static Verdict because(std::string_view what, const Error& error);
};

/// The columns' groups in the matrix.
enum class Group : std::uint8_t { handshake, data, paths, features };

/// One thing the prober tries.
struct Case {
  char letter;
  std::string_view name;     ///< for --tests and machines: "key-update"
  std::string_view title;    ///< for people: "Key update"
  std::string_view action;   ///< what the client does
  std::string_view success;  ///< what counts as a pass, and from which evidence
  Group group;
  /// RFC 9000, 9001 or 9114 asks it of every server.
  bool mandatory;
  /// Speaks HTTP/3; not applicable where the endpoint has hq-interop alone.
  bool needs_http3;
  /// Time limit, as a multiple of the prober's.
  unsigned time_limits;
  Task<Verdict> (*run)(Probe&);
};

/// All cases in the order of the matrix.
std::span<const Case> cases() noexcept;
/// By letter or name; null for others.
const Case* find_case(std::string_view letter_or_name) noexcept;

}  // namespace tern::interop
