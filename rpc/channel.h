#pragma once

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "base/runtime.h"
#include "base/task.h"
#include "base/time.h"
#include "rpc/client_call.h"
#include "rpc/client_context.h"
#include "rpc/codec.h"
#include "rpc/service.h"
#include "rpc/status.h"
#include "rpc/wire.h"

namespace tern::rpc {

class ChannelServers;
struct ChannelServer;
class ServerSource;

/// When calls are sent again whose server has not begun to answer (gRFC A6). Fluent. A unary call
/// that the server has certainly not begun with is sent again once in any case.
class CallRetries {
 public:
  static constexpr std::size_t kMostAttempts = 5;
  /// How often a call is sent at most, the first time included; 5 at most. Default 1: never again.
  CallRetries& attempts(std::size_t most) {
    attempts_ = most < kMostAttempts ? most : kMostAttempts;
    return *this;
  }
  std::size_t attempts() const noexcept { return attempts_; }
  /// After which ends. Default UNAVAILABLE.
  CallRetries& codes(std::set<Code> codes) { return codes_ = std::move(codes), *this; }
  const std::set<Code>& codes() const noexcept { return codes_; }
  /// The wait before: a random part of `first`, doubled each time, of `longest` at most. A server
  /// that says `grpc-retry-pushback-ms` is obeyed instead. Default 100 ms and 5 s.
  CallRetries& wait(Duration first, Duration longest) {
    first_wait_ = first;
    longest_wait_ = longest;
    return *this;
  }
  Duration first_wait() const noexcept { return first_wait_; }
  Duration longest_wait() const noexcept { return longest_wait_; }
  /// The budget of all calls of the channel: `tokens` to begin with; a failure costs one, a success
  /// gives `each`, and below half of them nothing is sent again. Default 10 and 0.1.
  CallRetries& budget(double tokens, double each) {
    tokens_ = tokens;
    each_ = each;
    return *this;
  }
  double tokens() const noexcept { return tokens_; }
  double each() const noexcept { return each_; }
  /// Bytes of requests that a call which streams them keeps, to send them again; one that has sent
  /// more is not repeated. Default 256 KiB.
  CallRetries& buffer(std::size_t bytes) { return buffer_ = bytes, *this; }
  std::size_t buffer() const noexcept { return buffer_; }

 private:
  std::size_t attempts_ = 1;
  std::size_t buffer_ = std::size_t{256} * 1024;
  std::set<Code> codes_ = {Code::unavailable};
  Duration first_wait_ = std::chrono::milliseconds(100);
  Duration longest_wait_ = std::chrono::seconds(5);
  double tokens_ = 10;
  double each_ = 0.1;
};

/// Sends unary calls to another server as well when an answer takes its time (gRFC A6): for calls
/// that may run more than once. Instead of retries. Fluent.
class CallHedging {
 public:
  /// How many there are at most, the first one included; 5 at most. Default 1: no others.
  CallHedging& attempts(std::size_t most) {
    attempts_ = most < CallRetries::kMostAttempts ? most : CallRetries::kMostAttempts;
    return *this;
  }
  std::size_t attempts() const noexcept { return attempts_; }
  /// How long an answer is waited for before the next is sent. Default 100 ms.
  CallHedging& delay(Duration delay) { return delay_ = delay, *this; }
  Duration delay() const noexcept { return delay_; }
  /// Ends that are no answer: the next goes at once, and the others are waited for. Any other end
  /// is the call's. Default UNAVAILABLE.
  CallHedging& not_fatal(std::set<Code> codes) { return codes_ = std::move(codes), *this; }
  const std::set<Code>& not_fatal() const noexcept { return codes_; }

 private:
  std::size_t attempts_ = 1;
  Duration delay_ = std::chrono::milliseconds(100);
  std::set<Code> codes_ = {Code::unavailable};
};

/// Which of several servers a call goes to.
enum class Balancing : std::uint8_t {
  round_robin,        ///< one after the other
  least_outstanding,  ///< the one with the fewest calls under way
};

/// Follows how one server does, as long as the channel lives: tells whether calls are to go there,
/// whenever that changes. `server` calls that one alone.
using HealthWatch = std::function<Task<void>(Channel& server, std::function<void(bool)> tell)>;

/// How a channel's calls are made; members are their defaults. A value.
struct ChannelOptions {
  /// What the servers speak: one of the `…_client_dialect()`, which live as long as the program.
  const ClientDialect* dialect = &grpc_client_dialect();
  /// How messages are written; REST has JSON alone.
  Codec codec = Codec::proto;
  /// The largest response message in bytes, after decompression; larger ones are
  /// RESOURCE_EXHAUSTED. 4 MiB.
  std::size_t max_response = std::size_t{4} * 1024 * 1024;
  /// The largest request message in bytes, before compression; likewise. 2 GiB.
  std::size_t max_request = INT32_MAX;
  CallRetries retries;  ///< default: none
  CallHedging hedging;  ///< default: none; shares the budget of `retries`
  Balancing balancing = Balancing::round_robin;
  /// How long a server that could not be reached is passed over while others can, doubled each time
  /// in a row up to the longest.
  Duration first_pause = std::chrono::seconds(1);
  Duration longest_pause = std::chrono::seconds(30);
  /// Takes servers that are not healthy out (`watch_health`, rpc/services/health.h). One that has
  /// not said yet how it does is called where no healthy one is known; when none is healthy, calls
  /// are UNAVAILABLE. Default: nobody is asked.
  HealthWatch health;
  /// A ServerSource is asked again when a server cannot be reached, after that time at the
  /// earliest.
  Duration look_again = std::chrono::seconds(10);
  std::string user_agent = "grpc-tern";
};

/// Calls to a service, which may have several servers. Generated clients are made with one; any
/// number of them share it. Belongs to its wires' runtime's thread; outlives its calls.
class Channel {
 public:
  explicit Channel(std::vector<std::unique_ptr<Wire>> wires,
                   ChannelOptions options = ChannelOptions());
  /// To the servers that `source` finds, by the time of the first call; kMaxServers of them. One
  /// that it does not find any more gets no more calls.
  explicit Channel(std::unique_ptr<ServerSource> source, ChannelOptions options = ChannelOptions());
  static constexpr std::size_t kMaxServers = 16;
  Channel(const Channel&) = delete;
  Channel& operator=(const Channel&) = delete;
  ~Channel();

  /// A whole unary call. `response` is of use only if it ends well. Method, context and messages
  /// outlive the task; destroying that cancels the call.
  Task<Status> unary(const Method& method, ClientContext& context,
                     const google::protobuf::Message& request, google::protobuf::Message& response);
  /// A call that streams; `only_request` where its requests do not. Waits for a connection. With
  /// `ChannelOptions::retries` the call is sent again by itself until its server has begun to
  /// answer: while it is received from or finished, and as long as the channel lives.
  Task<Result<std::unique_ptr<ClientCall>>> open(
      const Method& method, ClientContext& context,
      const google::protobuf::Message* only_request = nullptr);

  const ChannelOptions& options() const noexcept { return options_; }
  Runtime& runtime() const noexcept { return runtime_; }
  /// How each server does, for tests and pages of figures.
  struct Load {
    std::string authority;
    std::string name;  ///< the source's for it; without a source the authority
    std::uint64_t calls = 0;
    std::size_t outstanding = 0;
    bool paused = false;          ///< it could not be reached
    std::optional<bool> healthy;  ///< what `ChannelOptions::health` has heard
  };
  std::vector<Load> loads() const;

 private:
  friend class RetryCall;
  /// How one attempt at a unary call ended.
  struct Outcome {
    Status status;
    bool may_go_again = false;  // as far as the wire is concerned
    bool refused = false;       // the server has not begun with it
  };

  /// `server`: the attempt is counted, and goes there; null: it is to be counted, and one chosen.
  Task<Result<std::unique_ptr<ClientCall>>> open_once(const Method& method, ClientContext& context,
                                                      const google::protobuf::Message* only_request,
                                                      std::shared_ptr<ChannelServer> server);
  Task<Result<std::unique_ptr<ClientCall>>> open_ready(
      const Method& method, ClientContext& context, const google::protobuf::Message* only_request,
      std::shared_ptr<ChannelServer> first = nullptr);
  /// Counts an attempt, chooses a server for it, and makes it if there is nothing to wait for.
  /// Nothing: there is, for `server`, or for any.
  std::optional<Result<std::unique_ptr<ClientCall>>> try_open(
      const Method& method, ClientContext& context, const google::protobuf::Message& request,
      std::shared_ptr<ChannelServer>& server);
  /// Notes what became of an attempt.
  void note(const std::shared_ptr<ChannelServer>& server,
            const Result<std::unique_ptr<ClientCall>>& call);
  Task<Result<std::unique_ptr<ClientCall>>> open_repeatable(
      const Method& method, ClientContext& context, const google::protobuf::Message* only_request);
  Task<Outcome> attempt(const Method& method, ClientContext& context,
                        const google::protobuf::Message& request,
                        google::protobuf::Message& response);
  struct Hedge;
  Task<Status> hedged(const Method& method, ClientContext& context,
                      const google::protobuf::Message& request,
                      google::protobuf::Message& response);
  Task<void> run(const Method& method, const google::protobuf::Message& request, Hedge& hedge,
                 Signal& changed);
  /// How long to wait before the call is sent once more; nothing: it is not.
  std::optional<Duration> retry_after(const ClientContext& context, const Status& status,
                                      std::size_t failures);
  void note_success() noexcept;
  Duration spread(Duration longest);
  Task<Status> pause(ClientContext& context, Duration duration);

  ChannelOptions options_;
  http::Fields fields_;     // of every call's head
  http::RequestHead head_;  // the last that was made at once
  Runtime& runtime_;
  std::unique_ptr<ChannelServers> servers_;
  double tokens_;
};

}  // namespace tern::rpc
