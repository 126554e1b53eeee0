#include "rpc/channel.h"

#include <algorithm>
#include <charconv>
#include <chrono>
#include <utility>

#include <google/protobuf/message.h>

#include "base/check.h"
#include "base/scope.h"
#include "base/timer_heap.h"
#include "rpc/cancel_hook.h"
#include "rpc/client_streams.h"

namespace tern::rpc {

/// One server of the channel, and how it does.
struct Channel::Server {
  std::unique_ptr<Wire> wire;
  std::uint64_t calls = 0;
  std::size_t outstanding = 0;
  unsigned failures = 0;  // in a row, to reach it
  Timestamp paused_until{};
};

namespace {

/// Counts a call as outstanding while it lives.
template <typename Server>
std::shared_ptr<void> ticket_of(std::shared_ptr<Server> server) {
  ++server->outstanding;
  ++server->calls;
  return std::shared_ptr<void>(nullptr,
                               [server = std::move(server)](void*) { --server->outstanding; });
}

Runtime& runtime_of(const std::vector<std::unique_ptr<Wire>>& wires) {
  TERN_CHECK(!wires.empty());
  return wires.front()->runtime();
}

Duration doubled(Duration first, std::size_t times, Duration longest) {
  return std::min(longest, first * (std::int64_t{1} << std::min<std::size_t>(times, 20)));
}

}  // namespace

Channel::Channel(std::vector<std::unique_ptr<Wire>> wires, ChannelOptions options)
    : options_(std::move(options)),
      runtime_(runtime_of(wires)),
      tokens_(options_.retries.tokens()) {
  for (std::unique_ptr<Wire>& wire : wires) {
    auto server = std::make_shared<Server>();
    server->wire = std::move(wire);
    servers_.push_back(std::move(server));
  }
}

Channel::~Channel() = default;

std::vector<Channel::Load> Channel::loads() const {
  std::vector<Load> loads;
  for (const auto& server : servers_) {
    loads.push_back({std::string(server->wire->authority()), server->calls, server->outstanding});
  }
  return loads;
}

std::shared_ptr<Channel::Server> Channel::pick() {
  const Timestamp now = runtime_.now();
  std::shared_ptr<Server> best;
  for (std::size_t i = 0; i < servers_.size(); ++i) {
    const std::shared_ptr<Server>& server = servers_[(next_ + i) % servers_.size()];
    if (server->paused_until > now) continue;
    const bool better = !best || (options_.balancing == Balancing::least_outstanding &&
                                  server->outstanding < best->outstanding);
    if (better) best = server;
  }
  // All of them are paused: the one whose pause is over first.
  if (!best) {
    best = *std::min_element(servers_.begin(), servers_.end(), [](const auto& a, const auto& b) {
      return a->paused_until < b->paused_until;
    });
  }
  next_ = (next_ + 1) % servers_.size();
  return best;
}

Duration Channel::spread(Duration longest) {
  const auto most = static_cast<std::uint64_t>(std::max<std::int64_t>(longest.count(), 1));
  return Duration(static_cast<std::int64_t>(runtime_.random().below(most)));
}

Task<Status> Channel::pause(ClientContext& context, Duration duration) {
  const Timestamp until = runtime_.now() + duration;
  Signal done(runtime_);
  Timer timer(runtime_.timers(), [&done](Timestamp) { done.notify(); });
  const auto end = context.ends_at();
  timer.arm(end ? std::min(until, *end) : until);
  const CancelHook hook(context, done);
  co_await done.wait();
  if (context.cancelled()) co_return Status(Code::cancelled, "cancelled by the caller");
  if (end && *end <= runtime_.now()) {
    co_return Status(Code::deadline_exceeded, "the deadline passed while waiting to try again");
  }
  co_return Status();
}

Task<Result<std::unique_ptr<ClientCall>>> Channel::open_once(
    const Method& method, ClientContext& context, const google::protobuf::Message* only_request) {
  context.count_attempt();
  std::shared_ptr<Server> server = pick();
  std::shared_ptr<void> ticket = ticket_of(server);
  const CallStart start{*server->wire, method, context, options_, only_request};
  Result<std::unique_ptr<ClientCall>> call = co_await options_.dialect->open(start);
  if (call) {
    server->failures = 0;
    (*call)->keep(std::move(ticket));
  } else if (call.error().code() == Code::unavailable) {
    const Duration longest =
        doubled(options_.first_pause, server->failures, options_.longest_pause);
    ++server->failures;
    server->paused_until = runtime_.now() + longest / 2 + spread(longest / 2);
  }
  co_return call;
}

Task<Result<std::unique_ptr<ClientCall>>> Channel::open(
    const Method& method, ClientContext& context, const google::protobuf::Message* only_request) {
  context.begin(runtime_.now());
  return open_ready(method, context, only_request);
}

Task<Result<std::unique_ptr<ClientCall>>> Channel::open_ready(
    const Method& method, ClientContext& context, const google::protobuf::Message* only_request) {
  for (std::size_t failures = 0;;) {
    Result<std::unique_ptr<ClientCall>> call = co_await open_once(method, context, only_request);
    if (call || call.error().code() != Code::unavailable) co_return call;
    ++failures;
    // Another server may be there at once.
    if (failures < servers_.size()) continue;
    if (!context.waits_for_ready()) co_return call;
    const Duration longest = doubled(options_.first_pause, failures, options_.longest_pause);
    Status paused = co_await pause(context, longest / 4 + spread(longest / 4));
    if (!paused.ok()) co_return fail(std::move(paused));
  }
}

Task<Channel::Outcome> Channel::attempt(const Method& method, ClientContext& context,
                                        const google::protobuf::Message& request,
                                        google::protobuf::Message& response) {
  Outcome outcome;
  Result<std::unique_ptr<ClientCall>> call = co_await open_ready(method, context, &request);
  if (!call) {
    outcome.status = std::move(call).error();
    outcome.may_go_again = true;
    co_return outcome;
  }
  outcome.status = co_await receive_only(**call, response);
  outcome.refused = (*call)->refused();
  outcome.may_go_again = outcome.refused || !(*call)->committed();
  co_return outcome;
}

std::optional<Duration> Channel::retry_after(const ClientContext& context, const Status& status,
                                             std::size_t failures) {
  const CallRetries& retries = options_.retries;
  if (!retries.codes().contains(status.code())) return std::nullopt;
  tokens_ = std::max(0.0, tokens_ - 1);
  if (failures >= retries.attempts() || tokens_ <= retries.tokens() / 2) return std::nullopt;
  if (const auto said = context.retry_pushback()) {
    return *said >= Duration::zero() ? said : std::nullopt;
  }
  return spread(doubled(retries.first_wait(), failures - 1, retries.longest_wait()));
}

Task<Status> Channel::unary(const Method& method, ClientContext& context,
                            const google::protobuf::Message& request,
                            google::protobuf::Message& response) {
  context.begin(runtime_.now());
  if (options_.hedging.attempts() > 1) {
    co_return co_await hedged(method, context, request, response);
  }
  bool refused_before = false;
  for (std::size_t failures = 1;;) {
    Outcome outcome = co_await attempt(method, context, request, response);
    if (outcome.status.ok()) {
      tokens_ = std::min(options_.retries.tokens(), tokens_ + options_.retries.each());
      co_return std::move(outcome.status);
    }
    if (!outcome.may_go_again || context.cancelled()) co_return std::move(outcome.status);
    if (outcome.refused && !std::exchange(refused_before, true)) continue;
    const std::optional<Duration> wait = retry_after(context, outcome.status, failures);
    if (!wait) co_return std::move(outcome.status);
    Status paused = co_await pause(context, *wait);
    if (!paused.ok()) co_return paused;
    ++failures;
  }
}

/// One of several attempts that run at the same time.
struct Channel::Hedge {
  ClientContext context;
  std::unique_ptr<google::protobuf::Message> response;
  std::optional<Status> status;  // once it has ended
  bool counted = false;
};

Task<void> Channel::run(const Method& method, const google::protobuf::Message& request,
                        Hedge& hedge, Signal& changed) {
  Outcome outcome = co_await attempt(method, hedge.context, request, *hedge.response);
  hedge.status.emplace(std::move(outcome.status));
  changed.notify();
}

Task<Status> Channel::hedged(const Method& method, ClientContext& context,
                             const google::protobuf::Message& request,
                             google::protobuf::Message& response) {
  const CallHedging& hedging = options_.hedging;
  std::vector<std::unique_ptr<Hedge>> hedges;
  Signal changed(runtime_);
  Timer timer(runtime_.timers(), [&changed](Timestamp) { changed.notify(); });
  Timestamp next = runtime_.now();
  bool may_go_on = true;
  Scope scope(runtime_.ready());  // when it goes, the attempts that are left are cancelled
  for (;;) {
    if (context.cancelled()) co_return Status(Code::cancelled, "cancelled by the caller");
    std::size_t running = 0;
    for (const std::unique_ptr<Hedge>& hedge : hedges) {
      if (!hedge->status) {
        ++running;
        continue;
      }
      if (std::exchange(hedge->counted, true)) continue;
      const bool fatal = !hedging.not_fatal().contains(hedge->status->code());
      if (fatal) {
        if (hedge->status->ok()) {
          tokens_ = std::min(options_.retries.tokens(), tokens_ + options_.retries.each());
          response.GetReflection()->Swap(&response, hedge->response.get());
        }
        context.take_results(hedge->context);
        co_return std::move(*hedge->status);
      }
      tokens_ = std::max(0.0, tokens_ - 1);
      const auto pushback = hedge->context.retry_pushback();
      may_go_on = may_go_on && (!pushback || *pushback >= Duration::zero());
      next = runtime_.now() + pushback.value_or(Duration::zero());
    }
    const bool affordable = hedges.empty() || tokens_ > options_.retries.tokens() / 2;
    const bool more = may_go_on && affordable && hedges.size() < hedging.attempts();
    if (more && next <= runtime_.now()) {
      Hedge& hedge = *hedges.emplace_back(std::make_unique<Hedge>());
      hedge.context.attempt_at(context, hedges.size());
      hedge.response.reset(response.New());
      context.count_attempt();
      next = runtime_.now() + hedging.delay();
      scope.spawn(run(method, request, hedge, changed));
      continue;
    }
    if (running == 0 && !more) {
      context.take_results(hedges.back()->context);
      co_return std::move(*hedges.back()->status);
    }
    if (more) timer.arm(next);
    const CancelHook hook(context, changed);
    co_await changed.wait();
  }
}

Task<Status> receive_only(ClientCall& call, google::protobuf::Message& response) {
  const bool first = co_await call.receive(response);
  Status status = co_await call.finish();
  if (!status.ok()) co_return status;
  if (!first) co_return Status(Code::unimplemented, "there is no response message");
  if (call.passed_over())
    co_return Status(Code::unimplemented, "there is more than one response message");
  co_return status;
}

}  // namespace tern::rpc
