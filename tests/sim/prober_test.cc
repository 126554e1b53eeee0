#include "tools/interop/prober.h"

#include <functional>
#include <set>
#include <string>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "tests/sim/scene.h"
#include "tests/unit/sim/raw_peer.h"

/// The prober against tern's own server, and against servers that misbehave: each ends in time,
/// with the outcome that fits.

namespace tern::sim {
namespace {

using interop::CaseReport;
using interop::Outcome;
using interop::Prober;
using interop::ProberOptions;
using interop::Target;
using interop::TargetReport;
using testing::HasSubstr;

Target target(std::string_view path = "/hello") {
  return Target(*http::Url::parse("https://server" + std::string(path)));
}

/// Probes, and how long that took.
class Probing {
 public:
  Probing(Scene& scene, Target wanted, ProberOptions options, Duration limit = 600s)
      : report(std::move(wanted)) {
    Host& host = scene.client_host;
    auto prober = Prober::create(host.runtime(), host.network(), std::move(options));
    if (!prober) throw std::runtime_error(prober.error().to_string());
    Scope scope(host.runtime().ready());
    const Duration begun = scene.world.elapsed();
    scope.spawn(run(**prober));
    scene.world.run_until([this] { return done; }, limit);
    EXPECT_TRUE(done) << "not done after " << limit.count() / 1'000'000'000 << " s";
    took = scene.world.elapsed() - begun;
    scope.cancel();
  }

  Outcome outcome(char letter) const { return at(letter).verdict.outcome; }
  const std::string& detail(char letter) const { return at(letter).verdict.text; }
  const CaseReport& at(char letter) const {
    const CaseReport* found = report.find(letter);
    if (found == nullptr) throw std::runtime_error(std::string("no case ") + letter);
    return *found;
  }
  /// The letters of cases that passed, '-' for others.
  std::string letters() const {
    std::string text;
    for (const CaseReport& one : report.cases) {
      text += one.verdict.outcome == Outcome::pass ? one.what->letter : '-';
    }
    return text;
  }
  /// Every case but these letters was not run.
  void expect_not_run_but(std::string_view letters) const {
    for (const CaseReport& one : report.cases) {
      if (letters.find(one.what->letter) != letters.npos) continue;
      EXPECT_EQ(one.verdict.outcome, Outcome::not_run) << one.what->name;
    }
  }

  TargetReport report;
  Duration took{};
  bool done = false;

 private:
  Task<void> run(Prober& prober) {
    co_await prober.probe(report);
    done = true;
  }
};

ProberOptions trusting() { return ProberOptions().insecure(true); }

ProberOptions only(std::string_view letters) {
  std::vector<const interop::Case*> chosen;
  for (const char& letter : letters) {
    chosen.push_back(interop::find_case(std::string_view(&letter, 1)));
  }
  return trusting().cases(std::move(chosen));
}

TEST(Prober, FindsWhatTernCanDo) {
  Scene scene;
  scene.link(LinkOptions().delay(10ms));
  scene.serve();
  Target wanted = target();
  wanted.throughput = "/bytes/{size}";
  const Probing probing(scene, std::move(wanted), trusting());
  EXPECT_FALSE(probing.report.unreachable.has_value());
  // No Retry, no preferred address, no second address; everything else.
  EXPECT_EQ(probing.letters(), "VHC-Q2cGD3dTRZUMB--EgXW");
  EXPECT_EQ(probing.outcome('A'), Outcome::not_applicable) << probing.detail('A');
  EXPECT_EQ(probing.outcome('S'), Outcome::unsupported);
  EXPECT_EQ(probing.outcome('F'), Outcome::unsupported);
  EXPECT_TRUE(probing.report.mandatory_passed());
  for (const CaseReport& one : probing.report.cases) {
    EXPECT_LE(one.connections, 2u) << one.what->name;
    EXPECT_FALSE(one.verdict.text.empty()) << one.what->name;
  }
}

TEST(Prober, MovesToASecondAddress) {
  Scene scene;
  scene.link(LinkOptions().delay(10ms));
  scene.link(LinkOptions().delay(20ms));
  scene.serve();
  const Probing probing(scene, target(), only("A"));
  EXPECT_EQ(probing.letters(), "A") << probing.detail('A');
}

TEST(Prober, KeepsOneConnectionAtATime) {
  Scene scene;
  scene.link(LinkOptions().delay(10ms));
  scene.serve();
  std::uint64_t most = 0;
  scene.world.check([&] { most = std::max(most, scene.server_counter("quic.connections_open")); });
  const Probing probing(scene, target(), trusting());
  EXPECT_EQ(most, 1u);
  // A case has two at most, and the version probe none.
  EXPECT_LE(scene.server_counter("quic.connections_accepted"), 2 * interop::cases().size());
  EXPECT_GT(scene.server_counter("quic.connections_accepted"), 15u);
}

TEST(Prober, SaysWhoItIs) {
  Scene scene;
  scene.link(LinkOptions().delay(10ms));
  std::set<std::string> agents;
  const http::Handler who = [&agents](http::Exchange& exchange) -> Task<void> {
    agents.emplace(exchange.request().fields.find("user-agent").value_or("nobody"));
    co_await exchange.respond(http::Status::ok);
  };
  scene.router.get("/who", who);
  scene.serve();
  const Probing probing(scene, target("/who"), only("G3dRZ").user_agent("tern/9 (prober)"));
  EXPECT_EQ(probing.letters(), "G3dRZ");
  EXPECT_THAT(agents, testing::ElementsAre("tern/9 (prober)"));
}

TEST(Prober, WorksOnALossyPath) {
  Scene scene;
  scene.link(LinkOptions().delay(25ms).loss(0.02));
  scene.serve();
  const Probing probing(scene, target(), only("HQGD3RUMB").limit(30s));
  EXPECT_EQ(probing.letters(), "HQGD3RUMB");
}

/// The server's answer, from when on `change` is made to what the client sends.
Probing close_when(const std::function<void(Channel&)>& change, Duration delay = 10ms) {
  Scene scene;
  Link& link = scene.link(LinkOptions().delay(delay));
  scene.router.get("/last", [&](http::Exchange& exchange) -> Task<void> {
    change(link.up());
    co_await exchange.respond(http::Status::ok, "x");
  });
  scene.serve();
  return Probing(scene, target("/last"), only("C"));
}

TEST(Prober, HearsThatAServerHasNotUnderstoodTheClose) {
  const Probing probing = close_when([](Channel& up) { up.cut(); });
  EXPECT_EQ(probing.outcome('C'), Outcome::fail);
  EXPECT_THAT(probing.detail('C'), HasSubstr("no end of them"));
}

TEST(Prober, HearsItInTimeOfAServerFarAway) {
  const Probing probing = close_when([](Channel& up) { up.cut(); }, 250ms);
  EXPECT_EQ(probing.outcome('C'), Outcome::fail) << probing.detail('C');
}

TEST(Prober, WaitsForAServerThatIsBusy) {
  const Probing probing =
      close_when([](Channel& up) { up.change([](ChannelModel& model) { model.delay = 500ms; }); });
  EXPECT_EQ(probing.letters(), "C") << probing.detail('C');
}

TEST(Prober, SeesRetryAtItsPort) {
  Scene scene;
  scene.link(LinkOptions().delay(10ms));
  ServerOptions options = scene.server_options();
  options.retry(quic::RetryPolicy::always);
  scene.serve(std::move(options));
  Target wanted = target();
  wanted.retry = wanted.url;
  const Probing probing(scene, std::move(wanted), only("SR"));
  EXPECT_EQ(probing.letters(), "SR");
}

TEST(Prober, FollowsThePreferredAddress) {
  Scene scene;
  Link& link = scene.link(LinkOptions().delay(10ms));
  ServerOptions options = scene.server_options();
  options.preferred_address(link.v6(scene.server_host, 443).to_string());
  scene.serve(std::move(options));
  const Probing probing(scene, target(), only("F"));
  EXPECT_EQ(probing.letters(), "F") << probing.detail('F');
  EXPECT_THAT(probing.detail('F'), HasSubstr(link.v6(scene.server_host, 443).to_string()));
}

TEST(Prober, HqHasNoHttp3Cases) {
  Scene scene;
  scene.link(LinkOptions().delay(10ms));
  ServerOptions options = scene.server_options();
  options.hq_interop(true);
  scene.serve(std::move(options));
  Target wanted = target();
  wanted.alpn = "hq-interop";
  const Probing probing(scene, std::move(wanted), only("HCD3dRZgXW"));
  for (const char letter : std::string("HCDRZg")) {
    EXPECT_EQ(probing.outcome(letter), Outcome::pass) << letter << probing.detail(letter);
  }
  for (const char letter : std::string("3dXW")) {
    EXPECT_EQ(probing.outcome(letter), Outcome::not_applicable) << letter;
  }
}

// ---- servers that misbehave ---------------------------------------------------------------------

/// A program at the server's port 443 on every address, that answers each datagram as `answer`
/// says.
class BareServer final : private udp::Sink {
 public:
  using Answer = std::function<std::string(ByteView)>;

  BareServer(Scene& scene, Answer answer)
      : network_(scene.server_host.network()), answer_(std::move(answer)) {
    udp::SocketOptions options;
    options.bind = any_v6(443);
    auto socket = network_.open(options, *this);
    if (!socket) throw std::runtime_error(socket.error().to_string());
    socket_ = std::move(*socket);
  }

  std::uint64_t received = 0;

 private:
  void receive(udp::Socket&, const udp::Arrival& arrival) override {
    MutableBytes rest = arrival.bytes;
    while (!rest.empty()) {
      const MutableBytes one = rest.first(std::min(rest.size(), arrival.segment_size));
      rest = rest.subspan(one.size());
      ++received;
      const std::string text = answer_(one);
      udp::Slab* slab = text.empty() ? nullptr : network_.acquire();
      if (slab == nullptr) continue;
      std::copy(text.begin(), text.end(), slab->space().begin());
      udp::Transmit transmit;
      transmit.path = arrival.path;
      transmit.length = transmit.segment_size = static_cast<std::uint32_t>(text.size());
      slab->add(*socket_, transmit);
      network_.submit(slab);
    }
  }
  void send_failed(udp::Socket&, const udp::Path&, int) override {}

  udp::Network& network_;
  Answer answer_;
  std::unique_ptr<udp::Socket> socket_;
};

/// A Version Negotiation packet for a long header, with version draft-29 alone.
std::string version_negotiation(ByteView datagram, bool swapped) {
  interop::LongHeader header;
  if (!interop::read_long_header(datagram, header)) return {};
  std::string out("\xc0\0\0\0\0", 5);
  for (const ByteView cid : {header.scid, swapped ? header.dcid : header.scid}) {
    out += static_cast<char>(cid.size());
    out += as_text(cid);
  }
  return out + std::string("\xff\0\0\x1d", 4);
}

TEST(ProberMisbehaviour, SilenceEndsInTime) {
  Scene scene;
  scene.link(LinkOptions().delay(10ms));
  BareServer server(scene, [](ByteView) { return std::string(); });
  const Probing probing(scene, target(), trusting().limit(5s));
  EXPECT_EQ(probing.outcome('H'), Outcome::timed_out);
  EXPECT_EQ(probing.outcome('V'), Outcome::timed_out);
  probing.expect_not_run_but("HV");
  ASSERT_TRUE(probing.report.unreachable.has_value());
  EXPECT_TRUE(probing.report.unreachable->is(Code::timed_out));
  // The handshake at two addresses, and one version probe.
  EXPECT_LE(probing.took, 3 * 5s + 100ms);
  EXPECT_LE(server.received, 40u) << "bounded tries";
  EXPECT_FALSE(probing.report.mandatory_passed());
}

TEST(ProberMisbehaviour, GarbageIsNoAnswer) {
  Scene scene;
  scene.link(LinkOptions().delay(10ms));
  BareServer server(scene, [](ByteView datagram) { return std::string(datagram.size(), '\xee'); });
  const Probing probing(scene, target(), trusting().limit(5s));
  EXPECT_EQ(probing.outcome('H'), Outcome::timed_out);
  EXPECT_EQ(probing.outcome('V'), Outcome::timed_out);
  probing.expect_not_run_but("HV");
}

TEST(ProberMisbehaviour, VersionNegotiationForEverything) {
  Scene scene;
  scene.link(LinkOptions().delay(10ms));
  BareServer server(scene, [](ByteView datagram) { return version_negotiation(datagram, true); });
  const Probing probing(scene, target(), trusting());
  EXPECT_EQ(probing.outcome('V'), Outcome::pass);
  EXPECT_EQ(probing.detail('V'), "offers draft-29");
  EXPECT_EQ(probing.outcome('H'), Outcome::fail);
  ASSERT_TRUE(probing.report.unreachable.has_value());
  EXPECT_TRUE(probing.report.unreachable->is(Code::version));
  probing.expect_not_run_but("HV");
  EXPECT_LT(probing.took, 1s);
}

TEST(ProberMisbehaviour, VersionNegotiationWithTheWrongConnectionId) {
  Scene scene;
  scene.link(LinkOptions().delay(10ms));
  BareServer server(scene, [](ByteView datagram) { return version_negotiation(datagram, false); });
  const Probing probing(scene, target(), only("V").limit(5s));
  EXPECT_EQ(probing.outcome('V'), Outcome::fail);
  EXPECT_THAT(probing.detail('V'), HasSubstr("source connection ID"));
}

TEST(ProberMisbehaviour, AnUntrustedCertificate) {
  Scene scene;
  scene.link(LinkOptions().delay(10ms));
  scene.serve();
  tls::DevelopmentOptions stranger(World::kUnixEpoch);
  stranger.key_type(tls::KeyType::ed25519).days(10);
  const auto authority = tls::make_authority(stranger);
  ASSERT_TRUE(authority.has_value());
  const Probing probing(scene, target(), ProberOptions().ca_pem(authority->certificate));
  EXPECT_EQ(probing.outcome('V'), Outcome::pass);
  EXPECT_EQ(probing.outcome('H'), Outcome::fail);
  ASSERT_TRUE(probing.report.unreachable.has_value());
  EXPECT_TRUE(probing.report.unreachable->is(Code::certificate));
  probing.expect_not_run_but("HV");
}

TEST(ProberMisbehaviour, AnEndpointOfAnotherProtocol) {
  Scene scene;
  scene.link(LinkOptions().delay(10ms));
  scene.serve();
  Target wanted = target();
  wanted.alpn = "hq-interop";
  const Probing probing(scene, std::move(wanted), only("HD"));
  EXPECT_EQ(probing.outcome('H'), Outcome::fail);
  EXPECT_THAT(probing.detail('H'), HasSubstr("no_application_protocol"));
  EXPECT_EQ(probing.outcome('D'), Outcome::not_run);
}

TEST(ProberMisbehaviour, ARefusedConnection) {
  Scene scene;
  scene.link(LinkOptions().delay(10ms));
  ServerOptions options = scene.server_options();
  options.max_connections(0);
  scene.serve(std::move(options));
  const Probing probing(scene, target(), only("HD"));
  EXPECT_EQ(probing.outcome('H'), Outcome::fail);
  EXPECT_THAT(probing.detail('H'), HasSubstr("too many connections"));
  EXPECT_EQ(probing.outcome('D'), Outcome::not_run);
}

/// Half of a body that was announced whole, and then nothing for an hour.
Task<void> stop_in_the_middle(http::Exchange& exchange) {
  http::Response head(http::Status::ok);
  head.field("content-length", "2000");
  Result<void> sent = co_await exchange.start(std::move(head));
  Bytes half = pattern_bytes(0, 1000);
  if (sent) sent = co_await exchange.write(std::move(half));
  co_await exchange.runtime().sleep(1h);
}

TEST(ProberMisbehaviour, ABodyThatStopsInTheMiddle) {
  Scene scene;
  scene.link(LinkOptions().delay(10ms));
  scene.router.get("/stops", stop_in_the_middle);
  scene.serve();
  const Probing probing(scene, target("/stops"), only("HD3RUBg").limit(3s));
  EXPECT_EQ(probing.outcome('H'), Outcome::pass);
  for (const char letter : std::string("D3RUB")) {
    EXPECT_EQ(probing.outcome(letter), Outcome::timed_out) << letter;
    EXPECT_LE(probing.at(letter).duration, 3s + 10ms) << letter;
  }
  EXPECT_EQ(probing.outcome('g'), Outcome::pass);
  EXPECT_FALSE(probing.report.mandatory_passed());
}

/// Ends the body where the announced length is not reached.
Task<void> break_off_half(http::Exchange& exchange) {
  http::Response head(http::Status::ok);
  head.field("content-length", "2000");
  Result<void> sent = co_await exchange.start(std::move(head));
  Bytes half = pattern_bytes(0, 1000);
  if (sent) sent = co_await exchange.write(std::move(half));
  exchange.abort(http::Abort::internal);
}

TEST(ProberMisbehaviour, AResetInTheMiddle) {
  Scene scene;
  scene.link(LinkOptions().delay(10ms));
  scene.router.get("/breaks", break_off_half);
  scene.serve();
  const Probing probing(scene, target("/breaks"), only("HD3"));
  EXPECT_EQ(probing.outcome('H'), Outcome::pass);
  EXPECT_EQ(probing.outcome('D'), Outcome::fail);
  EXPECT_EQ(probing.outcome('3'), Outcome::fail);
  EXPECT_THAT(probing.detail('3'), HasSubstr("H3_INTERNAL_ERROR"));
}

TEST(ProberMisbehaviour, AServerThatDiesOnTheWay) {
  Scene scene;
  scene.link(LinkOptions().delay(10ms));
  scene.serve();
  scene.world.after(150ms, [&] { scene.server_host.power_off(); });
  const Probing probing(scene, target(), trusting().limit(5s));
  EXPECT_EQ(probing.outcome('H'), Outcome::pass);
  EXPECT_EQ(probing.outcome('W'), Outcome::timed_out);
  EXPECT_LE(probing.took, 25 * 5s) << "each case ends within its limit";
  scene.server_host.power_on();
  scene.world.run_for(60s);
}

}  // namespace
}  // namespace tern::sim
