#include "rpc/compression.h"

#include <algorithm>
#include <cstdint>
#include <string>
#include <utility>
#include <zlib.h>
#include <zstd.h>

#include <brotli/encode.h>

#include "base/check.h"
#include "http/decode.h"

namespace tern::rpc {

namespace {

constexpr int kGzipWindow = 15 + 16;  // 32 KiB, with gzip's header
constexpr int kBrotliQuality = 4;     // like gzip's default in time
constexpr int kZstdLevel = 3;

std::size_t gzip(ByteView in, MutableBytes out) {
  z_stream stream{};
  TERN_CHECK(deflateInit2(&stream, Z_DEFAULT_COMPRESSION, Z_DEFLATED, kGzipWindow, 8,
                          Z_DEFAULT_STRATEGY) == Z_OK);
  stream.next_in = const_cast<Bytef*>(in.data());
  stream.avail_in = static_cast<uInt>(in.size());
  stream.next_out = out.data();
  stream.avail_out = static_cast<uInt>(out.size());
  TERN_CHECK(deflate(&stream, Z_FINISH) == Z_STREAM_END);
  const std::size_t written = stream.total_out;
  deflateEnd(&stream);
  return written;
}

std::size_t bound(Coding coding, std::size_t size) {
  switch (coding) {
    case Coding::identity: return size;
    case Coding::gzip:
      return compressBound(size) + 18;  // gzip's header and trailer instead of zlib's
    case Coding::zstd: return ZSTD_compressBound(size);
    case Coding::br:
      return BrotliEncoderMaxCompressedSize(size) + 16;  // it gives 0 for sizes beyond its sums
  }
  return 0;
}

std::size_t compress_into(Coding coding, ByteView in, MutableBytes out) {
  switch (coding) {
    case Coding::identity: std::copy(in.begin(), in.end(), out.begin()); return in.size();
    case Coding::gzip: return gzip(in, out);
    case Coding::zstd: {
      const std::size_t written =
          ZSTD_compress(out.data(), out.size(), in.data(), in.size(), kZstdLevel);
      TERN_CHECK(ZSTD_isError(written) == 0);
      return written;
    }
    case Coding::br: {
      std::size_t written = out.size();
      TERN_CHECK(BrotliEncoderCompress(kBrotliQuality, BROTLI_DEFAULT_WINDOW, BROTLI_DEFAULT_MODE,
                                       in.size(), in.data(), &written, out.data()) == BROTLI_TRUE);
      return written;
    }
  }
  return 0;
}

}  // namespace

std::optional<Coding> coding_named(std::string_view name) noexcept {
  for (const Coding coding : {Coding::identity, Coding::gzip, Coding::zstd, Coding::br}) {
    if (coding_name(coding) == name) return coding;
  }
  return std::nullopt;
}

std::string_view coding_name(Coding coding) noexcept {
  return coding == Coding::identity ? "identity" : http::name_of(coding);
}

bool lists(std::string_view accepted, Coding coding) noexcept {
  if (coding == Coding::identity) return true;
  while (!accepted.empty()) {
    const auto comma = accepted.find(',');
    std::string_view name = accepted.substr(0, comma);
    while (name.starts_with(' ')) name.remove_prefix(1);
    while (name.ends_with(' ')) name.remove_suffix(1);
    if (name == http::name_of(coding)) return true;
    if (comma == std::string_view::npos) break;
    accepted.remove_prefix(comma + 1);
  }
  return false;
}

Bytes compress(Coding coding, ByteView message, Header header) {
  return Bytes::make(header.size + bound(coding, message.size()), [&](MutableBytes out) {
    const std::size_t size = compress_into(coding, message, out.subspan(header.size));
    if (header.write != nullptr) header.write(out.data(), size, header.flags);
    return header.size + size;
  });
}

Result<Bytes> decompress(Coding coding, ByteView bytes, std::size_t limit) {
  if (coding == Coding::identity) {
    if (bytes.size() > limit) return fail(Code::resource_exhausted, "the message is too large");
    return Bytes::copy(bytes);
  }
  auto decoder = http::ContentDecoder::make(http::name_of(coding));
  TERN_CHECK(decoder);
  std::string message;
  const auto append = [&](ByteView piece) -> tern::Result<void> {
    if (piece.size() > limit - message.size()) {
      return tern::fail(Error::limit("the message is longer than " + std::to_string(limit) +
                                     " bytes when it is decompressed"));
    }
    message.append(as_text(piece));
    return {};
  };
  tern::Result<void> decoded = decoder->decode(bytes, append);
  if (decoded) decoded = decoder->finish();
  if (!decoded) {
    const bool too_long = decoded.error().is(tern::Code::limit);
    return fail(too_long ? Code::resource_exhausted : Code::internal, decoded.error().detail);
  }
  return Bytes::take(std::move(message));
}

}  // namespace tern::rpc
