#include "tools/tern/json_writer.h"

#include <cstdint>
#include <limits>

#include <gtest/gtest.h>

namespace tern::cli {
namespace {

TEST(JsonWriter, Nests) {
  JsonWriter json;
  json.begin_object().member("a", 1).key("b").begin_array();
  json.value("x").value(true).null().begin_object().end().end();
  json.member("c", std::uint64_t{18446744073709551615u}).member("d", -2).end();
  EXPECT_EQ(json.text(), R"({"a":1,"b":["x",true,null,{}],"c":18446744073709551615,"d":-2})");
}

TEST(JsonWriter, EscapesText) {
  JsonWriter json;
  json.value(std::string_view("\"\\\n\x01\xff é", 8));
  EXPECT_EQ(json.text().front(), '"');
  EXPECT_EQ(json.text().find('\n'), std::string::npos);
  EXPECT_EQ(json.text().find('\x01'), std::string::npos);
  EXPECT_EQ(json.text().find('\xff'), std::string::npos);
}

TEST(JsonWriter, NumbersThatJsonDoesNotHaveAreNull) {
  JsonWriter json;
  json.begin_array().value(0.5).value(std::numeric_limits<double>::infinity()).end();
  EXPECT_EQ(json.text(), "[0.5,null]");
}

}  // namespace
}  // namespace tern::cli
