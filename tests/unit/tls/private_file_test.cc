#include "transport/tls/private_file.h"

#include <array>
#include <atomic>
#include <fcntl.h>
#include <filesystem>
#include <iterator>
#include <string>
#include <sys/stat.h>
#include <thread>
#include <unistd.h>
#include <vector>

#include <gmock/gmock.h>

#include "tests/unit/temporary_folder.h"

namespace tern::tls {
namespace {

unsigned mode_of(const std::string& path) {
  struct stat info{};
  EXPECT_EQ(::lstat(path.c_str(), &info), 0) << path;
  return info.st_mode;
}

std::size_t files_in(const test::TemporaryFolder& folder) {
  const std::filesystem::directory_iterator files(folder.path());
  return static_cast<std::size_t>(std::distance(begin(files), end(files)));
}

TEST(PrivateFile, ReplacesAFileAndKeepsOthersOut) {
  const test::TemporaryFolder folder;
  const std::string path = folder.write("keys", "older and longer");
  ASSERT_EQ(::chmod(path.c_str(), 0644), 0);
  ASSERT_TRUE(write_private_file(path, "new"));
  EXPECT_EQ(test::TemporaryFolder::read(path), "new");
  EXPECT_EQ(mode_of(path) & 0777, 0600u);
  EXPECT_EQ(files_in(folder), 1u);
}

/// `xargs -P 8 tern get --session FILE`.
TEST(PrivateFile, ManyMayReplaceItAtOnce) {
  const test::TemporaryFolder folder;
  const std::string path = folder / "sessions";
  std::vector<std::thread> writers;
  for (char c = 'a'; c < 'i'; ++c) {
    writers.emplace_back([&path, c] {
      for (int i = 0; i < 200; ++i) {
        const auto written = write_private_file(path, std::string(1'000, c));
        EXPECT_TRUE(written) << written.error().to_string();
      }
    });
  }
  for (std::thread& writer : writers) writer.join();
  const std::string text = test::TemporaryFolder::read(path);
  EXPECT_EQ(text, std::string(1'000, text.front()));
  EXPECT_EQ(files_in(folder), 1u);
}

TEST(PrivateFile, IsMadeByOneOfThem) {
  const test::TemporaryFolder folder;
  for (int round = 0; round < 50; ++round) {
    const std::string path = folder / ("key" + std::to_string(round));
    std::vector<std::string> seen(4);
    std::atomic<int> made = 0;
    std::vector<std::thread> writers;
    for (std::size_t i = 0; i < seen.size(); ++i) {
      writers.emplace_back([&, i] {
        const Result<bool> mine = make_private_file(path, std::string(1'000, char('a' + i)));
        ASSERT_TRUE(mine) << mine.error().to_string();
        if (*mine) ++made;
        seen[i] = test::TemporaryFolder::read(path);
      });
    }
    for (std::thread& writer : writers) writer.join();
    EXPECT_EQ(made, 1);
    EXPECT_EQ(seen[0].size(), 1'000u);
    EXPECT_THAT(seen, ::testing::Each(seen[0]));
    EXPECT_EQ(mode_of(path) & 0777, 0600u);
  }
  EXPECT_EQ(files_in(folder), 50u);
  EXPECT_FALSE(make_private_file(folder / "no/such/file", "text"));
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
