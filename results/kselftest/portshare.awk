# From what the program wrote to TAP: awk -f portshare.awk FACTS plan.tsv EVENTS.
#
# FACTS has what probes found of this kernel, a line `"behaviour": true` each.  plan.tsv has a line a case: its id, then
# for each known deviation that it may show CAUSE:BEHAVIOURS:ANSWERS, as results/known.py has them.  EVENTS is the
# event stream, one JSON object a line.  With `some` not all cases were asked: those without an event are left out.

BEGIN { WORSE = " pass skip error timeout fail" }

FNR == 1 { file++ }

file == 1 && match($0, /"[a-z0-9_]+": (true|false)/) {
  split(substr($0, RSTART, RLENGTH), fact, "\"")
  has[fact[2]] = fact[3] == ": true" ? "true" : "false"
}

file == 2 { plan[++planned] = $0 }

file == 3 {
  id = value("case")
  event = value("event")
  if (event == "start") started[id] = 1
  if (event == "end") end($0)
  if (event == "exit") how[id] = value("how")
  if (event == "kernel") complaint[++complaints] = id ": " text($0, "text")
}

END {
  for (number = 1; number <= planned; number++) judge(plan[number])
  for (cause in stale) {
    told("not ok", "known_deviations." cause ".passed", "", "expected to fail on this kernel, and passed:" stale[cause])
  }
  for (number = 1; number <= complaints; number++) {
    cut = index(complaint[number], ": ")
    told("not ok", "kernel_log." substr(complaint[number], 1, cut - 1), "", substr(complaint[number], cut + 2))
  }
  print "TAP version 13"
  print "1.." results
  for (number = 1; number <= told_; number++) print line_[number]
  exit failed ? 1 : passed ? 0 : 4
}

# A word of this line; not one in a message, whose quotation marks have backslashes.
function value(key) {
  if (!match($0, "[{,]\"" key "\":\"[^\"]*\"")) return ""
  return substr($0, RSTART + length(key) + 5, RLENGTH - length(key) - 6)
}

# A child that forked and ran on says a second end: the worse one stands.
function end(line,   now) {
  now = value("status")
  if (id in status && index(WORSE, " " now) <= index(WORSE, " " status[id])) return
  status[id] = now
  said[id] = line
}

# A string of a line with its JSON escapes; "" where there is none.
function text(line, key,   at, rest, length_) {
  at = index(line, "\"" key "\":\"")
  if (!at) return ""
  rest = substr(line, at + length(key) + 4)
  gsub(/\\\\/, "\001", rest)
  gsub(/\\"/, "\002", rest)
  length_ = index(rest, "\"")
  rest = substr(rest, 1, length_ - 1)
  gsub(/\002/, "\"", rest)
  gsub(/\001/, "\\\\", rest)
  return rest
}

function judge(line,   words, count, id, is, entry, word, why) {
  count = split(line, words, "\t")
  id = words[1]
  is = status[id]
  if (is == "" && !(id in started) && some) return
  if (is == "") is = (id in how) && how[id] ~ /^Timeout/ ? "timeout" : id in started ? "crashed" : "missing"
  else if ((is == "pass" || is == "skip") && id in how) is = "crashed"
  for (entry = 2; entry <= count; entry++) {
    split(words[entry], word, ":")
    if (!excused(word[2], 0)) continue
    if (is == "pass" && excused(word[2], 1)) {
      stale[word[1]] = stale[word[1]] " " id
      break
    }
    if ((is == "fail" && !(id in how) || is == "error" || is == "timeout") && explained(word[3], is, said[id])) {
      told("ok", id, "XFAIL known deviation " word[1], "")
      passed++
      return
    }
  }
  why = text(said[id], "message")
  if (why == "") why = text(said[id], "text")
  if (why == "" && id in how) why = how[id]
  if (is == "pass") {
    told("ok", id, "", "")
    passed++
  } else if (is == "skip") {
    told("ok", id, "SKIP " code(said[id]), "")
  } else {
    told("not ok", id, is == "fail" ? "" : is == "timeout" ? "TIMEOUT" : "ERROR " is, why)
  }
}

function told(result, name, directive, why,   line, count, number) {
  if (why != "") {
    count = split(why, line, "\\\\n")
    for (number = 1; number <= count; number++) if (line[number] != "") line_[++told_] = "#  " line[number]
  }
  line_[++told_] = result " " ++results " " name (directive == "" ? "" : " # " directive)
  if (result == "not ok") failed++
}

function code(line) {
  return match(line, /"code":"[a-z0-9_]+"/) ? substr(line, RSTART + 8, RLENGTH - 9) : ""
}

# Does this kernel have, or lack, what the words say?  What could not be probed counts as both, but not where it must
# be `known`.
function excused(behaviours, known,   words, count, number, name, wanted) {
  count = split(behaviours, words, " ")
  for (number = 1; number <= count; number++) {
    name = words[number]
    wanted = sub(/^!/, "", name) ? "true" : "false"
    if (name in has ? has[name] != wanted : known) return 0
  }
  return 1
}

# Are the wrong answers of this end among the expected ones?
function explained(answers, is, line,   found, word, any) {
  if (is != "fail") return (" " answers " ") ~ / none /
  if (answers == "") return 1
  any = 0
  wrong(line)
  for (found in got) {
    any = 1
    if (!index(" " answers " ", " " found " ")) return 0
  }
  return any || index(" " answers " ", " unnamed ")
}

# The wrong answers into got[]: those of the steps that the case judged wrong, else GoogleTest's Actual.
function wrong(line,   parts, count, number, at, word) {
  split("", got)
  count = split(line, parts, /\\n|"message":"/)
  for (number = 1; number <= count; number++) {
    if (parts[number] !~ /^ .*  => [A-Za-z_].*<-- wanted /) continue
    word = parts[number]
    while (at = index(word, "  => ")) word = substr(word, at + 5)
    if (match(word, /^[A-Za-z_][A-Za-z0-9_]*/)) got[substr(word, 1, RLENGTH)] = 1
  }
  for (word in got) return
  for (number = 1; number <= count; number++) {
    if (parts[number] !~ /^ *Actual: [A-Za-z_]/) continue
    word = parts[number]
    sub(/^ *Actual: /, "", word)
    match(word, /^[A-Za-z_][A-Za-z0-9_]*/)
    got[substr(word, 1, RLENGTH)] = 1
  }
}
