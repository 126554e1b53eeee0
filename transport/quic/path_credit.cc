#include "transport/quic/path_credit.h"

#include <algorithm>

#include "transport/quic/frames.h"

namespace tern::quic {

void PathCredit::opened(ByteView payload) noexcept {
  if (!limited_) return;
  constexpr std::size_t kFrameSize = 1 + std::tuple_size_v<Challenge>;
  const auto known = std::min(challenges_, sent_challenges_.size());
  // Wherever it stands: nobody has the eight bytes but who got them at that address.
  for (std::size_t at = 0; at + kFrameSize <= payload.size(); ++at) {
    if (payload[at] != kPathResponse) continue;
    const ByteView data = payload.subspan(at + 1, kFrameSize - 1);
    for (std::size_t i = 0; i < known; ++i) {
      if (std::equal(data.begin(), data.end(), sent_challenges_[i].begin())) {
        lift();
        return;
      }
    }
  }
}

}  // namespace tern::quic
