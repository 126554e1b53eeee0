#pragma once

#include <chrono>
#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "base/bytes.h"
#include "transport/engine/engine.h"
#include "transport/udp/network.h"

namespace tern::engine {

using namespace std::chrono_literals;

/// The engines this machine has: both where io_uring is allowed. Suites that must hold for every
/// engine are instantiated for these.
std::vector<EngineKind> available_engines();
std::string engine_name(const testing::TestParamInfo<EngineKind>& info);

/// Keeps what a socket receives, one entry a datagram.
class Recorder final : public udp::Sink {
 public:
  struct Datagram {
    udp::Path path;
    udp::Ecn ecn;
    std::string bytes;
    std::size_t batch;  ///< number of the arrival it came in
  };
  struct Failure {
    udp::Path path;
    int error;
  };
  struct Unreachable {
    udp::Address remote;
    int error;
    std::string quoted;
  };

  void receive(udp::Socket& socket, const udp::Arrival& arrival) override;
  void send_failed(udp::Socket& socket, const udp::Path& path, int error) override;
  void unreachable(udp::Socket& socket, const udp::Address& remote, int error,
                   ByteView quoted) override;

  std::vector<Datagram> datagrams;
  std::vector<Failure> failures;
  std::vector<Unreachable> unreachables;
  std::size_t batches = 0;
  std::vector<udp::Socket*> sockets;              ///< of each arrival
  std::function<void(const udp::Arrival&)> hook;  ///< runs first, if set
};

/// A network of the engine under test, and helpers on it.
class EngineTest : public testing::TestWithParam<EngineKind> {
 protected:
  EngineTest() : network(make(EngineOptions())) {}

  std::unique_ptr<udp::Network> make(EngineOptions options);
  std::unique_ptr<udp::Socket> bind(udp::Network& on, Recorder& recorder, std::string_view address,
                                    udp::ReusePort group = {});
  std::unique_ptr<udp::Socket> bind(Recorder& recorder, std::string_view address) {
    return bind(*network, recorder, address);
  }
  /// One Transmit of `bytes`, in datagrams of `segment_size` (0: one).
  void send(udp::Network& on, udp::Socket& from, const udp::Address& to, std::string_view bytes,
            std::size_t segment_size = 0, udp::Ecn ecn = udp::Ecn::not_ect,
            const udp::Address& local = {});
  void send(udp::Socket& from, const udp::Address& to, std::string_view bytes,
            std::size_t segment_size = 0, udp::Ecn ecn = udp::Ecn::not_ect) {
    send(*network, from, to, bytes, segment_size, ecn);
  }
  /// Turns until `done`; false when that takes longer than any working machine needs.
  bool turn_until(udp::Network& on, const std::function<bool()>& done);
  bool turn_until(const std::function<bool()>& done) { return turn_until(*network, done); }
  /// Hands over what was submitted and takes what is there, without sleeping.
  void turn_once(udp::Network& on);

  static udp::Address address(std::string_view text);
  std::uint64_t count(std::string_view counter) const { return count(*network, counter); }
  static std::uint64_t count(const udp::Network& on, std::string_view counter);

  std::unique_ptr<udp::Network> network;
};

}  // namespace tern::engine
