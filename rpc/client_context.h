#pragma once

#include <cstddef>
#include <functional>
#include <optional>
#include <string>
#include <string_view>
#include <utility>

#include "base/task.h"
#include "base/time.h"
#include "http/fields.h"
#include "rpc/compression.h"
#include "rpc/metadata.h"
#include "rpc/status.h"

namespace tern::rpc {

class ClientCall;
class ServerContext;

/// Metadata that says who calls, asked for before each attempt: a token that is renewed, say. Given
/// the URL of the service ("https://host/pkg.Service"). A status that is not OK ends the call. Sent
/// over TLS alone.
using CallCredentials = std::function<Task<Result<Metadata>>(std::string_view service)>;
/// `authorization: Bearer TOKEN` (a JWT, RFC 6750).
CallCredentials bearer_token(std::string token);

/// One call of a client: what is asked of it, and afterwards what came with it. Outlives the call;
/// a context is for one call, and belongs to its runtime's thread.
class ClientContext {
 public:
  ClientContext() = default;
  /// For calls that a handler makes: they end with its own deadline.
  explicit ClientContext(const ServerContext& handler);
  ClientContext(const ClientContext&) = delete;
  ClientContext& operator=(const ClientContext&) = delete;

  // ---- before the call
  /// How long it may take, retries and connecting included; then it is DEADLINE_EXCEEDED. The
  /// server is told. For ever, if neither this nor `deadline` is called; the earlier counts.
  ClientContext& timeout(Duration duration) { return timeout_ = duration, *this; }
  /// The same as a moment, in the runtime's time (`Runtime::now`).
  ClientContext& deadline(Timestamp at) { return deadline_ = at, *this; }
  /// While nobody answers at the service's address, tries again (until the deadline) instead of
  /// ending with UNAVAILABLE.
  ClientContext& wait_for_ready(bool on = true) { return wait_for_ready_ = on, *this; }
  /// Compresses the requests. The server may not understand it: UNIMPLEMENTED.
  ClientContext& compress(Coding coding) { return coding_ = coding, *this; }
  ClientContext& credentials(CallCredentials credentials) {
    return credentials_ = std::move(credentials), *this;
  }
  /// What goes with the call.
  Metadata& metadata() noexcept { return metadata_; }

  /// Gives up; the call ends with CANCELLED. Before, during or after it, on its runtime's thread.
  void cancel();

  // ---- afterwards
  /// What came before the first response; known once that has, or the call is over.
  const Metadata& initial_metadata() const;
  /// What came at the end; known once the call is over. Both are valid as long as the context.
  const Metadata& trailing_metadata() const;
  /// "h3", "h2", "http/1.1", or "webtransport/h3" and the like; empty if the call never got so far.
  const std::string& wire() const noexcept { return wire_; }
  /// How often the call was sent.
  std::size_t attempts() const noexcept { return attempts_; }
  /// The last response came compressed.
  bool response_compressed() const noexcept { return response_compressed_; }

  // ---- for channels and dialects
  /// Fixes the deadline when the call begins.
  void begin(Timestamp now);
  std::optional<Timestamp> ends_at() const noexcept { return ends_at_; }
  const Metadata& request_metadata() const noexcept { return metadata_; }
  const CallCredentials& call_credentials() const noexcept { return credentials_; }
  bool waits_for_ready() const noexcept { return wait_for_ready_; }
  Coding coding() const noexcept { return coding_; }
  bool cancelled() const noexcept { return cancelled_; }
  /// Called by `cancel`; null: nobody. One at a time.
  void on_cancel(std::function<void()> action) { on_cancel_ = std::move(action); }
  void count_attempt() noexcept { ++attempts_; }
  void set_wire(std::string_view protocol) { wire_ = protocol; }
  void set_initial(http::Fields fields) { set(initial_fields_, initial_, std::move(fields)); }
  void set_trailing(http::Fields fields) { set(trailing_fields_, trailing_, std::move(fields)); }
  /// How long the server wants the client to wait before it sends the call again
  /// (`grpc-retry-pushback-ms`); negative: it is not to.
  std::optional<Duration> retry_pushback() const;
  /// Becomes one more attempt at the same call, the `number`th; its metadata is its own.
  void attempt_at(const ClientContext& call, std::size_t number);
  /// What came with that attempt came with the call.
  void take_results(ClientContext& attempt);
  void set_response_compressed(bool compressed) noexcept { response_compressed_ = compressed; }

 private:
  static void set(http::Fields& fields, std::optional<Metadata>& read, http::Fields sent) {
    fields = std::move(sent);
    read.reset();
  }

  std::optional<Duration> timeout_;
  std::optional<Timestamp> deadline_;
  std::optional<Timestamp> ends_at_;
  bool wait_for_ready_ = false;
  bool cancelled_ = false;
  bool response_compressed_ = false;
  Coding coding_ = Coding::identity;
  std::size_t attempts_ = 0;
  CallCredentials credentials_;
  Metadata metadata_;
  std::function<void()> on_cancel_;
  std::string wire_;
  http::Fields initial_fields_;
  http::Fields trailing_fields_;
  mutable std::optional<Metadata> initial_;  // read when they are asked for
  mutable std::optional<Metadata> trailing_;
};

}  // namespace tern::rpc
