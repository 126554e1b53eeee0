#pragma once

#include <chrono>
#include <list>
#include <map>
#include <string>
#include <vector>

#include "base/runtime.h"
#include "base/timer_heap.h"
#include "transport/udp/service_record.h"

namespace tern::sim {

/// The HTTPS records of a simulated world, for a client on one host. Outlived by that host's
/// runtime.
class ServiceZone final : public udp::ServiceResolver {
 public:
  explicit ServiceZone(Runtime& runtime) : runtime_(runtime) {}

  /// Adds a record to `name`. Default for other names: none, for a minute.
  ServiceZone& add(const std::string& name, udp::ServiceRecord record);
  ServiceZone& ttl(Duration time) { return ttl_ = time, *this; }
  /// Until an answer comes. Default 5 ms.
  ServiceZone& delay(Duration time) { return delay_ = time, *this; }
  /// Every name that was asked for.
  const std::vector<std::string>& asked() const noexcept { return asked_; }

  void resolve_service(const std::string& name, Answered done) override;

 private:
  struct Question {
    Question(TimerHeap& timers, ServiceZone& zone, std::string name, Answered done);
    std::string name;
    Answered done;
    Timer timer;
    bool over = false;
  };

  Runtime& runtime_;
  std::map<std::string, std::vector<udp::ServiceRecord>> records_;
  Duration ttl_ = std::chrono::minutes(5);
  Duration delay_ = std::chrono::milliseconds(5);
  std::vector<std::string> asked_;
  std::list<Question> questions_;
};

}  // namespace tern::sim
