#include "rpc/channel.h"

#include <algorithm>
#include <chrono>
#include <utility>

#include <google/protobuf/message.h>

#include "base/check.h"
#include "base/recycled_memory.h"
#include "base/scope.h"
#include "base/timer_heap.h"
#include "rpc/cancel_hook.h"
#include "rpc/channel_servers.h"
#include "rpc/client_streams.h"
#include "rpc/retry_call.h"

namespace tern::rpc {

namespace {

/// Counts a call as outstanding while it lives.
std::shared_ptr<void> ticket_of(std::shared_ptr<ChannelServer> server) {
  ++server->outstanding;
  ++server->calls;
  return std::shared_ptr<void>(
      nullptr, [server = std::move(server)](void*) { --server->outstanding; },
      RecyclingAllocator<char>());
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
      fields_(options_.dialect->fields(options_)),
      runtime_(runtime_of(wires)),
      servers_(std::make_unique<ChannelServers>(runtime_, options_, std::move(wires))),
      tokens_(options_.retries.tokens()) {}

Channel::Channel(std::unique_ptr<ServerSource> source, ChannelOptions options)
    : options_(std::move(options)),
      fields_(options_.dialect->fields(options_)),
      runtime_(source->runtime()),
      servers_(std::make_unique<ChannelServers>(options_, std::move(source))),
      tokens_(options_.retries.tokens()) {}

Channel::~Channel() = default;

std::vector<Channel::Load> Channel::loads() const {
  std::vector<Load> loads;
  for (const auto& server : servers_->all()) {
    loads.push_back({std::string(server->wire->authority()), server->name, server->calls,
                     server->outstanding, server->paused_until > runtime_.now(), server->healthy});
  }
  return loads;
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
    const Method& method, ClientContext& context, const google::protobuf::Message* only_request,
    std::shared_ptr<ChannelServer> server) {
  if (server == nullptr) {
    if (servers_->size() == 0) {
      Status found = co_await servers_->found(context);
      if (!found.ok()) co_return fail(std::move(found));
    }
    Result<std::shared_ptr<ChannelServer>> picked = servers_->pick();
    if (!picked) co_return fail(std::move(picked).error());
    context.count_attempt();
    server = std::move(*picked);
  }
  std::shared_ptr<void> ticket = ticket_of(server);
  const CallStart start{*server->wire, method, context, options_, fields_, head_, only_request};
  Result<std::unique_ptr<ClientCall>> call = co_await options_.dialect->open(start);
  if (call) (*call)->keep(std::move(ticket));
  note(server, call);
  co_return call;
}

std::optional<Result<std::unique_ptr<ClientCall>>> Channel::try_open(
    const Method& method, ClientContext& context, const google::protobuf::Message& request,
    std::shared_ptr<ChannelServer>& server) {
  if (servers_->size() == 0) return std::nullopt;
  Result<std::shared_ptr<ChannelServer>> picked = servers_->pick();
  if (!picked) return std::nullopt;
  context.count_attempt();
  server = std::move(*picked);
  const CallStart start{*server->wire, method, context, options_, fields_, head_, &request};
  std::optional<Result<std::unique_ptr<ClientCall>>> call = options_.dialect->try_open(start);
  if (!call) return std::nullopt;
  if (*call) (**call)->keep(ticket_of(server));
  note(server, *call);
  return call;
}

void Channel::note(const std::shared_ptr<ChannelServer>& server,
                   const Result<std::unique_ptr<ClientCall>>& call) {
  if (call) {
    servers_->reached(*server);
  } else if (call.error().code() == Code::unavailable) {
    servers_->unreachable(*server);
  }
}

Task<Result<std::unique_ptr<ClientCall>>> Channel::open(
    const Method& method, ClientContext& context, const google::protobuf::Message* only_request) {
  context.begin(runtime_.now());
  if (options_.retries.attempts() > 1) return open_repeatable(method, context, only_request);
  return open_ready(method, context, only_request);
}

Task<Result<std::unique_ptr<ClientCall>>> Channel::open_repeatable(
    const Method& method, ClientContext& context, const google::protobuf::Message* only_request) {
  Result<std::unique_ptr<ClientCall>> call = co_await open_ready(method, context, only_request);
  if (!call) co_return call;
  co_return std::make_unique<RetryCall>(*this, method, context, only_request, std::move(*call));
}

Task<Result<std::unique_ptr<ClientCall>>> Channel::open_ready(
    const Method& method, ClientContext& context, const google::protobuf::Message* only_request,
    std::shared_ptr<ChannelServer> first) {
  for (std::size_t failures = 0;;) {
    std::shared_ptr<ChannelServer> server = std::exchange(first, nullptr);
    Result<std::unique_ptr<ClientCall>> call =
        co_await open_once(method, context, only_request, std::move(server));
    if (call || call.error().code() != Code::unavailable) co_return call;
    ++failures;
    // Another server may be there at once.
    if (failures < servers_->size()) continue;
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
  // Mostly there is nothing to wait for but the response, and no coroutine is needed before that.
  std::shared_ptr<ChannelServer> server;
  std::optional<Result<std::unique_ptr<ClientCall>>> opened =
      try_open(method, context, request, server);
  if (!opened) {
    Task<Result<std::unique_ptr<ClientCall>>> opening =
        open_ready(method, context, &request, std::move(server));
    opened.emplace(co_await opening);
  }
  Result<std::unique_ptr<ClientCall>>& call = *opened;
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

void Channel::note_success() noexcept {
  tokens_ = std::min(options_.retries.tokens(), tokens_ + options_.retries.each());
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
      note_success();
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
          note_success();
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
  Status status;
  if (call.try_finish()) {
    status = call.status();
  } else {
    status = co_await call.finish();
  }
  if (!status.ok()) co_return status;
  if (!first) co_return Status(Code::unimplemented, "there is no response message");
  if (call.passed_over())
    co_return Status(Code::unimplemented, "there is more than one response message");
  co_return status;
}

}  // namespace tern::rpc
