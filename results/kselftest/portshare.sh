#!/bin/sh
# Asks this kernel who may share a port, a process a case, and tells the answers as TAP.
#
# Exit code: 0 as expected, 1 an unexpected answer or none, 4 everything was skipped.  Failures that plan.tsv knows of
# this kernel are XFAIL.  PORTSHARE_FILTER: a GoogleTest filter, for some of the cases.
set -eu

seconds=10 # that a case may take; the program gives it some more before it ends it
cd "$(dirname "$0")"
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
trap 'exit 1' HUP INT TERM

ending() {
  echo "# the program ended with $1: $(tail -n 1 "$folder/$2")"
  echo "Bail out! the kernel could not be asked"
  exit 1
}

./portshare_cases --facts >"$folder/facts" 2>"$folder/said" || ending $? said
code=0
PORTSHARE_EVENTS=$folder/events PORTSHARE_ATTEMPT=1 PORTSHARE_DEADLINE=$seconds \
  ./portshare_cases --gtest_brief=1 --gtest_filter="${PORTSHARE_FILTER:-*}" --apart=$((seconds + 5)) \
  >"$folder/log" 2>&1 || code=$?
[ "$code" -le 1 ] || ending "$code" log
touch "$folder/events"
LC_ALL=C awk -v some="${PORTSHARE_FILTER:+yes}" -f portshare.awk "$folder/facts" plan.tsv "$folder/events"
