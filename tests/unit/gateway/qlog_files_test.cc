#include "gateway/qlog_files.h"

#include <filesystem>
#include <fstream>
#include <iterator>
#include <stdlib.h>
#include <string>

#include <gtest/gtest.h>

namespace tern {
namespace {

std::string contents(const std::string& path) {
  std::ifstream file(path);
  return {std::istreambuf_iterator<char>(file), {}};
}

TEST(QlogFiles, WritesAFileForEachConnection) {
  std::string name = (std::filesystem::temp_directory_path() / "tern-XXXXXX").string();
  const std::string root = mkdtemp(name.data());
  const std::string folder = root + "/a/b";
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
  EXPECT_EQ(contents(folder + "/00ff_server.sqlog"), text);
  EXPECT_EQ((*opener)("no/such/folder"), nullptr);
  std::filesystem::remove_all(root);
}

TEST(QlogFiles, NamesAFolderThatCannotBe) {
  const auto opener = qlog_files("/dev/null/qlog");
  ASSERT_FALSE(opener);
  EXPECT_NE(opener.error().detail.find("/dev/null/qlog"), std::string::npos);
}

}  // namespace
}  // namespace tern
