#pragma once

#include <memory>
#include <string_view>
#include <vector>

#include "base/bytes.h"
#include "base/error.h"
#include "base/task.h"
#include "http/exchange.h"
#include "http/websocket.h"
#include "transport/udp/address.h"

namespace tern::webtransport {

/// The bytes beneath a `CapsuleCarrier`, both ways, in order.
class CapsulePipe {
 public:
  virtual ~CapsulePipe() = default;

  /// "h2" or "websocket".
  virtual std::string_view name() const noexcept = 0;
  /// The exchange that it stands on.
  virtual const http::detail::Ends& ends() const noexcept = 0;
  /// Some bytes of the peer's; empty at their end.
  virtual Task<Result<Bytes>> read() = 0;
  /// Whole capsules, in pieces. Waits while the peer is behind.
  virtual Task<Result<void>> write(std::vector<Bytes> pieces) = 0;
  /// Nothing follows.
  virtual Task<void> finish() = 0;
  /// The peer has broken a rule: nothing more goes or comes.
  virtual void abort() = 0;
};

/// The two bodies of an extended CONNECT (RFC 8441); `ends` outlives the pipe.
std::unique_ptr<CapsulePipe> pipe_over(http::detail::Ends& ends);
/// A WebSocket's binary messages, each of whole capsules (docs/webtransport.md); it outlives the
/// pipe.
std::unique_ptr<CapsulePipe> pipe_over(http::WebSocket& socket);
/// The same, which owns it.
std::unique_ptr<CapsulePipe> pipe_over(std::unique_ptr<http::WebSocket> socket);

}  // namespace tern::webtransport
