#pragma once

#include <memory>
#include <optional>
#include <string_view>

#include "base/error.h"
#include "base/runtime.h"
#include "base/task.h"
#include "http/exchange.h"
#include "http/message.h"

namespace tern::rpc {

/// A request on a wire: its exchange, and whatever keeps the connection under it.
class WireStream {
 public:
  virtual ~WireStream() = default;
  virtual http::ClientExchange& exchange() noexcept = 0;
};

/// Where calls go to: one server, by whatever version of HTTP gets there (gateway/rpc_channel.h has
/// it over tern::Client). Belongs to its runtime's thread.
class Wire {
 public:
  virtual ~Wire() = default;
  virtual Runtime& runtime() noexcept = 0;
  /// "https", "host:port": what goes into the request's head.
  virtual std::string_view scheme() const noexcept = 0;
  virtual std::string_view authority() const noexcept = 0;
  /// Connects where it has to, and sends the request's head; the caller writes the body. Destroying
  /// the task gives up.
  virtual Task<tern::Result<std::unique_ptr<WireStream>>> open(http::RequestHead head) = 0;
  /// The same at once where a connection is there that takes the request. Nothing: use `open`.
  virtual std::optional<tern::Result<std::unique_ptr<WireStream>>> try_open(
      const http::RequestHead&) {
    return std::nullopt;
  }
};

}  // namespace tern::rpc
