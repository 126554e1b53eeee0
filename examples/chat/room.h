#pragma once

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <deque>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/bytes.h"
#include "base/error.h"
#include "base/fifo.h"
#include "base/runtime.h"
#include "base/time.h"

/// A publish/subscribe room: who is there, what they say, who is typing. Knows nothing of networks.

namespace tern::chat {

class Seat;

/// Whoever sits on a seat: called on the seat's thread, and not to call back into the room.
class Guest {
 public:
  enum class Dismissal : std::uint8_t {
    too_slow,  ///< has not kept up: what waited was thrown away
    flooding,  ///< has not stopped when told to
  };
  /// Something that may be lost: who is typing.
  virtual void datagram(Bytes line) = 0;
  /// Once. The seat says nothing more.
  virtual void dismiss(Dismissal why) = 0;

 protected:
  ~Guest() = default;
};

/// Shared by all workers of a server: thread-safe. What is published reaches every seat on the
/// runtime of its own, in the same order everywhere.
class Room : public std::enable_shared_from_this<Room> {
 public:
  /// Seats; one more is refused.
  static constexpr std::size_t kMaxSeats = 200;
  /// Messages that who comes in gets to see.
  static constexpr std::size_t kHistory = 50;

  static std::shared_ptr<Room> make() { return std::shared_ptr<Room>(new Room); }

  /// A seat for somebody on `runtime`, whose session runs over `carrier`; on its thread. `guest`
  /// outlives the seat. Error limit: the room is full.
  Result<std::unique_ptr<Seat>> join(Runtime& runtime, std::string_view carrier, Guest& guest);
  std::size_t seats() const;

 private:
  friend class Seat;

  /// Something that happened, as the line of JSON that seats get.
  struct Event {
    std::uint64_t number = 0;
    Bytes line;
    bool datagram = false;
    std::uint64_t by = 0;  // who does not get it, of a datagram
  };
  /// The seats on one runtime; `seats` belongs to its thread.
  struct Branch {
    explicit Branch(Runtime& of) : runtime(of) {}
    Runtime& runtime;
    std::vector<Seat*> seats;
    std::size_t members = 0;  // under the room's lock
  };
  struct Member {
    std::uint64_t id = 0;
    std::string name;
    std::string carrier;
  };

  Room() = default;
  Member* find(std::uint64_t id);
  bool taken(std::string_view name) const;
  void publish(std::string line);
  void send(Event event);
  Bytes welcome(const Member& who) const;

  // Of seats.
  void leave(const Seat& seat);
  bool rename(std::uint64_t id, std::string name);
  void say(std::uint64_t id, std::string_view text, UnixSeconds time);
  void typing(std::uint64_t id);

  mutable std::mutex mutex_;
  std::vector<std::shared_ptr<Branch>> branches_;
  std::vector<Member> members_;
  std::deque<std::string> history_;
  std::uint64_t last_id_ = 0;
  std::uint64_t last_number_ = 0;
};

/// Somebody's place in the room; leaves it when it goes. Belongs to its runtime's thread.
class Seat {
 public:
  /// Bytes of events that wait for somebody who does not keep up; with one more they lose the seat.
  static constexpr std::size_t kMaxWaiting = 64 * 1024;
  /// How long one event may take to be written before the next one makes them lose it.
  static constexpr Duration kPatience = std::chrono::seconds(10);
  /// Messages and names: so many at once, then one in each interval. What is more is refused.
  static constexpr std::size_t kBurst = 10;
  static constexpr Duration kInterval = std::chrono::milliseconds(500);
  /// Refusals, with nothing allowed between them, that end the visit.
  static constexpr std::size_t kMaxRefusals = 20;

  Seat(const Seat&) = delete;
  Seat& operator=(const Seat&) = delete;
  ~Seat();

  std::uint64_t id() const noexcept { return id_; }

  // ---- what they say
  /// One message. "/name NAME" takes another name; other commands there are none. What is wrong
  /// with it is told to them alone.
  void say(std::string_view text);
  /// To be sent to the others, but not more often than once in `kInterval`.
  void typing();
  /// Something for them alone.
  void tell(std::string_view notice);
  /// The same for something that was not allowed: it counts towards `kMaxRefusals`.
  void refuse(std::string_view why);

  // ---- what they hear
  /// The next line of JSON; nothing when none waits. The time until the next call is what
  /// `kPatience` is about.
  std::optional<Bytes> next();
  /// Notified when `next` has something.
  Signal& changed() noexcept { return changed_; }

 private:
  friend class Room;
  Seat(std::shared_ptr<Room> room, Runtime& runtime, Guest& guest);

  void hear(const Room::Event& event);
  void push(Bytes line);
  bool allowed();
  void dismiss(Guest::Dismissal why);

  std::shared_ptr<Room> room_;
  Runtime& runtime_;
  Guest& guest_;
  std::shared_ptr<Room::Branch> branch_;
  std::uint64_t id_ = 0;
  std::uint64_t heard_ = 0;       // number of the last event
  std::optional<Bytes> welcome_;  // however long; the rest waits behind it
  Fifo<Bytes> waiting_;
  std::size_t waiting_bytes_ = 0;
  std::optional<Timestamp> writing_since_;
  bool dismissed_ = false;
  Timestamp full_at_{};  // when all of `kBurst` are there again
  Timestamp typed_{};
  std::size_t refusals_ = 0;
  Signal changed_;
};

}  // namespace tern::chat
