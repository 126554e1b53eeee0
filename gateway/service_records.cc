#include "gateway/service_records.h"

#include <algorithm>
#include <chrono>
#include <optional>
#include <string_view>
#include <utility>

#include "gateway/client_pool.h"
#include "gateway/host_addresses.h"

namespace tern {
namespace {

/// Aliases followed one after the other (RFC 9460 §2.4.2 asks for a limit).
constexpr int kMaxAliases = 4;

const udp::ServiceRecord* choose(const udp::ServiceAnswer& answer, bool over_tcp) {
  for (const udp::ServiceRecord& record : answer.records) {
    if (!record.usable || record.is_alias()) continue;
    const bool fits =
        over_tcp ? record.offers("h2") || record.offers("http/1.1") : record.offers("h3");
    if (fits) return &record;
  }
  return nullptr;
}

const udp::ServiceRecord* alias_of(const udp::ServiceAnswer& answer) {
  // By priority, an alias comes first, and then nothing else counts.
  const bool is_one = !answer.records.empty() && answer.records.front().is_alias();
  return is_one && !answer.records.front().target.empty() ? &answer.records.front() : nullptr;
}

void append_new(std::vector<udp::Address>& to, const std::vector<udp::Address>& from) {
  for (const udp::Address& address : from) {
    if (std::find(to.begin(), to.end(), address) == to.end() && to.size() < kMaxAddresses) {
      to.push_back(address);
    }
  }
}

std::vector<udp::Address> with_port(std::vector<udp::Address> addresses, std::uint16_t port) {
  for (udp::Address& address : addresses) address.set_port(port);
  return addresses;
}

}  // namespace

void ServiceRecords::ask(udp::ServiceResolver& resolver, const std::string& name) {
  const auto found = std::find_if(entries_.begin(), entries_.end(),
                                  [&](const auto& entry) { return entry->name == name; });
  if (found != entries_.end()) {
    if ((*found)->pending || (*found)->expires > runtime_.now()) {
      entries_.splice(entries_.begin(), entries_, found);
      return;
    }
    entries_.erase(found);
  }
  auto entry = std::make_shared<Entry>();
  entry->name = name;
  entries_.push_front(entry);
  if (entries_.size() > kMaxEntries) entries_.pop_back();
  // The resolver may outlive us, and the entry may be gone.
  const std::weak_ptr<Entry> weak = entry;
  resolver.resolve_service(name, [this, weak](Result<udp::ServiceAnswer> answer) {
    const std::shared_ptr<Entry> waiting = weak.lock();
    if (waiting == nullptr) return;
    waiting->pending = false;
    Duration ttl = kFailureTtl;
    if (answer) {
      waiting->answer = std::move(*answer);
      ttl = std::clamp(waiting->answer.ttl, kLeastTtl, kMostTtl);
    }
    waiting->expires = runtime_.now() + ttl;
    changed_.notify_all();
    for (const auto& then : std::exchange(waiting->waiting, {})) then();
  });
}

const udp::ServiceAnswer* ServiceRecords::find(const std::string& name) {
  for (const auto& entry : entries_) {
    if (entry->name == name) {
      return entry->pending || entry->expires <= runtime_.now() ? nullptr : &entry->answer;
    }
  }
  return nullptr;
}

Task<void> ServiceRecords::answered(std::string name, Timestamp deadline) {
  Timer timer(runtime_.timers(), [this](Timestamp) { changed_.notify_all(); });
  timer.arm(deadline);
  while (find(name) == nullptr && runtime_.now() < deadline) co_await changed_.wait();
}

void ServiceRecords::when_answered(const std::string& name, std::function<void()> then) {
  for (const auto& entry : entries_) {
    if (entry->name == name && entry->pending) return entry->waiting.push_back(std::move(then));
  }
}

std::string service_name(const ClientPool& pool, const http::Url& url) {
  const std::string& host = url.host();
  const auto ends = [&](std::string_view end) { return host.ends_with(end); };
  if (pool.options.services() == nullptr || url.scheme() != "https" || url.host_is_ip() ||
      host.find('.') == std::string::npos || ends(".local") || ends(".localhost") ||
      ends(".onion") || !pool.options.addresses_for(host, url.port()).empty() ||
      pool.options.proxy().proxy_for(url)) {
    return {};
  }
  if (url.port() == 443) return host;
  return "_" + std::to_string(url.port()) + "._https." + host;
}

bool offers_http3(ClientPool& pool, const http::Url& url) {
  const std::string name = service_name(pool, url);
  const udp::ServiceAnswer* answer = name.empty() ? nullptr : pool.services.find(name);
  return answer != nullptr && choose(*answer, false) != nullptr;
}

Task<Result<ServicePlace>> locate(ClientPool& pool, http::Url url, bool over_tcp) {
  ServicePlace place;
  std::string name = service_name(pool, url);
  if (!name.empty()) pool.services.ask(*pool.options.services(), name);
  Result<std::vector<udp::Address>> own = co_await look_up(pool, url.host(), url.port());
  std::string host = url.host();
  std::optional<udp::ServiceRecord> record;
  const Duration patience = own ? pool.options.service_delay() : ServiceRecords::kPatience;
  for (int i = 0; !name.empty() && i <= kMaxAliases; ++i) {
    const Timestamp deadline = pool.runtime.now() + patience;
    Task<void> waiting = pool.services.answered(name, deadline);
    co_await waiting;
    const udp::ServiceAnswer* answer = pool.services.find(name);
    if (answer == nullptr) {
      place.awaited = name;
      break;
    }
    if (const udp::ServiceRecord* alias = alias_of(*answer)) {
      host = name = alias->target;
      pool.services.ask(*pool.options.services(), name);
      continue;
    }
    if (const udp::ServiceRecord* chosen = choose(*answer, over_tcp)) record = *chosen;
    break;
  }
  if (record && !record->target.empty()) host = record->target;
  const std::uint16_t port = record ? record->port.value_or(url.port()) : url.port();
  if (host == url.host() && own) {
    place.addresses = interleave(with_port(*own, port));
  } else if (record && !record->hints.empty()) {
    // §7.3: for who has nothing better at hand, and would have to ask once more.
    place.addresses = interleave(with_port(record->hints, port));
  } else if (host != url.host()) {
    std::string target = host;
    Result<std::vector<udp::Address>> there = co_await look_up(pool, std::move(target), port);
    if (there) place.addresses = interleave(*there);
  }
  place.by_record = record.has_value() && !place.addresses.empty();
  // RFC 9460 §3: whoever is not found by the record may be by the name alone.
  if (own) append_new(place.addresses, interleave(*own));
  if (place.addresses.empty()) co_return fail(std::move(own).error());
  co_return place;
}

}  // namespace tern
