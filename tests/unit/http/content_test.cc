// Content types, codings and decoding.

#include <algorithm>
#include <array>
#include <zlib.h>
#include <zstd.h>

#include <brotli/encode.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "http/content_coding.h"
#include "http/content_type.h"
#include "http/decode.h"

namespace tern::http {
namespace {

using ::testing::HasSubstr;

TEST(ContentType, GoesByTheExtension) {
  EXPECT_EQ(content_type_of("index.html"), "text/html; charset=utf-8");
  EXPECT_EQ(content_type_of("/a.b/LOGO.SVG"), "image/svg+xml");
  EXPECT_EQ(content_type_of("x.tar.gz"), "application/gzip");
  EXPECT_EQ(content_type_of("site.webmanifest"), "application/manifest+json");
  for (const char* unknown :
       {"", "README", "a.html/README", "x.", ".", "x.unheardof", "x.averyverylongextension"}) {
    EXPECT_EQ(content_type_of(unknown), "application/octet-stream") << unknown;
  }
}

std::string_view chosen(std::string_view accept,
                        std::array<bool, kCodings> available = {true, true, true, true}) {
  const std::string_view name = name_of(AcceptedCodings(accept).choose(available));
  return name.empty() ? "identity" : name;
}

TEST(AcceptEncoding, TakesTheBestAccepted) {
  EXPECT_EQ(chosen("gzip, deflate, br, zstd"), "br");
  EXPECT_EQ(chosen("gzip, zstd"), "zstd");
  EXPECT_EQ(chosen("gzip"), "gzip");
  EXPECT_EQ(chosen("X-GZIP"), "gzip");
  EXPECT_EQ(chosen("gzip;q=1.0, br;q=0.9"), "gzip");
  EXPECT_EQ(chosen("br;q=0.001"), "br");
  EXPECT_EQ(chosen("br;q=0, gzip"), "gzip");
  EXPECT_EQ(chosen("*"), "br");
  EXPECT_EQ(chosen("*, br;q=0"), "zstd");
  EXPECT_EQ(chosen("gzip ; q=0.5 , *;q=0"), "gzip");
  EXPECT_EQ(chosen("gzip, br", {true, true, false, false}), "gzip");
}

TEST(AcceptEncoding, FallsBackToIdentity) {
  EXPECT_EQ(chosen(""), "identity");
  EXPECT_EQ(chosen("deflate"), "identity");
  EXPECT_EQ(chosen("identity, gzip;q=0.5"), "identity");
  EXPECT_EQ(chosen("*;q=0"), "identity");
  EXPECT_EQ(chosen("br;q=0"), "identity");
  EXPECT_EQ(chosen("br;q=2, gzip;q=x, zstd;level=1"), "identity");
  EXPECT_EQ(chosen("identity;q=0", {true, false, false, false}), "identity");
}

std::string gzipped(std::string_view text) {
  z_stream stream{};
  deflateInit2(&stream, 9, Z_DEFLATED, 31, 8, Z_DEFAULT_STRATEGY);
  std::string out(deflateBound(&stream, text.size()), '\0');
  stream.next_in = reinterpret_cast<Bytef*>(const_cast<char*>(text.data()));
  stream.avail_in = static_cast<uInt>(text.size());
  stream.next_out = reinterpret_cast<Bytef*>(out.data());
  stream.avail_out = static_cast<uInt>(out.size());
  EXPECT_EQ(deflate(&stream, Z_FINISH), Z_STREAM_END);
  out.resize(stream.total_out);
  deflateEnd(&stream);
  return out;
}

std::string brotlied(std::string_view text) {
  std::size_t size = BrotliEncoderMaxCompressedSize(text.size());
  std::string out(size, '\0');
  EXPECT_TRUE(BrotliEncoderCompress(5, BROTLI_DEFAULT_WINDOW, BROTLI_MODE_GENERIC, text.size(),
                                    reinterpret_cast<const std::uint8_t*>(text.data()), &size,
                                    reinterpret_cast<std::uint8_t*>(out.data())));
  out.resize(size);
  return out;
}

std::string zstandarded(std::string_view text) {
  std::string out(ZSTD_compressBound(text.size()), '\0');
  out.resize(ZSTD_compress(out.data(), out.size(), text.data(), text.size(), 3));
  return out;
}

/// The decoded body, or the error's text.
std::string decoded(std::string_view coding, std::string_view body, std::size_t piece = SIZE_MAX,
                    DecodeLimits limits = DecodeLimits()) {
  Result<ContentDecoder> decoder = ContentDecoder::make(coding, limits);
  if (!decoder) return "error: " + decoder.error().detail;
  std::string out;
  const ContentDecoder::Sink sink = [&out](ByteView bytes) -> Result<void> {
    out.append(as_text(bytes));
    return {};
  };
  while (!body.empty()) {
    const Result<void> step = decoder->decode(as_bytes(body.substr(0, piece)), sink);
    if (!step) return "error: " + step.error().detail;
    body.remove_prefix(std::min(piece, body.size()));
  }
  const Result<void> end = decoder->finish();
  return end ? out : "error: " + end.error().detail;
}

std::string text_of(std::size_t size) {
  std::string text;
  for (int i = 0; text.size() < size; ++i) text += "line " + std::to_string(i * i) + "\n";
  return text;
}

TEST(Decode, UndoesEachCodingHoweverItIsSplit) {
  const std::string text = text_of(200'000);
  const std::array<std::pair<const char*, std::string>, 6> bodies = {{
      {"gzip", gzipped(text)},
      {"br", brotlied(text)},
      {"zstd", zstandarded(text)},
      {"", text},
      {"identity", text},
      {"gzip , BR", brotlied(gzipped(text))},
  }};
  for (const auto& [coding, body] : bodies) {
    for (const std::size_t piece : {SIZE_MAX, std::size_t{1000}, std::size_t{7}}) {
      EXPECT_EQ(decoded(coding, body, piece), text) << coding << " in pieces of " << piece;
    }
  }
}

TEST(Decode, SeveralMembersAreOneBody) {
  EXPECT_EQ(decoded("gzip", gzipped("one ") + gzipped("") + gzipped("two")), "one two");
  EXPECT_EQ(decoded("zstd", zstandarded("one ") + zstandarded("two"), 3), "one two");
}

TEST(Decode, AnEmptyBodyIsEmpty) {
  EXPECT_EQ(decoded("gzip", ""), "");
  EXPECT_EQ(decoded("br", brotlied("")), "");
  EXPECT_EQ(decoded("zstd", zstandarded("")), "");
}

TEST(Decode, NoticesABodyCutShort) {
  const std::string text = text_of(10'000);
  for (const auto& [coding, body] : std::array<std::pair<const char*, std::string>, 3>{
           {{"gzip", gzipped(text)}, {"br", brotlied(text)}, {"zstd", zstandarded(text)}}}) {
    EXPECT_THAT(decoded(coding, body.substr(0, body.size() - 3)), HasSubstr("cut short")) << coding;
    EXPECT_THAT(decoded(coding, body + "garbage!"), HasSubstr("error")) << coding;
    EXPECT_THAT(decoded(coding, "garbage! garbage!"), HasSubstr("error")) << coding;
  }
}

TEST(Decode, RefusesBombs) {
  const std::string zeros(20 * 1024 * 1024, '\0');
  EXPECT_EQ(decoded("gzip", gzipped(zeros)).size(), zeros.size());  // about 1000 times
  EXPECT_THAT(decoded("br", brotlied(zeros)), HasSubstr("too large"));
  EXPECT_THAT(decoded("zstd", zstandarded(zeros)), HasSubstr("too large"));
  EXPECT_THAT(decoded("gzip", gzipped(zeros), SIZE_MAX, DecodeLimits().output(1'000'000)),
              HasSubstr("too large"));
}

TEST(Decode, RefusesWhatItDoesNotKnow) {
  EXPECT_THAT(decoded("deflate", "x"), HasSubstr("\"deflate\""));
  EXPECT_THAT(decoded("gzip, gzip, gzip, gzip", "x"), HasSubstr("more than 3"));
}

}  // namespace
}  // namespace tern::http
