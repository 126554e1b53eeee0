#include "tests/unit/engine/engine_fixture.h"

#include <algorithm>
#include <cstring>

namespace tern::engine {

std::vector<EngineKind> available_engines() {
  std::vector<EngineKind> kinds{EngineKind::epoll};
  if (open(EngineOptions().kind(EngineKind::io_uring))) kinds.push_back(EngineKind::io_uring);
  return kinds;
}

std::string engine_name(const testing::TestParamInfo<EngineKind>& info) {
  return std::string(name(info.param));
}

void Recorder::receive(udp::Socket& socket, const udp::Arrival& arrival) {
  if (hook) hook(arrival);
  ++batches;
  sockets.push_back(&socket);
  ASSERT_GT(arrival.segment_size, 0U);
  for (std::size_t start = 0; start < arrival.bytes.size(); start += arrival.segment_size) {
    const std::size_t size = std::min(arrival.segment_size, arrival.bytes.size() - start);
    datagrams.push_back({arrival.path, arrival.ecn,
                         std::string(as_text(arrival.bytes.subspan(start, size))), batches});
  }
}

void Recorder::send_failed(udp::Socket&, const udp::Path& path, int error) {
  failures.push_back({path, error});
}

void Recorder::unreachable(udp::Socket&, const udp::Address& remote, int error, ByteView quoted) {
  unreachables.push_back({remote, error, std::string(as_text(quoted))});
}

std::unique_ptr<udp::Network> EngineTest::make(EngineOptions options) {
  auto opened = open(options.kind(GetParam()));
  EXPECT_TRUE(opened) << opened.error().to_string();
  return std::move(*opened);
}

std::unique_ptr<udp::Socket> EngineTest::bind(udp::Network& on, Recorder& recorder,
                                              std::string_view where, udp::ReusePort group) {
  udp::SocketOptions options;
  options.bind = address(where);
  options.reuse_port = group;
  auto socket = on.open(options, recorder);
  EXPECT_TRUE(socket) << socket.error().to_string();
  return socket ? std::move(*socket) : nullptr;
}

void EngineTest::send(udp::Network& on, udp::Socket& from, const udp::Address& to,
                      std::string_view bytes, std::size_t segment_size, udp::Ecn ecn,
                      const udp::Address& local) {
  udp::Slab* slab = on.acquire();
  ASSERT_NE(slab, nullptr);
  std::memcpy(slab->space().data(), bytes.data(), bytes.size());
  udp::Transmit transmit;
  transmit.path = {local, to};
  transmit.ecn = ecn;
  transmit.length = static_cast<std::uint32_t>(bytes.size());
  transmit.segment_size =
      segment_size == 0 ? transmit.length : static_cast<std::uint32_t>(segment_size);
  slab->add(from, transmit);
  on.submit(slab);
}

bool EngineTest::turn_until(udp::Network& on, const std::function<bool()>& done) {
  const Timestamp give_up = on.now() + 20s;
  while (!done()) {
    if (on.now() > give_up) return false;
    on.wait(give_up);
    on.reap(on.now());
  }
  return true;
}

void EngineTest::turn_once(udp::Network& on) {
  on.wait(on.now());
  on.reap(on.now());
}

udp::Address EngineTest::address(std::string_view text) {
  auto parsed = udp::Address::parse(text);
  EXPECT_TRUE(parsed) << text;
  return *parsed;
}

std::uint64_t EngineTest::count(const udp::Network& on, std::string_view counter) {
  for (const auto& [name, value] : on.counters().snapshot()) {
    if (name == counter) return value;
  }
  ADD_FAILURE() << "no counter " << counter;
  return 0;
}

}  // namespace tern::engine
