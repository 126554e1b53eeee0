#include "tests/unit/http3/malformed_lines.h"
#include "tests/unit/http3/rig.h"

/// What a peer that breaks the rules sees: the code on the wire, and that it alone suffers. What
/// the log says of it is in malformed_lines.h.

namespace tern::http3::testing {
namespace {

using ::testing::Contains;
using ::testing::EndsWith;
using ::testing::HasSubstr;
using ::testing::SizeIs;

/// Connection errors: what a raw client says, and the code it is told.
struct ConnectionCase {
  const char* name;
  ErrorCode code;
  std::function<void(RawPeer&)> talk;
  std::function<void(RawPeer&)> later = nullptr;  // when the first words have arrived
};

void PrintTo(const ConnectionCase& test, std::ostream* out) { *out << test.name; }

class MalformedConnection : public ::testing::TestWithParam<ConnectionCase> {};

TEST_P(MalformedConnection, IsClosedWithTheRightCode) {
  Rig rig(hello);
  ASSERT_NE(rig.connect(), nullptr);
  Session* bystander = rig.session;
  RawPeer* peer = rig.connect_raw();
  ASSERT_NE(peer, nullptr);
  GetParam().talk(*peer);
  if (GetParam().later) {
    rig.world.run_for(100ms);
    ASSERT_FALSE(rig.closed);
    GetParam().later(*peer);
  }
  const Error error = rig.wait_closed(5s);
  EXPECT_EQ(error.domain, Domain::application) << error.to_string();
  EXPECT_EQ(error.origin, Origin::remote);
  EXPECT_EQ(static_cast<ErrorCode>(error.code), GetParam().code)
      << name(static_cast<ErrorCode>(error.code)) << " " << error.to_string();
  EXPECT_EQ(rig.server_count("http3.errors"), 1u);
  EXPECT_THAT(rig.server_log.all, SizeIs(1));
  const std::string line(line_of(connection_lines(), GetParam().name));
  EXPECT_THAT(rig.server_log.all[0],
              EndsWith(": closed with " + std::string(name(GetParam().code)) + ": " + line));
  EXPECT_THAT(error.to_string(), HasSubstr(line)) << "the peer is told the same";

  rig.session = bystander;
  EXPECT_EQ(rig.ask(get("/")).status, 200) << "the others go on";
}

std::string truncated(std::string bytes) {
  bytes.pop_back();
  return bytes;
}

const ConnectionCase kConnectionCases[] = {
    {"DataBeforeHeaders", ErrorCode::frame_unexpected,
     [](RawPeer& peer) {
       peer.uni(control(settings()));
       peer.bidi(frame(kFrameData, "x"));
     }},
    {"SettingsTwice", ErrorCode::frame_unexpected,
     [](RawPeer& peer) { peer.uni(control(settings() + settings())); }},
    {"NoSettingsFirst", ErrorCode::missing_settings,
     [](RawPeer& peer) { peer.uni(control(frame(kFrameGoaway, varint(0)))); }},
    {"PushPromiseOnTheControlStream", ErrorCode::frame_unexpected,
     [](RawPeer& peer) { peer.uni(control(settings() + frame(kFramePushPromise, varint(0)))); }},
    {"GoawayOfTwoIds", ErrorCode::frame_error,
     [](RawPeer& peer) {
       peer.uni(control(settings() + frame(kFrameGoaway, varint(0) + varint(4))));
     }},
    {"PriorityUpdateWithoutAnId", ErrorCode::frame_error,
     [](RawPeer& peer) { peer.uni(control(settings() + frame(kFramePriorityUpdate, ""))); }},
    {"HeadersInATunnel", ErrorCode::frame_unexpected,
     [](RawPeer& peer) {
       peer.bidi(headers({{":method", "CONNECT"}, {":authority", "s:1"}}) + get_headers());
     }},
    {"WebTransportStreamOfNoRequest", ErrorCode::id_error,
     [](RawPeer& peer) { peer.uni(varint(0x54) + varint(3)); }},
    {"SettingsOnARequestStream", ErrorCode::frame_unexpected,
     [](RawPeer& peer) { peer.bidi(settings()); }},
    {"HeadersOnTheControlStream", ErrorCode::frame_unexpected,
     [](RawPeer& peer) { peer.uni(control(settings() + get_headers())); }},
    {"DataOnTheControlStream", ErrorCode::frame_unexpected,
     [](RawPeer& peer) { peer.uni(control(settings() + frame(kFrameData, "x"))); }},
    {"Http2PriorityFrame", ErrorCode::frame_unexpected,
     [](RawPeer& peer) { peer.bidi(get_headers() + frame(0x02, "")); }},
    {"Http2PingFrame", ErrorCode::frame_unexpected,
     [](RawPeer& peer) { peer.bidi(get_headers() + frame(0x06, "12345678")); }},
    {"Http2WindowUpdateOnControl", ErrorCode::frame_unexpected,
     [](RawPeer& peer) { peer.uni(control(settings() + frame(0x08, "1234"))); }},
    {"Http2ContinuationOnControl", ErrorCode::frame_unexpected,
     [](RawPeer& peer) { peer.uni(control(settings() + frame(0x09, ""))); }},
    {"DuplicateSetting", ErrorCode::settings_error,
     [](RawPeer& peer) { peer.uni(control(settings({{6, 100}, {6, 100}}))); }},
    {"DuplicateUnknownSetting", ErrorCode::settings_error,
     [](RawPeer& peer) { peer.uni(control(settings({{0x4242, 1}, {0x4242, 2}}))); }},
    {"Http2Setting", ErrorCode::settings_error,
     [](RawPeer& peer) { peer.uni(control(settings({{0x3, 100}}))); }},
    {"ConnectProtocolTwo", ErrorCode::settings_error,
     [](RawPeer& peer) { peer.uni(control(settings({{0x8, 2}}))); }},
    {"DatagramTwo", ErrorCode::settings_error,
     [](RawPeer& peer) { peer.uni(control(settings({{0x33, 2}}))); }},
    {"TruncatedSetting", ErrorCode::frame_error,
     [](RawPeer& peer) {
       peer.uni(control(frame(kFrameSettings, truncated(varint(6) + varint(1000)))));
     }},
    {"SettingWithoutValue", ErrorCode::frame_error,
     [](RawPeer& peer) { peer.uni(control(frame(kFrameSettings, varint(6)))); }},
    {"TooManySettings", ErrorCode::excessive_load,
     [](RawPeer& peer) {
       std::vector<Setting> entries;
       for (std::uint64_t i = 0; i < 100; ++i) entries.push_back({0x5000 + i, 1});
       peer.uni(control(settings(entries)));
     }},
    {"SecondControlStream", ErrorCode::stream_creation_error,
     [](RawPeer& peer) {
       peer.uni(control(settings()));
       peer.uni(control(settings()));
     }},
    {"SecondQpackEncoderStream", ErrorCode::stream_creation_error,
     [](RawPeer& peer) {
       peer.uni(varint(kStreamQpackEncoder));
       peer.uni(varint(kStreamQpackEncoder));
     }},
    {"PushStreamFromAClient", ErrorCode::stream_creation_error,
     [](RawPeer& peer) { peer.uni(varint(kStreamPush) + varint(0)); }},
    {"ControlStreamEnds", ErrorCode::closed_critical_stream,
     [](RawPeer& peer) { peer.uni(control(settings()), true); }},
    {"ControlStreamReset", ErrorCode::closed_critical_stream,
     [](RawPeer& peer) { peer.uni(control(settings())); },
     [](RawPeer& peer) { peer.connection().reset(2, 0x100); }},
    {"EncoderStreamEnds", ErrorCode::closed_critical_stream,
     [](RawPeer& peer) { peer.uni(varint(kStreamQpackEncoder) + "\x3f\xe1\x1f", true); }},
    {"OurControlStreamStopped", ErrorCode::closed_critical_stream,
     [](RawPeer& peer) { peer.connection().stop_sending(3, 0x100); }},
    {"BadEncoderInstruction", ErrorCode::qpack_encoder_stream_error,
     // Set Dynamic Table Capacity above what was allowed.
     [](RawPeer& peer) { peer.uni(varint(kStreamQpackEncoder) + "\x3f\xff\xff\x7f"); }},
    {"BadDecoderInstruction", ErrorCode::qpack_decoder_stream_error,
     // Insert Count Increment of zero.
     [](RawPeer& peer) { peer.uni(varint(kStreamQpackDecoder) + std::string(1, '\0')); }},
    {"BadFieldSection", ErrorCode::qpack_decompression_failed,
     // An indexed line beyond the static table.
     [](RawPeer& peer) { peer.bidi(frame(kFrameHeaders, std::string("\0\0\xff\xff\x7f", 5))); }},
    {"TruncatedFrame", ErrorCode::frame_error,
     [](RawPeer& peer) { peer.bidi(truncated(get_headers()), true); }},
    {"TruncatedFrameHeader", ErrorCode::frame_error,
     [](RawPeer& peer) { peer.bidi(get_headers() + "\x40", true); }},
    {"HeadersAfterTrailers", ErrorCode::frame_unexpected,
     [](RawPeer& peer) {
       peer.bidi(get_headers() + headers({{"a", "b"}}) + headers({{"c", "d"}}));
     }},
    {"DataAfterTrailers", ErrorCode::frame_unexpected,
     [](RawPeer& peer) {
       peer.bidi(get_headers() + headers({{"a", "b"}}) + frame(kFrameData, "x"));
     }},
    {"WebTransportSignalInMidStream", ErrorCode::frame_error,
     [](RawPeer& peer) { peer.bidi(get_headers() + varint(0x41) + varint(0)); }},
    {"CancelPush", ErrorCode::id_error,
     [](RawPeer& peer) { peer.uni(control(settings() + frame(0x03, varint(0)))); }},
    {"MaxPushIdShrinks", ErrorCode::id_error,
     [](RawPeer& peer) {
       peer.uni(control(settings() + frame(0x0d, varint(9)) + frame(0x0d, varint(8))));
     }},
    {"GoawayGrows", ErrorCode::id_error,
     [](RawPeer& peer) {
       peer.uni(
           control(settings() + frame(kFrameGoaway, varint(4)) + frame(kFrameGoaway, varint(8))));
     }},
    {"PriorityUpdateForAPush", ErrorCode::id_error,
     [](RawPeer& peer) { peer.uni(control(settings() + frame(0xf0701, varint(0) + "u=1"))); }},
    {"PriorityUpdateBeyondTheLimit", ErrorCode::id_error,
     [](RawPeer& peer) {
       peer.uni(control(settings() + frame(kFramePriorityUpdate, varint(4 * 100'000) + "u=1")));
     }},
    {"PriorityUpdateForAUniStream", ErrorCode::id_error,
     [](RawPeer& peer) {
       peer.uni(control(settings() + frame(kFramePriorityUpdate, varint(2) + "u=1")));
     }},
    {"MalformedPriorityUpdate", ErrorCode::general_protocol_error,
     [](RawPeer& peer) {
       peer.uni(control(settings() + frame(kFramePriorityUpdate, varint(0) + "u=")));
     }},
    {"DatagramWithoutAnId", ErrorCode::datagram_error,
     [](RawPeer& peer) { peer.connection().send_datagram(Bytes::copy("\x40")); }},
    {"DatagramIdTooLarge", ErrorCode::datagram_error,
     [](RawPeer& peer) { peer.connection().send_datagram(Bytes::copy(varint(kMaxVarint))); }},
    {"DatagramBeyondTheLimit", ErrorCode::id_error,
     [](RawPeer& peer) { peer.connection().send_datagram(Bytes::copy(varint(100'000))); }},
};

INSTANTIATE_TEST_SUITE_P(All, MalformedConnection, ::testing::ValuesIn(kConnectionCases),
                         [](const auto& test) { return std::string(test.param.name); });

/// Stream errors: a request, and the code that its stream is reset with.
struct StreamCase {
  const char* name;
  ErrorCode code;
  std::string bytes;
  bool fin = true;
};

void PrintTo(const StreamCase& test, std::ostream* out) { *out << test.name; }

class MalformedMessage : public ::testing::TestWithParam<StreamCase> {};

TEST_P(MalformedMessage, EndsItsStreamAlone) {
  // A handler that answers only once it has the whole body.
  Rig rig([](http::Exchange& exchange) -> Task<void> {
    auto body = co_await exchange.read_all(1'000'000);
    if (!body) co_return;
    co_await exchange.respond(http::Status::ok, *body);
  });
  RawPeer* peer = rig.connect_raw();
  ASSERT_NE(peer, nullptr);
  peer->uni(control(settings()));
  const auto id = peer->bidi(GetParam().bytes, GetParam().fin);
  rig.world.run_for(2s);
  ASSERT_FALSE(rig.closed.has_value()) << rig.closed->to_string();
  ASSERT_EQ(peer->resets.count(id), 1u) << peer->received[id];
  EXPECT_EQ(static_cast<ErrorCode>(peer->resets[id]), GetParam().code)
      << name(static_cast<ErrorCode>(peer->resets[id]));
  EXPECT_EQ(rig.server_count("http3.malformed"), 1u);
  ASSERT_THAT(rig.server_log.all, SizeIs(1));
  EXPECT_THAT(rig.server_log.all[0],
              EndsWith(": stream 0: " + std::string(name(GetParam().code)) + ": " +
                       std::string(line_of(message_lines(), GetParam().name))));

  const auto next = peer->bidi(get_headers(), true);
  rig.world.run_for(1s);
  EXPECT_TRUE(peer->finished[next]) << "the connection goes on";
  EXPECT_EQ(rig.server_session->requests(), 0u);
}

using Lines_ = std::vector<std::pair<std::string, std::string>>;

std::string request(const Lines_& more, const Lines_& pseudo = {{":method", "GET"},
                                                                {":scheme", "https"},
                                                                {":authority", "server"},
                                                                {":path", "/"}}) {
  Lines_ lines = pseudo;
  lines.insert(lines.end(), more.begin(), more.end());
  return headers(lines);
}

const StreamCase kStreamCases[] = {
    {"NoMethod", ErrorCode::message_error,
     request({}, {{":scheme", "https"}, {":authority", "s"}, {":path", "/"}})},
    {"NoPath", ErrorCode::message_error,
     request({}, {{":method", "GET"}, {":scheme", "https"}, {":authority", "s"}})},
    {"NoScheme", ErrorCode::message_error,
     request({}, {{":method", "GET"}, {":authority", "s"}, {":path", "/"}})},
    {"NoAuthority", ErrorCode::message_error,
     request({}, {{":method", "GET"}, {":scheme", "https"}, {":path", "/"}})},
    {"EmptyPath", ErrorCode::message_error,
     request({}, {{":method", "GET"}, {":scheme", "https"}, {":authority", "s"}, {":path", ""}})},
    {"RelativePath", ErrorCode::message_error,
     request({}, {{":method", "GET"}, {":scheme", "https"}, {":authority", "s"}, {":path", "x"}})},
    {"TwoPaths", ErrorCode::message_error,
     request({}, {{":method", "GET"},
                  {":scheme", "https"},
                  {":authority", "s"},
                  {":path", "/"},
                  {":path", "/"}})},
    {"UnknownPseudo", ErrorCode::message_error, request({{":foo", "bar"}})},
    {"ResponsePseudo", ErrorCode::message_error, request({{":status", "200"}})},
    {"PseudoAfterField", ErrorCode::message_error,
     request({}, {{":method", "GET"},
                  {"a", "b"},
                  {":scheme", "https"},
                  {":authority", "s"},
                  {":path", "/"}})},
    {"PseudoInTrailers", ErrorCode::message_error, request({}) + headers({{":method", "GET"}})},
    // RFC 9114 §4.2, §10.3.
    {"UpperCaseName", ErrorCode::message_error, request({{"Foo", "bar"}})},
    {"EmptyName", ErrorCode::message_error, request({{"", "bar"}})},
    {"SpaceInName", ErrorCode::message_error, request({{"a b", "bar"}})},
    {"ColonInName", ErrorCode::message_error, request({{"a:b", "bar"}})},
    {"LineBreakInName", ErrorCode::message_error, request({{"a\r\nb", "bar"}})},
    {"ObsTextInName", ErrorCode::message_error, request({{"\xc3\xa4", "bar"}})},
    {"NulInValue", ErrorCode::message_error, request({{"a", std::string("x\0y", 3)}})},
    {"CrInValue", ErrorCode::message_error, request({{"a", "x\ry"}})},
    {"LfInValue", ErrorCode::message_error, request({{"a", "x\ny"}})},
    {"ControlInValue", ErrorCode::message_error, request({{"a", "x\x01y"}})},
    {"DelInValue", ErrorCode::message_error, request({{"a", "x\x7f"}})},
    {"SpaceBeforeValue", ErrorCode::message_error, request({{"a", " x"}})},
    {"TabAfterValue", ErrorCode::message_error, request({{"a", "x\t"}})},
    {"LfInKnownField", ErrorCode::message_error, request({{"user-agent", "x\ny"}})},
    {"LfInCookie", ErrorCode::message_error, request({{"cookie", "x\ny"}})},
    {"LfInPriority", ErrorCode::message_error, request({{"priority", "u=1\n"}})},
    {"BadHost", ErrorCode::message_error, request({{"host", "server/x"}})},
    {"BadNameInTrailers", ErrorCode::message_error, request({}) + headers({{"a b", "c"}})},
    {"BadValueInTrailers", ErrorCode::message_error, request({}) + headers({{"a", "b\n"}})},
    {"Connection", ErrorCode::message_error, request({{"connection", "close"}})},
    {"TransferEncoding", ErrorCode::message_error, request({{"transfer-encoding", "chunked"}})},
    {"BadTe", ErrorCode::message_error, request({{"te", "gzip"}})},
    {"HostDiffers", ErrorCode::message_error, request({{"host", "other"}})},
    {"UserInfo", ErrorCode::message_error,
     request({},
             {{":method", "GET"}, {":scheme", "https"}, {":authority", "u@s"}, {":path", "/"}})},
    {"PseudoAfterHost", ErrorCode::message_error,
     request({}, {{":method", "GET"}, {"host", "s"}, {":scheme", "https"}, {":path", "/"}})},
    {"TwoHosts", ErrorCode::message_error, request({{"host", "server"}, {"host", "server"}})},
    {"UserInHost", ErrorCode::message_error, request({{"host", "u:secret@server"}})},
    {"BadAuthority", ErrorCode::message_error,
     request({},
             {{":method", "GET"}, {":scheme", "https"}, {":authority", "s/x"}, {":path", "/"}})},
    {"BadMethod", ErrorCode::message_error, request({}, {{":method", "G\r\nT\x1b[1m"}})},
    {"EmptyMethod", ErrorCode::message_error, request({}, {{":method", ""}})},
    {"BadScheme", ErrorCode::message_error, request({}, {{":method", "GET"}, {":scheme", "1s"}})},
    {"SpaceInPath", ErrorCode::message_error,
     request({}, {{":method", "GET"}, {":path", "/?token=s ecret"}})},
    {"AsteriskOfGet", ErrorCode::message_error,
     request({}, {{":method", "GET"}, {":scheme", "https"}, {":authority", "s"}, {":path", "*"}})},
    {"LongName", ErrorCode::message_error, request({{std::string(100, 'A'), "bar"}})},
    {"QuoteInName", ErrorCode::message_error, request({{"a\"\\\x7f", "bar"}})},
    {"Upgrade", ErrorCode::message_error, request({{"upgrade", "websocket"}})},
    {"ConnectWithScheme", ErrorCode::message_error,
     request({}, {{":method", "CONNECT"}, {":authority", "s:1"}, {":scheme", "https"}})},
    {"ConnectWithHost", ErrorCode::message_error,
     request({}, {{":method", "CONNECT"}, {"host", "s:1"}})},
    {"ExtendedConnectWithHost", ErrorCode::message_error,
     request({}, {{":method", "CONNECT"},
                  {":protocol", "websocket"},
                  {":scheme", "https"},
                  {":path", "/"},
                  {"host", "s"}})},
    {"ExtendedConnectWithoutPath", ErrorCode::message_error,
     request({}, {{":method", "CONNECT"},
                  {":protocol", "websocket"},
                  {":scheme", "https"},
                  {":authority", "s"}})},
    {"TwoProtocols", ErrorCode::message_error,
     request({}, {{":method", "CONNECT"}, {":protocol", "a"}, {":protocol", "a"}})},
    {"ConnectWithPath", ErrorCode::message_error,
     request({}, {{":method", "CONNECT"}, {":authority", "s:1"}, {":path", "/"}})},
    {"ConnectWithoutAuthority", ErrorCode::message_error, request({}, {{":method", "CONNECT"}})},
    {"ProtocolWithoutConnect", ErrorCode::message_error, request({{":protocol", "websocket"}})},
    {"BadContentLength", ErrorCode::message_error, request({{"content-length", "1x"}})},
    {"TwoContentLengths", ErrorCode::message_error,
     request({{"content-length", "1"}, {"content-length", "1"}}) + frame(kFrameData, "x")},
    {"BodyTooLong", ErrorCode::message_error,
     request({{"content-length", "3"}}) + frame(kFrameData, "1234")},
    {"BodyTooLongInSecondFrame", ErrorCode::message_error,
     request({{"content-length", "3"}}) + frame(kFrameData, "12") + frame(kFrameData, "34")},
    {"BodyTooShort", ErrorCode::message_error,
     request({{"content-length", "3"}}) + frame(kFrameData, "12")},
    {"NoBody", ErrorCode::message_error, request({{"content-length", "3"}})},
    {"NothingAtAll", ErrorCode::request_incomplete, ""},
    {"GreaseOnly", ErrorCode::request_incomplete, frame(0x21, "grease")},
};

INSTANTIATE_TEST_SUITE_P(All, MalformedMessage, ::testing::ValuesIn(kStreamCases),
                         [](const auto& test) { return std::string(test.param.name); });

TEST(MalformedMessage, ProtocolThatWasNotAllowed) {
  SessionOptions options;
  options.extended_connect = false;
  Rig rig(hello, RigOptions().server(options));
  RawPeer* peer = rig.connect_raw();
  ASSERT_NE(peer, nullptr);
  const auto id = peer->bidi(request({{":protocol", "websocket"}}), true);
  rig.world.run_for(1s);
  EXPECT_EQ(static_cast<ErrorCode>(peer->resets[id]), ErrorCode::message_error);
  ASSERT_THAT(rig.server_log.all, SizeIs(1));
  EXPECT_THAT(rig.server_log.all[0],
              EndsWith("RFC 9114: \":protocol\", which our settings do not allow (RFC 8441 section "
                       "3)"));
}

/// The same the other way: a server that breaks the rules.
struct ServerCase {
  const char* name;
  ErrorCode code;
  std::function<void(RawPeer&)> talk;
};

void PrintTo(const ServerCase& test, std::ostream* out) { *out << test.name; }

class MalformedServer : public ::testing::TestWithParam<ServerCase> {};

TEST_P(MalformedServer, IsLeftWithTheRightCode) {
  std::optional<Error> told;
  RawPeer* server = nullptr;
  Rig rig(hello);
  rig.serve_raw(server, told);
  rig.connect();
  auto reply = rig.start(get("/"));
  rig.world.run_for(200ms);
  ASSERT_NE(server, nullptr);
  GetParam().talk(*server);
  rig.world.run_until([&] { return told.has_value(); }, 5s);
  ASSERT_TRUE(told.has_value());
  EXPECT_EQ(static_cast<ErrorCode>(told->code), GetParam().code) << told->to_string();
  EXPECT_THAT(told->to_string(), HasSubstr(std::string(line_of(server_lines(), GetParam().name))));
  rig.world.run_for(1s);
  EXPECT_TRUE(reply->done);
  EXPECT_TRUE(reply->error.has_value());
}

const ServerCase kServerCases[] = {
    {"PriorityUpdate", ErrorCode::frame_unexpected,
     [](RawPeer& peer) { peer.uni(control(settings() + frame(kFramePriorityUpdate, varint(0)))); }},
    {"GoawayGrows", ErrorCode::id_error,
     [](RawPeer& peer) {
       peer.uni(
           control(settings() + frame(kFrameGoaway, varint(0)) + frame(kFrameGoaway, varint(4))));
     }},
    {"SettingsEndWithinASetting", ErrorCode::frame_error,
     [](RawPeer& peer) { peer.uni(control(frame(kFrameSettings, "\x06"))); }},
    {"DataBehindTrailers", ErrorCode::frame_unexpected,
     [](RawPeer& peer) {
       peer.more(0, headers({{":status", "200"}}) + headers({{"a", "b"}}) + frame(kFrameData, "x"));
     }},
    {"PushStream", ErrorCode::id_error,
     [](RawPeer& peer) { peer.uni(varint(kStreamPush) + varint(0)); }},
    {"PushPromise", ErrorCode::id_error,
     [](RawPeer& peer) { peer.more(0, frame(kFramePushPromise, varint(0) + section({}))); }},
    {"ServerBidiStream", ErrorCode::stream_creation_error,
     [](RawPeer& peer) { peer.bidi(get_headers()); }},
    {"MaxPushId", ErrorCode::frame_unexpected,
     [](RawPeer& peer) { peer.uni(control(settings() + frame(0x0d, varint(0)))); }},
    {"GoawayForAUniStream", ErrorCode::id_error,
     [](RawPeer& peer) { peer.uni(control(settings() + frame(kFrameGoaway, varint(3)))); }},
    {"DataBeforeResponse", ErrorCode::frame_unexpected,
     [](RawPeer& peer) { peer.more(0, frame(kFrameData, "x")); }},
};

INSTANTIATE_TEST_SUITE_P(All, MalformedServer, ::testing::ValuesIn(kServerCases),
                         [](const auto& test) { return std::string(test.param.name); });

struct ResponseCase {
  const char* name;
  std::string bytes;
};

void PrintTo(const ResponseCase& test, std::ostream* out) { *out << test.name; }

class MalformedResponse : public ::testing::TestWithParam<ResponseCase> {};

TEST_P(MalformedResponse, FailsItsRequestAlone) {
  std::optional<Error> told;
  RawPeer* server = nullptr;
  Rig rig(hello);
  rig.serve_raw(server, told);
  rig.connect();
  auto reply = rig.start(get("/"));
  auto other = rig.start(get("/"));
  rig.world.run_for(200ms);
  server->uni(control(settings()));
  server->more(0, GetParam().bytes, true);
  rig.world.run_for(1s);
  ASSERT_TRUE(reply->done);
  ASSERT_TRUE(reply->error.has_value());
  EXPECT_EQ(reply->error->domain, Domain::application);
  EXPECT_EQ(reply->error->code, code(ErrorCode::message_error)) << reply->error->to_string();
  EXPECT_EQ(reply->error->origin, Origin::local);
  const std::string line(line_of(response_lines(), GetParam().name));
  EXPECT_THAT(reply->error->to_string(), EndsWith(line));
  EXPECT_THAT(rig.client_log.all, Contains(EndsWith(": stream 0: H3_MESSAGE_ERROR: " + line)));
  server->more(4, headers({{":status", "200"}}), true);
  rig.world.run_for(1s);
  EXPECT_EQ(other->status, 200);
  EXPECT_FALSE(other->error);
}

const ResponseCase kResponseCases[] = {
    {"NoStatus", headers({{"a", "b"}})},
    {"BadStatus", headers({{":status", "20"}})},
    {"Status101", headers({{":status", "101"}})},
    {"TwoStatuses", headers({{":status", "200"}, {":status", "200"}})},
    {"EmptyStatus", headers({{":status", ""}})},
    {"StatusBelow100", headers({{":status", "099"}})},
    {"StatusOfLetters", headers({{":status", "20x"}})},
    {"RequestPseudo", headers({{":status", "200"}, {":path", "/"}})},
    {"UnknownPseudo", headers({{":status", "200"}, {":foo", "bar"}})},
    {"PseudoAfterField", headers({{"a", "b"}, {":status", "200"}})},
    {"PseudoInTrailers", headers({{":status", "200"}}) + headers({{":status", "200"}})},
    {"LengthOf204", headers({{":status", "204"}, {"content-length", "5"}})},
    {"TwoLengths", headers({{":status", "200"}, {"content-length", "5"}, {"content-length", "5"}})},
    {"EndBehindInterim", headers({{":status", "103"}})},
    {"BadName", headers({{":status", "200"}, {"a b", "c"}})},
    {"EmptyName", headers({{":status", "200"}, {"", "c"}})},
    {"LineBreakInValue", headers({{":status", "200"}, {"a", "b\r\nc: d"}})},
    {"NulInValue", headers({{":status", "200"}, {"a", std::string("x\0y", 3)}})},
    {"BadValueInInterim",
     headers({{":status", "103"}, {"a", "b\n"}}) + headers({{":status", "200"}})},
    {"BadNameInTrailers", headers({{":status", "200"}}) + headers({{"a b", "c"}})},
    {"BodyTooLong",
     headers({{":status", "200"}, {"content-length", "1"}}) + frame(kFrameData, "12")},
    {"BodyTooShort",
     headers({{":status", "200"}, {"content-length", "3"}}) + frame(kFrameData, "12")},
    {"BodyOf204", headers({{":status", "204"}}) + frame(kFrameData, "12")},
};

INSTANTIATE_TEST_SUITE_P(All, MalformedResponse, ::testing::ValuesIn(kResponseCases),
                         [](const auto& test) { return std::string(test.param.name); });

// ---- what must be tolerated ---------------------------------------------------------------------

TEST(Tolerated, UnusualButValidFields) {
  Rig rig(hello);
  RawPeer* peer = rig.connect_raw();
  peer->uni(control(settings()));
  const auto id = peer->bidi(request({{"!#$%&'*+-.^_`|~09az", "x"},
                                      {"empty", ""},
                                      {"blanks", "a \t b"},
                                      {"obs-text", "\xc3\xa4\xff"}}),
                             true);
  rig.world.run_for(1s);
  EXPECT_FALSE(rig.closed);
  EXPECT_TRUE(peer->finished[id]);
  EXPECT_EQ(rig.server_count("http3.malformed"), 0u);
}

TEST(Tolerated, GreaseEverywhere) {
  Rig rig(hello);
  RawPeer* peer = rig.connect_raw();
  peer->uni(control(settings({{0x21 + 0x1f * 7, 1}, {0x4242, 9}}) + frame(0x21, "abc") +
                    frame(0x40, "")));
  const auto unknown = peer->uni(varint(0x21 + 0x1f * 3) + std::string(10'000, 'x'));
  const auto id = peer->bidi(frame(0x21 + 0x1f, "xyz") + get_headers() + frame(0x21, ""), true);
  rig.world.run_for(1s);
  EXPECT_FALSE(rig.closed);
  EXPECT_TRUE(peer->finished[id]);
  EXPECT_EQ(peer->codes[unknown], code(ErrorCode::stream_creation_error)) << "STOP_SENDING";
}

TEST(Tolerated, UniStreamsThatEndBeforeTheirType) {
  Rig rig(hello);
  RawPeer* peer = rig.connect_raw();
  peer->uni(control(settings()));
  peer->uni("", true);
  peer->uni("\x40", true);
  const auto id = peer->uni("\x80");
  rig.world.run_for(100ms);
  peer->connection().reset(id, 0x100);
  rig.world.run_for(1s);
  EXPECT_FALSE(rig.closed) << rig.closed->to_string();
}

TEST(Tolerated, BytesInAnyPortions) {
  Rig rig(hello);
  RawPeer* peer = rig.connect_raw();
  const std::string settings_bytes = control(settings({{0x4242, 70'000}, {1, 0}}));
  const std::string request_bytes = frame(0x21 + 0x1f * 1000, "xyz") +
                                    request({{"content-length", "5"}}) + frame(kFrameData, "he") +
                                    frame(kFrameData, "") + frame(kFrameData, "llo");
  const auto first = peer->uni("");
  std::vector<quic::StreamId> ids;
  for (int i = 0; i < 3; ++i) ids.push_back(peer->bidi(""));
  for (std::size_t i = 0; i < std::max(settings_bytes.size(), request_bytes.size()); ++i) {
    if (i < settings_bytes.size()) peer->more(first, settings_bytes.substr(i, 1));
    if (i < request_bytes.size()) {
      for (const auto id : ids) {
        peer->more(id, request_bytes.substr(i, 1), i + 1 == request_bytes.size());
      }
    }
    rig.world.run_for(2ms);
  }
  rig.world.run_for(1s);
  EXPECT_FALSE(rig.closed) << rig.closed->to_string();
  for (const auto id : ids) EXPECT_TRUE(peer->finished[id]);
  EXPECT_EQ(rig.server_session->peer_settings()->other(0x4242), 70'000u);
}

TEST(Tolerated, WebTransportStreamsWithoutAnybodyToTakeThem) {
  Rig rig(hello);
  RawPeer* peer = rig.connect_raw();
  peer->uni(control(settings()));
  const auto uni = peer->uni(varint(0x54) + varint(0) + "data");
  const auto bidi = peer->bidi(varint(0x41) + varint(0) + "data");
  rig.world.run_for(1s);
  EXPECT_FALSE(rig.closed) << rig.closed->to_string();
  EXPECT_EQ(peer->codes[uni], code(ErrorCode::stream_creation_error));
  EXPECT_EQ(peer->resets[bidi], code(ErrorCode::wt_buffered_stream_rejected));
}

}  // namespace
}  // namespace tern::http3::testing
