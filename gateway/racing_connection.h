#pragma once

#include <chrono>
#include <cstddef>
#include <deque>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "base/error.h"
#include "base/task.h"
#include "base/time.h"
#include "gateway/origin_connection.h"
#include "gateway/service_records.h"
#include "transport/udp/address.h"

namespace tern {

/// A connection that tries addresses as RFC 8305 has it, the next one after
/// `ClientOptions::address_delay`, or when the one before it has failed; the first whose handshake
/// is complete wins. What QUIC and TCP do alike.
class RacingConnection : public OriginConnection {
 public:
  /// Networks tried at most, and how long the ones before have for an answer.
  static constexpr std::size_t kMaxNetworks = 3;
  static constexpr Duration kNetworkDelay = std::chrono::seconds(1);

  bool usable() const noexcept final;
  void close() final;

 protected:
  using OriginConnection::OriginConnection;

  /// Where an attempt goes, and from the how-manieth best network.
  struct Target {
    udp::Address remote;
    std::size_t network = 0;
    Duration after{};  // the one before it has begun
  };

  /// One address that is tried.
  struct Attempt {
    explicit Attempt(const udp::Address& to) : remote(to) {}
    Attempt(const Attempt&) = delete;
    Attempt& operator=(const Attempt&) = delete;
    virtual ~Attempt() = default;
    /// Gives the connection what has come about, if it has: the race is won. May destroy this.
    virtual bool take() { return false; }
    /// It cannot succeed any more.
    virtual void abandon(const Error& error) = 0;

    const udp::Address remote;
    udp::Address local;  // unspecified: the system chose it
    std::optional<Error> failure;
  };

  /// Where the host is, by everything that is known now.
  virtual Task<Result<ServicePlace>> find() = 0;
  /// The addresses are known.
  void tell_resolved(const ServicePlace& place);
  /// The addresses; and if nobody answers there, perhaps it is for the network's sake, where there
  /// is another.
  std::vector<Target> targets_for(const std::vector<udp::Address>& addresses) const;
  /// Records that are `awaited` (ServicePlace) keep nobody waiting, but lead the race elsewhere if
  /// they come while it lasts; who fails before waits for them, `ServiceRecords::kPatience` in all.
  Task<Result<void>> race(std::vector<Target> targets, std::string awaited);
  /// Appends to `attempts_`; `more`: there are other addresses.
  virtual void attempt(const Target& target, bool more) = 0;
  /// What to say when nobody has answered; `error` is the first attempt's.
  virtual Error silence(Error error, const udp::Address& remote) const;
  /// Who has not answered yet cannot any more when the address is gone.
  void abandon_cut_off();

  std::deque<std::unique_ptr<Attempt>> attempts_;

 private:
  /// Inserts before the target `next` what the records say that have come; returns whose are
  /// awaited now.
  Task<std::string> go_by_records(std::vector<Target>& targets, std::size_t next);
  Error why_none_connected() const;
};

}  // namespace tern
