#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string_view>
#include <utility>

#include "http3/context.h"
#include "tests/fuzz/http3/fuzz_ends.h"

namespace tern::http3::fuzz {

/// A whole HTTP/3 server and a client of it that says anything.
class FuzzServer final : public FuzzEnds {
 public:
  /// With a connection that is ready.
  FuzzServer(http::Handler handler, const MakeOptions& options) {
    http::ServerHooks hooks;
    hooks.handler = std::move(handler);
    context_.emplace(runtime(), options(runtime()), std::move(hooks));
    begin([this](quic::Connection& connection) { return context_->accept(connection); },
          [this](quic::Connection& connection) {
            auto made = std::make_unique<Peer>(connection, over_);
            peer_ = made.get();
            return made;
          },
          over_);
  }
  ~FuzzServer() { end(); }

  Runtime& runtime() { return server().runtime(); }
  std::uint64_t count(std::string_view name) { return runtime().counters().at(name).value(); }
  /// Only while the connection is not `gone`.
  Peer& peer() noexcept { return *peer_; }
  quic::Connection& connection() noexcept { return peer_->connection(); }
  bool gone() const { return over_ || connections_of_server() == 0; }

 private:
  std::optional<Context> context_;  // before the runtime, after the endpoint
  Peer* peer_ = nullptr;
  bool over_ = false;
};

}  // namespace tern::http3::fuzz
