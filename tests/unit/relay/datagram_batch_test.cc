#include "tools/relay/datagram_batch.h"

#include <string>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "tests/unit/sim/raw_peer.h"

namespace tern::relay {
namespace {

using namespace std::chrono_literals;
using testing::ElementsAre;
using testing::SizeIs;

struct Sender final : udp::Sink {
  void receive(udp::Socket&, const udp::Arrival&) override {}
  void send_failed(udp::Socket&, const udp::Path&, int) override {}
};

struct Batches {
  Batches() {
    udp::SocketOptions options;
    options.bind = sim::any_v4();
    socket = *pair.world.host("client").network().open(options, sink);
    to.remote = pair.server_address;
  }
  bool add(std::string_view text, udp::Ecn ecn = udp::Ecn::not_ect) {
    return batch.add(*socket, to, ecn, as_bytes(text));
  }
  std::vector<std::string> arrived() {
    batch.flush();
    pair.world.run_for(1s);
    std::vector<std::string> texts;
    for (const auto& datagram : pair.server.received) texts.push_back(datagram.text);
    return texts;
  }
  std::uint64_t sends() {
    for (const auto& [name, value] : pair.world.host("client").network().counters().snapshot()) {
      if (name == "udp.send.batches") return value;
    }
    return 0;
  }

  sim::Pair pair{sim::LinkOptions()};
  Sender sink;
  std::unique_ptr<udp::Socket> socket;
  udp::Path to;
  DatagramBatch batch{pair.world.host("client").network()};
};

TEST(DatagramBatch, EqualNeighboursLeaveAsOneSend) {
  Batches stage;
  for (const char* text : {"aa", "bb", "c", "dd", "eee"}) EXPECT_TRUE(stage.add(text));
  EXPECT_THAT(stage.arrived(), ElementsAre("aa", "bb", "c", "dd", "eee"));
  // aa+bb+c (a shorter one is the last), dd, eee.
  EXPECT_EQ(stage.sends(), 3u);
}

TEST(DatagramBatch, EcnIsKeptApart) {
  Batches stage;
  stage.add("a", udp::Ecn::ect0);
  stage.add("b", udp::Ecn::ce);
  EXPECT_THAT(stage.arrived(), ElementsAre("a", "b"));
  EXPECT_EQ(stage.pair.server.received[0].ecn, udp::Ecn::ect0);
  EXPECT_EQ(stage.pair.server.received[1].ecn, udp::Ecn::ce);
}

TEST(DatagramBatch, ManyAreCutAtTheLimitsOfASend) {
  Batches stage;
  for (int i = 0; i < 130; ++i) ASSERT_TRUE(stage.add(std::string(1000, 'x')));
  EXPECT_THAT(stage.arrived(), SizeIs(130));
  // 65 would fit one buffer, 64 one send.
  EXPECT_EQ(stage.sends(), 4u);
}

TEST(DatagramBatch, WhatFindsNoBufferIsRefused) {
  Batches stage;
  stage.pair.world.host("client").slabs(1);
  for (int i = 0; i < 65; ++i) ASSERT_TRUE(stage.add(std::string(1000, 'x')));
  EXPECT_FALSE(stage.add(std::string(1000, 'x')));
  EXPECT_FALSE(stage.add(""));
  EXPECT_THAT(stage.arrived(), SizeIs(65));
}

}  // namespace
}  // namespace tern::relay
