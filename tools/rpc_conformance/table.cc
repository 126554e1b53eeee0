#include "tools/rpc_conformance/table.h"

#include <algorithm>
#include <utility>

#include "rpc/metadata.h"
#include "rpc/status.h"

namespace tern::rpc_conformance {

namespace {

using namespace connectrpc::conformance::v1;
using Headers = google::protobuf::RepeatedPtrField<Header>;
using RequestInfo = ConformancePayload::RequestInfo;
using WireError = connectrpc::conformance::v1::Error;

constexpr const char* kService = "connectrpc.conformance.v1.ConformanceService";

enum class Kind : std::uint8_t { unary, client, server, half, full };
constexpr Kind kKinds[] = {Kind::unary, Kind::client, Kind::server, Kind::half, Kind::full};

const char* name_of(Kind kind) {
  constexpr const char* kNames[] = {"unary", "client-stream", "server-stream",
                                    "bidi-stream/half-duplex", "bidi-stream/full-duplex"};
  return kNames[static_cast<std::size_t>(kind)];
}

/// How long a call lasts that ends by itself where it is to end early: longer than any machine is
/// slow. Milliseconds, and those between two responses where some of them are waited for.
constexpr std::uint32_t kMinute = 60'000;
constexpr std::uint32_t kBetween = 50;

bool streams_back(Kind kind) { return kind != Kind::unary && kind != Kind::client; }

/// What a case's first message asks for, whatever its type.
struct Wish {
  int responses = 1;
  int code = 0;
  std::string message;
  bool metadata = false;
  bool twice = false;  // each header and trailer with two values
  std::uint32_t delay_ms = 0;
  int requests = 1;
  std::size_t padding[3] = {0, 0, 0};
};

void add(Headers& headers, const char* name, bool twice) {
  Header& header = *headers.Add();
  header.set_name(name);
  header.add_value("foo");
  if (twice) header.add_value("bar");
}

template <typename Definition>
void fill(const Wish& wish, Definition& definition) {
  if (wish.metadata) {
    add(*definition.mutable_response_headers(), "x-custom-header", wish.twice);
    add(*definition.mutable_response_trailers(), "x-custom-trailer", wish.twice);
  }
  if (wish.delay_ms > 0) definition.set_response_delay_ms(wish.delay_ms);
  if (wish.code != 0) {
    definition.mutable_error()->set_code(wish.code);
    definition.mutable_error()->set_message(wish.message);
  }
}

template <typename Request>
void add_messages(const Wish& wish, ClientCompatRequest& request, bool full_duplex = false) {
  for (int i = 0; i < wish.requests; ++i) {
    Request message;
    if (i == 0) {
      fill(wish, *message.mutable_response_definition());
      auto& definition = *message.mutable_response_definition();
      for (int k = 0; k < wish.responses; ++k) {
        const std::string data = "response " + std::to_string(k);
        if constexpr (requires { definition.add_response_data(data); }) {
          definition.add_response_data(data);
        } else if (wish.code == 0) {
          definition.set_response_data(data);
        }
      }
      if constexpr (requires { message.set_full_duplex(true); }) {
        message.set_full_duplex(full_duplex);
      }
    }
    if (wish.padding[i] > 0) {
      message.set_request_data(std::string(wish.padding[i], 'x'));
      // The padding is what the message lacks of that size.
      const std::size_t over = message.ByteSizeLong() - wish.padding[i];
      message.set_request_data(std::string(wish.padding[i] - over, 'x'));
    } else if (i > 0) {
      message.set_request_data("test response");
    }
    request.add_request_messages()->PackFrom(message);
  }
}

ClientCompatRequest request_for(Kind kind, const Wish& wish) {
  ClientCompatRequest request;
  request.set_service(kService);
  switch (kind) {
    case Kind::unary:
      request.set_method("Unary");
      request.set_stream_type(STREAM_TYPE_UNARY);
      add_messages<UnaryRequest>(wish, request);
      break;
    case Kind::client:
      request.set_method("ClientStream");
      request.set_stream_type(STREAM_TYPE_CLIENT_STREAM);
      add_messages<ClientStreamRequest>(wish, request);
      break;
    case Kind::server:
      request.set_method("ServerStream");
      request.set_stream_type(STREAM_TYPE_SERVER_STREAM);
      add_messages<ServerStreamRequest>(wish, request);
      break;
    case Kind::half:
    case Kind::full:
      request.set_method("BidiStream");
      request.set_stream_type(kind == Kind::half ? STREAM_TYPE_HALF_DUPLEX_BIDI_STREAM
                                                 : STREAM_TYPE_FULL_DUPLEX_BIDI_STREAM);
      add_messages<BidiStreamRequest>(wish, request, kind == Kind::full);
      break;
  }
  return request;
}

/// Collects the cases of one dialect and version.
class Table {
 public:
  Table(Protocol protocol, HTTPVersion version) noexcept : protocol_(protocol), version_(version) {}

  std::vector<Case> made;

  void basic(Codec codec, Compression compression) {
    for (const Kind kind : kKinds) {
      Wish wish;
      wish.metadata = true;
      wish.responses = streams_back(kind) ? 2 : 1;
      wish.requests = kind == Kind::unary || kind == Kind::server ? 1 : 2;
      add("Basic", kind, "success", wish, codec, compression);
      if (kind != Kind::server && kind != Kind::half) continue;
      wish.responses = 0;
      add("Basic", kind, "no-responses", wish, codec, compression);
    }
    ClientCompatRequest request;
    request.set_service(kService);
    request.set_method("Unimplemented");
    request.set_stream_type(STREAM_TYPE_UNARY);
    request.add_request_messages()->PackFrom(UnimplementedRequest());
    add("Basic", "unimplemented", std::move(request), codec, compression, 12);
  }

  void errors(Codec codec) {
    for (int code = 1; code <= 16; ++code) {
      Wish wish;
      wish.responses = 0;
      wish.code = code;
      wish.message = "as asked";
      const std::string name(rpc::name_of(static_cast<rpc::Code>(code)));
      add("Errors", Kind::unary, name, wish, codec);
      add("Errors", Kind::server, name, wish, codec);
    }
    for (const Kind kind : kKinds) {
      Wish wish;
      wish.code = 16;
      wish.message = "unauthenticated";
      wish.metadata = true;
      wish.responses = 0;
      add("Errors", kind, "error-with-metadata", wish, codec);
      if (kind == Kind::client) {
        wish.requests = 2;
        add("Errors", kind, "error-multiple-requests", wish, codec);
      }
      if (!streams_back(kind)) continue;
      wish.responses = 2;
      wish.requests = kind == Kind::server ? 1 : 2;
      add("Errors", kind, "error-with-responses", wish, codec);
      if (kind != Kind::full) continue;
      // The second request has no answer left, and the third is not sent any more.
      wish.responses = 1;
      wish.requests = 3;
      add("Errors", kind, "error-before-the-last-request", wish, codec);
    }
    Wish unicode;
    unicode.code = 13;
    unicode.responses = 0;
    unicode.message = "\ntest with whitespace\r\nand Unicode BMP ☺ and non-BMP 😈\n";
    add("Errors", Kind::unary, "unicode-error-message", unicode, codec);
  }

  void duplicate_metadata() {
    for (const Kind kind : kKinds) {
      Wish wish;
      wish.metadata = wish.twice = true;
      add("Duplicate Metadata", kind, "success", wish);
      wish.code = 13;
      wish.message = "error";
      wish.responses = 0;
      add("Duplicate Metadata", kind, "error", wish);
    }
  }

  void deadlines() {
    for (const Kind kind : kKinds) {
      Wish wish;
      add("Deadline Propagation", kind, "timeout", wish).set_timeout_ms(60'000);
      wish.delay_ms = kMinute;
      add("Timeouts", kind, "timeout", wish, CODEC_PROTO, COMPRESSION_IDENTITY, 4)
          .set_timeout_ms(200);
    }
  }

  void cancellation() {
    for (const Kind kind : kKinds) {
      Wish wish;
      wish.delay_ms = kMinute;
      wish.responses = streams_back(kind) ? 2 : 1;
      if (kind == Kind::full) {  // its first response comes before it is cancelled
        wish.delay_ms = kBetween;
        wish.responses = kMinute / kBetween;
      }
      cancelled(kind, "cancel-after-close-send", wish).set_after_close_send_ms(5);
      if (kind != Kind::unary && kind != Kind::server) {
        (void)cancelled(kind, "cancel-before-close-send", wish).mutable_before_close_send();
      }
      if (!streams_back(kind)) continue;
      wish.delay_ms = kBetween;
      wish.responses = kMinute / kBetween;
      wish.requests = kind == Kind::server ? 1 : 2;
      cancelled(kind, "cancel-after-responses", wish).set_after_num_responses(1);
    }
  }

  void sizes() {
    for (const Kind kind : kKinds) {
      Wish wish;
      wish.requests = kind == Kind::unary || kind == Kind::server ? 1 : 2;
      wish.responses = streams_back(kind) ? 2 : 1;
      wish.padding[0] = wish.padding[1] = kMessageLimit;
      limited(kind, "equal-to-limit", wish, 0);
      wish.padding[0] = kMessageLimit + 10;
      limited(kind, "first-exceeds-limit", wish, 8);
      if (wish.requests == 1) continue;
      wish.padding[0] = kMessageLimit;
      wish.padding[1] = kMessageLimit + 10;
      limited(kind, "subsequent-exceeds-limit", wish, 8);
    }
  }

  void empty() {
    for (const Kind kind : kKinds) {
      if (kind == Kind::full) continue;
      ClientCompatRequest request = request_for(kind, Wish());
      auto& message = *request.mutable_request_messages(0);
      message.clear_value();  // zero bytes
      add("Server Empty Requests", std::string(name_of(kind)) + "/empty-request",
          std::move(request), CODEC_PROTO, COMPRESSION_IDENTITY, 0);
    }
  }

  /// With a certificate, and without the one that has to be shown.
  void client_certificates() {
    Wish wish;
    wish.requests = 2;
    (void)add("TLS Client Certs", Kind::client, "success", wish).mutable_client_tls_creds();
    made.back().serving = Serving::mutual;
    add("TLS Client Certs", Kind::client, "none-shown", wish, CODEC_PROTO, COMPRESSION_IDENTITY,
        14);
    made.back().serving = Serving::mutual;
  }

  void get() {
    for (const Codec codec : {CODEC_PROTO, CODEC_JSON}) {
      ClientCompatRequest request;
      request.set_service(kService);
      request.set_method("IdempotentUnary");
      request.set_stream_type(STREAM_TYPE_UNARY);
      request.set_use_get_http_method(true);
      Wish wish;
      wish.metadata = true;
      add_messages<IdempotentUnaryRequest>(wish, request);
      add("Connect with GET", "success", std::move(request), codec, COMPRESSION_IDENTITY, 0);
    }
  }

 private:
  ClientCompatRequest& add(const std::string& suite, const std::string& name,
                           ClientCompatRequest request, Codec codec, Compression compression,
                           int code) {
    Header& header = *request.add_request_headers();
    header.set_name("x-conformance-test");
    header.add_value("Value1");
    header.add_value("Value2");
    request.set_protocol(protocol_);
    request.set_http_version(version_);
    request.set_codec(codec);
    request.set_compression(compression);
    request.set_test_name(suite + "/" + name + " " + Codec_Name(codec) + " " +
                          Compression_Name(compression));
    made.push_back({suite, std::move(request), code});
    return made.back().request;
  }
  /// What HTTP/1.1 cannot carry goes nowhere.
  ClientCompatRequest& add(const std::string& suite, Kind kind, const std::string& name,
                           const Wish& wish, Codec codec = CODEC_PROTO,
                           Compression compression = COMPRESSION_IDENTITY, int code = 0) {
    if (kind == Kind::full && version_ == HTTP_VERSION_1) {
      left_out_ = request_for(kind, wish);
      return left_out_;
    }
    return add(suite, std::string(name_of(kind)) + "/" + name, request_for(kind, wish), codec,
               compression, code);
  }
  ClientCompatRequest::Cancel& cancelled(Kind kind, const std::string& name, const Wish& wish) {
    return *add("Client Cancellation", kind, name, wish, CODEC_PROTO, COMPRESSION_IDENTITY, 1)
                .mutable_cancel();
  }
  void limited(Kind kind, const std::string& name, const Wish& wish, int code) {
    add("Server Message Size", kind, name, wish, CODEC_PROTO, COMPRESSION_IDENTITY, code);
    if (kind != Kind::full || version_ != HTTP_VERSION_1) made.back().serving = Serving::limited;
  }

  Protocol protocol_;
  HTTPVersion version_;
  ClientCompatRequest left_out_;
};

// ---- what came ----------------------------------------------------------------------------------

const Header* find(const Headers& headers, const std::string& name) {
  for (const Header& header : headers) {
    if (header.name() == name) return &header;
  }
  return nullptr;
}

std::string differs(const Headers& wanted, const Headers& first, const Headers& second) {
  for (const Header& header : wanted) {
    const Header* there = find(first, header.name());
    if (there == nullptr) there = find(second, header.name());
    if (there == nullptr) return header.name() + " is missing";
    if (there->value_size() != header.value_size() ||
        !std::equal(header.value().begin(), header.value().end(), there->value().begin())) {
      return header.name() + " has other values";
    }
  }
  return {};
}

/// The definition in the first message, as that of a stream.
StreamResponseDefinition definition_of(const ClientCompatRequest& request) {
  StreamResponseDefinition stream;
  const auto& first = request.request_messages(0);
  const auto unary = [&](const UnaryResponseDefinition& from) {
    *stream.mutable_response_headers() = from.response_headers();
    *stream.mutable_response_trailers() = from.response_trailers();
    if (from.has_error()) {
      *stream.mutable_error() = from.error();
    } else {
      stream.add_response_data(from.response_data());
    }
  };
  UnaryRequest a;
  IdempotentUnaryRequest b;
  ClientStreamRequest c;
  ServerStreamRequest d;
  BidiStreamRequest e;
  if (first.UnpackTo(&a)) unary(a.response_definition());
  if (first.UnpackTo(&b)) unary(b.response_definition());
  if (first.UnpackTo(&c)) unary(c.response_definition());
  if (first.UnpackTo(&d)) stream = d.response_definition();
  if (first.UnpackTo(&e)) stream = e.response_definition();
  return stream;
}

/// What the server says that it has seen.
std::string check_info(const ClientCompatRequest& request, const RequestInfo& info) {
  for (const Header& header : request.request_headers()) {
    std::string values;
    for (const std::string& value : header.value()) values += (values.empty() ? "" : ",") + value;
    const Header* there = find(info.request_headers(), header.name());
    if (there == nullptr) return "the server has not seen " + header.name();
    std::string seen;
    for (const std::string& value : there->value()) seen += (seen.empty() ? "" : ",") + value;
    if (seen != values) return "the server has seen " + seen;
  }
  const bool in_turn = request.stream_type() == STREAM_TYPE_FULL_DUPLEX_BIDI_STREAM;
  const int wanted = in_turn ? 1 : request.request_messages_size();
  if (info.requests_size() != wanted) {
    return "the server has seen " + std::to_string(info.requests_size()) + " requests";
  }
  for (int i = 0; i < wanted; ++i) {
    if (info.requests(i).value() != request.request_messages(i).value()) {
      return "the server has seen another request";
    }
  }
  if (request.has_timeout_ms() &&
      (info.timeout_ms() <= 0 || info.timeout_ms() > request.timeout_ms())) {
    return "the server has seen a timeout of " + std::to_string(info.timeout_ms());
  }
  if (request.use_get_http_method() && info.connect_get_info().query_params().empty()) {
    return "it was no GET";
  }
  return {};
}

std::string check_error(const Case& of, const WireError& wanted, const WireError& came,
                        bool alone) {
  if (came.code() != wanted.code()) {
    return "it ended with " + std::to_string(came.code()) + " (" + came.message() + "), not " +
           std::to_string(wanted.code());
  }
  if (of.code != 0) return {};
  if (came.message() != wanted.message()) return "it has another message: " + came.message();
  if (!alone) return {};
  RequestInfo info;
  if (came.details().empty() || !came.details().rbegin()->UnpackTo(&info)) {
    return "the details are missing";
  }
  return check_info(of.request, info);
}

}  // namespace

std::vector<Case> cases(Protocol protocol, HTTPVersion version) {
  Table table(protocol, version);
  std::vector<Compression> compressions = {COMPRESSION_IDENTITY, COMPRESSION_GZIP};
  if (protocol == PROTOCOL_CONNECT) {
    compressions.push_back(COMPRESSION_BR);
    compressions.push_back(COMPRESSION_ZSTD);
  }
  for (const Codec codec : {CODEC_PROTO, CODEC_JSON}) {
    for (const Compression compression : compressions) table.basic(codec, compression);
    table.errors(codec);
  }
  table.duplicate_metadata();
  table.deadlines();
  table.cancellation();
  table.sizes();
  table.empty();
  table.client_certificates();
  if (protocol == PROTOCOL_CONNECT) table.get();
  return std::move(table.made);
}

std::string check(const Case& of, const ClientCompatResponse& came) {
  if (came.has_error()) return came.error().message();
  const ClientResponseResult& result = came.response();
  const StreamResponseDefinition definition = definition_of(of.request);
  WireError wanted = definition.error();
  if (of.code != 0) wanted.set_code(of.code);
  const bool fails = wanted.code() != 0;
  if (fails != result.has_error()) {
    return fails ? "it did not fail" : "it failed: " + result.error().message();
  }
  if (fails) {
    const bool alone = definition.response_data().empty();
    if (auto why = check_error(of, wanted, result.error(), alone); !why.empty()) return why;
    if (of.code != 0) return {};  // it was to end early: how much came before is not said
  }
  // Whoever is answered in turn stops when the call ends; everything else is sent to its end.
  const bool in_turn = of.request.stream_type() == STREAM_TYPE_FULL_DUPLEX_BIDI_STREAM;
  const int answered = definition.response_data_size() + 1;
  const int unsent =
      fails && in_turn ? std::max(of.request.request_messages_size() - answered, 0) : 0;
  if (result.num_unsent_requests() != unsent) {
    return std::to_string(result.num_unsent_requests()) + " requests were not sent";
  }
  if (result.payloads_size() != definition.response_data_size()) {
    return std::to_string(result.payloads_size()) + " responses came";
  }
  for (int i = 0; i < result.payloads_size(); ++i) {
    if (result.payloads(i).data() != definition.response_data(i)) return "another response came";
  }
  if (result.payloads_size() > 0) {
    auto why = check_info(of.request, result.payloads(0).request_info());
    if (!why.empty()) return why;
  }
  // An error without responses may have all of it in one place.
  const Headers none;
  const bool together = fails && result.payloads().empty();
  auto why = differs(definition.response_headers(), result.response_headers(),
                     together ? result.response_trailers() : none);
  if (!why.empty()) return "headers: " + why;
  why = differs(definition.response_trailers(), result.response_trailers(), none);
  return why.empty() ? why : "trailers: " + why;
}

}  // namespace tern::rpc_conformance
