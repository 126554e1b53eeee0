#include "rpc/grpc_web.h"

#include <algorithm>

#include "base/ascii.h"
#include "rpc/metadata.h"

namespace tern::rpc {

std::string web_trailers(const http::Fields& trailers) {
  std::string out;
  for (const http::Field field : trailers) {
    out.append(field.name).append(": ").append(field.value).append("\r\n");
  }
  return out;
}

Result<http::Fields> parse_web_trailers(std::string_view text) {
  http::Fields fields;
  while (!text.empty()) {
    const std::size_t end = std::min(text.find('\n'), text.size());
    std::string_view line = text.substr(0, end);
    text.remove_prefix(std::min(end + 1, text.size()));
    if (line.ends_with('\r')) line.remove_suffix(1);
    if (line.empty()) continue;
    const std::size_t colon = line.find(':');
    if (colon == std::string_view::npos) return fail(Code::internal, "a trailer without a colon");
    fields.add(line.substr(0, colon), ascii::trimmed(line.substr(colon + 1)));
  }
  if (fields.first_invalid()) return fail(Code::internal, "a trailer is no header line");
  return fields;
}

Result<void> WebTextDecoder::decode(ByteView piece, std::string& out) {
  // Whole groups of what is at hand go through at once, up to where one is padded.
  std::string text(reinterpret_cast<const char*>(group_), count_);
  text.append(as_text(piece));
  std::string_view rest = text;
  std::string decoded;
  while (rest.size() >= 4) {
    std::size_t size = rest.size() / 4 * 4;
    const std::size_t pad = rest.find('=');
    if (pad < size) size = pad / 4 * 4 + 4;
    decoded.clear();
    if (!from_base64(rest.substr(0, size), decoded)) return fail(Code::internal, "no base64");
    out.append(decoded);
    rest.remove_prefix(size);
  }
  count_ = static_cast<std::uint8_t>(rest.size());
  std::copy(rest.begin(), rest.end(), group_);
  return {};
}

}  // namespace tern::rpc
