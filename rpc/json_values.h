#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "rpc/status.h"

namespace tern::rpc {

/// Cuts a text that comes in pieces into its JSON values: one behind the other, with or without
/// blanks, line ends and RFC 7464's record separators between them, or the elements of one array.
/// Finds where a value ends and leaves it to others whether it is one. Memory: what has come of a
/// value, `limit` bytes at most.
class JsonValues {
 public:
  /// What an array is that the text begins with.
  enum class Arrays : std::uint8_t { hold_values, are_values };

  /// A value longer than `limit` bytes is RESOURCE_EXHAUSTED.
  explicit JsonValues(std::size_t limit, Arrays arrays = Arrays::hold_values) noexcept
      : limit_(limit), form_(arrays == Arrays::hold_values ? Form::unknown : Form::sequence) {}

  /// `next` has said that there is nothing more before.
  void push(std::string_view piece);
  /// The text is over: a value that only that ends (a number) is one now.
  void end() noexcept { over_ = true; }
  /// The next value; nothing until more comes, or at the end. INVALID_ARGUMENT: what comes is no
  /// sequence of values, or ended within one. Not called again after an error.
  Result<std::optional<std::string>> next();
  /// The line, from 1, in which the value began that `next` has given or refused last.
  std::size_t line() const noexcept { return line_; }

 private:
  enum class Form : std::uint8_t { unknown, sequence, array, done };
  enum class Want : std::uint8_t { value_or_end, value, comma_or_end };

  Result<bool> begin_value(char first);
  bool ends_value(char c);
  Result<std::optional<std::string>> finish();
  std::string take();
  bool between(char c) const noexcept;

  std::size_t limit_;
  std::string piece_;
  std::size_t at_ = 0;
  std::string value_;
  Form form_;
  Want want_ = Want::value_or_end;  // in an array
  std::size_t depth_ = 0;           // of brackets within the value
  std::size_t line_ = 1;
  std::size_t line_now_ = 1;  // at `at_`
  bool in_value_ = false;
  bool in_string_ = false;
  bool escaped_ = false;
  bool plain_ = false;  // the value is a number or a word
  bool over_ = false;
};

}  // namespace tern::rpc
