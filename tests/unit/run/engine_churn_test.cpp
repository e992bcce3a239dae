// Scopes that appear and vanish, each with a unique name: engine and host keep no memory of them.
// tests/e2e/soak_scopes.py does the same with a whole daemon and measures its memory.
#include <gtest/gtest.h>
#include <malloc.h>

#include <cstdlib>
#include <filesystem>

#include "tests/unit/run/model_host.hpp"

namespace sluice::testing {
namespace {

constexpr std::uint64_t kAtOnce = 20;

class Churn : public ::testing::Test {
 public:
  Churn() {
    config::Config config;
    config.node.discovery = std::chrono::milliseconds(100);
    config::Task rule;
    rule.match_unit = "run-*.scope";
    rule.policy.cpu.initial_cores = 1.5;
    rule.policy.forecast.mode = config::ForecastMode::on;  // profiles are kept by name
    config.tasks.push_back(rule);
    // Real files: those of tests/support keep data that was not synced, in order to lose it.
    auto lease = actuate::Lease::open(files::posix_files(), folder_.string(), ModelHost::kBoot);
    auto holds = record::HoldStore::open(files::posix_files(), folder_.string(), ModelHost::kBoot);
    engine_ = std::make_unique<Engine>(
        host_, Engine::Parts{std::move(*lease), std::move(*holds), std::move(config), {}});
  }

  ~Churn() override { std::filesystem::remove_all(folder_); }

  static std::filesystem::path make_folder() {
    std::string name = ::testing::TempDir() + "sluice-churn-XXXXXX";
    return ::mkdtemp(name.data());
  }

  // Some scopes appear, are governed, and vanish.
  void generation() {
    for (std::uint64_t i = 0; i < kAtOnce; ++i)
      host_.add("/user.slice/run-" + std::to_string(scopes_++) + ".scope");
    for (int i = 0; i < 3; ++i) tick();
    most_leased_ = std::max(most_leased_, engine_->left().size());
    host_.groups.clear();
    for (int i = 0; i < 2; ++i) tick();
  }

  void tick() {
    host_.now += std::chrono::milliseconds(100);
    const WallClock wall{.since_epoch =
                             std::chrono::duration_cast<std::chrono::seconds>(host_.now.time_since_epoch())};
    for (auto& [id, group] : host_.groups) group.usage.usage += Usec{50'000};
    engine_->look(host_.now);
    engine_->full_tick({host_.now, wall, {8, Bytes{16} << 30}});
    for (auto& pending : host_.pending) {
      pending.landed = true;
      if (auto* knob = host_.knob_of(pending.order.id, pending.order.knob)) {
        knob->value = pending.order.value;
        knob->ours = pending.order.reason.rule != Rule::released;
      }
    }
    while (!host_.pending.empty()) host_.answer(0);
    engine_->take_reports();
    engine_->take_sentences();
  }

 protected:
  std::filesystem::path folder_ = make_folder();
  ModelHost host_;
  std::unique_ptr<Engine> engine_;
  std::uint64_t scopes_ = 0;
  std::size_t most_leased_ = 0;
};

TEST_F(Churn, NothingIsKeptOfScopesThatAreGone) {
  constexpr std::uint64_t kScopes = 50'000;
  // by then the forecasts have their maximum of a thousand names
  constexpr std::uint64_t kBefore = kScopes / 2;
  while (scopes_ < kBefore) generation();
  const auto used = [] { return ::mallinfo2().uordblks; };
  const auto before = used();
  while (scopes_ < kScopes) generation();
  const auto after = used();
  EXPECT_GE(most_leased_, kAtOnce) << "they were governed";
  EXPECT_TRUE(engine_->registry().tasks().empty());
  EXPECT_TRUE(engine_->state().tasks.empty());
  EXPECT_LE(engine_->state().profiles.size(), 1000U);
  EXPECT_TRUE(engine_->left().empty());
  EXPECT_TRUE(engine_->report()->tasks.empty());
  EXPECT_TRUE(host_.opened.empty()) << "no descriptor is kept";
  EXPECT_LT(std::filesystem::file_size(folder_ / "lease"), std::size_t{1} << 20);
  // 8 bytes per scope would be 200,000. Under sanitizers mallinfo2 reports nothing.
  EXPECT_LT(after, before + 100'000) << "bytes in use grow with the scopes that ever were";
}

}  // namespace
}  // namespace sluice::testing
