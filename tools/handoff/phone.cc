#include "tools/handoff/phone.h"

#include <algorithm>
#include <utility>

#include "base/check.h"
#include "tools/handoff/stage.h"
#include "tools/handoff/transfer.h"

namespace tern::handoff {

namespace {
constexpr std::uint32_t kFirstMetric = 600;
/// Packets that a sender has on its way at once on a path that it does not know (RFC 9002 §7.2).
constexpr double kFirstFlight = 10;

Duration duration_of(double value) {
  return std::chrono::duration_cast<Duration>(std::chrono::duration<double>(value));
}
}  // namespace

// ---- Access -------------------------------------------------------------------------------------

Access::Access(Phone& phone, std::string name, const sim::LinkOptions& options,
               const sim::RadioOptions& radio)
    : phone_(phone),
      name_(std::move(name)),
      link_(phone.stage().world().link(phone.host(), phone.stage().server(), options)),
      nat_(phone.stage().world().nat(phone.host(), link_)),
      radio_(phone.stage().world().radio(phone.host(), link_, radio)) {}

udp::Address Access::address(bool v6) const {
  for (const sim::Interface* end : phone_.host().interfaces()) {
    if (end->link == &link_) return v6 ? end->v6 : end->v4;
  }
  return {};
}

Duration Access::round_trip() const noexcept {
  return link_.up().model().delay + link_.down().model().delay;
}

Duration Access::first_round_trip() const noexcept {
  const auto way = [](const sim::ChannelModel& model, double packets) {
    Duration sum = model.delay + model.jitter;
    if (model.bits_per_second > 0) sum += duration_of(packets * 8 * 1500 / model.bits_per_second);
    return sum;
  };
  return way(link_.up().model(), 1) + way(link_.down().model(), kFirstFlight);
}

Duration Access::one_way() const noexcept {
  const sim::ChannelModel& model = link_.up().model();
  return model.delay + model.jitter;
}

Duration Access::longest_way() const noexcept {
  const sim::ChannelModel& model = link_.down().model();
  const Duration queue =
      model.bits_per_second > 0
          ? duration_of(8 * static_cast<double>(model.queue_bytes) / model.bits_per_second)
          : Duration::zero();
  return model.delay + model.jitter + queue;
}

void Access::cut() {
  phone_.path_dies(*this);
  link_.cut();
}

void Access::vanish(Duration notice) {
  cut();
  phone_.stage().world().after(notice, [this] { switch_off(); });
}

void Access::switch_off() {
  if (!up_) return;
  up_ = false;
  phone_.path_dies(*this);
  link_.take_down(phone_.host());
  phone_.network_changed();
}

void Access::come_back() {
  link_.restore();
  if (!up_) link_.bring_up(phone_.host());
  up_ = true;
  phone_.network_changed();
}

void Access::fade(Duration over) {
  constexpr int kSteps = 8;
  const double rate = link_.down().model().bits_per_second / 1e6;
  const Duration delay = link_.down().model().delay;
  for (int step = 1; step <= kSteps; ++step) {
    const double weakness = static_cast<double>(step) / kSteps;
    phone_.stage().world().after(over * (step - 1) / kSteps, [this, weakness, rate, delay] {
      link_.mbps(rate * (1 - 0.95 * weakness));
      link_.delay(delay + std::chrono::duration_cast<Duration>(40ms * weakness * weakness));
      link_.burst_loss(0.01 * weakness, 0.3, 0.8 * weakness);
    });
  }
}

void Access::renumber() {
  link_.renumber(phone_.host());
  phone_.network_changed();
}

// ---- Phone --------------------------------------------------------------------------------------

Phone::Phone(Stage& stage, std::string_view name)
    : stage_(stage), host_(stage.world().host(name)), scope_(host_.runtime().ready()) {}

Phone::~Phone() = default;

Access& Phone::access(std::string name, const sim::LinkOptions& options,
                      const sim::RadioOptions& radio) {
  sim::LinkOptions named = options;
  named.name(host_.name() == "phone" ? name : host_.name() + " " + name);
  accesses_.push_back(std::make_unique<Access>(*this, std::move(name), named, radio));
  order_.push_back(accesses_.back().get());
  // Best first, whatever kind they are of.
  accesses_.back()->link().metric(kFirstMetric + static_cast<std::uint32_t>(order_.size()));
  return *accesses_.back();
}

sim::LinkOptions Phone::good_wifi() {
  sim::LinkOptions options;
  return options.kind(udp::InterfaceKind::wifi)
      .delay(stage_.about(10ms))
      .mbps(stage_.between(25, 35))
      .jitter(1ms)
      .queue_bytes(100'000);
}

sim::LinkOptions Phone::good_lte() {
  sim::LinkOptions options;
  return options.kind(udp::InterfaceKind::cellular)
      .delay(stage_.about(30ms))
      .mbps(stage_.between(10, 14))
      .jitter(3ms)
      .queue_bytes(200'000);
}

Access& Phone::wifi(const sim::LinkOptions& options) {
  return access("wifi", options, sim::RadioOptions::wifi());
}

Access& Phone::cellular(const sim::LinkOptions& options) {
  return access("cellular", options, sim::RadioOptions::lte());
}

void Phone::prefer(Access& access) {
  std::stable_partition(order_.begin(), order_.end(),
                        [&](const Access* other) { return other == &access; });
  std::uint32_t metric = kFirstMetric;
  for (Access* each : order_) each->link().metric(++metric);
  network_changed();
}

Access* Phone::best(std::span<const Access* const> avoided) const noexcept {
  Access* last_resort = nullptr;
  for (Access* access : order_) {
    if (!access->up()) continue;
    if (std::find(avoided.begin(), avoided.end(), access) == avoided.end()) return access;
    if (last_resort == nullptr) last_resort = access;
  }
  return last_resort;
}

Access* Phone::find(const udp::Address& local) const noexcept {
  for (const auto& access : accesses_) {
    const udp::Address own = access->address(local.is_v6());
    if (own.specified() && own.same_ip(local)) return access.get();
  }
  return nullptr;
}

Transfer& Phone::download(std::uint64_t bytes, Duration from) {
  Transfer& transfer = stage_.add_transfer(Transfer::Kind::download, bytes);
  wishes_.push_back({&transfer, from});
  return transfer;
}

Transfer& Phone::subscribe(int messages, std::uint64_t size, Duration period, Duration from) {
  Transfer& transfer = download(static_cast<std::uint64_t>(messages) * size, from);
  transfer.live(size, period, from);
  return transfer;
}

Transfer& Phone::upload(std::uint64_t bytes, Duration from) {
  Transfer& transfer = stage_.add_transfer(Transfer::Kind::upload, bytes);
  wishes_.push_back({&transfer, from});
  return transfer;
}

void Phone::ask(int times, Duration period, Duration from) {
  constexpr std::uint64_t kAnswer = 3000;
  for (int i = 0; i < times; ++i) {
    Transfer& transfer = stage_.add_transfer(Transfer::Kind::request, kAnswer);
    wishes_.push_back({&transfer, from + i * period});
  }
}

void Phone::talk(int calls, int messages, Duration period) {
  constexpr std::uint64_t kMessage = 100;
  for (int i = 0; i < calls; ++i) {
    const std::uint64_t size = static_cast<std::uint64_t>(messages) * kMessage;
    Transfer& transfer = stage_.add_transfer(Transfer::Kind::call, size);
    const Duration from = i * period / calls;
    transfer.live(kMessage, period, from);
    wishes_.push_back({&transfer, from});
  }
}

void Phone::begin(std::unique_ptr<Carrier> carrier) {
  carrier_ = std::move(carrier);
  open_ = wishes_.size();
  stage_.wishes_begun(open_);
  scope_.spawn(live());
}

Task<void> Phone::live() {
  co_await carrier_->connect();
  for (const Wish& wish : wishes_) scope_.spawn(fulfil(*wish.transfer, wish.from));
}

Task<void> Phone::fulfil(Transfer& transfer, Duration from) {
  Runtime& runtime = host_.runtime();
  const Duration now = stage_.world().elapsed();
  if (from > now) co_await runtime.sleep(from - now);
  transfer.begun = stage_.world().elapsed();
  transfer.started = true;
  Duration pause = kFirstPause;
  while (!transfer.done) {
    ++transfer.attempts;
    Task<Result<void>> attempt = carrier_->attempt(transfer);
    Result<void> outcome = co_await attempt;
    if (outcome) break;
    ++transfer.failures;
    transfer.error = outcome.error().to_string();
    if (transfer.attempts == kMaxAttempts) break;
    co_await runtime.sleep(pause);
    pause *= 2;
  }
  transfer.ended = stage_.world().elapsed();
  transfer.done = true;
  --open_;
  stage_.wish_ended();
}

void Phone::network_changed() {
  if (carrier_ != nullptr) carrier_->network_changed();
}

void Phone::path_dies(const Access& access) {
  if (carrier_ != nullptr) carrier_->path_dies(access);
}

void Phone::end() {
  scope_.cancel();
  scope_.spawn(carrier_->close());
}

void Phone::leave() {
  scope_.cancel();
  carrier_.reset();
}

}  // namespace tern::handoff
