#pragma once

#include <coroutine>
#include <cstdint>
#include <optional>
#include <string_view>

#include "base/runtime.h"
#include "base/task.h"
#include "base/timer_heap.h"
#include "http/exchange.h"
#include "rpc/compression.h"
#include "rpc/metadata.h"
#include "rpc/service.h"
#include "rpc/status.h"

namespace tern::rpc {

class Dispatcher;

/// What a call is written in.
enum class DialectId : std::uint8_t { grpc, grpc_web, connect, rest, websocket };
std::string_view name_of(DialectId dialect) noexcept;

/// A call as its handler sees it. Made by the dialect, valid until the handler returns; belongs to
/// its runtime's thread.
class ServerContext : private TimerNode {
 public:
  // ---- for handlers
  const Method& method() const noexcept { return method_; }
  Runtime& runtime() const noexcept { return exchange_.runtime(); }
  DialectId dialect() const noexcept { return dialect_; }
  /// "h3", "h2", "http/1.1"; of a call on WebTransport "webtransport/h3" and the like.
  std::string_view wire() const noexcept { return exchange_.protocol(); }
  /// Where the caller is.
  udp::Path path() const noexcept { return exchange_.path(); }
  /// The request beneath, for facts about its connection; the dialect alone reads and answers it.
  http::Exchange& exchange() noexcept { return exchange_; }

  /// What the caller has sent along; valid as long as the context.
  const Metadata& metadata() const;
  /// Goes before the first message; of no effect once that is out.
  Metadata& initial_metadata() noexcept { return initial_; }
  /// Goes after the last.
  Metadata& trailing_metadata() noexcept { return trailing_; }

  /// When the caller gives up, or `ServeOptions::max_duration` is over, in the runtime's time;
  /// nothing if it waits for ever.
  std::optional<Timestamp> deadline() const noexcept { return deadline_; }
  /// Nobody waits for the answer any more: the caller has cancelled the call or has gone, or the
  /// deadline has passed. The handler is not stopped; it had better end soon.
  bool cancelled() const noexcept;
  /// What a handler may end with then: CANCELLED, or DEADLINE_EXCEEDED.
  Status cancellation() const;
  /// Returns when the call is cancelled. One coroutine waits, here or in `sleep`, at a time.
  Task<void> wait_cancelled();
  /// True after `duration`; false as soon as the call is cancelled.
  Task<bool> sleep(Duration duration);

  /// Compresses the response's messages, where the caller understands the coding. Before the first.
  void compress(Coding coding) noexcept { coding_ = coding; }
  Coding coding() const noexcept { return coding_; }
  /// The one request (unary and server-streaming calls) came compressed; for others
  /// Reader::compressed.
  bool request_compressed() const noexcept { return request_compressed_; }

  // ---- for dialects
  /// The exchange outlives it.
  ServerContext(http::Exchange& exchange, const Method& method, DialectId dialect) noexcept
      : exchange_(exchange), method_(method), dialect_(dialect) {}
  ServerContext(const ServerContext&) = delete;
  ServerContext& operator=(const ServerContext&) = delete;
  ~ServerContext();

  /// Reads the request's metadata now instead of when it is asked for, where something may be wrong
  /// with it ("-bin" keys): INTERNAL in gRPC's dialects, INVALID_ARGUMENT in the others.
  Status check_metadata();
  void set_request_compressed(bool compressed) noexcept { request_compressed_ = compressed; }
  /// From now on. When it has passed, `cancelled` is true, those who wait wake up, and `passed` is
  /// called, once, from the timer: it answers or resets.
  using DeadlinePassed = void (*)(ServerContext&);
  void set_timeout(Duration timeout, DeadlinePassed passed);
  bool deadline_passed() const noexcept { return deadline_passed_; }
  /// For the dispatcher: gives the place of this call back when it is over.
  void hold_place(const Dispatcher& dispatcher) noexcept { place_ = &dispatcher; }

 private:
  void expire(Timestamp now) override;
  class Change;

  http::Exchange& exchange_;
  const Method& method_;
  const Dispatcher* place_ = nullptr;
  mutable std::optional<Metadata> metadata_;  // once it was asked for
  Metadata initial_;
  Metadata trailing_;
  std::optional<Timestamp> deadline_;
  DeadlinePassed passed_ = nullptr;
  Waiter* waiting_ = nullptr;
  DialectId dialect_;
  Coding coding_ = Coding::identity;
  bool request_compressed_ = false;
  bool deadline_passed_ = false;
};

}  // namespace tern::rpc
