#pragma once

#include <cstdint>
#include <memory>
#include <span>
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
#include "transport/sim/radio.h"

namespace tern::handoff {

class Stage;
class Transfer;

/// A phone's way into the internet: a link with the carrier's or the home's NAT on it, and what may
/// happen to it. Owned by the phone.
class Access {
 public:
  Access(Phone& phone, std::string name, const sim::LinkOptions& options,
         const sim::RadioOptions& radio);
  Access(const Access&) = delete;
  Access& operator=(const Access&) = delete;

  const std::string& name() const noexcept { return name_; }
  sim::Link& link() noexcept { return link_; }
  sim::Nat& nat() noexcept { return nat_; }
  sim::Radio& radio() noexcept { return radio_; }
  /// The phone's interface is there and the system offers it to applications.
  bool up() const noexcept { return up_; }
  /// Of the phone on this network; unspecified where the family does not run.
  udp::Address address(bool v6) const;
  /// Both ways, without queues.
  Duration round_trip() const noexcept;
  /// The same as a sender measures it who knows nothing of the path yet: with the most that jitter
  /// adds, for a packet there and the ten of a first flight back.
  Duration first_round_trip() const noexcept;
  /// To the server: of a packet that waits for nothing, with the most that jitter adds.
  Duration one_way() const noexcept;
  /// From the server: so long a packet may be on its way, behind a full queue.
  Duration longest_way() const noexcept;

  /// Silence, as behind a lift's door. The phone notices nothing but that.
  void cut();
  void restore() { link_.restore(); }
  /// Out of range: silence now; the system takes the interface away when it has missed the base
  /// station for `notice`.
  void vanish(Duration notice = std::chrono::milliseconds(1500));
  /// The user, or the system, switches it off: the interface is gone at once.
  void switch_off();
  /// There again, with the same address.
  void come_back();
  /// A new address of the same network, as from a new DHCP lease. The old one is gone.
  void renumber();
  /// Signal gets weaker for `over`, in steps: less rate, more delay and loss, in bursts.
  void fade(Duration over);
  /// No UDP gets through, as behind many a captive portal.
  void block_udp() { link_.block_udp(); }

 private:
  Phone& phone_;
  const std::string name_;
  sim::Link& link_;
  sim::Nat& nat_;
  sim::Radio& radio_;
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
  Access& access(std::string name, const sim::LinkOptions& options, const sim::RadioOptions& radio);
  /// Good ones, each seed a little different: Wi-Fi with 25 to 35 Mbit/s and 20 ms there and back,
  /// LTE with 10 to 14 Mbit/s and 60 ms.
  sim::LinkOptions good_wifi();
  sim::LinkOptions good_lte();
  Access& wifi(const sim::LinkOptions& options);
  Access& wifi() { return wifi(good_wifi()); }
  Access& cellular(const sim::LinkOptions& options);
  Access& cellular() { return cellular(good_lte()); }
  /// The system's choice for new connections from now on.
  void prefer(Access& access);

  Transfer& download(std::uint64_t bytes, Duration from = Duration::zero());
  /// So many messages, one each `period`: what a live source has to say.
  Transfer& subscribe(int messages, std::uint64_t size, Duration period,
                      Duration from = Duration::zero());
  Transfer& upload(std::uint64_t bytes, Duration from = Duration::zero());
  /// A small request (a few kB of answer) every `period`.
  void ask(int times, Duration period, Duration from = Duration::zero());

  /// So many conversations at the same time, of so many messages each, one each `period`. For
  /// carriers of calls.
  void talk(int calls, int messages, Duration period);

  // ---- for carriers
  const std::vector<std::unique_ptr<Access>>& accesses() const noexcept { return accesses_; }
  /// The best one that is up, one of those to avoid if there is no other; null: none is up.
  Access* best(std::span<const Access* const> avoided = {}) const noexcept;
  Access* find(const udp::Address& local) const noexcept;

  // ---- for the stage
  void begin(std::unique_ptr<Carrier> carrier);
  Carrier* carrier() noexcept { return carrier_.get(); }
  void network_changed();
  void path_dies(const Access& access);
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
