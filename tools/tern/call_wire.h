#pragma once

#include <memory>
#include <optional>
#include <string>
#include <utility>

#include "base/error.h"
#include "rpc/wire.h"

namespace tern::cli {

/// The wire of a `tern call`: puts the URL's folder before the paths, tells the requests (`-v`),
/// and remembers why there was none.
class CallWire final : public rpc::Wire {
 public:
  /// `failure` is set by an `open` that fails, reset by one that does not, and outlives the wire.
  CallWire(std::unique_ptr<rpc::Wire> wire, std::string prefix, bool verbose,
           std::optional<Error>& failure)
      : wire_(std::move(wire)), prefix_(std::move(prefix)), verbose_(verbose), failure_(failure) {}

  Runtime& runtime() noexcept override { return wire_->runtime(); }
  std::string_view scheme() const noexcept override { return wire_->scheme(); }
  std::string_view authority() const noexcept override { return wire_->authority(); }
  Task<Result<std::unique_ptr<rpc::WireStream>>> open(http::RequestHead head) override;

 private:
  std::unique_ptr<rpc::Wire> wire_;
  std::string prefix_;
  bool verbose_;
  std::optional<Error>& failure_;
};

}  // namespace tern::cli
