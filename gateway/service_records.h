#pragma once

#include <chrono>
#include <cstddef>
#include <functional>
#include <list>
#include <memory>
#include <string>
#include <vector>

#include "base/error.h"
#include "base/runtime.h"
#include "base/task.h"
#include "base/time.h"
#include "gateway/broadcast.h"
#include "http/uri.h"
#include "transport/udp/address.h"
#include "transport/udp/service_record.h"

namespace tern {

class ClientPool;

/// The HTTPS records (RFC 9460) that a client knows, by name, and those it is asking for. The least
/// recently used make room beyond kMaxEntries. Belongs to one thread.
class ServiceRecords {
 public:
  static constexpr std::size_t kMaxEntries = 1024;
  /// However long the DNS says.
  static constexpr Duration kLeastTtl = std::chrono::seconds(1);
  static constexpr Duration kMostTtl = std::chrono::hours(1);
  /// After a resolver's failure.
  static constexpr Duration kFailureTtl = std::chrono::seconds(30);
  /// How long an answer is waited for where there is nothing else to try.
  static constexpr Duration kPatience = std::chrono::seconds(5);

  explicit ServiceRecords(Runtime& runtime) : runtime_(runtime), changed_(runtime) {}

  /// Asks, unless the answer is known or on its way.
  void ask(udp::ServiceResolver& resolver, const std::string& name);
  /// Null: not known, or not any more.
  const udp::ServiceAnswer* find(const std::string& name);
  /// Waits until it is known, but not beyond `deadline`.
  Task<void> answered(std::string name, Timestamp deadline);
  /// Calls back, once, when the answer comes that is on its way. It may never come.
  void when_answered(const std::string& name, std::function<void()> then);
  /// The network is another, and may have its own answers.
  void forget() noexcept { entries_.clear(); }

 private:
  struct Entry {
    std::string name;
    bool pending = true;
    udp::ServiceAnswer answer;
    Timestamp expires{};
    std::vector<std::function<void()>> waiting;
  };

  Runtime& runtime_;
  Broadcast changed_;
  std::list<std::shared_ptr<Entry>> entries_;  // used last first
};

/// Where an https service is to be reached.
struct ServicePlace {
  std::vector<udp::Address> addresses;  ///< in the order in which they are to be tried
  bool by_record = false;               ///< an HTTPS record said so, for the first of them
  std::string awaited;                  ///< whose records had not come yet; empty: nobody's
};

/// The name that the URL's HTTPS records are under (RFC 9460 §9.1); empty: they are not asked for,
/// because the client has no resolver for them, or addresses of its own, or a proxy, or because the
/// host is an address, or a name that is not in the DNS (without a dot, .local, .localhost,
/// .onion).
std::string service_name(const ClientPool& pool, const http::Url& url);

/// The addresses to try for a URL: what its host's HTTPS records say for that protocol (ALPN), and
/// behind it what the host's own name does. The records are asked for at the same time as the
/// addresses, and waited for no longer than `ClientOptions::service_delay` beyond them;
/// `ServiceRecords::kPatience` where the host has no addresses, as there is nothing else then.
Task<Result<ServicePlace>> locate(ClientPool& pool, http::Url url, bool over_tcp);

/// Whether a record that is known says that the URL's origin speaks HTTP/3.
bool offers_http3(ClientPool& pool, const http::Url& url);

}  // namespace tern
