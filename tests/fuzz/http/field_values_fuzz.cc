// The parsers of field values: the first byte chooses one, the rest is the value.

#include <array>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>

#include "base/bytes.h"
#include "base/check.h"
#include "http/alt_svc.h"
#include "http/conditional.h"
#include "http/content_coding.h"
#include "http/date.h"
#include "http/message.h"
#include "http/range.h"
#include "http/structured_fields.h"

namespace {

using namespace tern::http;

constexpr tern::UnixSeconds kNow = 1793000000;

void priority(std::string_view value) {
  const Priority read = Priority::parse(value);
  TERN_CHECK(read.urgency <= 7);
  TERN_CHECK(Priority::parse(read.to_string()) == read);
}

void structured(std::string_view value) {
  StructuredCursor item(value);
  if (const auto bare = item.item()) {
    TERN_CHECK(bare->unescaped().size() <= value.size());
    item.at_end();
  }
  StructuredCursor list(value);
  std::size_t members = 0;
  while (list.next_member()) ++members;
  TERN_CHECK(members <= value.size());
  StructuredCursor dictionary(value);
  while (const auto entry = dictionary.next_entry()) {
    TERN_CHECK(!entry->key.empty());
    while (const auto parameter = dictionary.next_parameter()) TERN_CHECK(!parameter->key.empty());
  }
}

void range(std::string_view value) {
  for (const std::uint64_t size : {std::uint64_t{0}, std::uint64_t{1}, std::uint64_t{1000}}) {
    const RangeSelection selection = select_ranges(value, size);
    TERN_CHECK(selection.ranges.size() <= kMaxRanges);
    std::uint64_t total = 0;
    for (const ByteRange& part : selection.ranges) {
      TERN_CHECK(part.length > 0 && part.first < size && part.length <= size - part.first);
      total += part.length;
    }
    if (selection.answer == RangeSelection::Answer::partial) {
      TERN_CHECK(!selection.ranges.empty() && total <= size);
    }
  }
}

void date(std::string_view value) {
  if (const auto seconds = parse_http_date(value, kNow)) {
    TERN_CHECK(parse_http_date(HttpDate(*seconds), kNow) == seconds);
  }
}

void conditional(std::string_view value) {
  Validators validators;
  validators.etag = "\"tag\"";
  validators.last_modified = kNow - 10;
  for (const char* name :
       {"if-match", "if-none-match", "if-modified-since", "if-unmodified-since", "if-range"}) {
    RequestHead head;
    head.fields.add(name, value);
    evaluate_preconditions(head, validators, kNow);
    range_applies(head, validators, kNow);
  }
}

void accept_encoding(std::string_view value) {
  const AcceptedCodings accepted(value);
  for (unsigned mask = 0; mask < 8; ++mask) {
    const std::array<bool, kCodings> available = {true, (mask & 1) != 0, (mask & 2) != 0,
                                                  (mask & 4) != 0};
    const Coding coding = accepted.choose(available);
    TERN_CHECK(available[static_cast<std::size_t>(coding)]);
    TERN_CHECK(coding == Coding::identity || accepted.quality(coding) > 0);
  }
}

/// An alternative as RFC 7838 §3 writes it, every byte of its protocol's name encoded.
std::string written(const AltService& service) {
  constexpr std::string_view kDigits = "0123456789abcdef";
  std::string text;
  for (const char c : service.protocol) {
    const auto byte = static_cast<unsigned char>(c);
    text += {'%', kDigits[byte >> 4], kDigits[byte & 15]};
  }
  const bool v6 = service.host.find(':') != std::string::npos;
  text += "=\"";
  for (const char c : v6 ? "[" + service.host + "]" : service.host) text += {'\\', c};
  text += ":" + std::to_string(service.port) + "\"; ma=" +
          std::to_string(std::chrono::duration_cast<std::chrono::seconds>(service.max_age).count());
  return text + (service.persist ? "; persist=1" : "");
}

void alt_svc(std::string_view value) {
  const AltSvc read = AltSvc::parse(value);
  TERN_CHECK(read.services.size() <= AltSvc::kMaxAlternatives);
  TERN_CHECK(!read.clear || read.services.empty());
  std::string text;
  for (const AltService& service : read.services) {
    TERN_CHECK(!service.protocol.empty() && service.port != 0);
    TERN_CHECK(service.max_age >= tern::Duration::zero());
    if (!text.empty()) text += ", ";
    text += written(service);
  }
  TERN_CHECK(AltSvc::parse(text).services == read.services);
}

void content_length(std::string_view value) {
  if (const auto length = parse_content_length(value)) {
    TERN_CHECK(value.find_first_not_of("0123456789") == std::string_view::npos);
    TERN_CHECK(parse_content_length(std::to_string(*length)) == length);
  }
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  if (size == 0) return 0;
  const std::string_view value = tern::as_text(tern::ByteView(data + 1, size - 1));
  switch (data[0] % 8) {
    case 0: priority(value); break;
    case 1: structured(value); break;
    case 2: range(value); break;
    case 3: date(value); break;
    case 4: conditional(value); break;
    case 5: accept_encoding(value); break;
    case 6: alt_svc(value); break;
    case 7: content_length(value); break;
  }
  return 0;
}
