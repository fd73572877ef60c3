#pragma once

namespace portshare {

// From now on this process and its descendants signal and trace only each other: a process number that a case has
// wrong, or that has been given to another, ends nothing of the machine's. For good. False where the kernel cannot
// (Linux before 6.12, no Landlock, no CAP_SYS_ADMIN in the user namespace); landlock(7), LANDLOCK_SCOPE_SIGNAL.
bool KeepSignalsInside();

}  // namespace portshare
