#include "tools/tern/json_documents.h"

#include <algorithm>
#include <utility>

#include <fmt/format.h>

namespace tern::cli {
namespace {

constexpr char kRecordSeparator = 0x1e;  // RFC 7464: before each document

bool is_blank(char c) noexcept {
  return c == ' ' || c == '\t' || c == '\n' || c == '\r' || c == kRecordSeparator;
}

}  // namespace

void JsonDocuments::add(std::string_view text) { text_ += text; }

Error JsonDocuments::wrong(std::string_view what) const {
  return Error::invalid(fmt::format("the JSON that begins in line {} {}", line_, what));
}

std::string JsonDocuments::take() {
  std::string document = text_.substr(0, read_);
  line_now_ += static_cast<std::size_t>(std::count(document.begin(), document.end(), '\n'));
  text_.erase(0, read_);
  read_ = 0;
  depth_ = 0;
  begun_ = false;
  return document;
}

Result<bool> JsonDocuments::find_end() {
  for (; read_ < text_.size(); ++read_) {
    const char c = text_[read_];
    if (in_string_) {
      if (escaped_) {
        escaped_ = false;
      } else if (c == '\\') {
        escaped_ = true;
      } else if (c == '"') {
        in_string_ = false;
        if (depth_ == 0) return ++read_, true;
      }
      continue;
    }
    const bool opens = c == '{' || c == '[' || c == '"';
    // Outside of brackets it is a number or a word, which ends where something else begins.
    if (depth_ == 0 && read_ > 0 && (opens || is_blank(c))) return true;
    if (c == '"') {
      in_string_ = true;
    } else if (opens) {
      ++depth_;
    } else if (c == '}' || c == ']') {
      if (depth_ == 0) return fail(wrong("closes more than it opens"));
      if (--depth_ == 0) return ++read_, true;
    }
  }
  return false;
}

Result<std::optional<std::string>> JsonDocuments::next() {
  if (!begun_) {
    const auto first = std::find_if_not(text_.begin(), text_.end(), is_blank);
    line_now_ += static_cast<std::size_t>(std::count(text_.begin(), first, '\n'));
    text_.erase(text_.begin(), first);
    line_ = line_now_;
    if (text_.empty()) return std::nullopt;
    begun_ = true;
  }
  const Result<bool> whole = find_end();
  if (!whole) return fail(whole.error());
  if (*whole) return take();
  if (text_.size() > kLongest) return fail(wrong("is longer than 64 MiB"));
  if (!ended_) return std::nullopt;
  if (depth_ != 0 || in_string_) return fail(wrong("has no end"));
  return take();
}

}  // namespace tern::cli
