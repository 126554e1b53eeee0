// Transport parameters no honest client sends (RFC 9000 §7.4, §18.2): the server ends the handshake
// with TRANSPORT_PARAMETER_ERROR, says so in one line, and other connections go on.

#include <gtest/gtest.h>

#include "tests/unit/quic/forger.h"

namespace tern::quic::testing {
namespace {

constexpr std::uint64_t kTransportParameterError = 0x08;
constexpr std::uint64_t kVersionNegotiationError = 0x11;

/// An encoded parameter; `id` and the value's length are below 64.
std::vector<std::uint8_t> parameter(std::uint8_t id, std::vector<std::uint8_t> value) {
  value.insert(value.begin(), {id, static_cast<std::uint8_t>(value.size())});
  return value;
}

struct ParametersCase {
  const char* name;
  std::vector<std::uint8_t> parameters;  // behind the client's own
  std::uint64_t code = kTransportParameterError;
};

class TransportParameters : public ::testing::TestWithParam<ParametersCase> {};

TEST_P(TransportParameters, EndTheHandshake) {
  Pair pair;
  Connection* other = pair.connect();
  pair.run();
  ConnectOptions options = pair.connect_options();
  options.more_parameters = GetParam().parameters;
  pair.connect(options);
  pair.run();
  ASSERT_EQ(pair.client.closed.size(), 1u);
  const Error& seen = pair.client.closed[0];
  EXPECT_EQ(seen.domain, Domain::quic) << seen.to_string();
  EXPECT_EQ(seen.code, GetParam().code) << seen.to_string();
  EXPECT_EQ(seen.origin, Origin::remote);
  EXPECT_EQ(pair.server.count("quic.errors"), 1u);
  EXPECT_EQ(pair.server.log.all.size(), 1u);
  EXPECT_EQ(pair.server.endpoint->connections(), 1u);
  ASSERT_FALSE(other->closed());
  const StreamId stream = *other->open_bidi();
  other->write(stream, Bytes::literal("unharmed"), true);
  pair.run();
  EXPECT_EQ(pair.server.received[stream], "unharmed");
}

INSTANTIATE_TEST_SUITE_P(
    Rfc9000, TransportParameters,
    ::testing::Values(
        ParametersCase{"id_is_cut_off", {0x40}}, ParametersCase{"length_is_missing", {0x01}},
        ParametersCase{"value_is_cut_off", {0x01, 0x02, 0x40}},
        ParametersCase{"value_is_longer_than_its_varint", parameter(0x01, {0x01, 0x00})},
        ParametersCase{"value_is_shorter_than_its_varint", parameter(0x01, {0x80, 0x00})},
        ParametersCase{"one_is_there_twice", parameter(0x04, {0x3f})},
        ParametersCase{"an_unknown_one_is_there_twice", {0x3a, 0x00, 0x3a, 0x00}},
        ParametersCase{"flag_with_a_value", parameter(0x0c, {0x01})},
        ParametersCase{"max_udp_payload_size_1199", parameter(0x03, {0x44, 0xaf})},
        ParametersCase{"ack_delay_exponent_21", parameter(0x0a, {21})},
        ParametersCase{"max_ack_delay_2_14", parameter(0x0b, {0x80, 0x00, 0x40, 0x00})},
        ParametersCase{"active_connection_id_limit_1", parameter(0x0e, {1})},
        ParametersCase{"max_bidi_streams_beyond_2_60",
                       parameter(0x08, {0xd0, 0, 0, 0, 0, 0, 0, 1})},
        ParametersCase{"max_uni_streams_beyond_2_60", parameter(0x09, {0xd0, 0, 0, 0, 0, 0, 0, 1})},
        ParametersCase{"original_destination_connection_id",
                       parameter(0x00, {1, 2, 3, 4, 5, 6, 7, 8})},
        ParametersCase{"stateless_reset_token", parameter(0x02, std::vector<std::uint8_t>(16, 7))},
        ParametersCase{"preferred_address", parameter(0x0d, std::vector<std::uint8_t>(45, 8))},
        ParametersCase{"retry_source_connection_id", parameter(0x10, {1, 2, 3, 4})},
        ParametersCase{"another_initial_source_connection_id", parameter(0x0f, {1, 2, 3, 4, 5})},
        ParametersCase{"connection_id_of_21_bytes",
                       parameter(0x0f, std::vector<std::uint8_t>(21, 1))},
        ParametersCase{"version_information_is_cut_off", parameter(0x11, {0, 0, 0, 1, 0, 0})},
        ParametersCase{"version_information_has_version_0",
                       parameter(0x11, {0, 0, 0, 1, 0, 0, 0, 0})},
        ParametersCase{"chosen_version_is_not_the_packets",
                       parameter(0x11, {0, 0, 0, 9, 0, 0, 0, 9}), kVersionNegotiationError}),
    [](const auto& test) { return std::string(test.param.name); });

}  // namespace
}  // namespace tern::quic::testing
