// Byte streams: connecting, both directions, halves, ends.

#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/socket.h>

#include "tests/unit/engine/tcp_fixture.h"
#include "transport/engine/tcp_socket.h"

namespace tern::engine {
namespace {

INSTANTIATE_TEST_SUITE_P(Engine, TcpTest, testing::ValuesIn(available_engines()), engine_name);

TEST_P(TcpTest, BytesGoBothWays) {
  for (const char* where : {"127.0.0.1:0", "[::1]:0"}) {
    listen(where);
    StreamRecorder client;
    StreamRecorder& accepted = pair(client);
    EXPECT_EQ(accepted.stream->remote(), client.stream->local());
    EXPECT_EQ(accepted.stream->local(), client.stream->remote());
    EXPECT_EQ(client.stream->remote(), listener->local());
    ASSERT_TRUE(client.stream->write(Bytes::copy("question")));
    ASSERT_TRUE(turn_until([&] { return accepted.bytes == "question"; }));
    ASSERT_TRUE(accepted.stream->write(Bytes::copy("answer")));
    ASSERT_TRUE(turn_until([&] { return client.bytes == "answer"; }));
  }
}

TEST_P(TcpTest, AWildcardOfIPv6TakesIPv4) {
  listen("[::]:0");
  tcp::ConnectOptions where;
  where.remote = udp::Address::v4(INADDR_LOOPBACK, listener->local().port());
  StreamRecorder client;
  auto opened = tcp().connect(where, client);
  ASSERT_TRUE(opened) << opened.error().to_string();
  ASSERT_TRUE(turn_until([&] { return server.size() == 1; }));
  EXPECT_TRUE(server[0].stream->remote().is_v4());
  EXPECT_EQ(server[0].stream->local(), where.remote);
  server.streams.clear();
}

TEST_P(TcpTest, TheLocalAddressCanBeChosen) {
  listen("0.0.0.0:0");
  tcp::ConnectOptions where;
  where.remote = udp::Address::v4(INADDR_LOOPBACK, listener->local().port());
  where.local = address("127.0.0.2:0");
  StreamRecorder client;
  auto opened = tcp().connect(where, client);
  ASSERT_TRUE(opened) << opened.error().to_string();
  ASSERT_TRUE(turn_until([&] { return client.is_connected && server.size() == 1; }));
  EXPECT_TRUE((*opened)->local().same_ip(where.local));
  EXPECT_EQ(server[0].stream->remote(), (*opened)->local());

  where.local = address("192.0.2.1:0");
  const auto nobodys = tcp().connect(where, client);
  ASSERT_FALSE(nobodys);
  EXPECT_EQ(nobodys.error().code, static_cast<std::uint64_t>(EADDRNOTAVAIL));
  where.local = address("[::1]:0");
  const auto mixed = tcp().connect(where, client);
  ASSERT_FALSE(mixed);
  EXPECT_TRUE(mixed.error().is(Code::invalid));
}

TEST_P(TcpTest, WhatIsWrittenBeforeTheConnectionStandsIsSentThen) {
  listen("127.0.0.1:0");
  StreamRecorder client;
  ASSERT_TRUE(connect(client));
  ASSERT_TRUE(client.stream->write(Bytes::copy("early")));
  client.stream->finish();
  ASSERT_TRUE(turn_until([&] { return server.size() == 1 && server[0].ended; }));
  EXPECT_EQ(server[0].bytes, "early");
}

TEST_P(TcpTest, ManyBytesArriveWholeAndInOrder) {
  listen("127.0.0.1:0");
  StreamRecorder client;
  StreamRecorder& accepted = pair(client);
  const std::string sent = pattern(3'000'000);
  const Bytes all = Bytes::copy(sent);
  for (std::size_t at = 0, size = 1; at < sent.size(); at += size, size = size * 3 + 1) {
    ASSERT_TRUE(client.stream->write(all.slice(at, size)));
  }
  client.stream->finish();
  ASSERT_TRUE(turn_until([&] { return accepted.ended; }));
  EXPECT_TRUE(accepted.bytes == sent);
  EXPECT_EQ(client.stream->queued(), 0U);
}

TEST_P(TcpTest, BytesThatDribbleInAreAllThere) {
  listen("127.0.0.1:0");
  StreamRecorder client;
  StreamRecorder& accepted = pair(client);
  const std::string sent = pattern(10'000);
  for (std::size_t i = 0; i < sent.size(); ++i) {
    ASSERT_TRUE(client.stream->write(Bytes::copy(sent.substr(i, 1))));
    turn_once(*network);
  }
  client.stream->finish();
  ASSERT_TRUE(turn_until([&] { return accepted.ended; }));
  EXPECT_TRUE(accepted.bytes == sent);
  EXPECT_GT(accepted.receives, 10U);
}

TEST_P(TcpTest, TheWritesOfATurnGoAsOne) {
  listen("127.0.0.1:0");
  StreamRecorder client;
  StreamRecorder& accepted = pair(client);
  const std::uint64_t before = count("tcp.send.calls");
  for (int i = 0; i < 20; ++i) ASSERT_TRUE(client.stream->write(Bytes::copy("piece ")));
  ASSERT_TRUE(turn_until([&] { return accepted.bytes.size() == 120; }));
  EXPECT_EQ(count("tcp.send.calls"), before + 1);
}

TEST_P(TcpTest, OneHalfMayEndWhileTheOtherGoesOn) {
  listen("127.0.0.1:0");
  StreamRecorder client;
  StreamRecorder& accepted = pair(client);
  client.stream->finish();
  ASSERT_TRUE(turn_until([&] { return accepted.ended; }));
  EXPECT_FALSE(client.over());
  const std::string sent = pattern(500'000);
  ASSERT_TRUE(accepted.stream->write(Bytes::copy(sent)));
  ASSERT_TRUE(turn_until([&] { return client.bytes.size() == sent.size(); }));
  EXPECT_TRUE(client.bytes == sent);
  accepted.stream->finish();
  ASSERT_TRUE(turn_until([&] { return client.ended; }));
}

TEST_P(TcpTest, NobodyListens) {
  listen("127.0.0.1:0");
  tcp::ConnectOptions where;
  where.remote = listener->local();
  listener.reset();
  StreamRecorder client;
  auto opened = tcp().connect(where, client);
  ASSERT_TRUE(opened);
  EXPECT_FALSE(client.error) << "told from a reap, not from the call";
  ASSERT_TRUE(turn_until([&] { return client.over(); }));
  EXPECT_EQ(client.failure(), ECONNREFUSED);
  EXPECT_EQ(client.error->origin, Origin::remote);
  EXPECT_FALSE(client.is_connected);
  EXPECT_TRUE((*opened)->write(Bytes::copy("x")).error().is(Code::closed));
}

TEST_P(TcpTest, NoAnswerInTime) {
  // A backlog that is full lets SYNs fall on the floor.
  PlainSocket deaf;
  udp::Address where = address("127.0.0.1:0");
  ASSERT_EQ(::bind(deaf.fd(), where.data(), where.size()), 0);
  ASSERT_EQ(::listen(deaf.fd(), 0), 0);
  where = TcpSocket(::dup(deaf.fd())).local();
  const PlainSocket first(where);
  tcp::ConnectOptions options;
  options.remote = where;
  options.timeout = 50ms;
  StreamRecorder client;
  const auto opened = tcp().connect(options, client);
  ASSERT_TRUE(opened);
  ASSERT_TRUE(turn_until([&] { return client.over(); }));
  EXPECT_EQ(client.failure(), ETIMEDOUT);
  EXPECT_EQ(client.error->origin, Origin::local);
}

TEST_P(TcpTest, NoRouteIsSaidAtOnce) {
  tcp::ConnectOptions options;
  options.remote = address("127.0.0.1:9");
  options.device = "no-such-device";
  StreamRecorder client;
  const auto opened = tcp().connect(options, client);
  ASSERT_FALSE(opened);
  EXPECT_EQ(opened.error().domain, Domain::os);
}

TEST_P(TcpTest, AResetIsToldToThePeer) {
  listen("127.0.0.1:0");
  StreamRecorder client;
  StreamRecorder& accepted = pair(client);
  ASSERT_TRUE(client.stream->write(Bytes::copy("never sent")));
  client.stream->reset();
  EXPECT_TRUE(client.stream->write(Bytes::copy("x")).error().is(Code::closed));
  ASSERT_TRUE(turn_until([&] { return accepted.over(); }));
  EXPECT_EQ(accepted.failure(), ECONNRESET);
  EXPECT_EQ(accepted.error->origin, Origin::remote);
  EXPECT_EQ(accepted.bytes, "");
  EXPECT_FALSE(client.over()) << "who resets hears nothing more";
}

TEST_P(TcpTest, DestructionWithoutFinishIsAReset) {
  listen("127.0.0.1:0");
  StreamRecorder client;
  StreamRecorder& accepted = pair(client);
  ASSERT_TRUE(client.stream->write(Bytes::copy("half a message")));
  turn_once(*network);
  client.stream.reset();
  ASSERT_TRUE(turn_until([&] { return accepted.over(); }));
  EXPECT_FALSE(accepted.ended);
  EXPECT_EQ(accepted.failure(), ECONNRESET);
}

TEST_P(TcpTest, APausedStreamHearsOfAReset) {
  listen("127.0.0.1:0");
  StreamRecorder client;
  StreamRecorder& accepted = pair(client);
  accepted.stream->pause();
  turn_once(*network);
  client.stream.reset();
  ASSERT_TRUE(turn_until([&] { return accepted.over(); }));
  EXPECT_EQ(accepted.failure(), ECONNRESET);
}

TEST_P(TcpTest, AStreamWithoutASinkKeepsWhatComes) {
  server.attach = false;
  listen("127.0.0.1:0");
  StreamRecorder client, broken;
  ASSERT_TRUE(connect(client));
  ASSERT_TRUE(client.stream->write(Bytes::copy("waits")));
  client.stream->finish();
  ASSERT_TRUE(turn_until([&] { return server.size() == 1; }));
  ASSERT_TRUE(connect(broken));
  ASSERT_TRUE(turn_until([&] { return server.size() == 2; }));
  broken.stream.reset();
  for (int i = 0; i < 10; ++i) turn_once(*network);
  EXPECT_TRUE(server[0].stream->paused());
  for (StreamRecorder& stream : server.streams) stream.stream->attach(stream);
  ASSERT_TRUE(turn_until([&] { return server[0].ended && server[1].over(); }));
  EXPECT_EQ(server[0].bytes, "waits");
  EXPECT_EQ(server[1].failure(), ECONNRESET);
}

TEST_P(TcpTest, WhatThePeerSaidBeforeItBrokeOffIsHeard) {
  listen("127.0.0.1:0");
  PlainSocket client(listener->local());
  ASSERT_TRUE(turn_until([&] { return server.size() == 1; }));
  StreamRecorder& accepted = server[0];
  // The client answers without having read the question, and goes: its kernel resets.
  ASSERT_TRUE(accepted.stream->write(Bytes::copy("question")));
  turn_once(*network);
  client.send("go away");
  client.close();
  ASSERT_TRUE(turn_until([&] {
    if (!accepted.over()) (void)accepted.stream->write(Bytes::copy("more"));
    return accepted.over();
  }));
  EXPECT_EQ(accepted.bytes, "go away");
  EXPECT_EQ(accepted.failure(), ECONNRESET);
}

TEST_P(TcpTest, AFinishedStreamMayBeDroppedAtOnce) {
  listen("127.0.0.1:0");
  StreamRecorder client;
  StreamRecorder& accepted = pair(client);
  accepted.stream->pause();
  const std::string sent = pattern(4'000'000);
  ASSERT_TRUE(client.stream->write(Bytes::copy(sent)));
  client.stream->finish();
  client.stream.reset();
  for (int i = 0; i < 20; ++i) turn_once(*network);
  accepted.stream->resume();
  // What the peer sends meanwhile must not turn the end into a reset.
  ASSERT_TRUE(accepted.stream->write(Bytes::copy("unwanted")));
  ASSERT_TRUE(turn_until([&] { return accepted.over(); }));
  EXPECT_TRUE(accepted.ended);
  EXPECT_TRUE(accepted.bytes == sent);
}

TEST_P(TcpTest, LingeringEnds) {
  listen("127.0.0.1:0");
  StreamRecorder client;
  StreamRecorder& accepted = pair(client, tcp::StreamOptions().linger(30ms));
  accepted.stream->pause();
  ASSERT_TRUE(client.stream->write(Bytes::copy(std::string(4 * 1024 * 1024, 'x'))));
  client.stream->finish();
  client.stream.reset();
  ASSERT_TRUE(turn_until([&] { return accepted.over(); }));
  EXPECT_EQ(accepted.failure(), ECONNRESET);
}

TEST_P(TcpTest, AfterFinishNothingCanBeWritten) {
  listen("127.0.0.1:0");
  StreamRecorder client;
  pair(client);
  client.stream->finish();
  client.stream->finish();
  const auto refused = client.stream->write(Bytes::copy("x"));
  ASSERT_FALSE(refused);
  EXPECT_TRUE(refused.error().is(Code::closed));
}

TEST_P(TcpTest, AStreamMayGoInAnyOfItsCallbacks) {
  listen("127.0.0.1:0");
  for (const std::string_view when :
       {"connected", "receive", "end_of_stream", "writable", "failed"}) {
    StreamRecorder client;
    bool gone = false;
    client.hook = [&](std::string_view now) {
      EXPECT_FALSE(gone);
      if (now != when) return;
      client.stream.reset();
      gone = true;
    };
    const std::size_t before = server.size();
    ASSERT_TRUE(connect(client));
    ASSERT_TRUE(client.stream->write(Bytes::copy(std::string(200'000, 'x'))));
    ASSERT_TRUE(turn_until([&] { return gone || server.size() > before; }));
    if (!gone) {
      StreamRecorder& accepted = server.streams.back();
      ASSERT_TRUE(accepted.stream->write(Bytes::copy(std::string(200'000, 'y'))));
      if (when == "end_of_stream") accepted.stream->finish();
      if (when == "failed") accepted.stream->reset();
    }
    EXPECT_TRUE(turn_until([&] { return gone; })) << when;
    for (int i = 0; i < 10; ++i) turn_once(*network);
  }
}

TEST_P(TcpTest, AnotherSinkTakesOver) {
  listen("127.0.0.1:0");
  StreamRecorder client, second;
  StreamRecorder& accepted = pair(client);
  ASSERT_TRUE(accepted.stream->write(Bytes::copy("first")));
  ASSERT_TRUE(turn_until([&] { return client.bytes == "first"; }));
  client.stream->attach(second);
  ASSERT_TRUE(accepted.stream->write(Bytes::copy("second")));
  accepted.stream->finish();
  ASSERT_TRUE(turn_until([&] { return second.ended; }));
  EXPECT_EQ(second.bytes, "second");
  EXPECT_FALSE(client.ended);
}

TEST_P(TcpTest, InfoCountsTheBytes) {
  listen("127.0.0.1:0");
  StreamRecorder client;
  StreamRecorder& accepted = pair(client);
  ASSERT_TRUE(client.stream->write(Bytes::copy(std::string(100'000, 'x'))));
  ASSERT_TRUE(turn_until([&] {
    return accepted.bytes.size() == 100'000 && client.stream->info().bytes_acknowledged >= 100'000;
  }));
  tcp::StreamInfo info = client.stream->info();
  EXPECT_GE(info.bytes_sent, 100'000U);
  EXPECT_GT(info.rtt, 0ns);
  EXPECT_GT(info.congestion_window, 0U);
  EXPECT_GT(info.mss, 500U);
  EXPECT_EQ(accepted.stream->info().bytes_received, 100'000U);
  accepted.stream.reset();
  ASSERT_TRUE(turn_until([&] { return client.over(); }));
  EXPECT_GE(client.stream->info().bytes_sent, 100'000U) << "as of its end";
}

int option_of(const TcpSocket& socket, int level, int option) {
  int value = -1;
  socklen_t length = sizeof value;
  EXPECT_EQ(::getsockopt(socket.fd(), level, option, &value, &length), 0);
  return value;
}

TEST(TcpSocketTest, TheKernelIsToldOfTheOptions) {
  tcp::ConnectOptions options;
  options.remote = udp::Address::v4(INADDR_LOOPBACK, 9);
  options.stream.keep_alive({.idle = 7s, .interval = 1500ms, .probes = 5})
      .user_timeout(2500ms)
      .unsent_low_water(4096);
  const auto socket = TcpSocket::open(options);
  ASSERT_TRUE(socket) << socket.error().to_string();
  EXPECT_EQ(option_of(*socket, SOL_SOCKET, SO_KEEPALIVE), 1);
  EXPECT_EQ(option_of(*socket, IPPROTO_TCP, TCP_KEEPIDLE), 7);
  EXPECT_EQ(option_of(*socket, IPPROTO_TCP, TCP_KEEPINTVL), 2);
  EXPECT_EQ(option_of(*socket, IPPROTO_TCP, TCP_KEEPCNT), 5);
  EXPECT_EQ(option_of(*socket, IPPROTO_TCP, TCP_USER_TIMEOUT), 2500);
  EXPECT_EQ(option_of(*socket, IPPROTO_TCP, TCP_NOTSENT_LOWAT), 4096);
  EXPECT_EQ(option_of(*socket, IPPROTO_TCP, TCP_NODELAY), 1);
  options.stream.no_delay(false);
  const auto nagle = TcpSocket::open(options);
  ASSERT_TRUE(nagle);
  EXPECT_EQ(option_of(*nagle, IPPROTO_TCP, TCP_NODELAY), 0);
}

}  // namespace
}  // namespace tern::engine
