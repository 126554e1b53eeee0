#pragma once

#include <cstddef>
#include <optional>
#include <string>
#include <string_view>

#include "base/error.h"

namespace tern::cli {

/// Cuts a text that comes in pieces into JSON documents, one after the other with or without blanks
/// between them: JSON lines, `{"a":1}{"a":2}`, a document over many lines. It looks for ends alone;
/// whether a document is JSON is for who parses it.
class JsonDocuments {
 public:
  /// The largest document, in bytes.
  static constexpr std::size_t kLongest = std::size_t{64} * 1024 * 1024;

  void add(std::string_view text);
  /// No more text: what is there is the last document.
  void end() noexcept { ended_ = true; }

  /// The next whole document; nothing: more text is needed, or there is none any more. Error
  /// invalid for one that does not end, closes more than it opens, or is longer than kLongest.
  Result<std::optional<std::string>> next();
  /// The line (from 1) where the last document that `next` gave or refused began.
  std::size_t line() const noexcept { return line_; }

 private:
  /// Goes on at `read_`; true at a document's end.
  Result<bool> find_end();
  std::string take();
  Error wrong(std::string_view what) const;

  std::string text_;
  std::size_t read_ = 0;  // up to here it is known
  std::size_t depth_ = 0;
  bool begun_ = false;
  bool in_string_ = false;
  bool escaped_ = false;
  bool ended_ = false;
  std::size_t line_ = 1;
  std::size_t line_now_ = 1;  // at the beginning of text_
};

}  // namespace tern::cli
