// What every engine does for every datagram: both address families, addresses, ECN, errors.

#include <algorithm>
#include <cerrno>
#include <set>

#include "tests/unit/engine/engine_fixture.h"

namespace tern::engine {
namespace {

using testing::SizeIs;

class NetworkTest : public EngineTest {};

INSTANTIATE_TEST_SUITE_P(Engine, NetworkTest, testing::ValuesIn(available_engines()), engine_name);

TEST_P(NetworkTest, CarriesADatagramBothWays) {
  Recorder left;
  Recorder right;
  const auto a = bind(left, "127.0.0.1:0");
  const auto b = bind(right, "127.0.0.1:0");
  ASSERT_NE(a->local().port(), 0);

  send(*a, b->local(), "there");
  ASSERT_TRUE(turn_until([&] { return !right.datagrams.empty(); }));
  EXPECT_EQ(right.datagrams[0].bytes, "there");
  EXPECT_EQ(right.datagrams[0].path.remote, a->local());
  EXPECT_EQ(right.datagrams[0].path.local, b->local());
  EXPECT_EQ(right.sockets[0], b.get());

  send(*b, right.datagrams[0].path.remote, "and back");
  ASSERT_TRUE(turn_until([&] { return !left.datagrams.empty(); }));
  EXPECT_EQ(left.datagrams[0].bytes, "and back");
}

TEST_P(NetworkTest, CarriesIpv6) {
  Recorder left;
  Recorder right;
  const auto a = bind(left, "[::1]:0");
  const auto b = bind(right, "[::1]:0");
  send(*a, b->local(), "six");
  ASSERT_TRUE(turn_until([&] { return !right.datagrams.empty(); }));
  EXPECT_EQ(right.datagrams[0].bytes, "six");
  EXPECT_EQ(right.datagrams[0].path.remote, a->local());
  EXPECT_EQ(right.datagrams[0].path.local, b->local());
}

// The address a client used must be the one it is answered from (RFC 9000 §9), so a wildcard
// socket has to tell it and to send from it.
struct WildcardCase {
  const char* bind;
  const char* client;
  const char* reached;
};

class WildcardTest : public EngineTest {
 protected:
  void answers_from_the_address_reached(const WildcardCase& wildcard) {
    SCOPED_TRACE(std::string(wildcard.bind) + " reached at " + wildcard.reached);
    Recorder server_side;
    Recorder client_side;
    const auto server = bind(server_side, wildcard.bind);
    const auto client = bind(client_side, wildcard.client);
    udp::Address reached = address(wildcard.reached);
    reached.set_port(server->local().port());

    send(*client, reached, "hello", 0, udp::Ecn::ect0);
    ASSERT_TRUE(turn_until([&] { return !server_side.datagrams.empty(); }));
    const auto& hello = server_side.datagrams[0];
    EXPECT_EQ(hello.path.local, reached);
    EXPECT_EQ(hello.path.remote, client->local());
    EXPECT_EQ(hello.ecn, udp::Ecn::ect0);

    send(*network, *server, hello.path.remote, "hi", 0, udp::Ecn::ect1, hello.path.local);
    ASSERT_TRUE(turn_until([&] { return !client_side.datagrams.empty(); }));
    EXPECT_EQ(client_side.datagrams[0].path.remote, reached);
    EXPECT_EQ(client_side.datagrams[0].ecn, udp::Ecn::ect1);
  }
};

INSTANTIATE_TEST_SUITE_P(Engine, WildcardTest, testing::ValuesIn(available_engines()), engine_name);

TEST_P(WildcardTest, V4) {
  answers_from_the_address_reached({"0.0.0.0:0", "127.0.0.1:0", "127.0.0.9:0"});
}
TEST_P(WildcardTest, V6) { answers_from_the_address_reached({"[::]:0", "[::1]:0", "[::1]:0"}); }
TEST_P(WildcardTest, V4ThroughDualStack) {
  answers_from_the_address_reached({"[::]:0", "127.0.0.1:0", "127.0.0.9:0"});
}

TEST_P(NetworkTest, V6OnlyWildcardLeavesV4ToOthers) {
  Recorder six;
  Recorder four;
  udp::SocketOptions options;
  options.bind = address("[::]:0");
  options.v6_only = true;
  const auto six_socket = network->open(options, six);
  ASSERT_TRUE(six_socket);
  options.bind = address("0.0.0.0:0");
  options.bind.set_port((*six_socket)->local().port());
  const auto four_socket = network->open(options, four);
  ASSERT_TRUE(four_socket) << four_socket.error().to_string();
}

TEST_P(NetworkTest, KeepsEveryEcnCodepoint) {
  for (const char* loopback : {"127.0.0.1:0", "[::1]:0"}) {
    Recorder sender;
    Recorder receiver;
    const auto from = bind(sender, loopback);
    const auto to = bind(receiver, loopback);
    const udp::Ecn codepoints[] = {udp::Ecn::not_ect, udp::Ecn::ect0, udp::Ecn::ect1, udp::Ecn::ce};
    for (const udp::Ecn ecn : codepoints) send(*from, to->local(), "mark", 0, ecn);
    ASSERT_TRUE(turn_until([&] { return receiver.datagrams.size() == 4; }));
    for (std::size_t i = 0; i < 4; ++i) EXPECT_EQ(receiver.datagrams[i].ecn, codepoints[i]);
  }
}

TEST_P(NetworkTest, SendsTheEntriesOfASlabInOrder) {
  Recorder sender;
  Recorder receiver;
  const auto from = bind(sender, "127.0.0.1:0");
  const auto other = bind(sender, "127.0.0.1:0");
  const auto to = bind(receiver, "127.0.0.1:0");
  udp::Slab* slab = network->acquire();
  ASSERT_NE(slab, nullptr);
  constexpr std::uint32_t kSize = 20;
  for (std::uint32_t i = 0; i < 100; ++i) {
    const std::string text(kSize, static_cast<char>('0' + i % 10));
    std::copy(text.begin(), text.end(), slab->space().begin() + i * kSize);
    udp::Transmit transmit;
    transmit.path.remote = to->local();
    transmit.offset = i * kSize;
    transmit.length = kSize;
    transmit.segment_size = kSize;
    slab->add(i % 3 == 0 ? *other : *from, transmit);
  }
  network->submit(slab);
  ASSERT_TRUE(turn_until([&] { return receiver.datagrams.size() == 100; }));
  // Of each sender in order; the two share nothing.
  int last_from = -1;
  int last_other = -1;
  std::size_t of_other = 0;
  for (const auto& datagram : receiver.datagrams) {
    const bool is_other = datagram.path.remote == other->local();
    of_other += is_other ? 1 : 0;
    int& last = is_other ? last_other : last_from;
    int next = last;
    do ++next;
    while ((next % 3 == 0) != is_other);
    EXPECT_EQ(datagram.bytes[0], '0' + next % 10);
    last = next;
  }
  EXPECT_EQ(of_other, 34U);
}

TEST_P(NetworkTest, ServesManySockets) {
  Recorder server_side;
  const auto server = bind(server_side, "127.0.0.1:0");
  std::vector<Recorder> recorders(200);
  std::vector<std::unique_ptr<udp::Socket>> clients;
  for (Recorder& recorder : recorders) clients.push_back(bind(recorder, "127.0.0.1:0"));
  server_side.hook = [&](const udp::Arrival& arrival) {
    const std::string text(as_text(arrival.bytes));
    send(*server, arrival.path.remote, text + "!");
  };
  for (std::size_t i = 0; i < clients.size(); ++i) {
    // One at a time: the point is the number of sockets, not the depth of one's queue.
    send(*clients[i], server->local(), std::to_string(i));
    ASSERT_TRUE(turn_until([&] { return !recorders[i].datagrams.empty(); }));
    EXPECT_EQ(recorders[i].datagrams[0].bytes, std::to_string(i) + "!");
  }
  for (const Recorder& recorder : recorders) EXPECT_THAT(recorder.datagrams, SizeIs(1));
}

TEST_P(NetworkTest, TwoSocketsOnOneAddressAreAnError) {
  Recorder recorder;
  const auto first = bind(recorder, "127.0.0.1:0");
  udp::SocketOptions options;
  options.bind = first->local();
  const auto second = network->open(options, recorder);
  ASSERT_FALSE(second);
  EXPECT_EQ(second.error().domain, Domain::os);
  EXPECT_EQ(second.error().code, static_cast<std::uint64_t>(EADDRINUSE));
  EXPECT_THAT(second.error().detail, testing::HasSubstr(first->local().to_string()));
}

TEST_P(NetworkTest, NoAddressAndUnknownDeviceAreErrors) {
  Recorder recorder;
  udp::SocketOptions options;
  EXPECT_FALSE(network->open(options, recorder));
  options.bind = address("127.0.0.1:0");
  options.device = "no-such-dev";
  const auto socket = network->open(options, recorder);
  ASSERT_FALSE(socket);
  EXPECT_THAT(socket.error().detail, testing::HasSubstr("no-such-dev"));
}

TEST_P(NetworkTest, BindsToADevice) {
  Recorder recorder;
  udp::SocketOptions options;
  options.bind = address("127.0.0.1:0");
  options.device = "lo";
  const auto socket = network->open(options, recorder);
  ASSERT_TRUE(socket) << socket.error().to_string();
  send(**socket, (*socket)->local(), "to myself");
  ASSERT_TRUE(turn_until([&] { return !recorder.datagrams.empty(); }));
}

TEST_P(NetworkTest, WhatIsTooBigForThePathFailsUnfragmented) {
  // Loopback's MTU is 65536: the largest datagram of the seam fits with IPv4's 28 bytes of headers
  // and does not with IPv6's 48. Without DF it would arrive in fragments.
  Recorder sender;
  Recorder receiver;
  const auto from = bind(sender, "[::1]:0");
  const auto to = bind(receiver, "[::1]:0");
  const std::string maximal(udp::Slab::kMaxTransmit, 'x');
  send(*from, to->local(), maximal);
  send(*from, to->local(), "fits");
  ASSERT_TRUE(turn_until([&] { return !receiver.datagrams.empty() && !sender.failures.empty(); }));
  EXPECT_EQ(sender.failures[0].error, EMSGSIZE);
  EXPECT_EQ(sender.failures[0].path.remote, to->local());
  EXPECT_EQ(receiver.datagrams[0].bytes, "fits");

  const auto from4 = bind(sender, "127.0.0.1:0");
  const auto to4 = bind(receiver, "127.0.0.1:0");
  send(*from4, to4->local(), maximal);
  ASSERT_TRUE(turn_until([&] { return receiver.datagrams.size() == 2; }));
  EXPECT_EQ(receiver.datagrams[1].bytes, maximal);
}

TEST_P(NetworkTest, UnreachableNetworksAreReportedNotFatal) {
  Recorder sender;
  Recorder receiver;
  const auto from = bind(sender, "127.0.0.1:0");
  const auto to = bind(receiver, "127.0.0.1:0");
  // A socket bound to loopback cannot reach beyond it; IPv4 sockets cannot reach IPv6.
  const udp::Address outside = address("192.0.2.1:9");
  send(*from, outside, "out");
  send(*from, address("[2001:db8::1]:9"), "other family");
  send(*from, to->local(), "in");
  ASSERT_TRUE(
      turn_until([&] { return sender.failures.size() == 2 && !receiver.datagrams.empty(); }));
  EXPECT_EQ(sender.failures[0].path.remote, outside);
  EXPECT_NE(sender.failures[0].error, 0);
  EXPECT_TRUE(sender.failures[1].path.remote.is_v6());
  EXPECT_EQ(receiver.datagrams[0].bytes, "in");
  EXPECT_EQ(count("udp.send.failed"), 2U);
}

TEST_P(NetworkTest, ALocalAddressThatIsGoneIsReported) {
  Recorder sender;
  const auto from = bind(sender, "0.0.0.0:0");
  const auto to = bind(sender, "127.0.0.1:0");
  send(*network, *from, to->local(), "from elsewhere", 0, udp::Ecn::not_ect,
       address("192.0.2.7:0"));
  ASSERT_TRUE(turn_until([&] { return !sender.failures.empty(); }));
  EXPECT_NE(sender.failures[0].error, 0);
}

TEST_P(NetworkTest, EmptyDatagramsAreNothing) {
  Recorder receiver;
  const auto to = bind(receiver, "127.0.0.1:0");
  const int raw = ::socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
  ASSERT_EQ(::sendto(raw, "", 0, 0, to->local().data(), to->local().size()), 0);
  ASSERT_EQ(::sendto(raw, "x", 1, 0, to->local().data(), to->local().size()), 1);
  ASSERT_TRUE(turn_until([&] { return !receiver.datagrams.empty(); }));
  EXPECT_EQ(receiver.datagrams[0].bytes, "x");
  ::close(raw);
}

TEST_P(NetworkTest, ASlabWithNothingInItComesBack) {
  for (int i = 0; i < 1000; ++i) {
    udp::Slab* slab = network->acquire();
    ASSERT_NE(slab, nullptr);
    network->submit(slab);
  }
}

TEST_P(NetworkTest, CountsWhatItDoes) {
  Recorder sender;
  Recorder receiver;
  const auto from = bind(sender, "127.0.0.1:0");
  const auto to = bind(receiver, "127.0.0.1:0");
  send(*from, to->local(), std::string(2500, 'a'), 1000);
  ASSERT_TRUE(turn_until([&] { return receiver.datagrams.size() == 3; }));
  EXPECT_EQ(count("udp.send.batches"), 1U);
  EXPECT_EQ(count("udp.send.datagrams"), 3U);
  EXPECT_EQ(count("udp.send.bytes"), 2500U);
  EXPECT_EQ(count("udp.receive.batches"), 1U);
  EXPECT_EQ(count("udp.receive.datagrams"), 3U);
  EXPECT_EQ(count("udp.receive.bytes"), 2500U);
}

TEST_P(NetworkTest, KeysAreRandomAndClocksRun) {
  std::set<Random::Key> keys;
  for (int i = 0; i < 16; ++i) keys.insert(network->random_key());
  EXPECT_THAT(keys, SizeIs(16));
  const Timestamp before = network->now();
  EXPECT_LE(before, network->now());
  EXPECT_GT(network->unix_seconds(), 1'600'000'000);
}

}  // namespace
}  // namespace tern::engine
