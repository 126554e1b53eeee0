#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string_view>
#include <utility>

#include "http3/context.h"
#include "tests/fuzz/http3/fuzz_ends.h"

namespace tern::http3::fuzz {

/// A whole HTTP/3 client and a server of its that says anything.
class FuzzClient final : public FuzzEnds {
 public:
  /// With a connection that is ready.
  explicit FuzzClient(const MakeOptions& options) {
    context_.emplace(runtime(), options(runtime()));
    begin(
        [this](quic::Connection& connection) {
          auto made = std::make_unique<Peer>(connection, over_);
          peer_ = made.get();
          return made;
        },
        [this](quic::Connection& connection) {
          ClientHooks hooks;
          hooks.closed = [this](const Error&) { session_ = nullptr; };
          std::unique_ptr<Session> made = context_->connect(connection, std::move(hooks));
          session_ = made.get();
          return made;
        },
        over_);
  }
  ~FuzzClient() { end(); }

  Runtime& runtime() { return client().runtime(); }
  std::uint64_t count(std::string_view name) { return runtime().counters().at(name).value(); }
  /// Null when the connection is over, for the client.
  Session* session() noexcept { return session_; }
  /// Only while the connection is not `gone`.
  Peer& peer() noexcept { return *peer_; }
  quic::Connection& connection() noexcept { return peer_->connection(); }
  bool gone() const { return over_ || connections_of_client() == 0; }

 private:
  std::optional<Context> context_;  // before the runtime, after the endpoint
  Session* session_ = nullptr;
  Peer* peer_ = nullptr;
  bool over_ = false;
};

}  // namespace tern::http3::fuzz
