#pragma once

#include <cstddef>
#include <memory>
#include <string>

#include "http/exchange.h"
#include "rpc/channel.h"
#include "rpc/dispatcher.h"
#include "rpc/serve_options.h"

/// A page of figures about a server's calls and a program's channels.

namespace tern::rpc {

/// Watches calls and channels, and shows them: HTML for people, JSON for `?format=json` or
/// `accept: application/json`. Nobody sees it unless it is given a place, which had better not be
/// where strangers get to: peers' addresses and statuses' texts are on it. Of metadata it shows
/// names and never values, of messages nothing.
///
///   auto page = std::make_shared<rpc::DebugPage>(services);
///   router.mount("/", rpc::serve(services, rpc::ServeOptions().interceptor(page->interceptor())));
///   router.get("/debug/rpc", page->handler());
///   const auto listed = page->add("backend", *channel);          // as long as the channel lives
///
/// Counts what gets to a handler: a request that is none (an unknown method, bad framing, a full
/// server) is the access log's. What the handlers say may be asked from every thread.
class DebugPage {
 public:
  /// Errors that are kept, the latest; calls under way that are shown, the oldest; bytes shown of a
  /// status's text; channels that are listed at most, of which more are left out.
  static constexpr std::size_t kErrors = 64;
  static constexpr std::size_t kShownCalls = 100;
  static constexpr std::size_t kShownText = 200;
  static constexpr std::size_t kChannels = 64;

  /// Methods of `services` are shown before they are called, too.
  explicit DebugPage(const Services& services = Services());
  ~DebugPage();

  /// To be the first, so that the others are within what it measures. Lives on its own.
  Interceptor interceptor() const;
  http::Handler handler() const;

  /// Shows a channel until what is returned goes, which is before the channel does, on its thread.
  class Listed {
   public:
    virtual ~Listed() = default;
  };
  [[nodiscard]] std::unique_ptr<Listed> add(std::string name, const Channel& channel);

 private:
  class Record;
  std::shared_ptr<Record> record_;
};

}  // namespace tern::rpc
