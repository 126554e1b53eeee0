#include "rpc/stream_head.h"

#include <algorithm>
#include <utility>

#include "rpc/envelope.h"
#include "rpc/grpc_web.h"

namespace tern::rpc {

Bytes call_head_envelope(std::string_view path, const http::Fields& fields) {
  std::string text(path);
  text.append("\r\n").append(web_trailers(fields));
  return make_envelope(kWebTrailers, as_bytes(text));
}

Bytes head_envelope(const http::Fields& fields) {
  const std::string text = web_trailers(fields);
  return make_envelope(kWebTrailers, as_bytes(text));
}

Result<CallHead> parse_call_head(std::string_view text) {
  const std::size_t end = std::min(text.find('\n'), text.size());
  std::string_view path = text.substr(0, end);
  if (path.ends_with('\r')) path.remove_suffix(1);
  const bool plain =
      std::all_of(path.begin(), path.end(), [](char c) { return c > ' ' && c < 0x7f; });
  if (!path.starts_with('/') || !plain) {
    return fail(Code::internal, "a call's first line is no method's path");
  }
  Result<http::Fields> fields = parse_web_trailers(text.substr(std::min(end + 1, text.size())));
  if (!fields) return fail(std::move(fields).error());
  return CallHead{std::string(path), std::move(*fields)};
}

Result<bool> HeadReader::push(ByteView piece) {
  bytes_.append(as_text(piece));
  if (size_ == 0) {
    if (bytes_.size() < kEnvelopeHeader) return false;
    const auto byte = [this](std::size_t i) { return static_cast<std::uint8_t>(bytes_[i]); };
    if (byte(0) != kWebTrailers) {
      return fail(Code::internal, "flags " + std::to_string(byte(0)) + " before a call's head");
    }
    std::size_t length = 0;
    for (std::size_t i = 1; i < kEnvelopeHeader; ++i) length = length << 8 | byte(i);
    if (length > kMaxSize) {
      return fail(Code::resource_exhausted,
                  "a call's head of more than " + std::to_string(kMaxSize) + " bytes");
    }
    size_ = kEnvelopeHeader + length;
  }
  return bytes_.size() >= size_;
}

std::string_view HeadReader::text() const noexcept {
  return std::string_view(bytes_).substr(kEnvelopeHeader, size_ - kEnvelopeHeader);
}

Bytes HeadReader::rest() const { return Bytes::copy(std::string_view(bytes_).substr(size_)); }

}  // namespace tern::rpc
