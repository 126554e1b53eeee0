#include "transport/tls/secure_stream.h"

#include <deque>
#include <functional>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include <gmock/gmock.h>
#include <openssl/ssl.h>

#include "tests/unit/sim/tcp_pair.h"
#include "transport/sim/world.h"
#include "transport/tls/development.h"
#include "transport/tls/key_ring.h"

/// Two programs over the simulator's TCP, with TLS between.

namespace tern::tls {
namespace {

using namespace std::chrono_literals;
using sim::TcpEnd;
using ::testing::HasSubstr;
using ::testing::SizeIs;

constexpr UnixSeconds kEpoch = sim::World::kUnixEpoch;

const Identity& authority() {
  static const Identity identity = *make_authority(DevelopmentOptions(kEpoch).days(365));
  return identity;
}

Certificate certificate(std::vector<std::string> names) {
  const Identity leaf = *make_leaf(authority(), DevelopmentOptions(kEpoch).names(std::move(names)));
  return *Certificate::parse(leaf.certificate, leaf.key);
}

/// What a network does to a stream: hands bytes on one by one, ends it in the middle.
class MeddledStream final : public tcp::Stream, private tcp::StreamSink {
 public:
  explicit MeddledStream(std::unique_ptr<tcp::Stream> stream) : stream_(std::move(stream)) {}
  bool byte_by_byte = false;
  void cut() { sink_->end_of_stream(*this); }

  const udp::Address& local() const noexcept override { return stream_->local(); }
  const udp::Address& remote() const noexcept override { return stream_->remote(); }
  void attach(tcp::StreamSink& sink) override {
    sink_ = &sink;
    stream_->attach(*this);
  }
  using tcp::Stream::write;
  Result<void> write(Bytes bytes) override { return stream_->write(std::move(bytes)); }
  std::size_t queued() const noexcept override { return stream_->queued(); }
  std::size_t low_water() const noexcept override { return stream_->low_water(); }
  void finish() override { stream_->finish(); }
  void reset() override { stream_->reset(); }
  void pause() override { stream_->pause(); }
  void resume() override { stream_->resume(); }
  bool paused() const noexcept override { return stream_->paused(); }
  tcp::StreamInfo info() const override { return stream_->info(); }

 private:
  void receive(tcp::Stream&, MutableBytes bytes) override {
    if (!byte_by_byte) return sink_->receive(*this, bytes);
    for (std::size_t i = 0; i < bytes.size(); ++i) sink_->receive(*this, bytes.subspan(i, 1));
  }
  void end_of_stream(tcp::Stream&) override { sink_->end_of_stream(*this); }
  void writable(tcp::Stream&) override { sink_->writable(*this); }
  void failed(tcp::Stream&, const Error& error) override { sink_->failed(*this, error); }

  std::unique_ptr<tcp::Stream> stream_;
  tcp::StreamSink* sink_ = nullptr;
};

class SecureStreamTest : public ::testing::Test, private tcp::ListenSink {
 protected:
  SecureStreamTest() {
    world.link(world.host("client"), world.host("server"), link);
    tcp::ListenOptions listen;
    listen.bind = udp::Address::v4(0, 443);
    listener_ = *world.host("server").network().tcp().listen(listen, *this);
    server_options.certificate(certificate({"server"})).alpn({"h2", "http/1.1"});
    client_options.server_name("server").alpn({"h2", "http/1.1"});
    client_context_options.ca_pem(authority().certificate);
  }

  tcp::ConnectOptions to_server() {
    tcp::ConnectOptions connect;
    connect.remote = world.host("server").v4(443);
    return connect;
  }

  /// Both contexts from the options, and a client on its way.
  void connect() {
    server_context = *ServerContext::create(server_options);
    client_context = *ClientContext::create(client_context_options);
    if (tls12) SSL_CTX_set_max_proto_version(client_context->native(), TLS1_2_VERSION);
    auto made =
        SecureStream::connect(world.host("client").runtime(), world.host("client").network().tcp(),
                              to_server(), client_context, client_options, client);
    ASSERT_TRUE(made) << made.error().to_string();
    client.own(std::move(*made));
  }
  bool shaken() { return client.is_connected && !servers.empty() && server().is_connected; }
  TcpEnd& server() { return servers.back(); }
  const StreamHandshake& client_facts() {
    return static_cast<SecureStream&>(*client.stream).handshake();
  }
  const StreamHandshake& server_facts() {
    return static_cast<SecureStream&>(*server().stream).handshake();
  }

  sim::World world{1};
  sim::LinkOptions link = sim::LinkOptions().delay(10ms).mbps(100);
  ServerContextOptions server_options;
  ClientContextOptions client_context_options;
  SecureClientOptions client_options;
  std::shared_ptr<const ServerContext> server_context;
  std::shared_ptr<const ClientContext> client_context;
  Duration limit = 5s;
  bool byte_by_byte = false;
  bool tls12 = false;  // the client knows no newer one
  MeddledStream* meddled = nullptr;
  std::deque<TcpEnd> servers;
  TcpEnd client{world};

 private:
  void accepted(tcp::Listener&, std::unique_ptr<tcp::Stream> stream) override {
    TcpEnd& end = servers.emplace_back(world);
    auto meddling = std::make_unique<MeddledStream>(std::move(stream));
    meddled = meddling.get();
    meddled->byte_by_byte = byte_by_byte;
    auto made = SecureStream::server(world.host("server").runtime(), std::move(meddling),
                                     server_context, limit, end);
    ASSERT_TRUE(made) << made.error().to_string();
    end.own(std::move(*made));
  }

  std::unique_ptr<tcp::Listener> listener_;
};

TEST_F(SecureStreamTest, CarriesBytesBothWaysAndBothEnds) {
  connect();
  client.send(1'000'000);  // before the handshake: it waits
  ASSERT_TRUE(world.run_until([&] { return shaken(); }));
  server().send(2'500'000);
  ASSERT_TRUE(world.run_until([&] { return client.ended && server().ended; }));
  EXPECT_EQ(client.received, 2'500'000u);
  EXPECT_EQ(server().received, 1'000'000u);
  EXPECT_FALSE(client.damaged || server().damaged);
  EXPECT_TRUE(client.stream->ended_cleanly());
  EXPECT_TRUE(server().stream->ended_cleanly());
  EXPECT_EQ(client_facts().version, "TLSv1.3");
  EXPECT_EQ(client_facts().alpn, "h2");
  EXPECT_EQ(client_facts().group, "X25519");
  EXPECT_EQ(server_facts().server_name, "server");
  EXPECT_EQ(server_facts().cipher, client_facts().cipher);
  EXPECT_THAT(client_facts().cipher, HasSubstr("TLS_"));
  EXPECT_FALSE(client_facts().resumed);
}

/// 32 bytes, or why there are none.
std::string material(tcp::Stream& stream, std::string_view label, std::string_view context) {
  std::vector<std::uint8_t> out(32);
  const Result<void> done = stream.export_keying_material(label, as_bytes(context), out);
  return done ? std::string(out.begin(), out.end()) : done.error().to_string();
}

TEST_F(SecureStreamTest, BothEndsDeriveTheSameKeyingMaterialFromTls12) {
  tls12 = true;
  connect();
  ASSERT_TRUE(world.run_until([&] { return shaken(); }));
  EXPECT_EQ(client_facts().version, "TLSv1.2");
  const std::string one = material(*client.stream, "EXPORTER-test", "context");
  EXPECT_THAT(one, SizeIs(32));
  EXPECT_EQ(material(*server().stream, "EXPORTER-test", "context"), one);
  client.send(100'000);
  server().send(100'000);
  ASSERT_TRUE(world.run_until([&] { return client.ended && server().ended; }));
  EXPECT_EQ(material(*client.stream, "EXPORTER-test", "context"), one);
  EXPECT_EQ(material(*server().stream, "EXPORTER-test", "context"), one);
  EXPECT_NE(material(*server().stream, "EXPORTER-test", "contexts"), one);
  EXPECT_NE(material(*server().stream, "EXPORTER-tests", "context"), one);
  EXPECT_THAT(material(*client.stream, "", ""), HasSubstr("label"));
}

TEST_F(SecureStreamTest, BothEndsDeriveTheSameKeyingMaterial) {
  connect();
  EXPECT_THAT(material(*client.stream, "EXPORTER-test", ""), HasSubstr("before the handshake"));
  ASSERT_TRUE(world.run_until([&] { return shaken(); }));
  const std::string at_first = material(*client.stream, "EXPORTER-test", "context");
  EXPECT_EQ(material(*server().stream, "EXPORTER-test", "context"), at_first);
  // Later the records are ours, and BoringSSL's state is gone.
  client.send(100'000);
  server().send(100'000);
  ASSERT_TRUE(world.run_until([&] { return client.ended && server().ended; }));
  EXPECT_EQ(material(*client.stream, "EXPORTER-test", "context"), at_first);
  EXPECT_EQ(material(*server().stream, "EXPORTER-test", "context"), at_first);
  EXPECT_NE(material(*client.stream, "EXPORTER-test", "contexts"), at_first);
  EXPECT_NE(material(*client.stream, "EXPORTER-tests", "context"), at_first);
  EXPECT_THAT(material(*client.stream, "", ""), HasSubstr("label"));
  // What is beneath TLS has none.
  EXPECT_THAT(material(*meddled, "EXPORTER-test", ""), HasSubstr("without TLS"));
}

TEST_F(SecureStreamTest, RecordsMayComeByteByByte) {
  byte_by_byte = true;
  connect();
  client.send(40'000);
  ASSERT_TRUE(world.run_until([&] { return !servers.empty() && server().ended; }));
  EXPECT_EQ(server().received, 40'000u);
  EXPECT_FALSE(server().damaged);
}

TEST_F(SecureStreamTest, SmallPiecesShareRecords) {
  connect();
  ASSERT_TRUE(world.run_until([&] { return shaken(); }));
  const std::size_t before = client.stream->queued();
  std::vector<Bytes> pieces;
  for (int i = 0; i < 100; ++i) pieces.push_back(Bytes::literal("0123456789"));
  ASSERT_TRUE(client.stream->write(pieces));
  EXPECT_LT(client.stream->queued() - before, 1000u + 64u);
}

TEST_F(SecureStreamTest, APausedReaderHoldsTheSenderUpAndLosesNothing) {
  connect();
  ASSERT_TRUE(world.run_until([&] { return shaken(); }));
  server().on_receive = [&] { server().stream->pause(); };
  client.send(3'000'000);
  world.run_for(5s);
  const std::uint64_t stuck_at = server().received;
  EXPECT_LE(stuck_at, 16u * 1024u);  // one record
  EXPECT_LT(client.written, 3'000'000u) << "nobody was held up";
  // A record at a time, by a reader that stops after each.
  server().stream->resume();
  world.run_for(100ms);
  EXPECT_GT(server().received, stuck_at);
  EXPECT_LE(server().received, stuck_at + 16u * 1024u);
  server().on_receive = nullptr;
  server().stream->resume();
  ASSERT_TRUE(world.run_until([&] { return server().ended; }));
  EXPECT_EQ(server().received, 3'000'000u);
  EXPECT_FALSE(server().damaged);
}

TEST_F(SecureStreamTest, ATicketResumes) {
  Random random(Random::Key{});
  server_options.ticket_keys(std::make_shared<KeyRing>(random, kEpoch));
  std::vector<StreamSession> sessions;
  client_options.session_received(
      [&](StreamSession session) { sessions.push_back(std::move(session)); });
  connect();
  ASSERT_TRUE(world.run_until([&] { return shaken(); }));
  server().send(100);
  ASSERT_TRUE(world.run_until([&] { return client.received == 100 && !sessions.empty(); }));
  EXPECT_EQ(sessions[0].alpn, "h2");
  EXPECT_GT(sessions[0].expires, kEpoch);

  TcpEnd again(world);
  client_options.session(sessions[0].ticket);
  auto made =
      SecureStream::connect(world.host("client").runtime(), world.host("client").network().tcp(),
                            to_server(), client_context, client_options, again);
  ASSERT_TRUE(made);
  again.own(std::move(*made));
  ASSERT_TRUE(world.run_until([&] { return again.is_connected && servers.size() == 2; }));
  EXPECT_TRUE(static_cast<SecureStream&>(*again.stream).handshake().resumed);
  // A ticket that is not one: a full handshake.
  TcpEnd garbled(world);
  client_options.session({1, 2, 3});
  made = SecureStream::connect(world.host("client").runtime(), world.host("client").network().tcp(),
                               to_server(), client_context, client_options, garbled);
  ASSERT_TRUE(made);
  garbled.own(std::move(*made));
  ASSERT_TRUE(world.run_until([&] { return garbled.is_connected; }));
  EXPECT_FALSE(static_cast<SecureStream&>(*garbled.stream).handshake().resumed);
}

TEST_F(SecureStreamTest, NoCommonProtocolEndsInTheAlert) {
  client_options.alpn({"spdy/3"});
  connect();
  ASSERT_TRUE(world.run_until([&] { return client.error && server().error; }));
  EXPECT_EQ(client.error->domain, Domain::tls);
  EXPECT_EQ(client.error->code, 120u);  // no_application_protocol
  EXPECT_EQ(client.error->origin, Origin::remote);
  EXPECT_EQ(server().error->code, 120u);
  EXPECT_EQ(server().error->origin, Origin::local);
}

TEST_F(SecureStreamTest, AnUntrustedCertificateIsNamedAndTheServerHearsWhy) {
  client_context_options.ca_pem((*make_authority(DevelopmentOptions(kEpoch))).certificate);
  ClientContextOptions stranger;
  stranger.ca_pem((*make_authority(DevelopmentOptions(kEpoch))).certificate);
  client_context_options = stranger;
  connect();
  ASSERT_TRUE(world.run_until([&] { return client.error && server().error; }));
  EXPECT_TRUE(client.error->is(Code::certificate)) << client.error->to_string();
  EXPECT_EQ(server().error->domain, Domain::tls);
  EXPECT_EQ(server().error->origin, Origin::remote);
  EXPECT_EQ(server().error->code, 48u);  // unknown_ca
}

TEST_F(SecureStreamTest, AnotherNamesCertificateIsRefused) {
  client_options.server_name("example.org");
  connect();
  ASSERT_TRUE(world.run_until([&] { return client.error.has_value(); }));
  EXPECT_TRUE(client.error->is(Code::certificate));
  EXPECT_THAT(client.error->detail, HasSubstr("server"));
}

TEST_F(SecureStreamTest, ClientCertificates) {
  server_options.client_ca(authority().certificate, ClientCertificate::required);
  connect();
  ASSERT_TRUE(world.run_until([&] { return !servers.empty() && server().error; }));
  EXPECT_EQ(server().error->code, 116u) << server().error->to_string();  // certificate_required

  client.error.reset();
  client.is_connected = false;
  client_context_options.certificate(certificate({"a-client"}));
  connect();
  ASSERT_TRUE(world.run_until([&] { return servers.size() == 2 && shaken(); }));
  EXPECT_THAT(server_facts().peer_certificate_subject, HasSubstr("tern"));
}

TEST_F(SecureStreamTest, WhoEndsWithoutCloseNotifyIsNotBelieved) {
  connect();
  client.send(1000, false);
  ASSERT_TRUE(world.run_until([&] { return shaken() && server().received == 1000; }));
  meddled->cut();
  EXPECT_TRUE(server().ended);
  EXPECT_FALSE(server().stream->ended_cleanly());
}

TEST_F(SecureStreamTest, AHandshakeThatDoesNotComeTimesOut) {
  server_context = *ServerContext::create(server_options);
  limit = 2s;
  auto raw = world.host("client").network().tcp().connect(to_server(), client);
  ASSERT_TRUE(raw);
  client.own(std::move(*raw));
  ASSERT_TRUE(world.run_until([&] { return !servers.empty() && server().error; }));
  EXPECT_TRUE(server().error->is(Code::timed_out));
}

TEST_F(SecureStreamTest, WhoSpeaksNoTlsGetsAnAlert) {
  server_context = *ServerContext::create(server_options);
  auto raw = world.host("client").network().tcp().connect(to_server(), client);
  ASSERT_TRUE(raw);
  client.own(std::move(*raw));
  ASSERT_TRUE(world.run_until([&] { return client.is_connected; }));
  ASSERT_TRUE(client.stream->write(Bytes::literal("GET / HTTP/1.1\r\nhost: server\r\n\r\n")));
  ASSERT_TRUE(world.run_until([&] { return !servers.empty() && server().error; }));
  EXPECT_EQ(server().error->domain, Domain::tls);
  servers.clear();
  ASSERT_TRUE(world.run_until([&] { return client.over(); }));
}

TEST_F(SecureStreamTest, AClientThatGoesAwayInTheHandshake) {
  server_context = *ServerContext::create(server_options);
  auto raw = world.host("client").network().tcp().connect(to_server(), client);
  ASSERT_TRUE(raw);
  client.own(std::move(*raw));
  ASSERT_TRUE(world.run_until([&] { return client.is_connected; }));
  client.stream->finish();
  ASSERT_TRUE(world.run_until([&] { return !servers.empty() && server().error; }));
  EXPECT_TRUE(server().error->is(Code::closed));
  EXPECT_EQ(server().error->origin, Origin::remote);
}

TEST_F(SecureStreamTest, ASinkMayDestroyTheStreamWhereverItHears) {
  connect();
  client.send(100'000);
  ASSERT_TRUE(world.run_until([&] { return !servers.empty(); }));
  server().on_receive = [&] { server().stream.reset(); };
  ASSERT_TRUE(world.run_until([&] { return server().stream == nullptr && client.over(); }));
  EXPECT_TRUE(client.error);  // broken off
}

}  // namespace
}  // namespace tern::tls
