// Sockets that go from one process to another, and the channel they go through.

#include "transport/engine/handed_socket.h"

#include <cerrno>
#include <filesystem>
#include <fstream>
#include <sys/stat.h>
#include <unistd.h>

#include "tests/unit/engine/tcp_fixture.h"
#include "tests/unit/temporary_folder.h"
#include "transport/engine/unix_channel.h"

namespace tern::engine {
namespace {

class HandedSocket : public EngineTest {};
INSTANTIATE_TEST_SUITE_P(Engines, HandedSocket, testing::ValuesIn(available_engines()),
                         engine_name);

TEST_P(HandedSocket, NothingIsLostWhileNobodyReads) {
  Recorder old_recorder, new_recorder, client_recorder;
  const auto old_socket = bind(old_recorder, "127.0.0.1:0");
  const auto client = bind(client_recorder, "127.0.0.1:0");
  send(*client, old_socket->local(), "one");
  ASSERT_TRUE(turn_until([&] { return old_recorder.datagrams.size() == 1; }));

  const auto next = make(EngineOptions());
  auto adopted = adopt(*next, ::dup(descriptor_of(*old_socket)), false, new_recorder);
  ASSERT_TRUE(adopted);
  EXPECT_EQ((*adopted)->local(), old_socket->local());
  send(*client, old_socket->local(), "two");
  ASSERT_TRUE(turn_until([&] { return old_recorder.datagrams.size() == 2; }));
  for (int i = 0; i < 5; ++i) turn_once(*next);
  EXPECT_TRUE(new_recorder.datagrams.empty()) << "adopted sockets begin paused";

  pause(*old_socket);
  turn_once(*network);
  send(*client, old_socket->local(), "three");
  for (int i = 0; i < 20; ++i) turn_once(*network);
  EXPECT_EQ(old_recorder.datagrams.size(), 2u) << "paused";
  resume(**adopted);
  ASSERT_TRUE(turn_until(*next, [&] { return new_recorder.datagrams.size() == 1; }));
  EXPECT_EQ(new_recorder.datagrams[0].bytes, "three");

  // Both can send from it.
  send(*old_socket, client->local(), "from the old");
  ASSERT_TRUE(turn_until([&] { return client_recorder.datagrams.size() == 1; }));
  send(*next, **adopted, client->local(), "from the new");
  turn_once(*next);
  ASSERT_TRUE(turn_until([&] { return client_recorder.datagrams.size() == 2; }));
  for (const auto& datagram : client_recorder.datagrams) {
    EXPECT_EQ(datagram.path.remote, old_socket->local());
  }

  // The new one goes; the old one reads again, what came meanwhile first.
  pause(**adopted);
  turn_once(*next);
  send(*client, old_socket->local(), "four");
  turn_once(*network);
  adopted->reset();
  resume(*old_socket);
  ASSERT_TRUE(turn_until([&] { return old_recorder.datagrams.size() == 3; }));
  EXPECT_EQ(old_recorder.datagrams[2].bytes, "four");
}

class HandedListener : public TcpTest {};
INSTANTIATE_TEST_SUITE_P(Engines, HandedListener, testing::ValuesIn(available_engines()),
                         engine_name);

TEST_P(HandedListener, ClientsInTheBacklogAreTheNextProcesss) {
  listen("127.0.0.1:0");
  PlainSocket first(listener->local());
  ASSERT_TRUE(turn_until([&] { return server.size() == 1; }));

  const auto next = make(EngineOptions());
  Accepter accepter;
  auto adopted =
      adopt(next->tcp(), ::dup(descriptor_of(*listener)), tcp::ListenOptions(), accepter);
  ASSERT_TRUE(adopted) << adopted.error().to_string();
  EXPECT_EQ((*adopted)->local(), listener->local());
  PlainSocket second(listener->local());
  ASSERT_TRUE(turn_until([&] { return server.size() == 2; }));
  for (int i = 0; i < 5; ++i) turn_once(*next);
  EXPECT_EQ(accepter.size(), 0U) << "adopted listeners begin paused";

  pause(*listener);
  std::vector<PlainSocket> waiting;
  for (int i = 0; i < 10; ++i) {
    waiting.emplace_back(listener->local());
    waiting.back().send(std::to_string(i));
  }
  for (int i = 0; i < 20; ++i) turn_once(*network);
  EXPECT_EQ(server.size(), 2U) << "paused";
  listener.reset();
  resume(**adopted);
  ASSERT_TRUE(turn_until(*next, [&] { return accepter.size() == 10 && accepter[9].bytes == "9"; }));
  for (std::size_t i = 0; i < 10; ++i) EXPECT_EQ(accepter[i].bytes, std::to_string(i));
  // The first ones stay where they are.
  first.send("still there");
  ASSERT_TRUE(turn_until([&] { return server[0].bytes == "still there"; }));
  for (StreamRecorder& each : accepter.streams) each.stream.reset();
  adopted->reset();
}

TEST_P(HandedListener, APausedListenerAcceptsAgain) {
  listen("127.0.0.1:0");
  for (std::size_t i = 0; i < 10; ++i) {
    pause(*listener);
    if (i % 2 == 0) turn_once(*network);
    const PlainSocket client(listener->local());
    if (i % 3 == 0) turn_once(*network);
    resume(*listener);
    ASSERT_TRUE(turn_until([&] { return server.size() == i + 1; }));
  }
}

TEST_P(HandedSocket, PausingAndResumingAtOnceReceivesOn) {
  Recorder recorder, client_recorder;
  const auto socket = bind(recorder, "127.0.0.1:0");
  const auto client = bind(client_recorder, "127.0.0.1:0");
  for (std::size_t i = 0; i < 20; ++i) {
    pause(*socket);
    resume(*socket);
    send(*client, socket->local(), "x");
    ASSERT_TRUE(turn_until([&] { return recorder.datagrams.size() == i + 1; }));
  }
}

TEST_P(HandedSocket, ALoneSocketBecomesAGroup) {
  Recorder first_recorder, second_recorder, client_recorder;
  const auto alone = bind(first_recorder, "127.0.0.1:0");
  udp::SocketOptions options;
  options.bind = alone->local();
  options.reuse_port.index = 1;
  options.reuse_port.count = 2;
  EXPECT_FALSE(network->open(options, second_recorder)) << "it was bound for itself";
  auto adopted = adopt(*network, ::dup(descriptor_of(*alone)), true, first_recorder);
  ASSERT_TRUE(adopted);
  auto second = network->open(options, second_recorder);
  ASSERT_TRUE(second) << second.error().to_string();
  ASSERT_TRUE(steer(**adopted, 1, 2));
  const auto client = bind(client_recorder, "127.0.0.1:0");
  for (const char worker : {'\0', '\1', '\3', '\4'}) {
    send(*client, alone->local(), std::string("\x40?") + worker + "..........");
  }
  ASSERT_TRUE(turn_until([&] {
    return first_recorder.datagrams.size() == 2 && second_recorder.datagrams.size() == 2;
  }));
}

TEST_P(HandedSocket, WhatIsNoBoundUdpSocketIsRefused) {
  Recorder recorder;
  EXPECT_FALSE(adopt(*network, -1, false, recorder));
  EXPECT_FALSE(adopt(*network, ::socket(AF_INET, SOCK_STREAM, 0), false, recorder));
  EXPECT_FALSE(adopt(*network, ::socket(AF_INET, SOCK_DGRAM, 0), false, recorder));
}

TEST(UnixChannel, CarriesMessagesAndDescriptors) {
  const test::TemporaryFolder folder;
  const std::string path = folder / "socket";
  EXPECT_EQ(UnixChannel::connect(path).error().code, static_cast<std::uint64_t>(ENOENT));
  auto listener = UnixListener::open(path);
  ASSERT_TRUE(listener) << listener.error().to_string();
  EXPECT_EQ((*listener)->accept(), nullptr);
  struct stat named{};
  ASSERT_EQ(::stat(path.c_str(), &named), 0);
  EXPECT_EQ(named.st_mode & 0777u, 0600u);

  auto client = UnixChannel::connect(path);
  ASSERT_TRUE(client);
  const auto server = (*listener)->accept();
  ASSERT_NE(server, nullptr);
  EXPECT_TRUE(server->receive(Duration()).error().is(Code::timed_out));
  int ends[2];
  ASSERT_EQ(::pipe(ends), 0);
  ASSERT_TRUE((*client)->send(as_bytes("here"), {ends[1]}, 1s));
  ::close(ends[1]);
  {
    auto message = server->receive(1s);
    ASSERT_TRUE(message);
    EXPECT_EQ(as_text(message->bytes), "here");
    ASSERT_EQ(message->descriptors.size(), 1u);
    const int end = message->descriptors.take(0);
    ASSERT_EQ(::write(end, "x", 1), 1);
    ::close(end);
  }
  char byte = 0;
  EXPECT_EQ(::read(ends[0], &byte, 1), 1);
  EXPECT_EQ(::read(ends[0], &byte, 1), 0) << "nobody has the other end any more";
  ::close(ends[0]);

  EXPECT_TRUE((*client)->try_send(as_bytes("two "), as_bytes("parts")));
  EXPECT_EQ(as_text(server->receive(1s)->bytes), "two parts");
  client->reset();
  EXPECT_TRUE(server->receive(1s).error().is(Code::closed));
  EXPECT_FALSE(server->try_send(as_bytes("x"), {}));
}

TEST(UnixChannel, ASlowReaderCostsMessagesAndNotMemory) {
  const test::TemporaryFolder folder;
  const std::string path = folder / "socket";
  const auto listener = UnixListener::open(path);
  const auto client = UnixChannel::connect(path);
  const auto server = (*listener)->accept();
  const std::string datagram(1200, 'x');
  std::size_t sent = 0;
  while (sent < 100'000 && (*client)->try_send(as_bytes("h"), as_bytes(datagram))) ++sent;
  EXPECT_GT(sent, 50u);
  EXPECT_LT(sent, 100'000u);
  ASSERT_TRUE(server->receive(1s));
}

TEST(UnixListener, TheNameIsReplacedInOneStepAndLeftToWhoHasIt) {
  const test::TemporaryFolder folder;
  const std::string path = folder / "socket";
  auto first = UnixListener::open(path);
  ASSERT_TRUE(first);
  auto second = UnixListener::open(path);
  ASSERT_TRUE(second);
  first->reset();
  auto client = UnixChannel::connect(path);
  ASSERT_TRUE(client) << "it is the second one's";
  EXPECT_NE((*second)->accept(), nullptr);
  second->reset();
  EXPECT_FALSE(std::filesystem::exists(path));
  EXPECT_FALSE(UnixListener::open(folder / "none/socket"));
  std::ofstream(path) << "somebody's";
  EXPECT_TRUE(UnixListener::open(path).error().is(Code::invalid));
  EXPECT_EQ(std::filesystem::file_size(path), 10u) << "what is no socket is left alone";
  EXPECT_TRUE(UnixListener::open(std::string(200, 'x')).error().is(Code::invalid));
}

}  // namespace
}  // namespace tern::engine
