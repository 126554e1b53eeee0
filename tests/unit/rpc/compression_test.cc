#include "rpc/compression.h"

#include <string>

#include "rpc/envelope.h"

namespace tern::rpc {
namespace {

constexpr Coding kCodings[] = {Coding::identity, Coding::gzip, Coding::br, Coding::zstd};

TEST(Compression, RoundTrips) {
  for (const Coding coding : kCodings) {
    for (const std::size_t size : {0u, 1u, 1000u, 300'000u}) {
      std::string text;
      while (text.size() < size) text += "abcdefgh" + std::to_string(text.size());
      const Bytes packed = compress(coding, as_bytes(text));
      const auto plain = decompress(coding, packed, text.size());
      ASSERT_TRUE(plain) << http::name_of(coding) << size;
      EXPECT_EQ(plain->text(), text);
      if (coding != Coding::identity && size > 1000) {
        EXPECT_LT(packed.size(), size / 2);
      }
      if (size > 0) {
        const auto refused = decompress(coding, packed, text.size() - 1);
        ASSERT_FALSE(refused);
        EXPECT_EQ(refused.error().code(), Code::resource_exhausted);
      }
    }
  }
}

TEST(Compression, BrokenBytesAreInternal) {
  for (const Coding coding : {Coding::gzip, Coding::br, Coding::zstd}) {
    const Bytes packed = compress(coding, as_bytes(std::string(1000, 'x')));
    for (std::size_t size = 1; size < packed.size(); ++size) {
      const auto cut = decompress(coding, packed.slice(0, size), 2000);
      ASSERT_FALSE(cut) << http::name_of(coding) << " " << size;
      EXPECT_EQ(cut.error().code(), Code::internal);
    }
    const auto noise = decompress(coding, as_bytes("this is not compressed"), 2000);
    ASSERT_FALSE(noise);
    EXPECT_EQ(noise.error().code(), Code::internal);
  }
}

TEST(Compression, InAnEnvelope) {
  const Bytes envelope = compress_envelope(Coding::gzip, as_bytes("hello"));
  EnvelopeReader reader(1000);
  reader.push(envelope);
  const auto next = reader.next();
  ASSERT_TRUE(next && *next);
  EXPECT_TRUE((*next)->compressed());
  EXPECT_EQ(decompress(Coding::gzip, (*next)->payload, 5)->text(), "hello");
}

TEST(Compression, ListsOfCodings) {
  EXPECT_TRUE(lists("identity,deflate,gzip", Coding::gzip));
  EXPECT_TRUE(lists("identity, gzip", Coding::gzip));
  EXPECT_FALSE(lists("identity,gzippy", Coding::gzip));
  EXPECT_FALSE(lists("", Coding::gzip));
  EXPECT_TRUE(lists("", Coding::identity));
  EXPECT_FALSE(lists("gzip", Coding::br));
}

}  // namespace
}  // namespace tern::rpc
