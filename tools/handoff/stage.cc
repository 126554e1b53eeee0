#include "tools/handoff/stage.h"

#include <algorithm>
#include <utility>

#include "base/check.h"

namespace tern::handoff {

Stage::Stage(std::uint64_t seed, CarrierKind carrier)
    : world_(seed), server_host_(world_.host("server")), carrier_(carrier), service_(*this) {}

Stage::~Stage() = default;

Phone& Stage::phone(std::string_view name) {
  const auto known = std::find_if(phones_.begin(), phones_.end(),
                                  [&](const auto& phone) { return phone->name() == name; });
  if (known != phones_.end()) return **known;
  phones_.push_back(std::make_unique<Phone>(*this, name));
  return *phones_.back();
}

ServerOptions& Stage::server_options() {
  TERN_CHECK(carrier_server_ == nullptr);
  return options_;
}

Balancer& Stage::balance(std::size_t machines) {
  TERN_CHECK(balancer_ == nullptr);
  balancer_ = std::make_unique<Balancer>(world_, server_host_, machines);
  return *balancer_;
}

void Stage::at(Duration when, std::string text, std::function<void()> action) {
  const Mark mark{when, std::move(text)};
  const auto later =
      std::upper_bound(marks_.begin(), marks_.end(), mark,
                       [](const Mark& left, const Mark& right) { return left.when < right.when; });
  if (!mark.text.empty()) marks_.insert(later, mark);
  world_.at(when, std::move(action));
}

Duration Stage::about(Duration value) {
  return Duration(
      static_cast<Duration::rep>(static_cast<double>(value.count()) * between(0.8, 1.2)));
}

double Stage::between(double low, double high) {
  return low + (high - low) * world_.random().unit();
}

quic::QlogOpener Stage::qlog(bool server) {
  return [this, server](std::string_view name) -> std::unique_ptr<quic::QlogSink> {
    auto file = qlog_files_ ? qlog_files_(name) : nullptr;
    return std::make_unique<QlogFollower>(*this, server, std::move(file));
  };
}

void Stage::follow_streams() {
  if (carrier_ == CarrierKind::tcp_reconnect || carrier_ == CarrierKind::http2) {
    tcp_follower_ = std::make_unique<TcpFollower>(*this);
  }
}

std::shared_ptr<tls::KeyLog> Stage::key_log() const {
  return tcp_follower_ == nullptr ? nullptr : tcp_follower_->key_log();
}

void Stage::begin() {
  // Longer than any scenario's story, and fewer each where there are many phones.
  if (carrier_ == CarrierKind::rpc) {
    const int calls = std::max(1, kConversations / static_cast<int>(phones_.size()));
    for (const auto& phone : phones_) phone->talk(calls, kMessages, kMessagePeriod);
  }
  carrier_server_ = make_server(carrier_, *this);
  for (const auto& phone : phones_) phone->begin(carrier_server_->carrier_for(*phone));
}

bool Stage::play(Duration limit) {
  return world_.run_until([&] { return open_wishes_ == 0; }, limit);
}

void Stage::end() {
  constexpr Duration kSettle = 200ms;
  for (const auto& phone : phones_) phone->end();
  world_.run_for(kSettle);
  for (const auto& phone : phones_) phone->leave();
  carrier_server_->stop();
  if (!world_.run_until([&] { return carrier_server_->stopped(); }, 15s)) {
    violate("the server does not end");
  } else if (const std::uint64_t open = carrier_server_->connections_open(); open != 0) {
    violate(std::to_string(open) + " connections are still open when the server has ended");
  }
  carrier_server_.reset();
  if (balancer_ != nullptr) balancer_->stop();
  for (std::string& leak : world_.leaks()) violate("not given back: " + std::move(leak));
}

Transfer* Stage::transfer(std::uint64_t id) noexcept {
  return id == 0 || id > transfers_.size() ? nullptr : &transfers_[id - 1];
}

Transfer& Stage::add_transfer(Transfer::Kind kind, std::uint64_t size) {
  return transfers_.emplace_back(transfers_.size() + 1, kind, size);
}

bool Stage::deliver(Transfer& transfer, ByteView piece) {
  const Duration now = world_.elapsed();
  if (!transfer.deliver(now, piece)) return false;
  handoffs_.delivered(now, transfer);
  for (DeliveryObserver* observer : observers_) observer->delivered(now, transfer, piece.size());
  return true;
}

void Stage::violate(std::string what) {
  if (violations_.size() < kMaxViolations) violations_.push_back(std::move(what));
}

}  // namespace tern::handoff
