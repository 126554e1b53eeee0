// Limits: slabs, receive buffers, the completion queue.

#include <cstring>

#include "tests/unit/engine/engine_fixture.h"

namespace tern::engine {
namespace {

class PressureTest : public EngineTest {};

INSTANTIATE_TEST_SUITE_P(Engine, PressureTest, testing::ValuesIn(available_engines()), engine_name);

TEST_P(PressureTest, SlabsRunOutAndComeBack) {
  const auto small = make(EngineOptions().slabs(3));
  Recorder receiver;
  const auto socket = bind(*small, receiver, "127.0.0.1:0");
  std::vector<udp::Slab*> slabs;
  for (int i = 0; i < 3; ++i) {
    slabs.push_back(small->acquire());
    ASSERT_NE(slabs.back(), nullptr);
  }
  EXPECT_EQ(small->acquire(), nullptr);
  EXPECT_EQ(count(*small, "udp.send.out_of_slabs"), 1U);
  for (udp::Slab* slab : slabs) {
    slab->space()[0] = 's';
    udp::Transmit transmit;
    transmit.path.remote = socket->local();
    transmit.length = transmit.segment_size = 1;
    slab->add(*socket, transmit);
    small->submit(slab);
  }
  // The wait must end though nothing else happens in this world than slabs becoming free.
  udp::Slab* again = nullptr;
  ASSERT_TRUE(turn_until(*small, [&] { return (again = small->acquire()) != nullptr; }));
  EXPECT_TRUE(again->entries().empty());
  small->submit(again);
  ASSERT_TRUE(turn_until(*small, [&] { return receiver.datagrams.size() == 3; }));
}

TEST_P(PressureTest, AWaitForSlabsEndsWithoutTraffic) {
  const auto small = make(EngineOptions().slabs(1));
  Recorder elsewhere;
  const auto target = bind(elsewhere, "127.0.0.1:0");  // on another network, which never turns
  Recorder recorder;
  const auto socket = bind(*small, recorder, "127.0.0.1:0");
  for (int i = 0; i < 50; ++i) {
    send(*small, *socket, target->local(), "x");
    udp::Slab* next = small->acquire();
    if (next == nullptr) {
      ASSERT_TRUE(turn_until(*small, [&] { return (next = small->acquire()) != nullptr; }));
    }
    small->submit(next);
  }
  ASSERT_TRUE(turn_until([&] { return elsewhere.datagrams.size() == 50; }));
}

TEST_P(PressureTest, MoreFlowsThanReceiveBuffers) {
  const auto small = make(EngineOptions().receive_buffers(2));
  Recorder receiver;
  const auto socket = bind(*small, receiver, "127.0.0.1:0");
  // Datagrams of different senders are not coalesced: each takes a buffer.
  Recorder ignored;
  std::vector<std::unique_ptr<udp::Socket>> clients;
  for (int i = 0; i < 40; ++i) {
    clients.push_back(bind(ignored, "127.0.0.1:0"));
    send(*clients.back(), socket->local(), std::to_string(i));
  }
  turn_once(*network);
  ASSERT_TRUE(turn_until(*small, [&] { return receiver.datagrams.size() == 40; }));
  for (int i = 0; i < 40; ++i) {
    EXPECT_EQ(receiver.datagrams[static_cast<std::size_t>(i)].bytes, std::to_string(i));
  }
  // And it goes on.
  send(*clients[0], socket->local(), "more");
  turn_once(*network);
  ASSERT_TRUE(turn_until(*small, [&] { return receiver.datagrams.size() == 41; }));
}

TEST_P(PressureTest, BuffersGrowWithTheNumberOfFlows) {
  const auto receiving = make(EngineOptions());
  Recorder receiver;
  const auto socket = bind(*receiving, receiver, "127.0.0.1:0");
  Recorder ignored;
  std::vector<std::unique_ptr<udp::Socket>> clients;
  for (int i = 0; i < 60; ++i) clients.push_back(bind(ignored, "127.0.0.1:0"));
  const auto burst = [&] {
    receiver.datagrams.clear();
    for (const auto& client : clients) send(*client, socket->local(), "x");
    turn_once(*network);
    ASSERT_TRUE(turn_until(*receiving, [&] { return receiver.datagrams.size() == 60; }));
  };
  for (int i = 0; i < 10; ++i) burst();
  const std::uint64_t learned = count(*receiving, "udp.receive.out_of_buffers");
  for (int i = 0; i < 10; ++i) burst();
  EXPECT_EQ(count(*receiving, "udp.receive.out_of_buffers"), learned);
  // A long quiet time takes them out of use again, and the next burst finds them.
  for (int i = 0; i < 20'000; ++i) turn_once(*receiving);
  burst();
}

TEST_P(PressureTest, WhatTheKernelDropsIsCounted) {
  const auto small = make(EngineOptions().socket_receive_buffer(4096));
  Recorder receiver;
  const auto socket = bind(*small, receiver, "127.0.0.1:0");
  Recorder ignored;
  const auto client = bind(ignored, "127.0.0.1:0");
  constexpr std::size_t kSent = 200;
  for (std::size_t i = 0; i < kSent; ++i) send(*client, socket->local(), std::string(1000, 'x'));
  turn_once(*network);
  // The count comes with what arrives after the loss.
  const auto told = [&] {
    send(*client, socket->local(), "after");
    turn_once(*network);
    turn_once(*small);
    return count(*small, "udp.receive.dropped_by_kernel") > 0;
  };
  ASSERT_TRUE(turn_until([&] {
    network->wake();
    return told();
  }));
  EXPECT_LT(receiver.datagrams.size(), kSent);
}

TEST_P(PressureTest, OneReapIsBounded) {
  // A sink that causes a datagram for each it gets must not keep reap from returning.
  Recorder receiver;
  const auto socket = bind(receiver, "127.0.0.1:0");
  receiver.hook = [&](const udp::Arrival&) { send(*socket, socket->local(), "again"); };
  send(*socket, socket->local(), "first");
  ASSERT_TRUE(turn_until([&] { return receiver.datagrams.size() >= 100; }));
  receiver.hook = nullptr;
}

TEST_P(PressureTest, MoreSendsInATurnThanQueuesHold) {
  // 8192 single datagrams: beyond the submission queue and the completion queue of io_uring.
  constexpr std::size_t kSenders = 8;
  constexpr std::uint32_t kEach = 1024;
  const auto sending = make(EngineOptions().slabs(kSenders));
  const auto receiving = make(EngineOptions());
  Recorder receiver;
  const auto to = bind(*receiving, receiver, "127.0.0.1:0");
  Recorder sender;
  const auto from = bind(*sending, sender, "127.0.0.1:0");
  // Half of them to where nothing can go, so that completions pile up too.
  udp::Path nowhere;
  nowhere.remote = address("192.0.2.1:9");
  for (std::size_t i = 0; i < kSenders; ++i) {
    udp::Slab* slab = sending->acquire();
    ASSERT_NE(slab, nullptr);
    for (std::uint32_t n = 0; n < kEach; ++n) {
      udp::Transmit transmit;
      if (n % 64 == 0) {
        transmit.path.remote = to->local();
      } else {
        transmit.path = nowhere;
      }
      transmit.offset = n * 4;
      transmit.length = transmit.segment_size = 4;
      slab->add(*from, transmit);
    }
    sending->submit(slab);
  }
  constexpr std::size_t kArriving = kSenders * kEach / 64;
  ASSERT_TRUE(
      turn_until(*sending, [&] { return sender.failures.size() == kSenders * kEach - kArriving; }));
  EXPECT_EQ(count(*sending, "udp.send.datagrams"), kArriving);
  ASSERT_TRUE(turn_until(*receiving, [&] { return receiver.datagrams.size() == kArriving; }));
  for (std::size_t i = 0; i < kSenders; ++i) {
    udp::Slab* slab = sending->acquire();
    ASSERT_NE(slab, nullptr) << "a slab was lost";
    sending->submit(slab);
  }
}

TEST_P(PressureTest, BulkBothWaysLosesNothingWhenPaced) {
  // 64 MiB in batches of 44 datagrams, each checked; what is in flight stays below the buffers.
  Recorder ignored;
  const auto from = bind(ignored, "127.0.0.1:0");
  struct Checker final : udp::Sink {
    std::uint64_t next = 0;
    std::uint64_t wrong = 0;
    void receive(udp::Socket&, const udp::Arrival& arrival) override {
      for (std::size_t at = 0; at < arrival.bytes.size(); at += arrival.segment_size) {
        std::uint64_t number = 0;
        std::memcpy(&number, arrival.bytes.data() + at, sizeof number);
        wrong += number == next ? 0 : 1;
        ++next;
      }
    }
    void send_failed(udp::Socket&, const udp::Path&, int) override { ++wrong; }
  } checker;
  udp::SocketOptions options;
  options.bind = address("127.0.0.1:0");
  const auto to = network->open(options, checker);
  ASSERT_TRUE(to);
  constexpr std::uint32_t kSegments = 44;
  constexpr std::uint32_t kSegmentSize = 1452;
  std::uint64_t sent = 0;
  while (sent < 1000 * kSegments) {
    for (int burst = 0; burst < 8; ++burst) {
      udp::Slab* slab = network->acquire();
      ASSERT_NE(slab, nullptr);
      for (std::uint32_t i = 0; i < kSegments; ++i, ++sent) {
        std::memcpy(slab->space().data() + i * kSegmentSize, &sent, sizeof sent);
      }
      udp::Transmit transmit;
      transmit.path.remote = (*to)->local();
      transmit.length = kSegments * kSegmentSize;
      transmit.segment_size = kSegmentSize;
      slab->add(*from, transmit);
      network->submit(slab);
    }
    ASSERT_TRUE(turn_until([&] { return checker.next == sent; }));
  }
  EXPECT_EQ(checker.wrong, 0U);
}

}  // namespace
}  // namespace tern::engine
