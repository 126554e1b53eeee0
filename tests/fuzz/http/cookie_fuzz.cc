// Cookies: whatever servers set, what is sent back is a field value within its limit, and the file
// reads back as it was written. Input: set-cookie values, a line each; what follows an empty line
// is a Netscape file.

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>

#include "base/bytes.h"
#include "base/check.h"
#include "http/cookie_jar.h"
#include "http/fields.h"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace tern::http;
  constexpr tern::UnixSeconds kNow = 1'767'225'600;
  std::string_view text = tern::as_text(tern::ByteView(data, size));
  const auto secure = *Url::parse("https://a.b.example.com/x/y");
  const auto plain = *Url::parse("http://example.com/");
  CookieJar jar;
  bool turn = false;
  while (!text.empty() && text.front() != '\n') {
    const std::size_t end = std::min(text.find('\n'), text.size());
    jar.store((turn = !turn) ? secure : plain, text.substr(0, end), kNow);
    text.remove_prefix(std::min(end + 1, text.size()));
  }
  static_cast<void>(jar.from_text(text, kNow));
  TERN_CHECK(jar.size() <= CookieJar::kMaxCookies);
  for (const Url& url : {secure, plain}) {
    const std::string sent = jar.header_for(url, kNow);
    TERN_CHECK(sent.size() <= CookieJar::kMaxHeader);
    for (const char c : sent) TERN_CHECK(static_cast<unsigned char>(c) >= 0x20);
  }
  CookieJar again;
  const std::string file = jar.to_text(kNow);
  TERN_CHECK(again.from_text(file, kNow).has_value());
  TERN_CHECK(again.to_text(kNow) == file);
  return 0;
}
