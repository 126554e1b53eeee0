#include "tools/tern/json_documents.h"

#include <algorithm>
#include <string>
#include <string_view>
#include <vector>

#include <gtest/gtest.h>

namespace tern::cli {
namespace {

/// What comes of a text in pieces of so many bytes; the last is "!" and why, if something is wrong.
std::vector<std::string> cut(std::string_view text, std::size_t piece) {
  JsonDocuments documents;
  std::vector<std::string> found;
  for (bool ended = false;;) {
    auto document = documents.next();
    if (!document) {
      found.push_back("!" + document.error().detail);
      return found;
    }
    if (*document) {
      found.push_back(**document);
    } else if (ended) {
      return found;
    } else if (text.empty()) {
      documents.end();
      ended = true;
    } else {
      documents.add(text.substr(0, piece));
      text.remove_prefix(std::min(piece, text.size()));
    }
  }
}

using Found = std::vector<std::string>;

TEST(JsonDocuments, OneAfterTheOther) {
  const std::string_view text =
      " {\"a\":1}{\"b\":[{}]}\n[1,2]\r\n\"x\\\"}\" 12\ttrue\"y\"null{\"c\":\"]}\\\\\"}\x1e-1.5e3";
  const Found wanted = {"{\"a\":1}", "{\"b\":[{}]}", "[1,2]", "\"x\\\"}\"",         "12",
                        "true",      "\"y\"",        "null",  "{\"c\":\"]}\\\\\"}", "-1.5e3"};
  for (std::size_t piece = 1; piece <= text.size(); ++piece) EXPECT_EQ(cut(text, piece), wanted);
  EXPECT_EQ(cut("", 1), Found{});
  EXPECT_EQ(cut(" \n\t", 1), Found{});
}

TEST(JsonDocuments, WhatHasNoEnd) {
  for (std::size_t piece : {1, 100}) {
    EXPECT_EQ(cut("{}\n\n {\"a\":\n1", piece),
              (Found{"{}", "!the JSON that begins in line 3 has no end"}));
    EXPECT_EQ(cut("\"abc", piece), (Found{"!the JSON that begins in line 1 has no end"}));
    EXPECT_EQ(cut("1 }", piece),
              (Found{"1", "!the JSON that begins in line 1 closes more than it opens"}));
  }
}

TEST(JsonDocuments, HasALimit) {
  JsonDocuments documents;
  documents.add("[\"");
  const std::string block(1024 * 1024, 'x');
  for (int i = 0; i < 64; ++i) documents.add(block);
  const auto refused = documents.next();
  ASSERT_FALSE(refused.has_value());
  EXPECT_EQ(refused.error().detail, "the JSON that begins in line 1 is longer than 64 MiB");
}

}  // namespace
}  // namespace tern::cli
