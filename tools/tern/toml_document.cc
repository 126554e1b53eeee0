#include "tools/tern/toml_document.h"

#include <algorithm>

#include <fmt/format.h>

#include "base/bytes.h"
#include "http/utf8.h"

namespace tern::cli {
namespace {

bool is_ascii(char c) noexcept { return static_cast<unsigned char>(c) < 0x80; }

/// Follows strings and comments as far as it takes to know which of them a character is in. What is
/// wrong otherwise is toml++'s to say.
class AsciiWriter {
 public:
  explicit AsciiWriter(std::string_view text) : text_(text) {
    constexpr std::string_view kByteOrderMark = "\xef\xbb\xbf";
    if (text_.starts_with(kByteOrderMark)) text_.remove_prefix(kByteOrderMark.size());
  }

  std::string write() {
    while (!at_end()) {
      switch (text_[at_]) {
        case '#': comment(); break;
        case '"':
        case '\'': string(); break;
        default:
          if (!is_ascii(text_[at_])) {
            fail("only strings and comments may have characters beyond ASCII");
          }
          copy();
      }
    }
    return std::move(out_);
  }

 private:
  [[noreturn]] void fail(const char* what) const { throw TomlError(line_, what); }
  bool at_end() const noexcept { return at_ == text_.size(); }
  bool comes(std::string_view next) const noexcept { return text_.substr(at_).starts_with(next); }

  void copy() {
    if (text_[at_] == '\n') ++line_;
    out_.push_back(text_[at_++]);
  }

  void comment() {
    for (; !at_end() && text_[at_] != '\n'; ++at_) {
      out_.push_back(is_ascii(text_[at_]) ? text_[at_] : '?');
    }
  }

  void string() {
    const char quote = text_[at_];
    const bool many_lines = comes(std::string(3, quote));
    const std::size_t begin = at_ + (many_lines ? 3 : 1);
    const std::size_t end = end_of_string(begin, quote, many_lines);
    const std::string_view content = text_.substr(begin, end - begin);
    const bool literal = quote == '\'';
    const bool converted = literal && !std::all_of(content.begin(), content.end(), is_ascii);
    const std::string mark(many_lines ? 3 : 1, converted ? '"' : quote);
    out_ += mark;
    at_ = begin;
    while (at_ < end) {
      const char c = text_[at_];
      if (!is_ascii(c)) {
        escape();
      } else if (converted && (c == '"' || c == '\\')) {
        out_ += {'\\', c};
        ++at_;
      } else if (!literal && c == '\\') {
        copy();
        if (at_ < end && !is_ascii(text_[at_])) fail("no escape sequence has that character");
        if (at_ < end) copy();
      } else {
        copy();
      }
    }
    if (at_end()) return;  // toml++ says that the string has none
    out_ += mark;
    at_ += mark.size();
  }

  /// Where its closing quotes begin, or the text's end.
  std::size_t end_of_string(std::size_t from, char quote, bool many_lines) const {
    const std::string closing(3, quote);
    for (std::size_t i = from; i < text_.size(); ++i) {
      const char c = text_[i];
      if (c == '\\' && quote == '"') {
        ++i;
      } else if (c == '\n' && !many_lines) {
        fail("a string does not end on its line");
      } else if (c == quote && !many_lines) {
        return i;
      } else if (c == quote && text_.substr(i).starts_with(closing)) {
        // Up to two more belong to the string.
        for (int more = 0; more < 2 && text_.substr(i + 1).starts_with(closing); ++more) ++i;
        return i;
      }
    }
    return text_.size();
  }

  /// One character, of which is known that it is whole.
  void escape() {
    const auto first = static_cast<unsigned char>(text_[at_++]);
    std::uint32_t point = first >= 0xf0   ? first & 0x07U
                          : first >= 0xe0 ? first & 0x0fU
                                          : first & 0x1fU;
    for (; !at_end() && (static_cast<unsigned char>(text_[at_]) & 0xc0U) == 0x80U; ++at_) {
      point = point << 6U | (static_cast<unsigned char>(text_[at_]) & 0x3fU);
    }
    out_ += fmt::format("\\U{:08x}", point);
  }

  std::string_view text_;
  std::size_t at_ = 0;
  std::size_t line_ = 1;
  std::string out_;
};

}  // namespace

std::string toml_in_ascii(std::string_view text) {
  if (std::all_of(text.begin(), text.end(), is_ascii)) return std::string(text);
  http::Utf8Validator validator;
  std::size_t line = 1;
  for (std::size_t i = 0; i < text.size(); ++i) {
    if (!validator.feed(as_bytes(text.substr(i, 1)))) throw TomlError(line, "this is not UTF-8");
    if (text[i] == '\n') ++line;
  }
  if (!validator.complete()) throw TomlError(line, "this is not UTF-8");
  return AsciiWriter(text).write();
}

toml::table parse_toml(std::string_view text) {
  toml::parse_result document = toml::parse(toml_in_ascii(text));
  if (document) return std::move(document).table();
  const toml::parse_error& error = document.error();
  throw TomlError(error.source().begin.line, std::string(error.description()));
}

}  // namespace tern::cli
