#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "base/scope.h"
#include "base/task.h"
#include "base/time.h"
#include "tools/handoff/carrier.h"
#include "transport/sim/host.h"
#include "transport/sim/link.h"
#include "transport/sim/link_options.h"
#include "transport/sim/nat.h"

namespace tern::handoff {

class Stage;
class Transfer;

/// A phone's way into the internet: a link with the carrier's or the home's NAT on it, and what may
/// happen to it. Owned by the phone.
class Access {
 public:
  Access(Phone& phone, std::string name, const sim::LinkOptions& options);
  Access(const Access&) = delete;
  Access& operator=(const Access&) = delete;

  const std::string& name() const noexcept { return name_; }
  sim::Link& link() noexcept { return link_; }
  sim::Nat& nat() noexcept { return nat_; }
  /// The phone's interface is there and the system offers it to applications.
  bool up() const noexcept { return up_; }
  /// Of the phone on this network; unspecified where the family does not run.
  udp::Address address(bool v6) const;
  /// Both ways, without queues.
  Duration round_trip() const noexcept;

  /// Silence, as behind a lift's door. The phone notices nothing but that.
  void cut() { link_.cut(); }
  void restore() { link_.restore(); }
  /// Out of range: silence now; the system takes the interface away when it has missed the base
  /// station for `notice`.
  void vanish(Duration notice = std::chrono::milliseconds(1500));
  /// The user, or the system, switches it off: the interface is gone at once.
  void switch_off();
  /// There again, with the same address.
  void come_back();
  /// Signal gets weaker for `over`, in steps: less rate, more delay and loss, in bursts.
  void fade(Duration over);
  /// Nothing but what is not QUIC gets through: UDP port 443 is blocked.
  void block_udp(bool on = true);

 private:
  Phone& phone_;
  const std::string name_;
  sim::Link& link_;
  sim::Nat& nat_;
  bool up_ = true;
};

/// A phone with its networks, best first, and what its applications want. Owned by the stage.
class Phone {
 public:
  /// Attempts at one transfer before the application gives up.
  static constexpr unsigned kMaxAttempts = 8;
  static constexpr Duration kFirstPause = std::chrono::milliseconds(50);

  Phone(Stage& stage, std::string_view name);
  Phone(const Phone&) = delete;
  Phone& operator=(const Phone&) = delete;
  ~Phone();

  const std::string& name() const noexcept { return host_.name(); }
  Stage& stage() noexcept { return stage_; }
  sim::Host& host() noexcept { return host_; }

  // ---- for scenarios
  /// One more network, preferred less than those before it.
  Access& access(std::string name, const sim::LinkOptions& options);
  /// Good ones, each seed a little different: Wi-Fi with 30 Mbit/s and 20 ms there and back, LTE
  /// with 12 Mbit/s and 60 ms.
  Access& wifi();
  Access& cellular();
  /// The system's choice for new connections from now on.
  void prefer(Access& access);

  Transfer& download(std::uint64_t bytes, Duration from = Duration::zero());
  Transfer& upload(std::uint64_t bytes, Duration from = Duration::zero());
  /// A small request (a few kB of answer) every `period`.
  void ask(int times, Duration period, Duration from = Duration::zero());

  // ---- for carriers
  const std::vector<std::unique_ptr<Access>>& accesses() const noexcept { return accesses_; }
  /// The best one that is up; null: none is.
  Access* best() const noexcept;
  Access* find(const udp::Address& local) const noexcept;

  // ---- for the stage
  void begin(std::unique_ptr<Carrier> carrier);
  bool idle() const noexcept { return open_ == 0; }
  Carrier* carrier() noexcept { return carrier_.get(); }
  void network_changed();
  /// Closes the carrier; what is under way is given up.
  void end();
  /// Frees it.
  void leave();

 private:
  struct Wish {
    Transfer* transfer;
    Duration from;
  };
  Task<void> live();
  Task<void> fulfil(Transfer& transfer, Duration from);

  Stage& stage_;
  sim::Host& host_;
  std::vector<std::unique_ptr<Access>> accesses_;
  std::vector<Access*> order_;
  std::vector<Wish> wishes_;
  std::size_t open_ = 0;  // wishes not fulfilled or given up
  std::unique_ptr<Carrier> carrier_;
  Scope scope_;
};

}  // namespace tern::handoff
