#include "rpc/services/health.h"

#include <chrono>
#include <functional>
#include <utility>

#include "grpc/health/v1/health.tern.h"
#include "rpc/server_context.h"

namespace tern::rpc {

void Health::set(std::string_view service, Serving state) {
  const std::lock_guard lock(mutex_);
  if (shut_down_) return;
  states_.insert_or_assign(std::string(service), state);
}

void Health::shut_down() {
  const std::lock_guard lock(mutex_);
  shut_down_ = true;
  for (auto& [service, state] : states_) state = Serving::not_serving;
}

std::optional<Serving> Health::find(std::string_view service) const {
  const std::lock_guard lock(mutex_);
  const auto found = states_.find(service);
  if (found == states_.end()) return std::nullopt;
  return found->second;
}

std::map<std::string, Serving, std::less<>> Health::all() const {
  const std::lock_guard lock(mutex_);
  return states_;
}

namespace {

namespace v1 = grpc::health::v1;

v1::HealthCheckResponse::ServingStatus wire_state(std::optional<Serving> state) {
  return state ? static_cast<v1::HealthCheckResponse::ServingStatus>(*state)
               : v1::HealthCheckResponse::SERVICE_UNKNOWN;
}

class HealthService final : public v1::Health {
 public:
  explicit HealthService(std::shared_ptr<const rpc::Health> health) : health_(std::move(health)) {}

  Task<Status> Check(ServerContext&, const v1::HealthCheckRequest& request,
                     v1::HealthCheckResponse& response) override {
    const std::optional<Serving> state = health_->find(request.service());
    if (!state) co_return Status(Code::not_found, "nothing is known of that service");
    response.set_status(wire_state(state));
    co_return Status();
  }

  Task<Status> List(ServerContext&, const v1::HealthListRequest&,
                    v1::HealthListResponse& response) override {
    const auto states = health_->all();
    if (states.size() > rpc::Health::kMaxListed) {
      co_return Status(Code::resource_exhausted, "there are too many services to list");
    }
    for (const auto& [service, state] : states) {
      (*response.mutable_statuses())[service].set_status(wire_state(state));
    }
    co_return Status();
  }

  Task<Status> Watch(ServerContext& context, const v1::HealthCheckRequest& request,
                     Writer<v1::HealthCheckResponse>& writer) override {
    constexpr std::chrono::milliseconds kPoll(rpc::Health::kPollMilliseconds);
    v1::HealthCheckResponse told;
    bool first = true;
    for (;;) {
      const auto state = wire_state(health_->find(request.service()));
      if (first || state != told.status()) {
        first = false;
        told.set_status(state);
        const bool sent = co_await writer.send(told);
        if (!sent) co_return context.cancellation();
      }
      const bool on = co_await context.sleep(kPoll);
      if (!on) co_return context.cancellation();
      // Who watches is to go elsewhere: the connection is about to end.
      if (context.exchange().draining()) co_return Status(Code::unavailable, "the server drains");
    }
  }

 private:
  std::shared_ptr<const rpc::Health> health_;
};

}  // namespace

std::shared_ptr<Service> health_service(std::shared_ptr<const Health> health) {
  return std::make_shared<HealthService>(std::move(health));
}

}  // namespace tern::rpc
