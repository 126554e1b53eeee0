#pragma once

#include <cstdint>
#include <deque>
#include <functional>
#include <memory>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "base/time.h"
#include "gateway/server_options.h"
#include "tools/handoff/balancer.h"
#include "tools/handoff/bound.h"
#include "tools/handoff/carrier.h"
#include "tools/handoff/phone.h"
#include "tools/handoff/qlog_follower.h"
#include "tools/handoff/service.h"
#include "tools/handoff/tcp_follower.h"
#include "tools/handoff/transfer.h"
#include "transport/quic/qlog.h"
#include "transport/sim/world.h"
#include "transport/tls/key_log.h"

namespace tern::handoff {

using namespace std::chrono_literals;

/// Something that the scenario did, for tables and pictures.
struct Mark {
  Duration when;
  std::string text;
};

/// Who wants to know of each piece that a receiving application gets.
class DeliveryObserver {
 public:
  virtual void delivered(Duration now, const Transfer& transfer, std::size_t bytes) = 0;

 protected:
  ~DeliveryObserver() = default;
};

/// What a scenario plays on: a world with a server and phones, one carrier between them, and the
/// story's clock. A scenario builds its networks, says what the phone's applications want and what
/// happens when:
///
///   Phone& phone = stage.phone();
///   Access& wifi = phone.wifi(Access::kWifi);
///   phone.cellular(Access::kLte);
///   phone.download(3'000'000);
///   stage.at(stage.about(900ms), "Wi-Fi is gone", [&] { wifi.vanish(); });
///
/// Single-threaded. Stages share nothing, so many may run on many threads.
class Stage {
 public:
  static constexpr std::size_t kMaxViolations = 20;
  /// What the carrier `rpc` has phones talk about besides, all of them together.
  static constexpr int kConversations = 100;
  static constexpr int kMessages = 25;
  static constexpr Duration kMessagePeriod = std::chrono::milliseconds(500);

  Stage(std::uint64_t seed, CarrierKind carrier);
  Stage(const Stage&) = delete;
  Stage& operator=(const Stage&) = delete;
  ~Stage();

  // ---- for scenarios
  /// The phone; with a name one more.
  Phone& phone(std::string_view name = "phone");
  sim::Host& server() noexcept { return server_host_; }
  /// At that time of the story. The text is for people.
  void at(Duration when, std::string text, std::function<void()> action);
  /// A time or amount near `value` (±20 %), another one for each seed.
  Duration about(Duration value);
  /// Uniform in [low, high).
  double between(double low, double high);
  /// A balancer takes the server's place, with so many machines behind it. For QUIC carriers; TCP
  /// ends at it, as at a proxy. Once, before the first phone.
  Balancer& balance(std::size_t machines);
  /// More options for the server; before the first phone.
  ServerOptions& server_options();

  // ---- for those who run it
  sim::World& world() noexcept { return world_; }
  CarrierKind carrier() const noexcept { return carrier_; }
  Service& service() noexcept { return service_; }
  Balancer* balancer() noexcept { return balancer_.get(); }
  CarrierServer* carrier_server() noexcept { return carrier_server_.get(); }
  /// Where connections' qlogs go besides being followed; before `begin`.
  void use_qlog(quic::QlogOpener opener) { qlog_files_ = std::move(opener); }
  /// Where the secrets of tern's clients go; before `begin`.
  void use_client_key_log(std::shared_ptr<tls::KeyLog> log) { client_key_log_ = std::move(log); }
  const std::shared_ptr<tls::KeyLog>& client_key_log() const noexcept { return client_key_log_; }
  /// What QUIC carriers open their connections' qlogs with.
  quic::QlogOpener qlog(bool server);
  /// Has every transfer know how long others held it up; before `begin`.
  void follow_streams();
  /// What a server whose connections are followed writes its TLS secrets to; else null.
  std::shared_ptr<tls::KeyLog> key_log() const;
  /// Starts the server, then the phones.
  void begin();
  /// Until every transfer is done; false when `limit` passed first.
  bool play(Duration limit);
  /// Ends phones and server and looks for what they leave behind.
  void end();

  void observe_deliveries(DeliveryObserver& observer) { observers_.push_back(&observer); }
  void observe_metrics(MetricsObserver& observer) noexcept { metrics_observer_ = &observer; }
  MetricsObserver* metrics_observer() const noexcept { return metrics_observer_; }
  void wishes_begun(std::size_t count) noexcept { open_wishes_ += count; }
  void wish_ended() noexcept { --open_wishes_; }
  Handoffs& handoffs() noexcept { return handoffs_; }
  void note_retransmitted(std::uint64_t bytes) noexcept { retransmitted_ += bytes; }
  std::uint64_t retransmitted() const noexcept { return retransmitted_; }
  /// How far a transfer's sender has got, over all its attempts.
  std::uint64_t& highest_sent(std::uint64_t transfer) { return highest_sent_[transfer]; }
  const std::vector<std::unique_ptr<Phone>>& phones() const noexcept { return phones_; }
  const std::vector<Mark>& marks() const noexcept { return marks_; }
  const std::deque<Transfer>& transfers() const noexcept { return transfers_; }
  /// Null: there is none of that number.
  Transfer* transfer(std::uint64_t id) noexcept;
  Transfer& add_transfer(Transfer::Kind kind, std::uint64_t size);
  /// To the receiving application; false: these are not its next bytes.
  bool deliver(Transfer& transfer, ByteView piece);
  /// Something must not happen in any run, and did.
  void violate(std::string what);
  const std::vector<std::string>& violations() const noexcept { return violations_; }

 private:
  sim::World world_;
  sim::Host& server_host_;
  const CarrierKind carrier_;
  ServerOptions options_;
  quic::QlogOpener qlog_files_;
  std::shared_ptr<tls::KeyLog> client_key_log_;
  Service service_;
  std::deque<Transfer> transfers_;
  std::vector<Mark> marks_;
  std::vector<DeliveryObserver*> observers_;
  MetricsObserver* metrics_observer_ = nullptr;
  Handoffs handoffs_;
  std::uint64_t retransmitted_ = 0;
  std::unordered_map<std::uint64_t, std::uint64_t> highest_sent_;  // looked up only
  std::size_t open_wishes_ = 0;
  std::vector<std::string> violations_;
  std::unique_ptr<TcpFollower> tcp_follower_;
  std::unique_ptr<Balancer> balancer_;
  std::unique_ptr<CarrierServer> carrier_server_;
  std::vector<std::unique_ptr<Phone>> phones_;
};

}  // namespace tern::handoff
