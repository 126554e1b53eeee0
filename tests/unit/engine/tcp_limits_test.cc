// Byte streams under pressure: slow readers, many clients, no descriptors left.

#include <algorithm>
#include <netinet/in.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <unistd.h>

#include "tests/unit/engine/tcp_fixture.h"

namespace tern::engine {
namespace {

class TcpLimitsTest : public TcpTest {};

INSTANTIATE_TEST_SUITE_P(Engine, TcpLimitsTest, testing::ValuesIn(available_engines()),
                         engine_name);

TEST_P(TcpLimitsTest, AReaderThatStopsHoldsTheWriterBack) {
  listen("127.0.0.1:0");
  StreamRecorder client;
  StreamRecorder& accepted = pair(client);
  const std::string chunk = pattern(64 * 1024);
  const Bytes bytes = Bytes::copy(chunk);
  accepted.stream->pause();
  // A writer that minds `queued` comes to a halt: the kernels' buffers are bounded.
  std::size_t written = 0;
  const auto write_more = [&] {
    while (client.stream->queued() <= 64 * 1024 && written < 200 * chunk.size()) {
      ASSERT_TRUE(client.stream->write(bytes));
      written += chunk.size();
      turn_once(*network);
    }
  };
  write_more();
  for (int i = 0; i < 50; ++i) turn_once(*network);
  write_more();
  EXPECT_LT(written, 200 * chunk.size());
  EXPECT_GT(client.stream->queued(), 0U);
  const std::size_t seen = accepted.bytes.size();
  for (int i = 0; i < 20; ++i) turn_once(*network);
  EXPECT_EQ(accepted.bytes.size(), seen) << "paused";

  accepted.stream->resume();
  ASSERT_TRUE(turn_until([&] {
    write_more();
    return written == 200 * chunk.size();
  }));
  client.stream->finish();
  ASSERT_TRUE(turn_until([&] { return accepted.ended; }));
  ASSERT_EQ(accepted.bytes.size(), written);
  for (std::size_t at = 0; at < written; at += chunk.size()) {
    ASSERT_EQ(accepted.bytes.compare(at, chunk.size(), chunk), 0);
  }
  EXPECT_GT(client.writables, 0U);
}

TEST_P(TcpLimitsTest, ThePauseTakesEffectAtOnceAndNothingIsLost) {
  listen("127.0.0.1:0");
  StreamRecorder client;
  StreamRecorder& accepted = pair(client);
  const std::string sent = pattern(1'000'000);
  ASSERT_TRUE(client.stream->write(Bytes::copy(sent)));
  client.stream->finish();
  // Paused in each call, resumed outside: one `receive` at a time.
  std::size_t resumes = 0;
  accepted.hook = [&](std::string_view what) {
    EXPECT_FALSE(accepted.stream->paused()) << what;
    accepted.stream->pause();
  };
  ASSERT_TRUE(turn_until([&] {
    if (!accepted.ended && accepted.stream->paused()) {
      accepted.stream->resume();
      if (++resumes % 3 == 0) {
        accepted.stream->pause();
        accepted.stream->resume();
      }
    }
    return accepted.ended;
  }));
  EXPECT_TRUE(accepted.bytes == sent);
  EXPECT_GE(resumes, accepted.receives);
}

TEST_P(TcpLimitsTest, AQueueThatIsFullRefusesAndTakesNothing) {
  listen("127.0.0.1:0");
  StreamRecorder client;
  pair(client, tcp::StreamOptions().max_queued(1000));
  ASSERT_TRUE(client.stream->write(Bytes::copy(std::string(600, 'x'))));
  const auto refused = client.stream->write(Bytes::copy(std::string(600, 'x')));
  ASSERT_FALSE(refused);
  EXPECT_TRUE(refused.error().is(Code::limit));
  EXPECT_EQ(client.stream->queued(), 600U);
  turn_once(*network);
  EXPECT_EQ(client.stream->queued(), 0U);
  EXPECT_TRUE(client.stream->write(Bytes::copy(std::string(600, 'x'))));
}

TEST_P(TcpLimitsTest, FurtherClientsWaitUntilOneGoes) {
  tcp::ListenOptions options;
  options.max_streams = 3;
  listen("127.0.0.1:0", options);
  std::vector<PlainSocket> clients;
  for (int i = 0; i < 8; ++i) {
    clients.emplace_back(listener->local());
    clients.back().send(std::to_string(i));
  }
  ASSERT_TRUE(turn_until([&] { return server.size() == 3 && server[2].bytes == "2"; }));
  for (int i = 0; i < 20; ++i) turn_once(*network);
  EXPECT_EQ(server.size(), 3U);
  EXPECT_EQ(listener->open_streams(), 3U);
  for (std::size_t i = 0; i < 5; ++i) {
    server[i].stream.reset();
    ASSERT_TRUE(turn_until([&] { return server.size() == 4 + i && !server[3 + i].bytes.empty(); }));
    EXPECT_EQ(server[3 + i].bytes, std::to_string(3 + i));
    EXPECT_EQ(listener->open_streams(), 3U);
  }
}

TEST_P(TcpLimitsTest, ClientsBeyondTheLimitAreResetWithTheListener) {
  tcp::ListenOptions options;
  options.max_streams = 1;
  listen("127.0.0.1:0", options);
  StreamRecorder first, second;
  pair(first);
  ASSERT_TRUE(connect(second));
  ASSERT_TRUE(turn_until([&] { return second.is_connected; }));
  for (int i = 0; i < 5; ++i) turn_once(*network);
  listener.reset();
  ASSERT_TRUE(turn_until([&] { return second.over(); }));
  EXPECT_EQ(second.failure(), ECONNRESET);
  ASSERT_TRUE(first.stream->write(Bytes::copy("still there")));
  ASSERT_TRUE(turn_until([&] { return server[0].bytes == "still there"; }));
}

/// The lowest descriptor that is free: the next one to be given.
rlim_t next_descriptor() {
  const int next = ::dup(STDIN_FILENO);
  ::close(next);
  return static_cast<rlim_t>(next);
}

TEST_P(TcpLimitsTest, WithoutDescriptorsClientsWait) {
  listen("127.0.0.1:0");
  std::vector<PlainSocket> clients;
  for (int i = 0; i < 5; ++i) clients.emplace_back();
  rlimit usual{};
  ASSERT_EQ(::getrlimit(RLIMIT_NOFILE, &usual), 0);
  rlimit tight = usual;
  tight.rlim_cur = next_descriptor() + 2;  // room for two at most
  ASSERT_EQ(::setrlimit(RLIMIT_NOFILE, &tight), 0);
  for (PlainSocket& client : clients) client.connect(listener->local());
  const bool failed = turn_until([&] { return !server.failures.empty(); });
  const std::size_t accepted = server.size();
  for (int i = 0; i < 10; ++i) turn_once(*network);
  const std::size_t failures = server.failures.size();
  ASSERT_EQ(::setrlimit(RLIMIT_NOFILE, &usual), 0);
  ASSERT_TRUE(failed);
  EXPECT_EQ(server.failures[0].code, static_cast<std::uint64_t>(EMFILE));
  EXPECT_EQ(failures, 1U) << "no busy loop";
  EXPECT_LT(accepted, 5U);
  if (accepted > 0) server[0].stream.reset();  // a closing stream is a reason to try again
  ASSERT_TRUE(turn_until([&] { return server.size() == 5; }));
  EXPECT_EQ(count("tcp.accept_failed"), 1U);
}

TEST_P(TcpLimitsTest, ManyStreamsAtOnce) {
  listen("127.0.0.1:0");
  constexpr std::size_t kStreams = 300;
  constexpr std::size_t kBytes = 40'000;
  std::deque<StreamRecorder> clients(kStreams);
  for (StreamRecorder& client : clients) ASSERT_TRUE(connect(client));
  ASSERT_TRUE(turn_until([&] { return server.size() == kStreams; }));
  const std::string sent = pattern(kBytes);
  const Bytes bytes = Bytes::copy(sent);
  for (StreamRecorder& client : clients) {
    ASSERT_TRUE(client.stream->write(bytes));
    client.stream->finish();
  }
  for (StreamRecorder& stream : server.streams) {
    stream.hook = [&stream](std::string_view what) {
      if (what != "end_of_stream") return;
      ASSERT_TRUE(stream.stream->write(Bytes::copy(stream.bytes)));
      stream.stream->finish();
      stream.stream.reset();
    };
  }
  ASSERT_TRUE(turn_until([&] {
    return std::all_of(clients.begin(), clients.end(), [](const auto& c) { return c.over(); });
  }));
  for (StreamRecorder& client : clients) {
    ASSERT_TRUE(client.ended);
    ASSERT_TRUE(client.bytes == sent);
  }
  ASSERT_TRUE(turn_until([&] { return listener->open_streams() == 0; }));
}

TEST_P(TcpLimitsTest, AGroupOfListenersSharesThePort) {
  auto other = make(EngineOptions());
  Accepter second;
  tcp::ListenOptions options;
  options.reuse_port = {.index = 0, .count = 2};
  listen("127.0.0.1:0", options);
  options.bind = listener->local();
  options.reuse_port.index = 1;
  auto joined = other->tcp().listen(options, second);
  ASSERT_TRUE(joined) << joined.error().to_string();
  std::vector<PlainSocket> clients;
  for (int i = 0; i < 64; ++i) clients.emplace_back(listener->local());
  ASSERT_TRUE(turn_until([&] {
    turn_once(*other);
    return server.size() + second.size() == 64;
  }));
  EXPECT_GT(server.size(), 0U);
  EXPECT_GT(second.size(), 0U);

  options.reuse_port = {.index = 0, .count = 2};
  Accepter third;
  const auto stranger = other->tcp().listen(options, third);
  ASSERT_FALSE(stranger) << "another server's group is not joined";
  EXPECT_EQ(stranger.error().code, static_cast<std::uint64_t>(EADDRINUSE));
  second.streams.clear();
}

TEST_P(TcpLimitsTest, TheListenersPortIsFreeAtOnce) {
  listen("127.0.0.1:0");
  const std::string where = listener->local().to_string();
  for (int i = 0; i < 20; ++i) {
    StreamRecorder client;
    pair(client);
    listener.reset();
    server.streams.clear();
    listen(where);
    ASSERT_NE(listener, nullptr);
  }
}

TEST_P(TcpLimitsTest, AListenerMayGoInItsCallback) {
  listen("127.0.0.1:0");
  StreamRecorder first, second;
  ASSERT_TRUE(connect(first));
  ASSERT_TRUE(connect(second));
  server.hook = [&] { listener.reset(); };
  ASSERT_TRUE(turn_until([&] { return server.size() == 1 && second.over(); }));
  EXPECT_EQ(second.failure(), ECONNRESET);
  ASSERT_TRUE(first.stream->write(Bytes::copy("on")));
  ASSERT_TRUE(turn_until([&] { return server[0].bytes == "on"; }));
}

}  // namespace
}  // namespace tern::engine
