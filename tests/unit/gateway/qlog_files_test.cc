#include "gateway/qlog_files.h"

#include <string>

#include <gtest/gtest.h>

#include "tests/unit/temporary_folder.h"

namespace tern {
namespace {

TEST(QlogFiles, WritesAFileForEachConnection) {
  const test::TemporaryFolder root;
  const std::string folder = root / "a/b";
  const auto opener = qlog_files(folder);
  ASSERT_TRUE(opener);
  std::string text;
  {
    const auto sink = (*opener)("00ff_server");
    ASSERT_NE(sink, nullptr);
    for (int i = 0; i < 30'000; ++i) {
      const std::string record = "\x1e{\"n\":" + std::to_string(i) + "}\n";
      sink->write(record);
      text += record;
    }
  }
  EXPECT_EQ(test::TemporaryFolder::read(folder + "/00ff_server.sqlog"), text);
  EXPECT_EQ((*opener)("no/such/folder"), nullptr);
}

TEST(QlogFiles, NamesAFolderThatCannotBe) {
  const auto opener = qlog_files("/dev/null/qlog");
  ASSERT_FALSE(opener);
  EXPECT_NE(opener.error().detail.find("/dev/null/qlog"), std::string::npos);
}

}  // namespace
}  // namespace tern
