#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "base/error.h"
#include "base/runtime.h"
#include "base/task.h"
#include "tools/interop/case.h"
#include "tools/interop/link.h"
#include "tools/interop/target.h"

namespace tern::interop {

/// One fact that a case saw, for its report.
struct Fact {
  std::string name;
  std::string value;
};

/// What a case has in its hands: the endpoint, connections to it one at a time, and a notebook.
/// Lives as long as the case. Runtime's thread.
class Probe {
 public:
  /// What the prober knows of the endpoint. All outlive the probe.
  struct Setting {
    Runtime& runtime;
    udp::Network& network;
    const Target& target;
    udp::Address remote;  ///< the address in use
    std::shared_ptr<const tls::ClientContext> context;
    std::shared_ptr<const tls::ClientContext> chacha20_context;
    std::string user_agent;
    quic::QlogOpener qlog;
    Duration limit;  ///< the case's
  };

  explicit Probe(Setting setting) : setting_(std::move(setting)) {}

  Runtime& runtime() noexcept { return setting_.runtime; }
  udp::Network& network() noexcept { return setting_.network; }
  const Target& target() const noexcept { return setting_.target; }
  const udp::Address& remote() const noexcept { return setting_.remote; }
  const Setting& setting() const noexcept { return setting_; }
  Duration limit() const noexcept { return setting_.limit; }

  /// How the endpoint is usually connected to.
  LinkSettings settings() const;
  /// Closes the connection before it, if there is one, and opens another. It is the probe's.
  Task<Result<Link*>> connect(LinkSettings settings);
  /// The same with the usual settings.
  Task<Result<Link*>> connect();
  /// Closes what is still open: the end of a case, however it ended.
  Task<void> finish();

  void note(std::string_view name, std::string value);
  void note(std::string_view name, std::uint64_t value) { note(name, std::to_string(value)); }
  const std::vector<Fact>& facts() const noexcept { return facts_; }
  unsigned connections() const noexcept { return connections_; }

 private:
  Setting setting_;
  std::unique_ptr<Link> link_;
  std::vector<Fact> facts_;
  unsigned connections_ = 0;
};

}  // namespace tern::interop
