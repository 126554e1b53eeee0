#include "base/random.h"

#include <algorithm>
#include <bit>

#include "base/check.h"

namespace tern {

namespace {

constexpr std::uint32_t kSigma[4] = {0x61707865, 0x3320646e, 0x79622d32, 0x6b206574};

inline void quarter_round(std::uint32_t& a, std::uint32_t& b, std::uint32_t& c, std::uint32_t& d) {
  a += b;
  d = std::rotl(d ^ a, 16);
  c += d;
  b = std::rotl(b ^ c, 12);
  a += b;
  d = std::rotl(d ^ a, 8);
  c += d;
  b = std::rotl(b ^ c, 7);
}

/// splitmix64: spreads a small seed over a key.
std::uint64_t spread(std::uint64_t& state) {
  state += 0x9e3779b97f4a7c15;
  std::uint64_t mixed = state;
  mixed = (mixed ^ (mixed >> 30)) * 0xbf58476d1ce4e5b9;
  mixed = (mixed ^ (mixed >> 27)) * 0x94d049bb133111eb;
  return mixed ^ (mixed >> 31);
}

Random::Key key_from_seed(std::uint64_t seed) {
  Random::Key key;
  for (std::size_t offset = 0; offset < key.size(); offset += 8) {
    const std::uint64_t word = spread(seed);
    std::memcpy(key.data() + offset, &word, 8);
  }
  return key;
}

}  // namespace

Random::Random(const Key& key) noexcept {
  for (std::size_t i = 0; i < 4; ++i) state_[i] = kSigma[i];
  std::memcpy(&state_[4], key.data(), key.size());
}

Random::Random(std::uint64_t seed) noexcept : Random(key_from_seed(seed)) {}

void Random::refill() noexcept {
  std::array<std::uint32_t, 16> x = state_;
  for (int round = 0; round < 10; ++round) {
    quarter_round(x[0], x[4], x[8], x[12]);
    quarter_round(x[1], x[5], x[9], x[13]);
    quarter_round(x[2], x[6], x[10], x[14]);
    quarter_round(x[3], x[7], x[11], x[15]);
    quarter_round(x[0], x[5], x[10], x[15]);
    quarter_round(x[1], x[6], x[11], x[12]);
    quarter_round(x[2], x[7], x[8], x[13]);
    quarter_round(x[3], x[4], x[9], x[14]);
  }
  for (std::size_t i = 0; i < 16; ++i) x[i] += state_[i];
  std::memcpy(block_.data(), x.data(), block_.size());
  // 64-bit block counter in words 12 and 13 (the original ChaCha layout).
  if (++state_[12] == 0) ++state_[13];
  used_ = 0;
}

void Random::fill(MutableBytes out) noexcept {
  while (!out.empty()) {
    if (used_ == block_.size()) refill();
    const std::size_t count = std::min(out.size(), block_.size() - used_);
    std::memcpy(out.data(), block_.data() + used_, count);
    used_ += count;
    out = out.subspan(count);
  }
}

std::uint64_t Random::next() noexcept {
  std::uint64_t value;
  fill({reinterpret_cast<std::uint8_t*>(&value), sizeof value});
  return value;
}

std::uint64_t Random::below(std::uint64_t bound) noexcept {
  TERN_CHECK(bound > 0);
  // Rejection keeps the result uniform; at most one retry on average.
  const std::uint64_t threshold = (0 - bound) % bound;
  for (;;) {
    const std::uint64_t value = next();
    if (value >= threshold) return value % bound;
  }
}

double Random::unit() noexcept { return static_cast<double>(next() >> 11) * 0x1.0p-53; }

}  // namespace tern
