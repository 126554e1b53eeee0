#include <algorithm>
#include <array>
#include <cstring>
#include <sys/mman.h>
#include <unistd.h>
#include <vector>

#include <gtest/gtest.h>

#include "base/random.h"
#include "transport/quic/packet_protection.h"

/// AES-GCM by two libraries: each must do what the other does, on any packet. Where only BoringSSL
/// is available, it is compared with itself.

namespace tern::quic {
namespace {

using Octets = std::vector<std::uint8_t>;

constexpr std::size_t kMaxPacket = 1500;
constexpr std::uint8_t kCanary = 0xc5;

AeadBackend other_backend() {
  return ipsec_mb_available() ? AeadBackend::ipsec_mb : AeadBackend::boringssl;
}

Octets random_octets(Random& random, std::size_t length) {
  Octets made(length);
  random.fill(made);
  return made;
}

/// Room for `length` bytes that ends where memory ends: the byte after it must not be touched.
class AtEndOfMemory {
 public:
  explicit AtEndOfMemory(ByteView content) : length_(content.size()) {
    const auto page = static_cast<std::size_t>(::sysconf(_SC_PAGESIZE));
    usable_ = (length_ / page + 1) * page;
    void* at =
        ::mmap(nullptr, usable_ + page, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    EXPECT_NE(at, MAP_FAILED);
    base_ = static_cast<std::uint8_t*>(at);
    mapped_ = usable_ + page;
    EXPECT_EQ(::mprotect(base_ + usable_, page, PROT_NONE), 0);
    if (length_ > 0) std::memcpy(data(), content.data(), length_);
  }
  ~AtEndOfMemory() { ::munmap(base_, mapped_); }
  AtEndOfMemory(const AtEndOfMemory&) = delete;
  AtEndOfMemory& operator=(const AtEndOfMemory&) = delete;

  std::uint8_t* data() const { return base_ + usable_ - length_; }
  ByteView view() const { return {data(), length_}; }

 private:
  std::size_t length_, usable_ = 0, mapped_ = 0;
  std::uint8_t* base_ = nullptr;
};

class AeadBackends : public ::testing::TestWithParam<Aead> {
 protected:
  AeadBackends() { random_.fill(nonce_); }

  std::size_t key_length() const { return GetParam() == Aead::aes_128_gcm ? 16 : 32; }

  Random random_{std::uint64_t{9001}};
  Octets key_octets_ = random_octets(random_, key_length());
  const AeadKey boringssl_{GetParam(), key_octets_, AeadBackend::boringssl};
  const AeadKey other_{GetParam(), key_octets_, other_backend()};
  std::array<std::uint8_t, kIvLength> nonce_{};
};

INSTANTIATE_TEST_SUITE_P(Gcm, AeadBackends, ::testing::Values(Aead::aes_128_gcm, Aead::aes_256_gcm),
                         [](const auto& each) {
                           return each.param == Aead::aes_128_gcm ? "Aes128" : "Aes256";
                         });

TEST_P(AeadBackends, AgreeOnEveryLength) {
  for (std::size_t length = 0; length <= kMaxPacket; ++length) {
    SCOPED_TRACE(length);
    ++nonce_[length % kIvLength];
    const Octets plain = random_octets(random_, length);
    const Octets ad = random_octets(random_, random_.below(48));
    Octets expected(length + kAeadTagLength);
    ASSERT_TRUE(boringssl_.seal(expected.data(), plain, nonce_, ad));

    Octets apart(expected.size() + 1, kCanary);
    ASSERT_TRUE(other_.seal(apart.data(), plain, nonce_, ad));
    EXPECT_EQ(apart.back(), kCanary);
    apart.pop_back();
    ASSERT_EQ(apart, expected);

    Octets in_place = plain;
    in_place.resize(expected.size() + 1, kCanary);
    in_place.back() = kCanary;
    ASSERT_TRUE(other_.seal(in_place.data(), ByteView(in_place).first(length), nonce_, ad));
    EXPECT_EQ(in_place.back(), kCanary);
    in_place.pop_back();
    ASSERT_EQ(in_place, expected);

    Octets opened(expected.size() + 1, kCanary);
    ASSERT_TRUE(other_.open(opened.data(), expected, nonce_, ad));
    EXPECT_EQ(opened.back(), kCanary);
    opened.resize(length);
    ASSERT_EQ(opened, plain);
    ASSERT_TRUE(other_.open(in_place.data(), in_place, nonce_, ad));
    in_place.resize(length);
    ASSERT_EQ(in_place, plain);
  }
}

TEST_P(AeadBackends, RejectTheSameAndLeaveZeros) {
  for (int round = 0; round < 400; ++round) {
    SCOPED_TRACE(round);
    const Octets plain = random_octets(random_, random_.below(kMaxPacket + 1));
    Octets ad = random_octets(random_, 1 + random_.below(30));
    Octets sealed(plain.size() + kAeadTagLength);
    ASSERT_TRUE(other_.seal(sealed.data(), plain, nonce_, ad));
    auto nonce = nonce_;
    const auto bit = static_cast<std::uint8_t>(1u << random_.below(8));
    switch (round % 5) {
      case 0: sealed[random_.below(sealed.size())] ^= bit; break;                  // anywhere
      case 1: sealed[plain.size() + random_.below(kAeadTagLength)] ^= bit; break;  // the tag
      case 2: ad[random_.below(ad.size())] ^= bit; break;
      case 3: nonce[random_.below(kIvLength)] ^= bit; break;
      case 4: sealed.resize(random_.below(sealed.size())); break;  // cut short, even below a tag
    }
    for (const AeadKey* key : {&boringssl_, &other_}) {
      Octets apart(sealed.size(), kCanary);
      EXPECT_FALSE(key->open(apart.data(), sealed, nonce, ad));
      EXPECT_EQ(apart, Octets(sealed.size()));
      Octets in_place = sealed;
      EXPECT_FALSE(key->open(in_place.data(), in_place, nonce, ad));
      EXPECT_EQ(in_place, Octets(sealed.size()));
    }
  }
}

TEST_P(AeadBackends, TouchNothingBeyondTheirBuffers) {
  for (std::size_t length = 0; length <= 300; ++length) {
    SCOPED_TRACE(length);
    const Octets plain = random_octets(random_, length);
    const Octets ad_octets = random_octets(random_, length % 41);
    const AtEndOfMemory ad(ad_octets), input(plain), nonce(nonce_);
    const AtEndOfMemory sealed(Octets(length + kAeadTagLength));
    ASSERT_TRUE(other_.seal(sealed.data(), input.view(), nonce.view(), ad.view()));
    const AtEndOfMemory opened(sealed.view());
    ASSERT_TRUE(other_.open(opened.data(), sealed.view(), nonce.view(), ad.view()));
    EXPECT_TRUE(std::equal(plain.begin(), plain.end(), opened.data()));
  }
}

TEST_P(AeadBackends, AutomaticIsOneOfThem) {
  const AeadKey automatic(GetParam(), key_octets_);
  const Octets plain = random_octets(random_, 1200);
  const Octets ad{1, 2, 3};
  Octets sealed(plain.size() + kAeadTagLength);
  ASSERT_TRUE(automatic.seal(sealed.data(), plain, nonce_, ad));
  EXPECT_TRUE(boringssl_.open(sealed.data(), sealed, nonce_, ad));
  sealed.resize(plain.size());
  EXPECT_EQ(sealed, plain);
}

}  // namespace
}  // namespace tern::quic
