#include "http3/hq_session.h"
#include "tests/unit/http3/rig.h"

namespace tern::http3::testing {
namespace {

using ::testing::ElementsAre;

/// A rig whose connections speak hq-interop.
class Hq {
 public:
  explicit Hq(http::Handler handler, RigOptions options = RigOptions())
      : rig(std::move(handler), std::move(options)) {
    rig.accept = [this](quic::Connection& connection) {
      auto made = HqSession::accept(*rig.server_context, connection);
      server = made.get();
      return std::unique_ptr<quic::Application>(std::move(made));
    };
  }
  void connect(std::optional<quic::Session> resume = std::nullopt) {
    auto options = rig.connect_options();
    options.alpn = {"hq-interop"};
    options.early_data = resume.has_value();
    options.session = std::move(resume);
    session = nullptr;
    const auto factory = [this](quic::Connection& connection) {
      ClientHooks client;
      client.session = [this](quic::Session s) { sessions.push_back(std::move(s)); };
      client.closed = [this](const Error& error) { rig.closed = error; };
      auto made = HqSession::connect(rig.runtime(), connection, std::move(client));
      session = made.get();
      return std::unique_ptr<quic::Application>(std::move(made));
    };
    ASSERT_TRUE(rig.client_endpoint->connect(options, factory, [](const Error&) {}));
    ASSERT_TRUE(rig.world.run_until([&] { return session != nullptr; }));
  }
  std::shared_ptr<Reply> start(std::string path) {
    auto reply = std::make_shared<Reply>();
    std::shared_ptr<http::ClientExchange> exchange = *session->open();
    rig.runtime().spawn(fetch(exchange, get(std::move(path)), "", http::Fields(), reply));
    return reply;
  }
  Reply ask(std::string path) {
    auto reply = start(std::move(path));
    EXPECT_TRUE(rig.world.run_until([&] { return reply->done; }));
    return *reply;
  }

  Rig rig;
  HqSession* session = nullptr;
  HqSession* server = nullptr;
  std::vector<quic::Session> sessions;
};

Task<void> files(http::Exchange& exchange) {
  const std::string& path = exchange.request().path;
  if (path == "/missing") {
    co_await exchange.respond(http::Status::not_found, "nothing here");
  } else if (path == "/empty") {
    co_await exchange.respond(http::Status::ok);
  } else {
    co_await exchange.respond(http::Status::ok, path + std::string(100'000, '.'));
  }
}

TEST(Hq, FetchesFiles) {
  Hq hq(files);
  hq.connect();
  EXPECT_EQ(hq.ask("/a").body, "/a" + std::string(100'000, '.'));
  const Reply empty = hq.ask("/empty");
  EXPECT_FALSE(empty.error);
  EXPECT_EQ(empty.body, "");
  const Reply missing = hq.ask("/missing");
  ASSERT_TRUE(missing.error);
  EXPECT_EQ(missing.error->domain, Domain::http);
  EXPECT_EQ(missing.error->code, 404u);
  hq.rig.world.run_for(1s);
  EXPECT_EQ(hq.server->requests(), 0u);
  EXPECT_EQ(hq.session->requests(), 0u);
}

TEST(Hq, ThousandsOfRequests) {
  quic::TransportOptions transport;
  transport.max_bidi_streams = 100;
  Hq hq(
      [](http::Exchange& e) -> Task<void> {
        co_await e.respond(http::Status::ok, e.request().path);
      },
      RigOptions().transport(transport));
  hq.connect();
  std::vector<std::shared_ptr<Reply>> replies;
  for (int i = 0; i < 1999; ++i) replies.push_back(hq.start("/" + std::to_string(i)));
  hq.rig.world.run_until(
      [&] { return std::all_of(replies.begin(), replies.end(), [](auto& r) { return r->done; }); });
  for (int i = 0; i < 1999; ++i) ASSERT_EQ(replies[i]->body, "/" + std::to_string(i));
}

TEST(Hq, ADrainingServerFinishesWhatItHas) {
  Hq hq([](http::Exchange& exchange) -> Task<void> {
    co_await exchange.runtime().sleep(2s);
    co_await exchange.respond(http::Status::ok, "done");
  });
  hq.connect();
  const auto running = hq.start("/");
  hq.rig.world.run_for(100ms);
  hq.server->drain();
  hq.rig.world.run_for(1s);
  EXPECT_FALSE(hq.rig.closed.has_value());
  ASSERT_TRUE(hq.rig.world.run_until([&] { return running->done; }));
  EXPECT_EQ(running->body, "done");
  EXPECT_EQ(hq.rig.wait_closed().code, 0u);
}

TEST(Hq, ADrainingServerWithoutRequestsCloses) {
  Hq hq(files);
  hq.connect();
  EXPECT_FALSE(hq.ask("/empty").error);
  hq.rig.world.run_for(100ms);
  hq.server->drain();
  EXPECT_EQ(hq.rig.wait_closed(1s).code, 0u);
}

TEST(Hq, StreamsLargeBodiesWithBackPressure) {
  Hq hq([](http::Exchange& exchange) -> Task<void> {
    http::Response head;
    co_await exchange.start(head);
    for (int i = 0; i < 100; ++i) {
      Bytes piece = Bytes::copy(std::string(100'000, 'x'));
      auto sent = co_await exchange.write(std::move(piece));
      if (!sent) co_return;
    }
    co_await exchange.finish();
  });
  hq.connect();
  EXPECT_EQ(hq.ask("/").body.size(), 10'000'000u);
}

TEST(Hq, EarlyDataAcceptedAndRefused) {
  int early = 0;
  int late = 0;
  Hq hq([&](http::Exchange& e) -> Task<void> {
    ++(e.early_data() ? early : late);
    co_await e.respond(http::Status::ok, e.request().path);
  });
  hq.connect();
  EXPECT_EQ(hq.ask("/1").body, "/1");
  hq.rig.world.run_for(100ms);
  ASSERT_FALSE(hq.sessions.empty());
  const quic::Session session = hq.sessions.back();
  hq.session->close();
  hq.rig.world.run_for(100ms);

  hq.connect(session);
  std::vector<std::shared_ptr<Reply>> replies;
  for (int i = 0; i < 40; ++i) replies.push_back(hq.start("/" + std::to_string(i)));
  hq.rig.world.run_for(1s);
  EXPECT_EQ(early, 40);
  hq.session->close();
  hq.rig.world.run_for(100ms);

  hq.rig.server_endpoint.reset();
  hq.rig.start_server({1});
  early = late = 0;
  hq.connect(session);
  for (int i = 0; i < 40; ++i) replies.push_back(hq.start("/" + std::to_string(i)));
  hq.rig.world.run_for(1s);
  EXPECT_EQ(early, 0);
  EXPECT_EQ(late, 40);
  for (std::size_t i = 0; i < replies.size(); ++i) {
    EXPECT_EQ(replies[i]->body, "/" + std::to_string(i % 40));
  }
}

TEST(Hq, BadRequestLines) {
  Hq hq(files);
  RawPeer* peer = hq.rig.connect_raw("hq-interop");
  const auto post_line = peer->bidi("POST /\r\n", true);
  const auto empty = peer->bidi("", true);
  const auto endless = peer->bidi("GET /" + std::string(20'000, 'x'));
  const auto bare = peer->bidi("GET /empty");
  hq.rig.world.run_for(20ms);
  peer->more(bare, "", true);
  const auto slow = peer->bidi("GE");
  hq.rig.world.run_for(20ms);
  peer->more(slow, "T /empty\n", false);
  hq.rig.world.run_for(1s);
  EXPECT_EQ(peer->resets[post_line], 400u);
  EXPECT_EQ(peer->resets[empty], 400u);
  EXPECT_EQ(peer->resets[endless], 414u);
  EXPECT_TRUE(peer->finished[bare]) << "the end of the stream ends the line, too";
  EXPECT_TRUE(peer->finished[slow]);
}

}  // namespace
}  // namespace tern::http3::testing
