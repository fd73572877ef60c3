// A limit on a case, kept by a timer: whatever blocks, the process says so and ends.
#pragma once

#include <chrono>
#include <string>

namespace portshare {

// What a single step may take before it is given up as ETIMEDOUT: well below a case's own deadline.
inline constexpr std::chrono::milliseconds kStepLimit{3000};

// The same limit on connect(2) and send(2) of a socket.  socket(7) SO_SNDTIMEO
void LimitSends(int socket);

// From PORTSHARE_DEADLINE (seconds); 10 s without it.
std::chrono::milliseconds CaseDeadline();

// Ends the process after `limit` with exit code 1.  `end_event` is a JSON object: it is written to the event stream
// together with the step that was named last.
void StartDeadline(std::chrono::milliseconds limit, const std::string& end_event);
void NameStep(const std::string& json_string);
void StopDeadline();

// A child of fork(2) has no timer of its case.  This gives it one that ends it in silence, so that it does not stay
// when its parent was ended first.
void LimitChild();

}  // namespace portshare
