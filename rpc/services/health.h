#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <string_view>

#include "rpc/service.h"

/// gRPC's health checking protocol (grpc.health.v1), as load balancers ask.

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

  /// A service's full name, or "" for the server. Watchers hear of it within
  /// `kPollMilliseconds`.
  void set(std::string_view service, Serving state);
  /// From now on everything is `not_serving`, and `set` has no effect: before a server drains.
  void shut_down();

  std::optional<Serving> find(std::string_view service) const;
  std::map<std::string, Serving, std::less<>> all() const;

  /// How often a Watch looks.
  static constexpr std::int64_t kPollMilliseconds = 250;
  /// Services that List tells of; with more it is RESOURCE_EXHAUSTED.
  static constexpr std::size_t kMaxListed = 100;

 private:
  mutable std::mutex mutex_;
  std::map<std::string, Serving, std::less<>> states_;
  bool shut_down_ = false;
};

/// Check, List and Watch. A service that nobody has set is NOT_FOUND, and SERVICE_UNKNOWN for
/// Watch, which waits for it.
std::shared_ptr<Service> health_service(std::shared_ptr<const Health> health);

}  // namespace tern::rpc
