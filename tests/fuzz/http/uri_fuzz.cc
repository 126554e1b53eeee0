// URLs: what is parsed holds nothing a request may not, and reads back as itself; references
// resolve to such URLs. Input: a URL, a line feed, a reference.

#include <cstddef>
#include <cstdint>
#include <string_view>

#include "base/bytes.h"
#include "base/check.h"
#include "http/uri.h"

namespace {

void check(const tern::http::Url& url) {
  const auto again = tern::http::Url::parse(url.to_string());
  TERN_CHECK(again.has_value() && *again == url);
  TERN_CHECK(url.path().starts_with('/') && !url.host().empty() && url.port() != 0);
  for (const char c : url.to_string()) TERN_CHECK(c > 0x20 && c < 0x7f);
  TERN_CHECK((url.path() + "/").find("/../") == std::string::npos);
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const std::string_view text = tern::as_text(tern::ByteView(data, size));
  const std::size_t line = text.find('\n');
  const auto url = tern::http::Url::parse(text.substr(0, line));
  if (!url) {
    TERN_CHECK(!url.error().detail.empty());
    return 0;
  }
  check(*url);
  if (line == std::string_view::npos) return 0;
  if (const auto other = url->resolve(text.substr(line + 1))) check(*other);
  return 0;
}
