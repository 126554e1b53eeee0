#include "tests/unit/engine/tcp_fixture.h"

#include <algorithm>
#include <sys/socket.h>
#include <unistd.h>

namespace tern::engine {

void StreamRecorder::connected(tcp::Stream&) {
  is_connected = true;
  if (hook) hook("connected");
}

void StreamRecorder::receive(tcp::Stream&, MutableBytes received) {
  EXPECT_FALSE(received.empty());
  EXPECT_FALSE(over());
  bytes += as_text(received);
  ++receives;
  std::fill(received.begin(), received.end(), 0);  // it may be
  if (hook) hook("receive");
}

void StreamRecorder::end_of_stream(tcp::Stream&) {
  EXPECT_FALSE(over());
  ended = true;
  if (hook) hook("end_of_stream");
}

void StreamRecorder::writable(tcp::Stream&) {
  ++writables;
  if (hook) hook("writable");
}

void StreamRecorder::failed(tcp::Stream&, const Error& why) {
  EXPECT_FALSE(error);
  EXPECT_EQ(why.domain, Domain::os);
  error = why;
  if (hook) hook("failed");
}

void Accepter::accepted(tcp::Listener&, std::unique_ptr<tcp::Stream> stream) {
  StreamRecorder& recorder = streams.emplace_back();
  recorder.stream = std::move(stream);
  if (attach) recorder.stream->attach(recorder);
  if (hook) hook();
}

void Accepter::accept_failed(tcp::Listener&, const Error& error) { failures.push_back(error); }

void TcpTest::listen(std::string_view where, tcp::ListenOptions options) {
  options.bind = address(where);
  auto opened = tcp().listen(options, server);
  ASSERT_TRUE(opened) << opened.error().to_string();
  listener = std::move(*opened);
}

bool TcpTest::connect(StreamRecorder& to, tcp::StreamOptions options) {
  tcp::ConnectOptions where;
  where.remote = listener->local();
  where.stream = options;
  auto opened = tcp().connect(where, to);
  EXPECT_TRUE(opened) << opened.error().to_string();
  if (!opened) return false;
  to.stream = std::move(*opened);
  return true;
}

StreamRecorder& TcpTest::pair(StreamRecorder& client, tcp::StreamOptions options) {
  const std::size_t before = server.size();
  EXPECT_TRUE(connect(client, options));
  EXPECT_TRUE(turn_until([&] { return client.is_connected && server.size() > before; }));
  return server.streams.back();
}

std::string TcpTest::pattern(std::size_t size) {
  std::string text(size, '\0');
  for (std::size_t i = 0; i < size; ++i) text[i] = static_cast<char>(i * 31 + i / 251);
  return text;
}

PlainSocket::PlainSocket() : fd_(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0)) {
  EXPECT_GE(fd_, 0);
}

PlainSocket::PlainSocket(const udp::Address& connect_to) : PlainSocket() { connect(connect_to); }

void PlainSocket::connect(const udp::Address& to) {
  ASSERT_EQ(::connect(fd_, to.data(), to.size()), 0);
}

void PlainSocket::set(int level, int option, int value) {
  ASSERT_EQ(::setsockopt(fd_, level, option, &value, sizeof value), 0);
}

void PlainSocket::send(std::string_view bytes) {
  ASSERT_EQ(::send(fd_, bytes.data(), bytes.size(), MSG_NOSIGNAL),
            static_cast<ssize_t>(bytes.size()));
}

void PlainSocket::close() {
  if (fd_ >= 0) ::close(std::exchange(fd_, -1));
}

}  // namespace tern::engine
