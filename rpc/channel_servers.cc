#include "rpc/channel_servers.h"

#include <algorithm>
#include <utility>

#include "base/timer_heap.h"
#include "rpc/cancel_hook.h"

namespace tern::rpc {

namespace {

/// Somebody else's.
class BorrowedWire final : public Wire {
 public:
  explicit BorrowedWire(Wire& wire) noexcept : wire_(wire) {}
  Runtime& runtime() noexcept override { return wire_.runtime(); }
  std::string_view scheme() const noexcept override { return wire_.scheme(); }
  std::string_view authority() const noexcept override { return wire_.authority(); }
  Task<tern::Result<std::unique_ptr<WireStream>>> open(http::RequestHead head) override {
    return wire_.open(std::move(head));
  }

 private:
  Wire& wire_;
};

}  // namespace

/// A call that waits for the servers to be found.
class ChannelServers::Waiting {
 public:
  explicit Waiting(ChannelServers& servers) : done(servers.runtime_), all_(servers.waiting_) {
    all_.push_back(this);
  }
  Waiting(const Waiting&) = delete;
  Waiting& operator=(const Waiting&) = delete;
  ~Waiting() { std::erase(all_, this); }

  Signal done;
  std::optional<Status> status;  // once it is known

 private:
  std::vector<Waiting*>& all_;
};

ChannelServers::ChannelServers(Runtime& runtime, const ChannelOptions& options,
                               std::vector<std::unique_ptr<Wire>> wires)
    : runtime_(runtime), options_(options), scope_(runtime.ready()) {
  for (std::unique_ptr<Wire>& wire : wires) {
    std::string name(wire->authority());
    add(std::move(name), std::move(wire));
  }
}

ChannelServers::ChannelServers(const ChannelOptions& options, std::unique_ptr<ServerSource> source)
    : runtime_(source->runtime()),
      options_(options),
      source_(std::move(source)),
      scope_(runtime_.ready()) {}

ChannelServers::~ChannelServers() {
  // Calls under way may keep a server longer, but not what runs for the channel.
  for (const std::shared_ptr<ChannelServer>& server : servers_) server->watch.cancel();
}

void ChannelServers::add(std::string name, std::unique_ptr<Wire> wire) {
  auto server = std::make_shared<ChannelServer>(runtime_);
  server->name = std::move(name);
  server->wire = std::move(wire);
  servers_.push_back(std::move(server));
}

// ---- whose turn it is ---------------------------------------------------------------------------

std::optional<std::size_t> ChannelServers::best(std::optional<bool> healthy) const {
  const Timestamp now = runtime_.now();
  std::optional<std::size_t> best;
  std::optional<std::size_t> paused;
  for (std::size_t i = 0; i < servers_.size(); ++i) {
    const std::size_t index = (next_ + i) % servers_.size();
    const ChannelServer& server = *servers_[index];
    if (options_.health && server.healthy != healthy) continue;
    if (server.paused_until > now) {
      if (!paused || server.paused_until < servers_[*paused]->paused_until) paused = index;
      continue;
    }
    const bool better = !best || (options_.balancing == Balancing::least_outstanding &&
                                  server.outstanding < servers_[*best]->outstanding);
    if (better) best = index;
  }
  // All of them are paused: the one whose pause is over first.
  return best ? best : paused;
}

Result<std::shared_ptr<ChannelServer>> ChannelServers::pick() {
  if (options_.health) {
    for (const std::shared_ptr<ChannelServer>& server : servers_) watch(*server);
  }
  std::optional<std::size_t> index = best(true);
  // Those of which nothing is known yet had better be tried than the call be refused.
  if (!index && options_.health) index = best(std::nullopt);
  if (!index) return fail(Code::unavailable, "none of the channel's servers is healthy");
  // Behind that one, so that those behind a server that is passed over get no more than the others.
  next_ = (*index + 1) % servers_.size();
  return servers_[*index];
}

void ChannelServers::unreachable(ChannelServer& server) {
  const auto doublings = std::min(server.failures, 20U);
  const Duration longest =
      std::min(options_.longest_pause, options_.first_pause * (std::int64_t{1} << doublings));
  ++server.failures;
  // Between a half and all of it, so that clients of one server come apart.
  const auto half = static_cast<std::uint64_t>(std::max<std::int64_t>(longest.count() / 2, 1));
  const Duration more(static_cast<std::int64_t>(runtime_.random().below(half)));
  server.paused_until = runtime_.now() + longest / 2 + more;
  look_again();
}

/// From its first call on.
void ChannelServers::watch(ChannelServer& server) {
  if (server.watched_by) return;
  ChannelOptions options = options_;
  options.health = nullptr;
  std::vector<std::unique_ptr<Wire>> wire;
  wire.push_back(std::make_unique<BorrowedWire>(*server.wire));
  server.watched_by = std::make_unique<Channel>(std::move(wire), std::move(options));
  auto tell = [&server](bool healthy) { server.healthy = healthy; };
  server.watch.spawn(options_.health(*server.watched_by, std::move(tell)));
}

// ---- where they are -----------------------------------------------------------------------------

Task<Status> ChannelServers::found(ClientContext& context) {
  Waiting waiting(*this);
  may_look_ = runtime_.now();
  look_again();
  Timer timer(runtime_.timers(), [&waiting](Timestamp) { waiting.done.notify(); });
  const auto end = context.ends_at();
  if (end) timer.arm(*end);
  const CancelHook hook(context, waiting.done);
  co_await waiting.done.wait();
  if (context.cancelled()) co_return Status(Code::cancelled, "cancelled by the caller");
  if (waiting.status) co_return std::move(*waiting.status);
  co_return Status(Code::deadline_exceeded, "the deadline passed while looking for servers");
}

void ChannelServers::look_again() {
  if (source_ == nullptr || looking_ || runtime_.now() < may_look_) return;
  looking_ = true;
  scope_.spawn(look());
}

Task<void> ChannelServers::look() {
  tern::Result<std::vector<std::string>> names = co_await source_->find();
  looking_ = false;
  may_look_ = runtime_.now() + options_.look_again;
  Status status;
  if (names && !names->empty()) {
    take(*names);
  } else if (servers_.empty()) {
    status = names ? Status(Code::unavailable, "the channel has no server")
                   : Status::from(names.error());
  }
  for (Waiting* const waiting : waiting_) {
    waiting->status = status;
    waiting->done.notify();
  }
}

/// Those that are there still go on as they are.
void ChannelServers::take(const std::vector<std::string>& names) {
  std::vector<std::shared_ptr<ChannelServer>> old = std::exchange(servers_, {});
  for (const std::string& name : names) {
    if (servers_.size() == Channel::kMaxServers) break;
    const auto same = std::find_if(old.begin(), old.end(), [&](const auto& server) {
      return server != nullptr && server->name == name;
    });
    if (same != old.end()) {
      servers_.push_back(std::move(*same));
    } else {
      add(name, source_->wire(name));
    }
  }
  for (const std::shared_ptr<ChannelServer>& server : old) {
    if (server != nullptr) server->watch.cancel();
  }
}

}  // namespace tern::rpc
