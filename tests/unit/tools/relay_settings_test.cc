#include "tools/tern/relay_settings.h"

#include <fstream>
#include <stdexcept>
#include <string>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace tern::cli {
namespace {

using namespace std::chrono_literals;
using relay::Direction;
using sim::ChannelModel;
using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;
using testing::SizeIs;

ChannelModel set(std::string_view text) {
  ChannelModel model;
  parse_link_settings(text)(model);
  return model;
}

template <typename Call>
std::string refusal(Call&& call) {
  try {
    call();
  } catch (const std::invalid_argument& error) {
    return error.what();
  }
  return "accepted";
}

std::string refused(std::string_view settings) {
  return refusal([&] { parse_link_settings(settings); });
}

TEST(RelaySettings, EachIsRead) {
  EXPECT_EQ(set("delay=15ms").delay, 15ms);
  EXPECT_EQ(set("jitter=5ms").jitter, 5ms);
  EXPECT_EQ(set("jitter=5ms/exponential").jitter_shape, sim::Jitter::exponential);
  EXPECT_EQ(set("jitter=5ms/normal").jitter_shape, sim::Jitter::normal);
  EXPECT_EQ(set("rate=10Mbps").bits_per_second, 10e6);
  EXPECT_EQ(set("queue=25p").queue_packets, 25u);
  EXPECT_EQ(set("queue=25p").queue_bytes, ChannelModel::kUnlimited);
  EXPECT_EQ(set("queue=64KiB").queue_bytes, 65536u);
  EXPECT_DOUBLE_EQ(set("loss=2%").loss, 0.02);
  EXPECT_EQ(set("loss=2%").loss_run, ChannelModel::kUnlimited);
  EXPECT_EQ(set("loss=30%/3").loss_run, 3u);
  EXPECT_DOUBLE_EQ(set("burst=1%/25%").burst_leave, 0.25);
  EXPECT_EQ(set("burst=1%/25%").burst_loss, 1);
  EXPECT_DOUBLE_EQ(set("burst=1%/25%/80%").burst_loss, 0.8);
  EXPECT_THAT(set("drop=2,5-7").drops, ElementsAre(2, 5, 6, 7));
  EXPECT_EQ(set("reorder=1%/10ms").reorder_delay, 10ms);
  EXPECT_DOUBLE_EQ(set("duplicate=0.1%").duplicate, 0.001);
  EXPECT_EQ(set("corrupt=2%/3").corrupt_run, 3u);
  EXPECT_EQ(set("mtu=1280").mtu, 1280u);
  EXPECT_EQ(set("blackhole=5s/2s").hole_period, 7s);
  EXPECT_EQ(set("blackhole=5s/2s").hole_count, 1u);
  EXPECT_EQ(set("blackhole=5s/2s/3").hole_count, 3u);
  EXPECT_DOUBLE_EQ(set("ecn-mark=1%").ecn_mark, 0.01);
  EXPECT_EQ(set("ecn-threshold=20KB").ecn_threshold, 20'000u);
  EXPECT_TRUE(set("ecn-bleach").ecn_bleach);
  EXPECT_FALSE(set("ecn-bleach,ecn-bleach=false").ecn_bleach);
}

TEST(RelaySettings, SeveralAtOnceAndLaterOnesCount) {
  const ChannelModel model = set("loss=5%,drop=1,3,rate=3mbps,loss=1%");
  EXPECT_DOUBLE_EQ(model.loss, 0.01);
  EXPECT_THAT(model.drops, ElementsAre(1, 3));
  EXPECT_EQ(model.bits_per_second, 3e6);
}

/// A trace's path, with that content.
std::string trace_file(const char* name, std::string_view text) {
  std::string path = testing::TempDir() + "relay_settings_" + name;
  std::ofstream(path, std::ios::binary) << text;
  return path;
}

TEST(RelaySettings, RateTraces) {
  const std::string path = trace_file("good", "0\n5\n5\n20\n");
  const ChannelModel model = set("rate=3mbps,loss=1%,trace=" + path);
  ASSERT_NE(model.rate_trace, nullptr);
  EXPECT_EQ(model.rate_trace->period(), 20ms);
  EXPECT_EQ(model.rate_trace->opportunities(), 4u);
  EXPECT_EQ(set("trace=" + path + ",rate=3mbps").rate_trace, nullptr) << "the last one counts";
  EXPECT_THAT(refused("trace=" + trace_file("falls", "5\n3\n")), HasSubstr("_falls:2: "));
  EXPECT_THAT(refused("trace=" + trace_file("empty", "")), HasSubstr("no time above 0"));
  EXPECT_THAT(refused("trace=/none/at/all"), HasSubstr("'/none/at/all' is no file"));
  EXPECT_THAT(refused("trace=/dev/zero"), HasSubstr("is no file"));
  EXPECT_THAT(refused("trace=" + testing::TempDir()), HasSubstr("is no file"));
}

TEST(RelaySettings, EverySettingHasAParser) {
  for (const LinkSetting& setting : link_settings()) {
    EXPECT_THAT(refusal([&] { parse_link_setting(setting.name, "?"); }), HasSubstr("'?'"))
        << setting.name;
  }
}

TEST(RelaySettings, WrongOnesAreRefusedWithTheRightForm) {
  EXPECT_THAT(refused("loss=2"), HasSubstr("write 2%"));
  EXPECT_THAT(refused("loss=101%"), HasSubstr("more than all"));
  EXPECT_THAT(refused("loss=-1%"), HasSubstr("no percentage"));
  EXPECT_THAT(refused("loss=nan%"), HasSubstr("no percentage"));
  EXPECT_THAT(refused("loss=1%/2/3"), HasSubstr("2%/3"));
  EXPECT_THAT(refused("rate=10"), HasSubstr("10mbps"));
  EXPECT_THAT(refused("rate=fast"), HasSubstr("10mbps"));
  EXPECT_THAT(refused("queue=25"), "accepted");  // bytes
  EXPECT_THAT(refused("queue=xp"), HasSubstr("number of packets"));
  EXPECT_THAT(refused("drop=0"), HasSubstr("from 1 on"));
  EXPECT_THAT(refused("drop=7-5"), HasSubstr("from 1 on"));
  EXPECT_THAT(refused("drop=1-100000000000"), HasSubstr("more than"));
  EXPECT_THAT(refused("drop=1,"), HasSubstr("number"));
  EXPECT_THAT(refused("reorder=1%"), HasSubstr("1%/10ms"));
  EXPECT_THAT(refused("burst=1%"), HasSubstr("1%/25%"));
  EXPECT_THAT(refused("burst=1%/0%"), HasSubstr("never ends"));
  EXPECT_THAT(refused("jitter=5ms/odd"), HasSubstr("5ms/normal"));
  EXPECT_THAT(refused("blackhole=5s"), HasSubstr("5s/2s"));
  EXPECT_THAT(refused("mtu=100"), HasSubstr("576"));
  EXPECT_THAT(refused("mtu=70000"), HasSubstr("65575"));
  EXPECT_THAT(refused("delay"), HasSubstr("NAME=VALUE"));
  EXPECT_THAT(refused(""), HasSubstr("NAME=VALUE"));
  EXPECT_THAT(refused("speed=1"), HasSubstr("none of delay"));
  // What would overflow in the link.
  EXPECT_THAT(refused("delay=9000h"), HasSubstr("longer than a year"));
  EXPECT_THAT(refused("blackhole=1s/200000h"), HasSubstr("longer than a year"));
  EXPECT_THAT(refused("rate=0.5bps"), HasSubstr("rates are 1 bps"));
  EXPECT_THAT(refused("rate=1e308gbps"), HasSubstr("rates are 1 bps"));
}

TEST(RelaySettings, Rates) {
  EXPECT_EQ(parse_rate("10mbps"), 10e6);
  EXPECT_EQ(parse_rate("10Mbit"), 10e6);
  EXPECT_EQ(parse_rate("10 Mbit/s"), 10e6);
  EXPECT_EQ(parse_rate("1.5G"), 1.5e9);
  EXPECT_EQ(parse_rate("500kbps"), 500e3);
  EXPECT_EQ(parse_rate("8000bps"), 8000);
  EXPECT_EQ(parse_rate("0"), 0);
  EXPECT_EQ(parse_rate("unlimited"), 0);
}

// ---- scripts ------------------------------------------------------------------------------------

RelayPlan script(std::string_view text) {
  RelayPlan plan;
  read_script(text, "x.toml", plan);
  return plan;
}

std::string refused_script(std::string_view text) {
  return refusal([&] { script(text); });
}

TEST(RelayScript, SettingsAndSteps) {
  RelayPlan plan = script(R"(
delay = "35ms"
drop = [2, 5]
up = { rate = "4mbps", queue = "64KiB" }
repeat = "60s"

[[at]]
time = "48s"
do = "rebind-address"

[[at]]
time = 2
set = { loss = "5%" }
down = { rate = "3mbps" }

[[at]]
time = "3s"
do = "cut"
direction = "up"
)");
  EXPECT_EQ(plan.to_server.delay, 35ms);
  EXPECT_EQ(plan.to_client.delay, 35ms);
  EXPECT_THAT(plan.to_client.drops, ElementsAre(2, 5));
  EXPECT_EQ(plan.to_server.bits_per_second, 4e6);
  EXPECT_EQ(plan.to_client.bits_per_second, 0);

  ASSERT_THAT(plan.timelines, SizeIs(1));
  relay::Timeline& timeline = plan.timelines[0];
  EXPECT_EQ(timeline.period(), 60s);
  std::vector<std::string> texts;
  std::vector<Duration> times;
  for (int i = 0; i < 5; ++i) {
    times.push_back(timeline.next());
    const relay::Action& action = timeline.take();
    texts.push_back(action.text);
    if (action.text == "down: rate 3mbps") {
      EXPECT_EQ(action.direction, Direction::to_client);
      plan.apply(action.direction, action.change);
    }
    if (action.text == "cut up") {
      EXPECT_EQ(action.direction, Direction::to_server);
    }
  }
  EXPECT_EQ(plan.to_client.bits_per_second, 3e6);
  EXPECT_EQ(plan.to_server.bits_per_second, 4e6);
  EXPECT_THAT(times, ElementsAre(2s, 2s, 3s, 48s, 62s));
  EXPECT_THAT(texts, testing::UnorderedElementsAre("loss 5%", "down: rate 3mbps", "cut up",
                                                   "rebind-address", testing::_));
}

TEST(RelayScript, WithoutStepsItIsAFileOfSettings) {
  EXPECT_THAT(script("loss = \"1%\"").timelines, IsEmpty());
  EXPECT_DOUBLE_EQ(script("loss = \"1%\"").to_client.loss, 0.01);
}

TEST(RelayScript, ErrorsNameTheLine) {
  EXPECT_THAT(refused_script("a = = 1"), HasSubstr("x.toml:1: "));
  EXPECT_EQ(refused_script("\nloss = \"2\"").substr(0, 19), "x.toml:2: 'loss': '");
  EXPECT_THAT(refused_script("speed = 1"), HasSubstr("x.toml:1: 'speed'"));
  EXPECT_THAT(refused_script("\xcf\xa4[at]\n"), HasSubstr("x.toml:1: only strings and comments"));
  EXPECT_THAT(refused_script("delay = 1979-05-27"), HasSubstr("wants a string or a number"));
  EXPECT_THAT(refused_script("up = \"fast\""), HasSubstr("{ loss ="));
  EXPECT_THAT(refused_script("repeat = \"5s\""), HasSubstr("wants [[at]]"));
  EXPECT_THAT(refused_script("at = 3"), HasSubstr("[[at]]"));
  EXPECT_THAT(refused_script("at = [3]"), HasSubstr("[[at]]"));
  EXPECT_THAT(refused_script("[[at]]\ndo = \"cut\""),
              HasSubstr("x.toml:1: an [[at]] wants its time"));
  EXPECT_THAT(refused_script("[[at]]\ntime = \"2s\""), HasSubstr("wants do, set, up or down"));
  EXPECT_THAT(refused_script("[[at]]\ntime = \"2s\"\ndo = \"cuts\""),
              HasSubstr("x.toml:3: 'do': 'cuts'"));
  EXPECT_THAT(refused_script("[[at]]\ntime = \"2s\"\ndone = 1"), HasSubstr("none of time, do"));
  EXPECT_THAT(refused_script("[[at]]\ntime = \"2s\"\ndo = \"cut\"\ndirection = \"left\""),
              HasSubstr("neither up nor down"));
  EXPECT_THAT(refused_script("repeat = \"1s\"\n[[at]]\ntime = \"2s\"\ndo = \"cut\""),
              HasSubstr("x.toml:1: 'repeat' is shorter"));
  EXPECT_THAT(refused_script("[[at]]\ntime = \"2s\"\nset = { loss = 2 }"),
              HasSubstr("x.toml:3: 'loss': '2'"));
}

// ---- the interop runner's scenarios -------------------------------------------------------------

constexpr const char* kBase = " --delay=15ms --bandwidth=10Mbps --queue=25 ";

RelayPlan scenario(const std::string& name, const std::string& options) {
  RelayPlan plan;
  read_interop_scenario(name + kBase + options, plan);
  return plan;
}

TEST(InteropScenario, SimpleP2p) {
  const RelayPlan plan = scenario("simple-p2p", "");
  for (const ChannelModel* model : {&plan.to_server, &plan.to_client}) {
    EXPECT_EQ(model->delay, 15ms);
    EXPECT_EQ(model->bits_per_second, 10e6);
    EXPECT_EQ(model->queue_packets, 25u);
    EXPECT_EQ(model->mtu, 1500u);
  }
}

TEST(InteropScenario, RatesOfLossAndCorruption) {
  const RelayPlan lossy =
      scenario("drop-rate", "--rate_to_client 30 --rate_to_server=2 --burst_to_client=3");
  EXPECT_DOUBLE_EQ(lossy.to_client.loss, 0.3);
  EXPECT_EQ(lossy.to_client.loss_run, 3u);
  EXPECT_DOUBLE_EQ(lossy.to_server.loss, 0.02);
  EXPECT_EQ(lossy.to_server.loss_run, ChannelModel::kUnlimited);
  EXPECT_EQ(lossy.to_server.corrupt, 0);

  const RelayPlan corrupting = scenario("corrupt-rate", "--rate_to_client=30 --rate_to_server=30");
  EXPECT_DOUBLE_EQ(corrupting.to_server.corrupt, 0.3);
  EXPECT_EQ(corrupting.to_server.loss, 0);
  EXPECT_EQ(corrupting.to_server.corrupt_within, 50u);
  const std::uint8_t negotiation[] = {0xca, 0, 0, 0, 0, 0, 0};
  const std::uint8_t initial[] = {0xca, 0, 0, 0, 1, 0, 0};
  EXPECT_TRUE(corrupting.to_client.spared(negotiation));
  EXPECT_FALSE(corrupting.to_client.spared(initial));
}

TEST(InteropScenario, Droplist) {
  const RelayPlan plan = scenario("droplist", "--drops_to_server=2,3,4");
  EXPECT_THAT(plan.to_server.drops, ElementsAre(2, 3, 4));
  EXPECT_THAT(plan.to_client.drops, IsEmpty());
}

TEST(InteropScenario, Blackhole) {
  const RelayPlan both = scenario("blackhole", "--on=5s --off=2s");
  EXPECT_EQ(both.to_server.hole_period, 7s);
  EXPECT_EQ(both.to_client.hole_length, 2s);
  EXPECT_EQ(both.to_client.hole_count, 1u);
  const RelayPlan one = scenario("blackhole", "--on=5s --off=2s --repeat=3 --direction=toclient");
  EXPECT_EQ(one.to_server.hole_count, 0u);
  EXPECT_EQ(one.to_client.hole_count, 3u);
}

TEST(InteropScenario, Rebind) {
  RelayPlan plan = scenario("rebind", "--first-rebind=1s --rebind-freq=5s --rebind-addr");
  ASSERT_THAT(plan.timelines, SizeIs(1));
  relay::Timeline& timeline = plan.timelines[0];
  EXPECT_EQ(timeline.next(), 1s);
  EXPECT_EQ(timeline.take().kind, relay::Action::Kind::rebind_address);
  EXPECT_EQ(timeline.next(), 6s);

  RelayPlan once = scenario("rebind", "--first-rebind=1s --rebind-addr=false");
  EXPECT_EQ(once.timelines.at(0).take().kind, relay::Action::Kind::rebind);
  EXPECT_EQ(once.timelines.at(0).next(), relay::Timeline::kNeverAgain);
}

TEST(InteropScenario, WrongOnesAreRefused) {
  const auto refused_scenario = [](const std::string& text) {
    return refusal([&] {
      RelayPlan plan;
      read_interop_scenario(text, plan);
    });
  };
  const std::string base = kBase;
  EXPECT_THAT(refused_scenario(""), HasSubstr("none of simple-p2p, drop-rate"));
  EXPECT_THAT(refused_scenario("tcp-cross-traffic" + base), HasSubstr("none of"));
  EXPECT_THAT(refused_scenario("simple-p2p"), HasSubstr("wants --delay"));
  EXPECT_THAT(refused_scenario("simple-p2p" + base + "--on=1s"), HasSubstr("no option --on"));
  EXPECT_THAT(refused_scenario("simple-p2p" + base + "25"), HasSubstr("belongs to no option"));
  EXPECT_THAT(refused_scenario("drop-rate" + base + "--rate_to_client=2"),
              HasSubstr("wants --rate_to_server"));
  EXPECT_THAT(refused_scenario("drop-rate" + base + "--rate_to_client=x --rate_to_server=1"),
              HasSubstr("'x' is no number"));
  EXPECT_THAT(refused_scenario("drop-rate" + base + "--rate_to_client=101 --rate_to_server=1"),
              HasSubstr("more than all"));
  EXPECT_THAT(refused_scenario("blackhole" + base + "--on=1s --off=1s --direction=up"),
              HasSubstr("none of both"));
  EXPECT_THAT(refused_scenario("rebind" + base + "--first-rebind=1s --rebind-addr=maybe"),
              HasSubstr("neither true nor false"));
}

}  // namespace
}  // namespace tern::cli
