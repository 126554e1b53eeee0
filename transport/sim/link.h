#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <deque>
#include <memory>
#include <string>

#include "base/random.h"
#include "base/time.h"
#include "transport/sim/event_queue.h"
#include "transport/sim/link_options.h"
#include "transport/sim/trace.h"
#include "transport/udp/address.h"

namespace tern::sim {

class Channel;
class Host;
class Link;
class Nat;
class Radio;
class World;
struct Packet;

/// A host's end of a link. Owned by the link.
struct Interface {
  Link* link = nullptr;
  Host* host = nullptr;
  Channel* out = nullptr;
  udp::Address v4;  ///< port 0; unspecified when the family does not run on the link
  udp::Address v6;
  bool up = true;
  std::unique_ptr<Nat> nat;      ///< translates what leaves through here
  std::unique_ptr<Radio> radio;  ///< what goes over the link waits until it is awake

  Interface();
  ~Interface();
  const udp::Address& address_like(const udp::Address& other) const noexcept {
    return other.is_v6() ? v6 : v4;
  }
};

/// What one direction of a link did so far. Bytes are those of IP packets.
struct ChannelStats {
  std::uint64_t packets_in = 0;  ///< handed to the channel; copies made by duplication not counted
  std::uint64_t bytes_in = 0;
  std::uint64_t delivered = 0;  ///< reached the other end, copies included
  std::uint64_t bytes_delivered = 0;
  std::uint64_t duplicated = 0;
  std::uint64_t corrupted = 0;
  std::uint64_t reordered = 0;  ///< delayed by `reorder`
  std::uint64_t marked = 0;     ///< turned to CE
  std::uint64_t peak_queue_bytes = 0;
  std::array<std::uint64_t, kVerdicts> dropped{};  ///< by verdict

  std::uint64_t dropped_for(Verdict why) const noexcept {
    return dropped[static_cast<std::size_t>(why)];
  }
  std::uint64_t dropped_total() const noexcept;
};

/// One direction of a link. The setters of ChannelSetters change it at once: what is already on
/// the wire is not touched, what waits in the queue leaves at the new rate.
class Channel final : public ChannelSetters<Channel>, private EventTarget {
 public:
  Channel(const Channel&) = delete;
  Channel& operator=(const Channel&) = delete;

  const ChannelModel& model() const noexcept { return model_; }
  void change(const std::function<void(ChannelModel&)>& setter);
  /// Nothing gets through, what is on the wire and in the queue is lost.
  void cut();
  void restore() noexcept { cut_ = false; }
  bool is_cut() const noexcept { return cut_; }

  const ChannelStats& stats() const noexcept { return stats_; }
  std::uint64_t queued_bytes() const noexcept { return queued_bytes_; }
  /// Datagrams in the queue and on the wire.
  std::size_t in_flight() const noexcept { return queue_.size() + on_wire_; }

  /// Puts a forged datagram on the channel as if the host at its beginning had sent it.
  void inject(const udp::Address& source, const udp::Address& destination, ByteView payload,
              udp::Ecn ecn = udp::Ecn::not_ect);

 private:
  friend class Host;
  friend class Link;
  friend class World;
  Channel(World& world, Link& link, std::uint8_t direction, ChannelModel model, std::uint64_t seed);

  /// Takes the packet over.
  void transmit(Packet* packet);
  void fire(std::uint32_t kind, void* argument) override;
  void serialise_next();
  /// When the packet at the front has left if it begins at `start`.
  Timestamp serialised(Timestamp start);
  void leave(Packet* packet);
  bool lost(Packet* packet);
  /// One chance of many, unless it came true `most` times in a row: then it does not.
  bool strikes(double probability, std::uint64_t most, std::uint64_t& in_a_row);
  void propagate(Packet* packet);
  void arrive(Packet* packet);
  void mark(Packet& packet) noexcept;
  void damage(Packet& packet) noexcept;
  bool in_hole() const noexcept;
  Duration random_delay();
  void discard(Packet* packet, Verdict why);
  void record(const Packet& packet, Verdict verdict);

  World& world_;
  Link& link_;
  const std::uint8_t direction_;
  Interface* near_ = nullptr;
  Interface* far_ = nullptr;
  std::string label_;  // "wifi phone>server"
  ChannelModel model_;
  Random random_;
  const Timestamp begun_;
  Timestamp hole_start_{};
  bool cut_ = false;
  std::uint32_t epoch_ = 0;
  bool bad_state_ = false;  // Gilbert–Elliott
  std::uint64_t losses_in_a_row_ = 0;
  std::uint64_t corruptions_in_a_row_ = 0;

  std::deque<Packet*> queue_;  // the front one is being serialised
  std::uint64_t queued_bytes_ = 0;
  // Of the rate trace: the next opportunity, and what is left of the one that was begun last.
  std::uint64_t opportunity_ = 0;
  Timestamp opportunity_time_{};
  std::size_t opportunity_bytes_ = 0;
  std::size_t on_wire_ = 0;
  std::uint64_t left_ = 0;  // datagrams that left the queue, for the drop list
  Timestamp last_arrival_{};
  ChannelStats stats_;
};

/// Two channels between two hosts, and the addresses of both ends. Owned by the world; lives as
/// long.
class Link final : public ChannelSetters<Link> {
 public:
  Link(const Link&) = delete;
  Link& operator=(const Link&) = delete;

  const std::string& name() const noexcept { return name_; }
  udp::InterfaceKind kind() const noexcept { return kind_; }
  std::uint32_t metric() const noexcept { return metric_; }
  /// Another metric for both hosts' default routes from now on, as when a system prefers another
  /// network. Who watches their interfaces is told.
  void metric(std::uint32_t value);
  /// From the first host given to World::link to the second.
  Channel& up() noexcept { return *up_; }
  /// From the second to the first.
  Channel& down() noexcept { return *down_; }
  void change(const std::function<void(ChannelModel&)>& setter);

  /// Both directions fall silent, as out of radio range: hosts notice nothing but missing packets.
  void cut();
  void restore() noexcept;

  /// `host` loses the interface: routes and addresses of the link are gone for it, sends from its
  /// address fail at once, as when Wi-Fi is switched off. What is on the wire to it is lost. Who
  /// watches the host's interfaces is told, here and in the next two.
  void take_down(const Host& host);
  void bring_up(const Host& host);
  /// New addresses for `host`'s end, as from a new DHCP lease; the old ones are gone.
  void renumber(const Host& host);

  /// The address of `host`'s end of this link.
  udp::Address v4(const Host& host, std::uint16_t port = 0) const;
  udp::Address v6(const Host& host, std::uint16_t port = 0) const;
  std::size_t interface_mtu() const noexcept { return interface_mtu_; }

 private:
  friend class Channel;
  friend class Host;
  friend class World;
  friend class Topology;
  Link(World& world, std::uint32_t index, Host& near, Host& far, const LinkOptions& options,
       std::uint64_t seed);

  Interface& end_of(const Host& host);
  const Interface& end_of(const Host& host) const;
  Interface& other_end(const Interface& end) noexcept {
    return &end == &ends_[0] ? ends_[1] : ends_[0];
  }

  World& world_;
  std::uint32_t index_;
  std::string name_;
  udp::InterfaceKind kind_;
  std::uint32_t metric_;
  std::size_t interface_mtu_;
  bool has_v4_, has_v6_;
  std::array<Interface, 2> ends_;  // near, far
  std::unique_ptr<Channel> up_, down_;
};

}  // namespace tern::sim
