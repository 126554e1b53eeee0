#include "transport/quic/non_productive.h"

#include <algorithm>
#include <string>
#include <vector>

#include <gtest/gtest.h>

namespace tern::quic {
namespace {

using namespace std::chrono_literals;
using Payload = std::vector<std::uint8_t>;

const Payload kOnePing = {0x01};

TEST(NonProductive, IsWhatWantsAnAckAndBringsNothing) {
  const Payload nothing[] = {
      kOnePing,
      {0x00, 0x00, 0x01, 0x00},
      {0x02, 0x05, 0x00, 0x00, 0x03, 0x01},                          // ACK, PING
      {0x02, 0x05, 0x00, 0x01, 0x03, 0x00, 0x00, 0x01},              // ACK of two ranges, PING
      {0x03, 0x05, 0x00, 0x00, 0x03, 0x01, 0x02, 0x03, 0x01},        // ACK with ECN, PING
      {0x1a, 1, 2, 3, 4, 5, 6, 7, 8, 0x01},                          // PATH_CHALLENGE, PING
      {0x1b, 1, 2, 3, 4, 5, 6, 7, 8},                                // PATH_RESPONSE
      {0x10, 0x44, 0x00},                                            // MAX_DATA
      {0x11, 0x00, 0x44, 0x00, 0x15, 0x00, 0x44, 0x00},              // MAX_STREAM_DATA, and BLOCKED
      {0x12, 0x05, 0x13, 0x05, 0x14, 0x05, 0x16, 0x05, 0x17, 0x05},  // streams
      {0x19, 0x00},                                                  // RETIRE_CONNECTION_ID
  };
  for (const Payload& payload : nothing) {
    EXPECT_TRUE(NonProductivePackets::non_productive(payload)) << "type " << int{payload[0]};
  }
  Payload new_id = {0x18, 0x05, 0x00, 0x08};
  new_id.resize(4 + 8 + 16, 7);
  EXPECT_TRUE(NonProductivePackets::non_productive(new_id));

  const Payload something[] = {
      {},
      {0x00, 0x00},                                // PADDING alone wants no answer,
      {0x02, 0x05, 0x00, 0x00, 0x03},              // nor does ACK
      {0x01, 0x08, 0x00, 'x'},                     // STREAM
      {0x02, 0x05, 0x00, 0x00, 0x03, 0x0f, 0x00},  // ACK, STREAM
      {0x01, 0x06, 0x00, 0x00},                    // CRYPTO
      {0x01, 0x04, 0x00, 0x00, 0x00},              // RESET_STREAM
      {0x01, 0x05, 0x00, 0x00},                    // STOP_SENDING
      {0x01, 0x30, 'x'},                           // DATAGRAM
      {0x01, 0x1c, 0x00, 0x00, 0x00},              // CONNECTION_CLOSE
      {0x01, 0x40, 0x99},                          // unknown
  };
  for (const Payload& payload : something) {
    EXPECT_FALSE(NonProductivePackets::non_productive(payload)) << payload.size();
  }
}

TEST(NonProductive, WhatIsCutOffIsForOthersToRefuse) {
  Payload whole = {0x01, 0x18, 0x05, 0x00, 0x08};
  whole.resize(5 + 8 + 16, 7);
  const Payload tail = {0x02, 0x05, 0x00, 0x01, 0x03, 0x00, 0x00, 0x1a, 1, 2, 3, 4, 5, 6, 7, 8};
  whole.insert(whole.end(), tail.begin(), tail.end());
  ASSERT_TRUE(NonProductivePackets::non_productive(whole));
  // Up to there it is whole, too: a PING; with NEW_CONNECTION_ID; with ACK.
  const std::vector<std::size_t> ends = {1, 29, 36};
  for (std::size_t size = 1; size < whole.size(); ++size) {
    const bool at_end = std::find(ends.begin(), ends.end(), size) != ends.end();
    EXPECT_EQ(NonProductivePackets::non_productive(ByteView(whole).first(size)), at_end) << size;
  }
  // A count of ranges that no packet holds.
  EXPECT_FALSE(NonProductivePackets::non_productive(
      Payload{0x02, 0x05, 0x00, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x00}));
}

TEST(NonProductive, TooManyInAWindow) {
  NonProductivePackets packets;
  Timestamp now = Timestamp() + 100s;
  std::uint64_t number = 0;
  for (int i = 0; i < 100; ++i) {
    packets.opened(number++, kOnePing);
    EXPECT_FALSE(packets.too_many(now, 0, 100));
  }
  packets.opened(number++, kOnePing);
  EXPECT_TRUE(packets.too_many(now, 0, 100));
}

TEST(NonProductive, AFewASecondForEver) {
  NonProductivePackets packets;
  Timestamp now = Timestamp() + 100s;
  for (std::uint64_t number = 0; number < 100'000; ++number, now += 150ms) {
    packets.opened(number, kOnePing);
    ASSERT_FALSE(packets.too_many(now, 0, 100));
  }
}

TEST(NonProductive, WhatWeSendIsCredited) {
  NonProductivePackets packets;
  Timestamp now = Timestamp() + 100s;
  std::uint64_t number = 0;
  std::uint64_t sent = 0;
  // A download: each of our packets is answered by one with a window update.
  for (int i = 0; i < 50'000; ++i, now += 1ms) {
    ++sent;
    packets.opened(number++, kOnePing);
    ASSERT_FALSE(packets.too_many(now, sent, 100)) << i;
  }
  // Answers to the last of them come when a new window has begun.
  now += 11s;
  for (int i = 0; i < 10'000; ++i) {
    packets.opened(number++, kOnePing);
    ASSERT_FALSE(packets.too_many(now, sent, 100)) << i;
  }
  // But credit does not last.
  now += 11s;
  for (int i = 0; i < 10'000; ++i) packets.opened(number++, kOnePing);
  packets.too_many(now, sent, 100);
  now += 11s;
  for (int i = 0; i < 101; ++i) {
    packets.opened(number++, kOnePing);
    packets.too_many(now, sent, 100);
  }
  packets.opened(number++, kOnePing);
  EXPECT_TRUE(packets.too_many(now, sent, 100));
}

TEST(NonProductive, CopiesAndLatecomersAreLeftOut) {
  NonProductivePackets packets;
  const Timestamp now = Timestamp() + 100s;
  for (int i = 0; i < 1'000; ++i) {
    packets.opened(7, kOnePing);
    packets.opened(3, kOnePing);
  }
  EXPECT_FALSE(packets.too_many(now, 0, 1));
  packets.opened(8, kOnePing);
  EXPECT_TRUE(packets.too_many(now, 0, 1));
}

}  // namespace
}  // namespace tern::quic
