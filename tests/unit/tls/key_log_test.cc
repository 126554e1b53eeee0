#include "transport/tls/key_log.h"

#include <set>
#include <sstream>
#include <string>
#include <sys/stat.h>
#include <thread>
#include <vector>

#include <gmock/gmock.h>

#include "tests/unit/temporary_folder.h"

namespace tern::tls {
namespace {

TEST(KeyLog, AppendsToAPrivateFile) {
  const test::TemporaryFolder folder;
  for (const char* line : {"CLIENT_RANDOM a", "CLIENT_RANDOM b"}) {
    const auto log = KeyLog::open(folder / "keys.log");
    ASSERT_TRUE(log);
    (*log)->write(line);
  }
  EXPECT_EQ(test::TemporaryFolder::read(folder / "keys.log"), "CLIENT_RANDOM a\nCLIENT_RANDOM b\n");
  struct stat info{};
  ASSERT_EQ(stat((folder / "keys.log").c_str(), &info), 0);
  EXPECT_EQ(info.st_mode & 0777, 0600u);
}

TEST(KeyLog, NamesAFileItCannotOpen) {
  const test::TemporaryFolder folder;
  const auto log = KeyLog::open(folder / "no/such/keys.log");
  ASSERT_FALSE(log);
  EXPECT_THAT(log.error().to_string(), ::testing::HasSubstr(folder / "no/such/keys.log"));
}

TEST(KeyLog, LinesOfThreadsDoNotMix) {
  const test::TemporaryFolder folder;
  const auto log = KeyLog::open(folder / "keys.log");
  ASSERT_TRUE(log);
  std::vector<std::thread> threads;
  for (const char letter : {'a', 'b', 'c'}) {
    threads.emplace_back([&, letter] {
      for (int i = 0; i < 200; ++i) (*log)->write(std::string(180, letter));
    });
  }
  for (std::thread& thread : threads) thread.join();
  std::istringstream lines(test::TemporaryFolder::read(folder / "keys.log"));
  std::string line;
  int count = 0;
  for (; std::getline(lines, line); ++count) {
    ASSERT_EQ(line, std::string(180, line[0]));
  }
  EXPECT_EQ(count, 600);
}

}  // namespace
}  // namespace tern::tls
