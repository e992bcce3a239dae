#include "daemon/ctl/complaint.hpp"

#include <gmock/gmock.h>

namespace sluice::ctl {
namespace {

using testing::HasSubstr;
using testing::Not;

std::string said(const std::string& name, const std::string& message = "its words") {
  return complaint({name, message}, {.bus = "system", .patience_s = 7});
}

TEST(Complaint, SaysHowToStartADaemonThatIsAway) {
  for (const char* name : {kNotRunning, "org.freedesktop.DBus.Error.ServiceUnknown",
                           "org.freedesktop.DBus.Error.NameHasNoOwner"})
    EXPECT_THAT(said(name), HasSubstr("not running. Start it: systemctl start sluiced"));
  const auto elsewhere = complaint({kNotRunning, {}}, {.bus = "unix:path=/x", .patience_s = 7});
  EXPECT_THAT(elsewhere, HasSubstr("--bus=unix:path=/x"));
  EXPECT_THAT(elsewhere, Not(HasSubstr("systemctl")));
}

TEST(Complaint, HasACureForEachWayToFail) {
  EXPECT_THAT(said(kNoBus), HasSubstr("cannot be reached: its words"));
  EXPECT_THAT(said(kNoBus), HasSubstr("--bus=ADDRESS"));
  EXPECT_THAT(said(kMuteBus), HasSubstr("the bus 'system' did not answer within 7 s"));
  EXPECT_THAT(said("org.freedesktop.DBus.Error.Timeout"), HasSubstr("within 7 s"));
  EXPECT_THAT(said("org.freedesktop.DBus.Error.Timeout"), HasSubstr("journalctl -u sluiced"));
  EXPECT_THAT(said("org.freedesktop.DBus.Error.NoReply"), HasSubstr("ended before it answered"));
  EXPECT_THAT(said("org.freedesktop.DBus.Error.AccessDenied"), HasSubstr("as root"));
  EXPECT_THAT(said("org.sluice.Governor1.Error.RateLimited"), HasSubstr("its words. Try again in a second"));
  EXPECT_THAT(said("org.sluice.Governor1.Error.InvalidConfig"), HasSubstr("--check-config"));
  EXPECT_THAT(said("org.freedesktop.DBus.Error.UnknownObject"), HasSubstr("sluicectl list"));
}

TEST(Complaint, PassesOnWhatTheDaemonPutIntoWords) {
  EXPECT_EQ(said("org.sluice.Governor1.Error.Pinned"), "its words");
  EXPECT_EQ(said("org.freedesktop.DBus.Error.InvalidArgs"), "its words");
  EXPECT_EQ(said("System.Error.EIO"), "its words (System.Error.EIO)");
}

TEST(Complaint, NamesTheBoundsOfARefusedPin) {
  const Dictionary task{{"Name", {std::string("clicks")}},
                        {"CPUMinPerSecUSec", {std::uint64_t{50'000}}},
                        {"CPUMaxPerSecUSec", {std::uint64_t{1'500'000}}},
                        {"MemoryMin", {std::uint64_t{0}}},
                        {"MemoryMax", {std::uint64_t{512} << 20}}};
  EXPECT_THAT(bounds_words(task),
              HasSubstr("clicks may have 0.050 cores to 1.50 cores and 0 B to 512 MiB of memory"));
}

}  // namespace
}  // namespace sluice::ctl
