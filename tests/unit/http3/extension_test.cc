#include "tests/unit/http3/rig.h"

/// Datagrams, extended CONNECT, priorities, streams of extensions, qlog.

namespace tern::http3::testing {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::SizeIs;
using ::testing::UnorderedElementsAre;

/// An endless echo of datagrams, for CONNECT.
Task<void> reflect(http::Exchange& exchange) {
  http::Response head;
  co_await exchange.start(head);
  for (;;) {
    auto datagram = co_await exchange.receive_datagram();
    if (!datagram) break;
    exchange.send_datagram(*datagram);
  }
  co_await exchange.finish();
}

http::RequestHead connect(std::string protocol) {
  http::RequestHead head = get("/tunnel");
  head.method = "CONNECT";
  head.protocol = std::move(protocol);
  return head;
}

Task<void> ping(std::shared_ptr<http::ClientExchange> exchange, http::RequestHead head,
                std::vector<std::string>& got, std::vector<std::string> send) {
  co_await exchange->send(head, false);
  auto response = co_await exchange->response();
  if (!response) co_return;
  for (const std::string& text : send) exchange->send_datagram(as_bytes(text));
  for (std::size_t i = 0; i < send.size(); ++i) {
    auto datagram = co_await exchange->receive_datagram();
    if (!datagram) break;
    got.emplace_back(datagram->text());
  }
  co_await exchange->finish();
}

TEST(Datagrams, GoBothWays) {
  Rig rig(reflect);
  rig.connect();
  rig.world.run_for(50ms);
  std::vector<std::string> got;
  std::shared_ptr<http::ClientExchange> exchange = *rig.session->open();
  EXPECT_EQ(exchange->max_datagram(), 0u) << "before the request";
  rig.runtime().spawn(ping(exchange, connect("test"), got, {"one", "two", ""}));
  rig.world.run_for(1s);
  EXPECT_THAT(got, ElementsAre("one", "two", ""));
  EXPECT_EQ(rig.server_count("http3.datagrams_received"), 3u);
}

TEST(Datagrams, TheLargestFits) {
  Rig rig(reflect);
  rig.connect();
  rig.world.run_for(50ms);
  std::vector<std::string> got;
  std::shared_ptr<http::ClientExchange> exchange = *rig.session->open();
  rig.runtime().spawn(ping(exchange, connect("test"), got, {}));
  rig.world.run_for(1s);
  std::shared_ptr<http::ClientExchange> second = *rig.session->open();
  rig.runtime().spawn([](std::shared_ptr<http::ClientExchange> e, http::RequestHead head,
                         std::vector<std::string>& out) -> Task<void> {
    co_await e->send(head, false);
    auto response = co_await e->response();
    const std::string large(e->max_datagram(), 'x');
    const std::string larger(e->max_datagram() + 1, 'x');
    EXPECT_TRUE(e->send_datagram(as_bytes(large)));
    EXPECT_FALSE(e->send_datagram(as_bytes(larger)));
    auto datagram = co_await e->receive_datagram();
    out.emplace_back(datagram ? std::string(datagram->text()) : "");
  }(second, connect("test"), got));
  rig.world.run_for(1s);
  ASSERT_THAT(got, SizeIs(1));
  EXPECT_GT(got[0].size(), 1100u);
}

TEST(Datagrams, AreKeptForARequestThatIsOnItsWay) {
  Rig rig(reflect);
  RawPeer* peer = rig.connect_raw();
  peer->uni(control(settings({{kSettingH3Datagram, 1}})));
  const std::string prefix = varint(0);
  peer->connection().send_datagram(Bytes::copy(prefix + "early"));
  rig.world.run_for(50ms);
  const auto id = peer->bidi(headers({{":method", "CONNECT"},
                                      {":protocol", "test"},
                                      {":scheme", "https"},
                                      {":authority", "server"},
                                      {":path", "/"}}));
  ASSERT_EQ(id, 0);
  rig.world.run_for(100ms);
  EXPECT_THAT(peer->datagrams, ElementsAre(prefix + "early"));
  // For a stream that is gone: dropped.
  peer->more(id, "", true);
  rig.world.run_for(100ms);
  peer->connection().send_datagram(Bytes::copy(prefix + "late"));
  for (int i = 0; i < 100; ++i) {
    peer->connection().send_datagram(Bytes::copy(varint(100) + "never"));
    rig.world.run_for(1ms);
  }
  rig.world.run_for(100ms);
  EXPECT_THAT(peer->datagrams, SizeIs(1));
  EXPECT_EQ(rig.server_count("http3.datagrams_dropped"), 1u + 100 - 32);
}

TEST(Datagrams, AreNotSentToAPeerThatDoesNotTakeThem) {
  SessionOptions options;
  options.datagrams = false;
  Rig rig(reflect, RigOptions().server(options));
  rig.connect();
  rig.world.run_for(50ms);
  std::shared_ptr<http::ClientExchange> exchange = *rig.session->open();
  bool sent = true;
  rig.runtime().spawn([](std::shared_ptr<http::ClientExchange> e, http::RequestHead head,
                         bool& result) -> Task<void> {
    co_await e->send(head, false);
    auto response = co_await e->response();
    result = e->send_datagram(as_bytes("x"));
  }(exchange, connect("test"), sent));
  rig.world.run_for(1s);
  EXPECT_FALSE(sent);
}

TEST(ExtendedConnect, CarriesItsProtocol) {
  std::string seen;
  Rig rig([&](http::Exchange& exchange) -> Task<void> {
    seen = exchange.request().protocol + " " + exchange.request().path;
    http::Response head;
    co_await exchange.start(head);
    for (;;) {
      auto piece = co_await exchange.read();
      if (!piece || piece->empty()) break;
      co_await exchange.write(std::move(*piece));
    }
    co_await exchange.finish();
  });
  rig.connect();
  const Reply reply = rig.ask(connect("websocket"), "through the tunnel");
  EXPECT_EQ(reply.status, 200);
  EXPECT_EQ(reply.body, "through the tunnel");
  EXPECT_EQ(seen, "websocket /tunnel");
}

TEST(ExtendedConnect, IsNotSentToAServerWithout) {
  SessionOptions options;
  options.extended_connect = false;
  Rig rig(reflect, RigOptions().server(options));
  rig.connect();
  const Reply reply = rig.ask(connect("websocket"));
  ASSERT_TRUE(reply.error);
  EXPECT_TRUE(reply.error->is(Code::unsupported)) << reply.error->to_string();
  EXPECT_FALSE(rig.closed);
}

TEST(ExtendedConnect, PlainConnect) {
  std::string seen;
  Rig rig([&](http::Exchange& exchange) -> Task<void> {
    seen = exchange.request().authority + "|" + exchange.request().path + "|" +
           exchange.request().scheme;
    http::Response head;
    co_await exchange.start(head);
    co_await exchange.finish();
  });
  rig.connect();
  http::RequestHead head = get("");
  head.method = "CONNECT";
  head.authority = "example.com:443";
  EXPECT_EQ(rig.ask(head).status, 200);
  EXPECT_EQ(seen, "example.com:443||");
}

/// Serves 200 kB a request and notes in which order the responses end.
struct Finishing {
  std::vector<std::string> order;
  http::Handler handler() {
    return [](http::Exchange& exchange) -> Task<void> {
      co_await exchange.runtime().sleep(50ms);  // until all requests are there
      co_await exchange.respond(http::Status::ok, std::string(200'000, 'x'));
    };
  }
  void watch(std::vector<std::pair<std::string, std::shared_ptr<Reply>>>& replies) {
    for (auto& [name, reply] : replies) {
      if (reply->done && std::find(order.begin(), order.end(), name) == order.end()) {
        order.push_back(name);
      }
    }
  }
};

http::RequestHead with_priority(std::string priority) {
  http::RequestHead head = get("/");
  if (!priority.empty()) head.fields.add("priority", priority);
  return head;
}

TEST(Priorities, UrgentResponsesComeFirst) {
  Finishing finishing;
  Rig rig(finishing.handler(),
          RigOptions().link(sim::LinkOptions().delay(10ms).mbps(10).queue_bytes(40'000)));
  rig.connect();
  std::vector<std::pair<std::string, std::shared_ptr<Reply>>> replies;
  for (const char* priority : {"u=7", "u=5", "u=3", "u=1"}) {
    replies.emplace_back(priority, rig.start(with_priority(priority)));
  }
  rig.world.run_until([&] {
    finishing.watch(replies);
    return finishing.order.size() == 4;
  });
  EXPECT_THAT(finishing.order, ElementsAre("u=1", "u=3", "u=5", "u=7"));
}

TEST(Priorities, EquallyUrgentOnesComeInTurnAndIncrementalOnesShare) {
  Finishing finishing;
  const auto link = sim::LinkOptions().delay(10ms).mbps(10).queue_bytes(40'000);
  {
    Rig rig(finishing.handler(), RigOptions().link(link));
    rig.connect();
    std::vector<std::pair<std::string, std::shared_ptr<Reply>>> replies;
    for (const char* name : {"first", "second", "third"}) {
      replies.emplace_back(name, rig.start(with_priority("")));
    }
    // When the first is done the others have hardly begun.
    rig.world.run_until([&] { return replies[0].second->done; });
    EXPECT_LT(replies[1].second->body.size(), 60'000u);
    EXPECT_LT(replies[2].second->body.size(), 60'000u);
  }
  {
    Rig rig(finishing.handler(), RigOptions().link(link));
    rig.connect();
    std::vector<std::pair<std::string, std::shared_ptr<Reply>>> replies;
    for (const char* name : {"first", "second", "third"}) {
      replies.emplace_back(name, rig.start(with_priority("i")));
    }
    rig.world.run_until([&] { return replies[0].second->done; });
    EXPECT_GT(replies[1].second->body.size(), 120'000u);
    EXPECT_GT(replies[2].second->body.size(), 120'000u);
  }
}

TEST(Priorities, AnUpdateFrameChangesTheOrder) {
  Finishing finishing;
  Rig rig(finishing.handler(),
          RigOptions().link(sim::LinkOptions().delay(10ms).mbps(10).queue_bytes(40'000)));
  rig.connect();
  std::vector<std::pair<std::string, std::shared_ptr<Reply>>> replies;
  replies.emplace_back("a", rig.start(with_priority("u=3")));
  replies.emplace_back("b", rig.start(with_priority("u=4")));
  std::shared_ptr<http::ClientExchange> urgent = *rig.session->open();
  auto reply = std::make_shared<Reply>();
  rig.runtime().spawn(fetch(urgent, with_priority("u=6"), "", http::Fields(), reply));
  replies.emplace_back("c", reply);
  rig.world.after(20ms, [&] {
    http::Priority now;
    now.urgency = 0;
    urgent->set_priority(now);
  });
  rig.world.run_until([&] {
    finishing.watch(replies);
    return finishing.order.size() == 3;
  });
  EXPECT_THAT(finishing.order, ElementsAre("c", "a", "b"));
}

TEST(Priorities, TheServerHasTheLastWord) {
  Finishing finishing;
  Rig rig(
      [](http::Exchange& exchange) -> Task<void> {
        if (exchange.request().path == "/background") {
          http::Priority low;
          low.urgency = 7;
          exchange.set_priority(low);
        }
        co_await exchange.runtime().sleep(50ms);
        co_await exchange.respond(http::Status::ok, std::string(200'000, 'x'));
      },
      RigOptions().link(sim::LinkOptions().delay(10ms).mbps(10).queue_bytes(40'000)));
  rig.connect();
  std::vector<std::pair<std::string, std::shared_ptr<Reply>>> replies;
  http::RequestHead head = get("/background");
  head.fields.add("priority", "u=0");
  replies.emplace_back("background", rig.start(head));
  replies.emplace_back("usual", rig.start(get("/")));
  rig.world.run_until([&] {
    finishing.watch(replies);
    return finishing.order.size() == 2;
  });
  EXPECT_THAT(finishing.order, ElementsAre("usual", "background"));
}

/// Takes WebTransport's streams, echoes what comes on the peer's bidirectional ones.
class Echoes final : public StreamRouter {
 public:
  explicit Echoes(Session& session) : session_(session) { session.set_router(this); }
  bool accept(quic::StreamId stream, quic::StreamId owner) override {
    accepted.emplace_back(stream, owner);
    return take;
  }
  bool accept_unknown(quic::StreamId, std::uint64_t type) override {
    unknown.push_back(type);
    return type == known_type;
  }
  void handle(const quic::Event& event) override {
    if (event.type == quic::Event::Type::stream_closed) closed.push_back(event.stream);
    if (event.type != quic::Event::Type::stream_data) return;
    received[event.stream] += event.data.text();
    session_.connection().consumed(event.stream, event.data.size());
    const bool own = quic::is_server_initiated(event.stream) == session_.connection().is_server();
    if (!own && !quic::is_unidirectional(event.stream)) {
      session_.connection().write(event.stream, event.data, event.fin);
    }
  }
  bool take = true;
  std::uint64_t known_type = 0;
  std::vector<std::pair<quic::StreamId, quic::StreamId>> accepted;
  std::vector<std::uint64_t> unknown;
  std::map<quic::StreamId, std::string> received;
  std::vector<quic::StreamId> closed;

 private:
  Session& session_;
};

TEST(Router, TakesTheStreamsOfExtensions) {
  Rig rig([](http::Exchange& exchange) -> Task<void> {
    co_await exchange.respond(http::Status::ok, std::string(100'000, 'x'));
  });
  RawPeer* peer = rig.connect_raw();
  peer->uni(control(settings()));
  rig.world.run_for(50ms);
  Echoes echoes(*rig.server_session);
  const auto bidi = peer->bidi(varint(0x41) + varint(0) + "hello");
  const auto split = peer->bidi("\x40");
  const auto request = peer->bidi(get_headers(), true);
  const auto uni = peer->uni(varint(0x54) + varint(4) + "one way", true);
  rig.world.run_for(20ms);
  peer->more(split, "\x41" + varint(1000).substr(0, 1));
  rig.world.run_for(20ms);
  peer->more(split, varint(1000).substr(1) + "abc", true);
  peer->more(bidi, " world", true);
  rig.world.run_for(1s);
  EXPECT_FALSE(rig.closed) << rig.closed->to_string();
  EXPECT_THAT(echoes.accepted,
              UnorderedElementsAre(std::pair<quic::StreamId, quic::StreamId>(bidi, 0),
                                   std::pair<quic::StreamId, quic::StreamId>(uni, 4),
                                   std::pair<quic::StreamId, quic::StreamId>(split, 1000)));
  EXPECT_EQ(echoes.received[bidi], "hello world");
  EXPECT_EQ(echoes.received[uni], "one way");
  EXPECT_EQ(echoes.received[split], "abc");
  EXPECT_EQ(peer->received[bidi], "hello world");
  EXPECT_EQ(peer->received[split], "abc");
  EXPECT_TRUE(peer->finished[bidi]);
  EXPECT_TRUE(peer->finished[request]) << "requests go on beside them";
  EXPECT_THAT(echoes.closed, SizeIs(3));

  echoes.take = false;
  const auto refused = peer->bidi(varint(0x41) + varint(0) + "hello");
  rig.world.run_for(1s);
  EXPECT_EQ(peer->resets[refused], code(ErrorCode::wt_buffered_stream_rejected));
  rig.server_session->set_router(nullptr);
}

TEST(Router, OurOwnStreamsToo) {
  Rig rig(
      [](http::Exchange& exchange) -> Task<void> { co_await exchange.respond(http::Status::ok); });
  rig.connect();
  EXPECT_EQ(rig.ask(get("/")).status, 200);
  Echoes at_client(*rig.session);
  Echoes at_server(*rig.server_session);
  const quic::StreamId ours = *rig.session->connection().open_bidi();
  rig.session->adopt(ours);
  rig.session->connection().write(ours, Bytes::copy(varint(0x41) + varint(0) + "x"), false);
  const quic::StreamId theirs = *rig.server_session->connection().open_bidi();
  rig.server_session->adopt(theirs);
  rig.server_session->connection().write(theirs, Bytes::copy(varint(0x41) + varint(0) + "y"), true);
  rig.world.run_for(200ms);
  EXPECT_EQ(at_server.received[ours], "x");
  EXPECT_EQ(at_client.received[theirs], "y");
  EXPECT_EQ(at_server.received[theirs], "y") << "echoed by the client";
  EXPECT_EQ(rig.ask(get("/")).status, 200);
  rig.session->set_router(nullptr);
  rig.server_session->set_router(nullptr);
}

TEST(Router, TakesStreamsOfOtherTypes) {
  Rig rig(
      [](http::Exchange& exchange) -> Task<void> { co_await exchange.respond(http::Status::ok); });
  RawPeer* peer = rig.connect_raw();
  peer->uni(control(settings()));
  rig.world.run_for(50ms);
  Echoes echoes(*rig.server_session);
  echoes.known_type = 0x4242;
  const auto known = peer->uni(varint(0x4242) + "its bytes", true);
  const auto unknown = peer->uni(varint(0x4243) + "others");
  rig.world.run_for(100ms);
  EXPECT_THAT(echoes.unknown, UnorderedElementsAre(0x4242u, 0x4243u));
  EXPECT_EQ(echoes.received[known], "its bytes");
  EXPECT_EQ(peer->codes[unknown], code(ErrorCode::stream_creation_error));
  EXPECT_FALSE(rig.closed);
  rig.server_session->set_router(nullptr);
}

TEST(Router, ASessionIsAClientsBidirectionalStream) {
  for (const std::uint64_t session : {1, 2, 3}) {
    Rig rig([](http::Exchange& exchange) -> Task<void> {
      co_await exchange.respond(http::Status::ok);
    });
    RawPeer* peer = rig.connect_raw();
    peer->uni(control(settings()));
    peer->bidi(varint(0x41) + varint(session) + "hello");
    const Error error = rig.wait_closed(5s);
    EXPECT_EQ(static_cast<ErrorCode>(error.code), ErrorCode::id_error) << error.to_string();
  }
}

TEST(ExtraSettings, ReachThePeer) {
  SessionOptions options;
  options.extra_settings = {{0x2c7cf000, 1}, {0x2b61, 100'000}};
  Rig rig([](http::Exchange& e) -> Task<void> { co_await e.respond(http::Status::ok); },
          RigOptions().server(options));
  rig.connect();
  EXPECT_EQ(rig.ask(get("/")).status, 200);
  EXPECT_EQ(rig.session->peer_settings()->other(0x2c7cf000), 1u);
  EXPECT_EQ(rig.session->peer_settings()->other(0x2b61), 100'000u);
  EXPECT_THAT(rig.server_session->peer_settings()->others, IsEmpty()) << "grease is left out";
}

class Memory final : public quic::QlogSink {
 public:
  explicit Memory(std::string& out) : out_(out) {}
  void write(std::string_view bytes) override { out_ += bytes; }

 private:
  std::string& out_;
};

TEST(Qlog, TellsOfFramesAndSettings) {
  std::string log;
  Rig rig(
      [](http::Exchange& e) -> Task<void> { co_await e.respond(http::Status::ok, "\"quoted\""); },
      RigOptions().qlog([&](std::string_view) { return std::make_unique<Memory>(log); }));
  rig.connect();
  http::RequestHead head = post("/q?\"x\"");
  head.fields.add("priority", "u=1, i");
  EXPECT_EQ(rig.ask(head, "body").status, 200);
  rig.server_session->drain();
  rig.wait_closed();
  for (const char* wanted : {
           "\"name\":\"http3:parameters_set\",\"data\":{\"initiator\":\"local\"",
           "\"name\":\"http3:parameters_set\",\"data\":{\"initiator\":\"remote\"",
           "\"stream_type\":\"control\"",
           "\"stream_type\":\"qpack_encode\"",
           "\"stream_type\":\"request\"",
           "\"frame_type\":\"settings\"",
           "\"frame_type\":\"headers\",\"headers\":[{\"name\":\":method\",\"value\":\"POST\"}",
           "{\"name\":\":path\",\"value\":\"/q?\\\"x\\\"\"}",
           "\"frame_type\":\"data\",\"raw\":{\"payload_length\":4}",
           "\"frame_type\":\"goaway\",\"id\":4611686018427387900",
           "\"name\":\"http3:priority_updated\",\"data\":{\"stream_id\":0,\"new\":\"u=1, i\"",
       }) {
    EXPECT_THAT(log, HasSubstr(wanted));
  }
}

}  // namespace
}  // namespace tern::http3::testing
