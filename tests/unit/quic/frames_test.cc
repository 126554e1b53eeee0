#include "transport/quic/frames.h"

#include <algorithm>
#include <cstdint>
#include <vector>

#include <gtest/gtest.h>

namespace tern::quic {
namespace {

using Payload = std::vector<std::uint8_t>;

// RFC 9000 §8.2.2: a PATH_CHALLENGE is answered on its path or not at all.
TEST(DropPathChallenges, LeavesEverythingElse) {
  Payload payload = {kPathChallenge,
                     1,
                     2,
                     3,
                     kPathChallenge,
                     5,
                     6,
                     7,
                     8,  // data like types
                     kPing,
                     kStream + kStreamLength,
                     4,
                     2,
                     'h',
                     'i',  //
                     kPathResponse,
                     kPathChallenge,
                     2,
                     3,
                     4,
                     5,
                     6,
                     7,
                     8,  //
                     kPathChallenge,
                     9,
                     9,
                     9,
                     9,
                     9,
                     9,
                     9,
                     9,
                     kMaxData,
                     0x1a};
  Payload left = payload;
  std::fill_n(left.begin(), 9, kPadding);
  std::fill_n(left.end() - 11, 9, kPadding);
  drop_path_challenges(payload);
  EXPECT_EQ(payload, left);
}

TEST(DropPathChallenges, LeavesWhatIsMalformed) {
  for (const Payload& malformed :
       {Payload{kPathChallenge, 1, 2, 3, 4, 5, 6, 7},
        Payload{0x3f, kPathChallenge, 1, 2, 3, 4, 5, 6, 7, 8}, Payload{}}) {
    Payload payload = malformed;
    drop_path_challenges(payload);
    EXPECT_EQ(payload, malformed);
  }
}

}  // namespace
}  // namespace tern::quic
