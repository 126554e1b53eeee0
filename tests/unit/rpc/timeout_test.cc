#include "rpc/timeout.h"

#include <chrono>

namespace tern::rpc {
namespace {

using namespace std::chrono_literals;

TEST(GrpcTimeout, EveryUnit) {
  EXPECT_EQ(parse_grpc_timeout("1H"), Duration(1h));
  EXPECT_EQ(parse_grpc_timeout("2M"), Duration(2min));
  EXPECT_EQ(parse_grpc_timeout("3S"), Duration(3s));
  EXPECT_EQ(parse_grpc_timeout("4m"), Duration(4ms));
  EXPECT_EQ(parse_grpc_timeout("5u"), Duration(5us));
  EXPECT_EQ(parse_grpc_timeout("6n"), Duration(6ns));
  EXPECT_EQ(parse_grpc_timeout("0n"), Duration(0));
  EXPECT_EQ(parse_grpc_timeout("00000010S"), Duration(10s));
  EXPECT_EQ(parse_grpc_timeout("99999999H"), Duration::max());  // some 11,000 years
}

TEST(GrpcTimeout, Malformed) {
  for (const char* value : {"", "S", "1", "10", "1s", "1h", "-1S", "+1S", "1.5S", " 1S", "1S ",
                            "1 S", "1000000000n", "000000010S", "0x1S", "1SS"}) {
    EXPECT_EQ(parse_grpc_timeout(value), std::nullopt) << value;
  }
}

TEST(GrpcTimeout, IsWrittenInTheFinestUnitAndNeverShortened) {
  EXPECT_EQ(format_grpc_timeout(Duration(-5)), "0n");
  EXPECT_EQ(format_grpc_timeout(Duration(0)), "0n");
  EXPECT_EQ(format_grpc_timeout(99'999'999ns), "99999999n");
  EXPECT_EQ(format_grpc_timeout(100'000'000ns), "100000u");
  EXPECT_EQ(format_grpc_timeout(100'000'001ns), "100001u");
  EXPECT_EQ(format_grpc_timeout(99'999'999'001ns), "100000m");
  EXPECT_EQ(format_grpc_timeout(24h * 365), "31536000S");
  EXPECT_EQ(format_grpc_timeout(Duration::max()), "2562048H");
  for (std::int64_t value = 1; value > 0 && value < INT64_MAX / 7; value = value * 7 + 3) {
    const auto back = parse_grpc_timeout(format_grpc_timeout(Duration(value)));
    ASSERT_TRUE(back);
    EXPECT_GE(*back, Duration(value));
    EXPECT_LE((*back - Duration(value)).count(), value / 100'000 + 1);
  }
}

TEST(ConnectTimeout, Milliseconds) {
  EXPECT_EQ(parse_connect_timeout("0"), Duration(0));
  EXPECT_EQ(parse_connect_timeout("1500"), Duration(1500ms));
  EXPECT_EQ(parse_connect_timeout("9999999999"), Duration(9'999'999'999ms));
  for (const char* value : {"", "-1", "1.5", "10000000000", " 1", "1 ", "1m", "0x1"}) {
    EXPECT_EQ(parse_connect_timeout(value), std::nullopt) << value;
  }
  EXPECT_EQ(format_connect_timeout(Duration(-1)), "0");
  EXPECT_EQ(format_connect_timeout(1ns), "1");
  EXPECT_EQ(format_connect_timeout(1500ms), "1500");
  EXPECT_EQ(format_connect_timeout(1500ms + 1ns), "1501");
  EXPECT_EQ(format_connect_timeout(Duration::max()), "9999999999");
}

}  // namespace
}  // namespace tern::rpc
