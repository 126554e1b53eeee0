#include "transport/quic/return_challenge.h"

#include <algorithm>
#include <cstdint>

#include "base/random.h"
#include "transport/quic/frames.h"

namespace tern::quic {

bool add_return_challenge(MutableBytes payload, Random& random) noexcept {
  constexpr std::size_t kFrameSize = 1 + 8;
  if (payload.size() < 2 * kFrameSize || payload[0] != kPathResponse) return false;
  const auto padding = payload.subspan(kFrameSize);
  if (!std::all_of(padding.begin(), padding.end(), [](std::uint8_t b) { return b == 0; })) {
    return false;
  }
  padding[0] = kPathChallenge;
  random.fill(padding.subspan(1, kFrameSize - 1));
  return true;
}

}  // namespace tern::quic
