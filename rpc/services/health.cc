#include "rpc/services/health.h"

#include <algorithm>
#include <chrono>
#include <functional>
#include <utility>

#include "base/scope.h"
#include "grpc/health/v1/health.tern.h"
#include "rpc/client_context.h"
#include "rpc/client_streams.h"
#include "rpc/server_context.h"

namespace tern::rpc {

void Health::set(std::string_view service, Serving state) {
  const std::lock_guard lock(mutex_);
  if (shut_down_) return;
  states_.insert_or_assign(std::string(service), state);
  tell_watchers();
}

void Health::shut_down() {
  const std::lock_guard lock(mutex_);
  shut_down_ = true;
  for (auto& [service, state] : states_) state = Serving::not_serving;
  tell_watchers();
}

void Health::tell_watchers() const {
  for (const std::shared_ptr<Watcher::News>& news : watchers_) {
    if (news->under_way.exchange(true)) continue;
    news->runtime.submit([news] {
      news->under_way = false;
      news->changed.notify();
    });
  }
}

Health::Watcher::Watcher(const Health& health, Runtime& runtime)
    : health_(health), news_(std::make_shared<News>(runtime)) {
  const std::lock_guard lock(health_.mutex_);
  health_.watchers_.push_back(news_);
}

Health::Watcher::~Watcher() {
  const std::lock_guard lock(health_.mutex_);
  std::erase(health_.watchers_, news_);
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

/// Notifies when the connection begins to drain.
class DrainHook final : public http::detail::DrainListener {
 public:
  DrainHook(http::Exchange& exchange, Signal& signal) : exchange_(exchange), signal_(signal) {
    exchange_.set_drain_listener(this);
  }
  DrainHook(const DrainHook&) = delete;
  DrainHook& operator=(const DrainHook&) = delete;
  ~DrainHook() { exchange_.set_drain_listener(nullptr); }

 private:
  void on_drain() noexcept override { signal_.notify(); }

  http::Exchange& exchange_;
  Signal& signal_;
};

Task<void> tell_when_cancelled(ServerContext& context, Signal& signal) {
  co_await context.wait_cancelled();
  signal.notify();
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
    rpc::Health::Watcher watcher(*health_, context.runtime());
    Signal& changed = watcher.changed();
    const DrainHook drain(context.exchange(), changed);
    Scope scope(context.runtime().ready());
    scope.spawn(tell_when_cancelled(context, changed));
    v1::HealthCheckResponse told;
    for (bool first = true;; first = false) {
      const auto state = wire_state(health_->find(request.service()));
      if (first || state != told.status()) {
        told.set_status(state);
        const bool sent = co_await writer.send(told);
        if (!sent) co_return context.cancellation();
      }
      co_await changed.wait();
      if (context.cancelled()) co_return context.cancellation();
      // Who watches is to go elsewhere: the connection is about to end.
      if (context.exchange().draining()) co_return Status(Code::unavailable, "the server drains");
    }
  }

 private:
  std::shared_ptr<const rpc::Health> health_;
};

// ---- the client's side --------------------------------------------------------------------------

constexpr Duration kFirstPause = std::chrono::seconds(1);
constexpr Duration kLongestPause = std::chrono::minutes(2);

/// One watch to its end. `heard`: it has told something.
Task<Status> watch_once(Channel& server, const std::string& service,
                        const std::function<void(bool)>& tell, bool& heard) {
  v1::Health::Client health(server);
  v1::HealthCheckRequest request;
  request.set_service(service);
  ClientContext context;
  context.wait_for_ready();
  Result<ServerStream<v1::HealthCheckResponse>> watch = co_await health.Watch(context, request);
  if (!watch) co_return std::move(watch).error();
  v1::HealthCheckResponse response;
  for (;;) {
    const bool more = co_await watch->receive(response);
    if (!more) break;
    heard = true;
    tell(response.status() == v1::HealthCheckResponse::SERVING);
  }
  co_return co_await watch->finish();
}

Task<void> keep_watching(Channel& server, std::string service, std::function<void(bool)> tell) {
  for (Duration pause = kFirstPause;;) {
    bool heard = false;
    const Status status = co_await watch_once(server, service, tell, heard);
    if (status.code() == Code::unimplemented) co_return tell(true);
    tell(false);
    pause = heard ? kFirstPause : std::min(kLongestPause, pause * 2);
    // Between a half and all of it, so that clients of one server come apart.
    const auto half = static_cast<std::uint64_t>(pause.count() / 2);
    const Duration wait(static_cast<std::int64_t>(half + server.runtime().random().below(half)));
    co_await server.runtime().sleep(wait);
  }
}

}  // namespace

HealthWatch watch_health(std::string service) {
  return [service = std::move(service)](Channel& server, std::function<void(bool)> tell) {
    return keep_watching(server, service, std::move(tell));
  };
}

std::shared_ptr<Service> health_service(std::shared_ptr<const Health> health) {
  return std::make_shared<HealthService>(std::move(health));
}

}  // namespace tern::rpc
