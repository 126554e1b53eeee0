#include <vector>

#include <gmock/gmock.h>

#include "tests/vectors/vector_file.h"
#include "transport/tls/handshake_state.h"

namespace tern::tls {
namespace {

using Octets = std::vector<std::uint8_t>;

/// A ClientHello with these suites and one extension.
Octets hello(const std::string& suites, const std::string& session_id = "") {
  const auto hex = [](std::size_t value, int digits) {
    std::string text;
    for (int i = digits - 1; i >= 0; --i) text += "0123456789abcdef"[value >> (4 * i) & 15];
    return text;
  };
  const std::string extensions = "002b0003020304";
  const std::string body = "0303" + std::string(64, '7') + hex(session_id.size() / 2, 2) +
                           session_id + hex(suites.size() / 2, 4) + suites + "0100" +
                           hex(extensions.size() / 2, 4) + extensions;
  return test::from_hex("01" + hex(body.size() / 2, 6) + body);
}

TEST(OfferOnlyChaCha20, ReplacesTwoSuitesByAnEmptyPaddingExtension) {
  for (const char* suites : {"130113021303", "130313011302"}) {
    for (const std::string session_id : {"", "a1a2a3"}) {
      Octets message = hello(suites, session_id);
      const std::size_t size = message.size();
      ASSERT_TRUE(offer_only_chacha20(message));
      ASSERT_EQ(message.size(), size);
      Octets expected = hello("1303", session_id);
      const Octets padding{0x00, 0x15, 0x00, 0x00};
      expected.insert(expected.end(), padding.begin(), padding.end());
      expected[3] = static_cast<std::uint8_t>(expected[3] + 4);  // the message's length
      const std::size_t extensions_length = expected.size() - 4 - 7 - 1;
      expected[extensions_length] = static_cast<std::uint8_t>(expected[extensions_length] + 4);
      EXPECT_EQ(message, expected);
      EXPECT_TRUE(offer_only_chacha20(message)) << "done twice";
      EXPECT_EQ(message, expected);
    }
  }
}

TEST(OfferOnlyChaCha20, RefusesOtherShapes) {
  Octets four = hello("1301130213031304");
  EXPECT_FALSE(offer_only_chacha20(four));
  Octets other = hello("1301");
  EXPECT_FALSE(offer_only_chacha20(other));
  Octets server = hello("130113021303");
  server[0] = 2;
  EXPECT_FALSE(offer_only_chacha20(server));
  const Octets whole = hello("130113021303");
  for (std::size_t size = 0; size < whole.size(); ++size) {
    Octets part(whole.begin(), whole.begin() + static_cast<std::ptrdiff_t>(size));
    EXPECT_FALSE(offer_only_chacha20(part)) << size;
  }
}

}  // namespace
}  // namespace tern::tls
