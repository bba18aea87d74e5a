# How checks run and are counted. Sourced by `run`, with the names of the wanted checks.

exec </dev/null
wanted=("$@")
ci=$PWD/target/ci
logs=$ci/logs
passed=0 failed=0
rm -rf "$logs"
mkdir -p "$logs"

export CARGO_TERM_COLOR=never CARGO_TERM_PROGRESS_WHEN=never
unset CARGO_TARGET_DIR RUSTFLAGS RUSTDOCFLAGS
# Incremental builds pay on the second build only, and a debugger's tables where somebody debugs: a panic says its line
# without them.
[ -n "${CI:-}" ] && export CARGO_INCREMENTAL=0 CARGO_PROFILE_DEV_DEBUG=0
# Tests wait more than they compute: for what is cut, comes again, is over.
export RUST_TEST_THREADS=$(($(nproc) + 1))
# What is released is put together for speed, which takes minutes, and nothing here is asked how fast it is.
export CARGO_PROFILE_RELEASE_LTO=off CARGO_PROFILE_RELEASE_CODEGEN_UNITS=16 CARGO_PROFILE_RELEASE_DEBUG=0

# check NAME COMMAND...: runs the command with its output in a log. It counts as one, and so does each test it ran. A command
# that exits with 77 could not be tried here: it is skipped, which is neither passed nor failed.
check() {
  local name=$1 began=$SECONDS verdict=ok
  shift
  [[ ${#wanted[@]} == 0 || " ${wanted[*]} " == *" $name "* ]] || return 0
  log=$logs/$name.log
  # In the background, because bash ignores `set -e` in whatever a condition runs.
  (set -e && "$@") >"$log" 2>&1 &
  wait $!
  case $? in
    0) passed=$((passed + 1)) ;;
    77) verdict=SKIP ;;
    *) verdict=FAIL failed=$((failed + 1)) ;;
  esac
  count_tests
  printf '%-5s %-10s %4d s  %s\n' $verdict "$name" $((SECONDS - began)) "$(cat "$log.note" 2>/dev/null)"
  # What a check could not try beside what it did.
  [ $verdict == SKIP ] || sed -nE "s/^SKIPPED: /SKIP  $name: /p" "$log"
  [ $verdict != FAIL ] || digest
}

# note TEXT: what the line of the running check should tell beside its name.
note() { echo "$*" >"$log.note"; }

# Adds the tests that the running check's log reports.
count_tests() {
  local counts
  counts=$(awk '/^test result: /{ ok += $4; bad += $6 } END { print ok + 0, bad + 0 }' "$log")
  passed=$((passed + ${counts% *}))
  failed=$((failed + ${counts#* }))
}

# What a reader needs of a failed check's log: the errors and failed tests by name, and the end.
digest() {
  grep -nE '^(error|warning: unused|test .* FAILED|thread .* panicked)' "$log" | head -20 | cut -c1-180
  echo "... the end of $log:"
  tail -n 40 "$log" | cut -c1-200
}

# The closing line comes however the run ends. One that was cut short, or checked nothing, has failed.
finish() {
  local status=$?
  ((status == 0 && passed + failed > 0 || failed > 0)) || failed=1
  echo "$passed passed, $failed failed"
  exit $((failed > 0))
}
trap finish EXIT
trap 'exit 130' INT TERM
