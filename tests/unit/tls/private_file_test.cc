#include "transport/tls/private_file.h"

#include <array>
#include <fcntl.h>
#include <filesystem>
#include <string>
#include <sys/stat.h>
#include <unistd.h>

#include <gmock/gmock.h>

#include "tests/unit/temporary_folder.h"

namespace tern::tls {
namespace {

unsigned mode_of(const std::string& path) {
  struct stat info{};
  EXPECT_EQ(::lstat(path.c_str(), &info), 0) << path;
  return info.st_mode;
}

TEST(PrivateFile, ReplacesAFileAndKeepsOthersOut) {
  const test::TemporaryFolder folder;
  const std::string path = folder.write("keys", "older and longer");
  ASSERT_EQ(::chmod(path.c_str(), 0644), 0);
  ASSERT_TRUE(write_private_file(path, "new"));
  EXPECT_EQ(test::TemporaryFolder::read(path), "new");
  EXPECT_EQ(mode_of(path) & 0777, 0600u);
  EXPECT_FALSE(std::filesystem::exists(path + ".new"));
}

TEST(PrivateFile, ALinkStaysOne) {
  const test::TemporaryFolder folder;
  const std::string path = folder.write("there", "old");
  std::filesystem::create_symlink("there", folder.path() / "here");
  ASSERT_TRUE(write_private_file(folder / "here", "new"));
  EXPECT_TRUE(std::filesystem::is_symlink(folder.path() / "here"));
  EXPECT_EQ(test::TemporaryFolder::read(path), "new");
}

/// As root, --session /dev/null made a file of the system's device.
TEST(PrivateFile, WhatIsNoFileIsWrittenToAndStays) {
  const test::TemporaryFolder folder;
  const std::string path = folder / "pipe";
  ASSERT_EQ(::mkfifo(path.c_str(), 0600), 0);
  std::filesystem::create_symlink("pipe", folder.path() / "link");
  const int reader = ::open(path.c_str(), O_RDONLY | O_NONBLOCK | O_CLOEXEC);
  ASSERT_GE(reader, 0);
  for (const std::string& name : {path, folder / "link"}) {
    ASSERT_TRUE(write_private_file(name, "text"));
    std::array<char, 16> got{};
    EXPECT_EQ(::read(reader, got.data(), got.size()), 4);
    EXPECT_EQ(std::string(got.data(), 4), "text");
  }
  ::close(reader);
  EXPECT_TRUE(S_ISFIFO(mode_of(path)));
  EXPECT_TRUE(std::filesystem::is_symlink(folder.path() / "link"));
}

TEST(PrivateFile, WhereStdoutGoesIsPrintedTo) {
  const test::TemporaryFolder folder;
  const std::string path = folder.write("out", "");
  const int kept = ::dup(STDOUT_FILENO);
  const int out = ::open(path.c_str(), O_WRONLY | O_CLOEXEC);
  ASSERT_GE(::dup2(out, STDOUT_FILENO), 0);
  const bool begun = ::write(STDOUT_FILENO, "before, ", 8) == 8;
  const auto written = write_private_file("/dev/stdout", "and after");
  ::dup2(kept, STDOUT_FILENO);
  ::close(kept);
  ::close(out);
  EXPECT_TRUE(begun);
  EXPECT_TRUE(written);
  EXPECT_EQ(test::TemporaryFolder::read(path), "before, and after");
}

TEST(PrivateFile, SaysWhatItCannotWrite) {
  const test::TemporaryFolder folder;
  const auto nowhere = write_private_file(folder / "no/such/file", "text");
  ASSERT_FALSE(nowhere);
  EXPECT_THAT(nowhere.error().to_string(), ::testing::HasSubstr(folder / "no/such/file"));
  EXPECT_FALSE(write_private_file(folder.path().string(), "text")) << "a folder";
  EXPECT_FALSE(write_private_file("/dev/full", "text"));
  EXPECT_TRUE(S_ISCHR(mode_of("/dev/full")));
}

}  // namespace
}  // namespace tern::tls
