#pragma once

#include <algorithm>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <utility>

#include "base/scope.h"
#include "tests/unit/http/recording_carrier.h"
#include "webtransport/capsule_session.h"
#include "webtransport/session.h"
#include "webtransport/session_carrier.h"

/// Capsule sessions without anything beneath: the test moves their bytes.

namespace tern::webtransport::test {

inline CapsuleWindows windows(std::uint64_t data = 1000, std::uint64_t stream = 400,
                              std::uint64_t streams = 4) {
  CapsuleWindows windows;
  windows.data = data;
  windows.stream_data_uni = windows.stream_data_bidi_local = windows.stream_data_bidi_remote =
      stream;
  windows.streams_uni = windows.streams_bidi = streams;
  return windows;
}

class End final : public SessionCarrier, CapsuleSession::Output {
 public:
  End(Runtime& runtime, CapsuleSession::Role role, const SessionOptions& options,
      const CapsuleWindows& granted, const CapsuleWindows& allowed)
      : capsules(runtime, role, options, granted, allowed, *this) {}

  void attach(Session& session) override { capsules.attach(session); }
  std::string_view name() const noexcept override { return "test"; }
  std::string_view protocol() const noexcept override { return "chat.v1"; }
  udp::Path path() const noexcept override { return {}; }
  bool datagrams_are_reliable() const noexcept override { return true; }
  bool may_open(Direction direction) const noexcept override {
    return capsules.may_open(direction);
  }
  std::unique_ptr<Stream> open(Direction direction) override { return capsules.open(direction); }
  bool send_datagram(Bytes payload) override { return capsules.send_datagram(std::move(payload)); }
  std::size_t max_datagram() const noexcept override { return 16384; }
  void drain() override { capsules.drain(); }
  void close(ApplicationCode code, std::string_view reason) override {
    capsules.close(code, reason);
  }
  bool gone() const noexcept override { return capsules.over(); }
  void measure(SessionStats&) const override {}
  Result<void> export_keying_material(std::string_view, ByteView, MutableBytes) const override {
    return fail(Error(Code::unsupported, "there is no TLS here"));
  }
  std::uint64_t progress() const noexcept override { return capsules.progress(); }

  CapsuleSession capsules;

 private:
  void wanted() override {}
};

/// Options that grant no more than `windows()` from the beginning.
inline SessionOptions small() {
  return SessionOptions().receive_window(0).stream_window(0).max_streams(0);
}

/// One session and whatever the test says as its peer.
class Alone {
 public:
  explicit Alone(CapsuleSession::Role role, CapsuleWindows granted = windows(),
                 CapsuleWindows allowed = windows())
      : made_(std::make_unique<End>(world.runtime, role, options, granted, allowed)) {}

  void settle() {
    while (world.runtime.next_deadline() <= world.driver.now()) world.runtime.turn();
  }
  /// The peer says so.
  void hear(std::string_view bytes) {
    end->capsules.feed(Bytes::copy(bytes));
    settle();
  }
  /// What is said since the last call.
  std::string said(std::size_t limit = SIZE_MAX) {
    settle();
    std::string all;
    while (all.size() < limit) {
      const auto bytes = end->capsules.next_output();
      if (!bytes) break;
      all.append(bytes->text());
    }
    settle();
    return all;
  }
  std::string violation() const {
    const auto& failure = end->capsules.failure();
    return failure ? failure->detail : "none";
  }

  http::test::World world;
  SessionOptions options = small();

 private:
  std::unique_ptr<End> made_;

 public:
  End* end = made_.get();
  Session session{world.runtime, std::move(made_)};
  Scope scope{world.runtime.ready()};
};

/// Two of them that talk to each other, in pieces of `split` bytes.
class Pair {
 public:
  explicit Pair(CapsuleWindows client_grants = windows(), CapsuleWindows server_grants = windows(),
                std::size_t piece = SIZE_MAX)
      : split(piece),
        made_client_(std::make_unique<End>(world.runtime, CapsuleSession::Role::client, options,
                                           client_grants, server_grants)),
        made_server_(std::make_unique<End>(world.runtime, CapsuleSession::Role::server, options,
                                           server_grants, client_grants)) {}

  /// Until nobody has anything to do at this time.
  void settle() {
    for (bool moved = true; moved;) {
      while (world.runtime.next_deadline() <= world.driver.now()) world.runtime.turn();
      moved = move(*client_end, *server_end);
      moved |= move(*server_end, *client_end);
    }
  }
  std::string violation() const {
    for (const End* end : {client_end, server_end}) {
      if (end->capsules.failure()) return end->capsules.failure()->detail;
    }
    return "none";
  }

  http::test::World world;
  SessionOptions options = small();
  std::size_t split;

 private:
  std::unique_ptr<End> made_client_;
  std::unique_ptr<End> made_server_;

 public:
  End* client_end = made_client_.get();
  End* server_end = made_server_.get();
  Session client{world.runtime, std::move(made_client_)};
  Session server{world.runtime, std::move(made_server_)};
  Scope scope{world.runtime.ready()};

 private:
  bool move(End& from, End& to) const {
    const auto bytes = from.capsules.next_output();
    if (!bytes) return false;
    for (std::size_t at = 0; at < bytes->size(); at += std::min(split, bytes->size() - at)) {
      to.capsules.feed(bytes->slice(at, split));
    }
    return true;
  }
};

}  // namespace tern::webtransport::test
