#include <optional>

#include "tests/unit/engine/engine_fixture.h"

namespace tern::engine {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;

using Addresses = Result<std::vector<udp::Address>>;

class ResolveTest : public EngineTest {
 protected:
  Addresses resolve(std::string_view host) {
    std::optional<Addresses> answer;
    network->resolve(host, 443, [&](Addresses result) { answer = std::move(result); });
    EXPECT_FALSE(answer.has_value()) << "called back in the same turn";
    EXPECT_TRUE(turn_until([&] { return answer.has_value(); }));
    return *answer;
  }
};

INSTANTIATE_TEST_SUITE_P(Engine, ResolveTest, testing::ValuesIn(available_engines()), engine_name);

TEST_P(ResolveTest, Literals) {
  const auto four = resolve("192.0.2.1");
  ASSERT_TRUE(four);
  EXPECT_THAT(*four, ElementsAre(address("192.0.2.1:443")));
  const auto six = resolve("2001:db8::1");
  ASSERT_TRUE(six);
  EXPECT_THAT(*six, ElementsAre(address("[2001:db8::1]:443")));
}

TEST_P(ResolveTest, LocalhostNeedsNoNetwork) {
  for (const char* host : {"localhost", "LocalHost", "localhost.", "app.localhost"}) {
    const auto found = resolve(host);
    ASSERT_TRUE(found) << host;
    EXPECT_THAT(*found, ElementsAre(address("[::1]:443"), address("127.0.0.1:443"))) << host;
  }
}

TEST_P(ResolveTest, OtherNamesGoToAHelperThread) {
  // An old spelling that the C library reads without asking anybody.
  const auto found = resolve("127.1");
  ASSERT_TRUE(found) << found.error().to_string();
  EXPECT_THAT(*found, ElementsAre(address("127.0.0.1:443")));
}

TEST_P(ResolveTest, ImpossibleNamesAreNotFound) {
  const std::string too_long(300, 'x');
  for (const std::string& host : {std::string("notlocalhost..example"), too_long, std::string()}) {
    const auto found = resolve(host);
    ASSERT_FALSE(found) << host;
    EXPECT_TRUE(found.error().is(Code::not_found));
    EXPECT_THAT(found.error().detail, HasSubstr("cannot resolve " + host));
  }
}

TEST_P(ResolveTest, ManyAtOnceAreAllAnsweredAndBounded) {
  int found = 0;
  int refused = 0;
  for (int i = 0; i < 300; ++i) {
    network->resolve("127.1", 443, [&](Addresses result) {
      if (result) {
        ++found;
      } else {
        EXPECT_TRUE(result.error().is(Code::limit));
        ++refused;
      }
    });
  }
  ASSERT_TRUE(turn_until([&] { return found + refused == 300; }));
  EXPECT_EQ(found, 256);
  EXPECT_EQ(refused, 44);
}

TEST_P(ResolveTest, ANetworkMayGoWhileNamesAreLookedUp) {
  const auto guard = std::make_shared<int>(0);
  {
    const auto brief = make(EngineOptions());
    for (int i = 0; i < 8; ++i) brief->resolve("127.1", 443, [guard](Addresses) { FAIL(); });
  }
  EXPECT_EQ(guard.use_count(), 1);  // the callbacks are gone, uncalled
}

TEST_P(ResolveTest, ACallbackMayResolveAgain) {
  int depth = 0;
  std::function<void(Addresses)> again = [&](Addresses) {
    if (++depth < 5) network->resolve("::1", 1, again);
  };
  network->resolve("::1", 1, again);
  ASSERT_TRUE(turn_until([&] { return depth == 5; }));
}

}  // namespace
}  // namespace tern::engine
