#include "tools/tern/nearest_names.h"

#include <string>
#include <vector>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace tern::cli {
namespace {

using ::testing::ElementsAre;
using ::testing::IsEmpty;

const std::vector<std::string> kNames = {
    "greeter.v1.Greeter",      "greeter.v1.Greeter.SayHello", "greeter.v1.Greeter.KeepSaying",
    "greeter.v1.HelloRequest", "greeter.v1.HelloReply",       "grpc.health.v1.Health"};

TEST(NearestNames, PartlyRight) {
  EXPECT_THAT(nearest_names("HelloRequest", kNames), ElementsAre("greeter.v1.HelloRequest"));
  EXPECT_THAT(nearest_names("greeter.v1.greeter/sayhello", kNames),
              ElementsAre("greeter.v1.Greeter.SayHello"));
  EXPECT_THAT(nearest_names("Greeter/SayHello", kNames),
              ElementsAre("greeter.v1.Greeter.SayHello"));
  EXPECT_THAT(nearest_names("Greter", kNames), ElementsAre("greeter.v1.Greeter"));
  EXPECT_THAT(nearest_names("greeter.v2.Greeter", kNames), ElementsAre("greeter.v1.Greeter"));
  EXPECT_THAT(nearest_names("greeter.v1.Greeter.SayHell", kNames),
              ElementsAre("greeter.v1.Greeter.SayHello"));
}

TEST(NearestNames, TheBestFirstAndNotTooMany) {
  EXPECT_THAT(nearest_names("a.bc", {"a.bcde", "x.bc", "a.bd", "a.BC"}, 3),
              ElementsAre("a.BC", "a.bd", "x.bc"));
}

TEST(NearestNames, NothingLikeIt) {
  EXPECT_THAT(nearest_names("Library", kNames), IsEmpty());
  EXPECT_THAT(nearest_names("", kNames), IsEmpty());
  EXPECT_THAT(nearest_names(std::string(1000, 'a'), kNames), IsEmpty());
  EXPECT_THAT(nearest_names("a", {std::string(1000, 'a')}), IsEmpty());
}

TEST(NearestNames, AsAQuestion) {
  EXPECT_EQ(did_you_mean({}), "");
  EXPECT_EQ(did_you_mean({"a"}), "; did you mean a?");
  EXPECT_EQ(did_you_mean({"a", "b", "c"}), "; did you mean a, b or c?");
}

}  // namespace
}  // namespace tern::cli
