// JSON that tools read: lists of endpoints and qlog records. What RFC 8259 allows is read, nothing
// else, and what is read is written and read again the same. Input: the text.

#include <algorithm>
#include <charconv>
#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
#include <system_error>

#include "base/bytes.h"
#include "base/check.h"
#include "http/escape.h"
#include "tools/interop/json_value.h"
#include "tools/interop/qlog_facts.h"
#include "tools/interop/target.h"

namespace {

using namespace tern;
using namespace tern::interop;

/// RFC 8259's grammar, without a stack of calls: what is open is a string of brackets.
class Grammar {
 public:
  explicit Grammar(std::string_view text) : rest_(text) {}

  bool whole() {
    std::string open;
    for (;;) {
      // A value begins here.
      blanks();
      if (take("{")) {
        open += '{';
        blanks();
        if (!take("}")) {
          if (!name()) return false;
          continue;
        }
        open.pop_back();
      } else if (take("[")) {
        open += '[';
        blanks();
        if (!take("]")) continue;
        open.pop_back();
      } else if (!scalar()) {
        return false;
      }
      // It has ended, and perhaps what it is in.
      for (;;) {
        blanks();
        if (open.empty()) return rest_.empty();
        if (take(",")) break;
        if (!take(open.back() == '{' ? "}" : "]")) return false;
        open.pop_back();
      }
      if (open.back() == '{' && !name()) return false;
    }
  }
  bool has_large_number() const { return large_; }
  bool has_surrogates() const { return surrogates_; }
  std::size_t depth() const { return depth_; }

 private:
  bool take(std::string_view text) {
    if (!rest_.starts_with(text)) return false;
    rest_.remove_prefix(text.size());
    if (text == "{" || text == "[") ++depth_;
    return true;
  }
  void blanks() { rest_.remove_prefix(std::min(rest_.find_first_not_of(" \t\r\n"), rest_.size())); }
  std::size_t digits() {
    const std::size_t count = std::min(rest_.find_first_not_of("0123456789"), rest_.size());
    rest_.remove_prefix(count);
    return count;
  }
  bool name() {
    blanks();
    if (!take("\"") || !string()) return false;
    blanks();
    return take(":");
  }
  bool scalar() {
    if (take("true") || take("false") || take("null")) return true;
    return take("\"") ? string() : number();
  }
  bool number() {
    take("-");
    if (!take("0")) {
      const std::size_t count = digits();
      if (count == 0) return false;
      large_ = large_ || count > 300;
    }
    if (take(".") && digits() == 0) return false;
    if (take("e") || take("E")) {
      if (!take("+")) take("-");
      const std::size_t count = digits();
      if (count == 0) return false;
      large_ = large_ || count > 2;
    }
    return true;
  }
  bool string() {
    while (!rest_.empty()) {
      const char c = rest_.front();
      rest_.remove_prefix(1);
      if (c == '"') return true;
      if (static_cast<unsigned char>(c) < 0x20) return false;
      if (c != '\\') continue;
      if (rest_.empty()) return false;
      const char escape = rest_.front();
      rest_.remove_prefix(1);
      if (escape != 'u') {
        if (std::string_view("\"\\/bfnrt").find(escape) == std::string_view::npos) return false;
        continue;
      }
      const std::string_view hex = rest_.substr(0, 4);
      if (hex.size() < 4 || hex.find_first_not_of("0123456789abcdefABCDEF") != hex.npos)
        return false;
      const bool half = (hex[0] == 'd' || hex[0] == 'D') && hex[1] >= '8';
      surrogates_ = surrogates_ || half;
      rest_.remove_prefix(4);
    }
    return false;
  }

  std::string_view rest_;
  std::size_t depth_ = 0;  // never less than how deep it goes
  bool large_ = false;
  bool surrogates_ = false;
};

void write_string(std::string& out, std::string_view text) {
  out += '"';
  http::append_json_escaped(out, text);
  out += '"';
}

void write(std::string& out, const JsonValue& value) {
  if (value.is_object()) {
    out += '{';
    for (const auto& [name, member] : value.members()) {
      if (out.back() != '{') out += ',';
      write_string(out, name);
      out += ':';
      write(out, member);
    }
    out += '}';
  } else if (value.is_array()) {
    out += '[';
    for (const JsonValue& item : value.items()) {
      if (out.back() != '[') out += ',';
      write(out, item);
    }
    out += ']';
  } else if (const auto text = value.text()) {
    write_string(out, *text);
  } else if (const auto number = value.number()) {
    char digits[64];
    const auto written = std::to_chars(digits, digits + sizeof digits, *number);
    TERN_CHECK(written.ec == std::errc());
    out.append(digits, written.ptr);
  } else if (const auto flag = value.flag()) {
    out += *flag ? "true" : "false";
  } else {
    out += "null";
  }
}

void values(std::string_view text) {
  const auto read = JsonValue::parse(text);
  Grammar grammar(text);
  const bool good = grammar.whole();
  // Whoever reads may set limits (§9), and lone surrogates have no meaning (§8.2).
  const bool limits = grammar.has_large_number() || grammar.has_surrogates() ||
                      grammar.depth() > JsonValue::kMaxDepth;
  TERN_CHECK(good || !read);
  TERN_CHECK(read || !good || limits);
  if (!read) {
    TERN_CHECK(!read.error().detail.empty());
    return;
  }
  std::string written;
  write(written, *read);
  const auto again = JsonValue::parse(written);
  TERN_CHECK(again.has_value());
  std::string twice;
  write(twice, *again);
  TERN_CHECK(twice == written);
}

void targets(std::string_view text) {
  const auto read = parse_targets(text);
  if (!read) {
    TERN_CHECK(!read.error().detail.empty());
    return;
  }
  TERN_CHECK(!read->empty());
  for (const Target& target : *read) {
    TERN_CHECK(target.url.scheme() == "https");
    TERN_CHECK(!target.retry || target.retry->host() == target.url.host());
    TERN_CHECK(target.throughput.empty() || target.throughput.starts_with('/'));
  }
}

/// Records at once and one by one come to the same.
void facts(std::string_view records) {
  QlogFacts whole;
  whole.take(records);
  QlogFacts each;
  while (!records.empty()) {
    const std::size_t end = std::min(records.find('\x1e'), records.size());
    each.take(records.substr(0, end));
    records.remove_prefix(std::min(end + 1, records.size()));
  }
  for (const char* type : {"initial", "1RTT", ""}) {
    TERN_CHECK(whole.packets_sent(type) == each.packets_sent(type));
    TERN_CHECK(whole.packets_received(type) == each.packets_received(type));
  }
  for (const char* type : {"control", "qpack_encode", ""}) {
    TERN_CHECK(whole.peer_stream_bytes(type) == each.peer_stream_bytes(type));
    TERN_CHECK(whole.own_stream_bytes(type) == each.own_stream_bytes(type));
  }
  TERN_CHECK(whole.ecn_seen().ect0 == each.ecn_seen().ect0);
  TERN_CHECK((whole.peer_parameters() == nullptr) == (each.peer_parameters() == nullptr));
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const std::string_view text = as_text(ByteView(data, size));
  values(text);
  targets(text);
  facts(text);
  return 0;
}
