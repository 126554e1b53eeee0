#pragma once

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/runtime.h"
#include "rpc/channel.h"
#include "rpc/service.h"

/// gRPC's health checking protocol (grpc.health.v1): what load balancers ask a server, and what a
/// channel asks its servers.

namespace tern::rpc {

enum class Serving : std::uint8_t {
  unknown = 0,
  serving = 1,
  not_serving = 2,
};

/// What a server says of its services. Shared by whoever changes it and the service that tells;
/// every function may be called from any thread.
///
///   auto health = std::make_shared<rpc::Health>();
///   services.push_back(rpc::health_service(health));
///   …
///   health->set("greeter.v1.Greeter", rpc::Serving::not_serving);
class Health {
 public:
  /// The server itself ("") is serving from the start.
  Health() { states_.emplace("", Serving::serving); }

  /// A service's full name, or "" for the server. Watchers hear of it in their next turn.
  void set(std::string_view service, Serving state);
  /// From now on everything is `not_serving`, and `set` has no effect: before a server drains.
  void shut_down();

  std::optional<Serving> find(std::string_view service) const;
  std::map<std::string, Serving, std::less<>> all() const;

  /// Services that List tells of; with more it is RESOURCE_EXHAUSTED.
  static constexpr std::size_t kMaxListed = 100;

  /// Somebody who wants to know of each change, on a runtime's thread: `changed` is notified there,
  /// once for all changes since it was waited for. The health outlives it.
  class Watcher {
   public:
    Watcher(const Health& health, Runtime& runtime);
    Watcher(const Watcher&) = delete;
    Watcher& operator=(const Watcher&) = delete;
    ~Watcher();
    Signal& changed() noexcept { return news_->changed; }

   private:
    friend class Health;
    /// Outlives the watcher where a notice is on its way.
    struct News {
      explicit News(Runtime& of) : runtime(of), changed(of) {}
      Runtime& runtime;
      Signal changed;
      std::atomic<bool> under_way{false};
    };
    const Health& health_;
    std::shared_ptr<News> news_;
  };

 private:
  void tell_watchers() const;

  mutable std::mutex mutex_;
  std::map<std::string, Serving, std::less<>> states_;
  mutable std::vector<std::shared_ptr<Watcher::News>> watchers_;
  bool shut_down_ = false;
};

/// Check, List and Watch. A service that nobody has set is NOT_FOUND, and SERVICE_UNKNOWN for
/// Watch, which waits for it.
std::shared_ptr<Service> health_service(std::shared_ptr<const Health> health);

/// For `ChannelOptions::health`: watches `service` ("": the server itself) on each server of the
/// channel (Health/Watch, gRPC's client-side health checking). A server that does not know the
/// method is healthy. One whose watch has ended is not until the next says so, which begins after a
/// second, doubled each time in a row up to two minutes.
///
///   rpc::ChannelOptions options;
///   options.health = rpc::watch_health("greeter.v1.Greeter");
HealthWatch watch_health(std::string service);

}  // namespace tern::rpc
