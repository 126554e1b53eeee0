#pragma once

#include <cstddef>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "base/bytes.h"
#include "base/counters.h"
#include "base/runtime.h"
#include "base/scope.h"
#include "http/fallback/http2_pool.h"
#include "http/fallback/options.h"
#include "http/server_hooks.h"

namespace tern::fallback {

class SessionBase;

/// Internal to http/fallback: a `Context` as its sessions see it. Owns them and their tasks, and
/// has them write once a turn.
class ContextCore : private TurnHook {
 public:
  ContextCore(Runtime& runtime, SessionOptions options, http::ServerHooks hooks);
  ContextCore(const ContextCore&) = delete;
  ContextCore& operator=(const ContextCore&) = delete;
  ~ContextCore();

  Runtime& runtime() noexcept { return runtime_; }
  const SessionOptions& options() const noexcept { return options_; }
  const http::ServerHooks& hooks() const noexcept { return hooks_; }
  Scope& tasks() noexcept { return tasks_; }
  /// For bodies that come in.
  ChunkArena& arena() noexcept { return arena_; }
  /// For what is sent and small: the pieces of a turn join in one block.
  ChunkArena& output_arena() noexcept { return output_arena_; }

  /// One set for each protocol: "http1.requests", "http2.requests", …
  struct Counts {
    Counts(Counters& counters, const std::string& protocol);
    Counter &sessions, &requests, &responses, &peer_resets, &rejected;
    Counter &malformed, &errors, &peer_errors, &timeouts, &stalled, &aged;
    Counter &limit_fields, &limit_body, &limit_resets, &limit_glitches, &limit_waiting;
  };
  Counts& http1() noexcept { return http1_; }
  Counts& http2() noexcept { return http2_; }
  Http2Pool& http2_pool() noexcept { return http2_pool_; }

  /// Takes a session over and starts it.
  SessionBase& add(std::unique_ptr<SessionBase> session);
  /// `flush` of the session is called at the end of this turn, or of the next if this one's end has
  /// come.
  void wake(SessionBase& session);
  /// `report` of the session is called in the next drain phase.
  void tell(SessionBase& session) { telling_.push_back(&session); }
  /// The session is over: it is destroyed in the next drain phase.
  void retire(SessionBase& session);

  /// Every session that is not over.
  template <typename Function>
  void each(Function&& function) {
    // By index: sessions may be added or end meanwhile, but are destroyed later.
    for (std::size_t i = 0; i < sessions_.size(); ++i) function(*sessions_[i]);
  }
  std::size_t live() const noexcept { return live_; }

 private:
  void drain(Timestamp now) override;
  void flush(Timestamp now) override;
  bool pending() const override {
    return !dirty_.empty() || !retired_.empty() || !telling_.empty();
  }
  void destroy(SessionBase& session);

  Runtime& runtime_;
  SessionOptions options_;
  http::ServerHooks hooks_;
  ChunkArena arena_;
  ChunkArena output_arena_;
  Counts http1_;
  Counts http2_;
  Http2Pool http2_pool_;
  std::vector<std::unique_ptr<SessionBase>> sessions_;
  std::vector<SessionBase*> dirty_, flushing_;
  std::vector<SessionBase*> retired_;
  std::vector<SessionBase*> telling_;
  std::size_t live_ = 0;
  Scope tasks_{runtime_.ready()};  // last: the tasks use everything above
};

}  // namespace tern::fallback
