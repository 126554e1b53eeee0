#include "examples/chat/text.h"

#include <string>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace tern::chat {
namespace {

TEST(Text, StaysAsItIs) {
  for (const char* text : {"hello", "two\nlines", "  an  indent", "<b>not markup</b>", "Zürich",
                           "שלום", "\xf0\x9f\x91\xa9\xe2\x80\x8d\xf0\x9f\x9a\x80"}) {
    const std::string trimmed = text[0] == ' ' ? text + 2 : text;
    EXPECT_EQ(clean_text(text), trimmed);
  }
}

TEST(Text, LosesWhatOthersCannotSee) {
  EXPECT_EQ(clean_text("a\x01\x1b[31mb\x7f"), "a[31mb");
  EXPECT_EQ(clean_text("a\xc2\x85\xc2\x9b"), "a");                      // C1
  EXPECT_EQ(clean_text("pay \xe2\x80\xaegpj.exe"), "pay gpj.exe");      // RLO
  EXPECT_EQ(clean_text("\xe2\x81\xa6x\xe2\x81\xa9\xef\xbb\xbf"), "x");  // isolates, BOM
  EXPECT_EQ(clean_text("a\xe2\x80\x8b\xe2\x80\xa8"
                       "b"),
            "ab");                                  // zero width, LS
  EXPECT_EQ(clean_text("x\xf3\xa0\x81\x81"), "x");  // tags
}

TEST(Text, FourAccentsAreEnough) {
  std::string zalgo = "e";
  for (int i = 0; i < 50; ++i) zalgo += "\xcc\x81";
  EXPECT_EQ(clean_text(zalgo), "e\xcc\x81\xcc\x81\xcc\x81\xcc\x81");
}

TEST(Text, RefusesWhatIsNoMessage) {
  for (const char* text : {"", " \n\t ", "\x01\x02", "\xe2\x80\x8b", "\xff", "\xc3", "\xed\xa0\x80",
                           "\xc0\xaf", "ok \xf5\x80\x80\x80"}) {
    EXPECT_EQ(clean_text(text), std::nullopt) << testing::PrintToString(std::string(text));
  }
  EXPECT_TRUE(clean_text(std::string(kMaxText, 'x')));
  EXPECT_FALSE(clean_text(std::string(kMaxText + 1, 'x')));
}

TEST(Name, IsOneShortLine) {
  EXPECT_EQ(clean_name("  Ada\n\tLovelace  "), "Ada Lovelace");
  EXPECT_EQ(clean_name(std::string(1'000'000, 'x')), std::string(kMaxName, 'x'));
  std::string birds;
  for (int i = 0; i < 1000; ++i) birds += "\xf0\x9f\x90\xa7";
  EXPECT_EQ(clean_name(birds), birds.substr(0, 4 * kMaxName));
  EXPECT_EQ(clean_name("<script>alert(1)</script>"), "<script>alert(1)</script>");
  EXPECT_EQ(clean_name(""), std::nullopt);
  EXPECT_EQ(clean_name("\xff"), std::nullopt);
  EXPECT_EQ(clean_name("\xe2\x80\xae"), std::nullopt);
}

TEST(Name, IsCompared) {
  EXPECT_TRUE(same_name("Ada", "aDA"));
  EXPECT_FALSE(same_name("Ada", "Adam"));
  EXPECT_FALSE(same_name("Ada", "Ad\xc3\xa4"));
}

}  // namespace
}  // namespace tern::chat
