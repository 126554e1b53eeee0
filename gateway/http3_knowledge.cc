#include "gateway/http3_knowledge.h"

#include <algorithm>
#include <utility>

#include "http/fallback/http2_code.h"
#include "http3/error_code.h"

namespace tern {

bool wants_http1(const Error& error) noexcept {
  return error.domain == Domain::application && error.origin == Origin::remote &&
         (error.code == static_cast<std::uint64_t>(fallback::Http2Code::http_1_1_required) ||
          error.code == http3::code(http3::ErrorCode::version_fallback));
}

void Http3Knowledge::heard(const std::string& origin, std::string_view alt_svc, Timestamp now) {
  http::AltSvc parsed = http::AltSvc::parse(alt_svc);
  if (!parsed.clear && parsed.services.empty()) return;
  offers_.remove_if([&](const Offer& offer) { return offer.origin == origin; });
  for (http::AltService& service : parsed.services) {
    if (service.protocol != "h3" || service.max_age <= Duration::zero()) continue;
    if (offers_.size() >= kMaxEntries) offers_.pop_back();
    const Timestamp expires = now + service.max_age;
    offers_.push_front({origin, std::move(service), expires});
    return;
  }
}

std::optional<http::AltService> Http3Knowledge::offer(const std::string& origin, Timestamp now) {
  const auto found = std::find_if(offers_.begin(), offers_.end(),
                                  [&](const Offer& entry) { return entry.origin == origin; });
  if (found == offers_.end()) return std::nullopt;
  if (found->expires <= now) {
    offers_.erase(found);
    return std::nullopt;
  }
  offers_.splice(offers_.begin(), offers_, found);
  return offers_.front().service;
}

void Http3Knowledge::network_changed() {
  offers_.remove_if([](const Offer& offer) { return !offer.service.persist; });
}

std::list<Http3Knowledge::Failure>::iterator Http3Knowledge::find(const std::string& network,
                                                                  const std::string& origin) {
  return std::find_if(failures_.begin(), failures_.end(), [&](const Failure& entry) {
    return entry.origin == origin && entry.network == network;
  });
}

void Http3Knowledge::failed(const std::string& network, const std::string& origin, Timestamp now) {
  const auto known = find(network, origin);
  if (known != failures_.end()) {
    known->span = std::min(known->span * 2, kAvoidMost);
    known->until = now + known->span;
    failures_.splice(failures_.begin(), failures_, known);
    return;
  }
  if (failures_.size() >= kMaxEntries) failures_.pop_back();
  failures_.push_front({network, origin, now + kAvoidFirst, kAvoidFirst});
}

void Http3Knowledge::worked(const std::string& network, const std::string& origin) {
  const auto known = find(network, origin);
  if (known != failures_.end()) failures_.erase(known);
}

void Http3Knowledge::require_http1(const std::string& origin, Timestamp now) {
  http1_.remove_if([&](const Requirement& entry) { return entry.origin == origin; });
  if (http1_.size() >= kMaxEntries) http1_.pop_back();
  http1_.push_front({origin, now + kHttp1For});
}

bool Http3Knowledge::http1_required(const std::string& origin, Timestamp now) {
  http1_.remove_if([&](const Requirement& entry) { return entry.expires <= now; });
  return std::any_of(http1_.begin(), http1_.end(),
                     [&](const Requirement& entry) { return entry.origin == origin; });
}

Timestamp Http3Knowledge::avoid_until(const std::string& network, const std::string& origin) {
  const auto known = find(network, origin);
  return known == failures_.end() ? Timestamp{} : known->until;
}

}  // namespace tern
