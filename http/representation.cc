#include "http/representation.h"

#include <algorithm>
#include <utility>
#include <vector>

#include "base/log.h"
#include "http/date.h"
#include "http/escape.h"
#include "http/range.h"

namespace tern::http {

namespace {

Response not_modified(const Representation& representation) {
  Response response(Status::not_modified);
  // What a 200 would have said of these (RFC 9110 §15.4.5).
  for (const std::string_view name : {"etag", "vary", "cache-control", "last-modified"}) {
    if (const auto value = representation.fields.find(name)) response.field(name, *value);
  }
  return response;
}

Response unsatisfiable(const Representation& representation) {
  Response response = Response(Status::range_not_satisfiable).text("Range Not Satisfiable\n");
  response.field("content-range", "bytes */" + std::to_string(representation.size));
  return response;
}

/// Parts of a multipart/byteranges body (RFC 9110 §14.6) and the text before each.
class Multipart {
 public:
  Multipart(const Representation& representation, const std::vector<ByteRange>& ranges,
            Random& random) {
    boundary_ = "tern-";
    for (int i = 0; i < 2; ++i) {
      constexpr std::string_view kHex = "0123456789abcdef";
      std::uint64_t bits = random.next();
      for (int digit = 0; digit < 16; ++digit, bits >>= 4) boundary_.push_back(kHex[bits & 15]);
    }
    for (const ByteRange& range : ranges) {
      std::string head = heads_.empty() ? "--" : "\r\n--";
      head.append(boundary_).append("\r\ncontent-type: ").append(representation.content_type);
      head.append("\r\ncontent-range: ").append(content_range(range, representation.size));
      head.append("\r\n\r\n");
      size_ += head.size() + range.length;
      heads_.push_back(std::move(head));
    }
    tail_ = "\r\n--" + boundary_ + "--\r\n";
    size_ += tail_.size();
  }

  std::uint64_t size() const noexcept { return size_; }
  std::string content_type() const { return "multipart/byteranges; boundary=" + boundary_; }
  std::string& head(std::size_t index) noexcept { return heads_[index]; }
  std::string& tail() noexcept { return tail_; }

 private:
  std::string boundary_;
  std::vector<std::string> heads_;
  std::string tail_;
  std::uint64_t size_ = 0;
};

/// Sends a part of the source; false when that failed and the exchange is over.
Task<bool> send_range(Exchange& exchange, BodySource& source, ByteRange range, bool last) {
  for (std::size_t chunk = kFirstReadChunk; range.length > 0;
       chunk = std::min(2 * chunk, kReadChunk)) {
    const std::size_t wanted =
        static_cast<std::size_t>(std::min<std::uint64_t>(range.length, chunk));
    Result<Bytes> piece = source.read(range.first, wanted);
    if (!piece) {
      LogSink& log = exchange.runtime().log();
      if (log.enabled(LogLevel::error)) {
        log.line(LogLevel::error, "body of " + escaped(exchange.request().path_only(), 256) + ": " +
                                      piece.error().to_string());
      }
      exchange.abort(Abort::internal);
      co_return false;
    }
    range.first += piece->size();
    range.length -= piece->size();
    Result<void> sent;
    if (last && range.length == 0) {
      sent = co_await exchange.finish(*std::move(piece));
    } else {
      sent = co_await exchange.write(*std::move(piece));
    }
    if (!sent) co_return false;
  }
  co_return true;
}

/// One range, or the whole, after a head with `content-length`.
Task<void> send_one(Exchange& exchange, Response head, BodySource& source, ByteRange range) {
  const Result<void> started = co_await exchange.start(std::move(head));
  if (!started) co_return;
  if (range.length == 0 || exchange.method() == "HEAD") {
    co_await exchange.finish();
  } else {
    co_await send_range(exchange, source, range, true);
  }
}

Task<void> send_many(Exchange& exchange, const Representation& representation, BodySource& source,
                     std::vector<ByteRange> ranges) {
  Multipart parts(representation, ranges, exchange.runtime().random());
  Response head(Status::partial_content);
  head.fields(representation.fields);
  head.fields().set("content-type", parts.content_type());
  head.fields().set("content-length", std::to_string(parts.size()));
  const Result<void> started = co_await exchange.start(std::move(head));
  if (!started) co_return;
  for (std::size_t i = 0; i < ranges.size(); ++i) {
    const Result<void> sent = co_await exchange.write(Bytes::take(std::move(parts.head(i))));
    if (!sent) co_return;
    const bool whole = co_await send_range(exchange, source, ranges[i], false);
    if (!whole) co_return;
  }
  co_await exchange.finish(Bytes::take(std::move(parts.tail())));
}

Task<void> send_whole(Exchange& exchange, Response response) {
  co_await exchange.respond(std::move(response));
}

}  // namespace

void Representation::complete() {
  fields.clear();
  fields.add("content-type", content_type);
  fields.add("content-length", std::to_string(size));
  if (coding != Coding::identity) fields.add("content-encoding", name_of(coding));
  fields.add("accept-ranges", "bytes");
  if (!etag.empty()) fields.add("etag", etag);
  if (last_modified) fields.add("last-modified", HttpDate(*last_modified));
  if (!cache_control.empty()) fields.add("cache-control", cache_control);
  if (varies) fields.add("vary", "accept-encoding");
  if (!fields.first_invalid()) fields.mark_valid();
}

Validators Representation::validators() const noexcept {
  Validators validators;
  validators.etag = etag;
  validators.last_modified = last_modified;
  return validators;
}

Result<Bytes> MemorySource::read(std::uint64_t offset, std::size_t size) {
  return bytes_.slice(static_cast<std::size_t>(offset), size);
}

bool wants_whole(const RequestHead& request) noexcept {
  if (request.method != "GET") return false;
  for (const Field field : request.fields) {
    const std::string_view name = field.name;
    if (name == "range" || (name.starts_with("if-") && name != "if-range")) return false;
  }
  return true;
}

Task<void> send_representation(Exchange& exchange, const Representation& representation,
                               BodySource& source) {
  const RequestHead& request = exchange.request();
  const UnixSeconds now = exchange.runtime().unix_seconds();
  const Validators validators = representation.validators();
  switch (evaluate_preconditions(request, validators, now)) {
    case Precondition::not_modified: return send_whole(exchange, not_modified(representation));
    case Precondition::failed:
      return send_whole(exchange,
                        Response(Status::precondition_failed).text("Precondition Failed\n"));
    case Precondition::proceed: break;
  }

  Response head(Status::ok);
  head.fields(representation.fields);
  ByteRange whole;
  whole.length = representation.size;
  const auto range = request.fields.joined("range");
  // Range means something for GET alone (RFC 9110 §14.2).
  if (!range || request.method != "GET" || !range_applies(request, validators, now)) {
    return send_one(exchange, std::move(head), source, whole);
  }
  RangeSelection selection = select_ranges(*range, representation.size);
  switch (selection.answer) {
    case RangeSelection::Answer::whole: return send_one(exchange, std::move(head), source, whole);
    case RangeSelection::Answer::unsatisfiable:
      return send_whole(exchange, unsatisfiable(representation));
    case RangeSelection::Answer::partial: break;
  }
  if (selection.ranges.size() > 1) {
    return send_many(exchange, representation, source, std::move(selection.ranges));
  }
  const ByteRange one = selection.ranges.front();
  head.set_status(Status::partial_content);
  head.fields().add("content-range", content_range(one, representation.size));
  head.fields().set("content-length", std::to_string(one.length));
  return send_one(exchange, std::move(head), source, one);
}

}  // namespace tern::http
