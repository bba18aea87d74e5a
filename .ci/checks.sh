# The checks that take more than one command. Sourced by `run`; each fails by a status other than zero.

# Packages that are published: `-p a -p b …`.
published() { python3 .ci/house.py published; }

lock_is_current() { cargo metadata --locked --format-version 1 >/dev/null; }

# Folders and registry hosts of the machine that a file was written on. The brackets keep the patterns from
# finding themselves.
no_machine_words() {
  local words='/w[o]rk/|/r[o]ot/|/h[o]me/|/U[s]ers/|/t[m]p/[a-z]+_jobs|artifactor[y]|index\.c[r]ates|d[e]b\.debian|r[e]gistry\.npm|p[y]pi\.org'
  ! git grep -nIE "$words"
}

# Who may import whom, under which licence, from where. Advisories need a database that is fetched, and are left out.
cargo_deny() {
  local tool=$ci/tools/bin/cargo-deny
  [ -x "$tool" ] || cargo install --locked --debug --root "$ci/tools" cargo-deny@0.20.2
  "$tool" --locked check bans licenses sources
}

docs_build() { RUSTDOCFLAGS='-D warnings' cargo doc --workspace --no-deps; }

# rustdoc writes what is public as JSON; the script reads whose types that names.
public_types() {
  local packages
  packages=$(published)
  # shellcheck disable=SC2086
  RUSTDOC=$PWD/.ci/rustdoc-json RUSTDOCFLAGS='-Z unstable-options --output-format json' \
    cargo doc --no-deps --all-features $packages
  python3 .ci/public_types.py target/doc
}

# Each feature of each published crate, alone and none at all; what a manifest asks for must be used as well.
each_feature_alone() {
  local package feature features count=0
  features=$(python3 .ci/house.py features)
  while read -r package feature; do
    echo "== $package, ${feature:-no feature}"
    cargo clippy -p "$package" --lib --no-default-features ${feature:+--features "$feature"} \
      -- -D warnings -D unused-crate-dependencies
    count=$((count + 1))
  done <<<"$features"
  note "$count combinations"
}

# The oldest compiler that the published crates promise to build with: rustup's when it is there, else Debian's,
# unpacked beside our tools. Where neither is to be had, two other checks stand in: clippy knows the age of what is
# used of std, and `manifests` the compilers that the dependencies ask for. They know nothing of the language's age.
oldest_compiler() {
  local rustc packages
  rustc=$(bash .ci/oldest-rustc "$ci/tools/rust-1.85") || {
    note "no rustc 1.85 to be had: std by clippy's incompatible_msrv, dependencies by their rust-version"
    return 0
  }
  note "$("$rustc" --version)"
  packages=$(published)
  # shellcheck disable=SC2086
  RUSTC=$rustc cargo check --lib --all-features --target-dir target/oldest $packages
}

# The lowest version that each manifest allows of each direct dependency must do.
lowest_versions() {
  python3 .ci/lowest.py "$ci/lowest"
  cd "$ci/lowest"
  RUSTC_BOOTSTRAP=1 cargo update -Z direct-minimal-versions
  cargo check --workspace --all-features
}

workspace_tests() { cargo test --workspace --no-fail-fast; }

# Tests that need more than cargo are ignored elsewhere; these are the modules of those that each check below runs.
readonly of_redis='bucket::|layer::|line::|redis::' of_strace='crash::|disk::' of_chaos='chaos::'
readonly of_broker='broker::|rabbit::' of_consul='consul::' of_config='settings::'
readonly of_otlp='collector::' of_browser='browser::' of_demo='demo::'

# None is left out by all of them.
ignored_tests_run() {
  local tests=$logs/tests.log
  [ -e "$tests" ] || cargo test --workspace --tests -- --list --ignored | sed -n 's/^\(.*\): test$/test \1 ... ignored/p' | tee "$tests"
  ! sed -nE 's/^test ([^ ]+) \.\.\. ignored.*/\1/p' "$tests" |
    grep -vE "(^|::)($of_redis|$of_strace|$of_chaos|$of_broker|$of_consul|$of_config|$of_otlp|$of_browser|$of_demo)"
}

# Tells why a check is skipped beside its name.
or_skip() {
  "$@" || {
    local status=$?
    ((status != 77)) || note "$(grep -h '^SKIPPED: ' "$log")"
    return $status
  }
}

# Tests of the shop, or of others, among those of the whole workspace: `-p` has cargo choose the features of all that
# they stand on anew, and compile that and them a second time. What the shop's own manifest asks for is enough for it,
# as `stageless` and `chaos` show, which compile the shop alone.
readonly of_all='cargo test --no-fail-fast --workspace'

# The ignored tests of modules of the shop.
ignored_of() { $of_all --test shop -- --ignored ${1//|/ }; }

# The tests that ask a Redis.
server_tests() {
  or_skip .ci/servers redis -- \
    $of_all --test redis --test shop -- --ignored ${of_redis//|/ }
}

# The tests that kill a RabbitMQ.
broker_dies() {
  or_skip .ci/servers rabbitmq -- sh -c "SHOP_TEST_AMQP_URL=\$AMQP_URL exec \
    $of_all --bin shop --test shop -- --ignored ${of_broker//|/ } --test-threads 1"
}

# The console's page, in a Chromium without a window.
page_in_browser() {
  or_skip python3 .ci/debian.py chromium-headless-shell chromium-headless-shell
  $of_all --test page -- --ignored "$of_browser"
}

# The shop's page, in the same.
shop_in_browser() {
  or_skip python3 .ci/debian.py chromium-headless-shell chromium-headless-shell
  ignored_of "$of_browser --test-threads=1"
}

# The bugs that are planted, each in a shop of its own.
planted_bugs() { $of_all --features shop/planted --test shop planted::; }

# The recipe of traces and the shop, and what arrives of them at a collector.
traces_arrive() {
  or_skip .ci/servers otlp -- sh -c "$of_all --test shop -- --ignored $of_otlp &&
    OTEL_EXPORTER_OTLP_ENDPOINT=\$OTLP_GRPC_ENDPOINT exec $of_all --bin otlp -- --ignored $of_otlp"
}

# What asks no store and no bus, or only on its way to something else: once, on files, is enough.
readonly of_neither='again:: backup:: config:: doctor:: hostile:: known:: limits:: listen:: load:: loads:: page:: procs:: protect:: reach:: redeploy:: registry:: replicas:: settings:: stale:: scene:: surge:: tls:: wire::'

# The tests of the shop with its stores and its bus on real servers: the same as in files.
stores_on() {
  local database=$1 url=$2 skip
  shift 2
  skip=$(printf -- '--skip %s ' $of_neither)
  or_skip .ci/servers "$database" "$@" -- sh -c \
    "SHOP_TEST_DATABASE_URL=\$$url SHOP_TEST_AMQP_URL=\$AMQP_URL exec $of_all --bin shop --test shop -- $skip"
}

# Services that strace kills, or whose disk it fills, in the midst of a call.
killed_anywhere() {
  or_skip python3 .ci/debian.py strace strace
  ignored_of "$of_strace"
}

# What is released, at once, for otherwise each would choose the features of what it stands on anew.
released() { cargo build --release -p shop -p yardstick --bins; }

# Processes that are killed under load, for half a minute.
killed_under_load() {
  released
  export SHOP_BIN=$PWD/target/release/shop CHAOS_SECONDS=30
  ignored_of chaos::a_service_is_killed
  or_skip .ci/servers postgres rabbitmq -- sh -c \
    "SHOP_TEST_DATABASE_URL=\$POSTGRES_URL SHOP_TEST_AMQP_URL=\$AMQP_URL exec $of_all --test shop -- \
    --ignored chaos::postgres"
}

# The story of the demo, all of whose figures must be right: on files, and on real servers.
demo_plays() {
  ignored_of "$of_demo"
  or_skip .ci/servers postgres rabbitmq -- sh -c \
    "SHOP_TEST_DATABASE_URL=\$POSTGRES_URL SHOP_TEST_AMQP_URL=\$AMQP_URL exec $of_all --test shop -- \
    --ignored $of_demo"
}

# What asks somebody else's server: where there is one, its variable says so.
asks_others() {
  [ -n "${!1:-}" ] || or_skip skipped "$1 names no server"
  ignored_of "$2"
}

skipped() {
  echo "SKIPPED: $*"
  return 77
}

# The script that starts servers, on itself: each server that can be had is one test, the others are told as skipped.
servers_start() { python3 .ci/servers_selftest.py; }

# The rows of the conformance list, read off the tests that just ran, or that run now when this check is asked for alone.
conformance_rows() {
  [ -e "$logs/tests.log" ] || cargo test -p conformance --no-fail-fast 2>&1 | tee "$logs/tests.log" || true
  python3 .ci/conformance.py "$logs/tests.log" | tee "$log.note"
}

# The rules for Prometheus are rules, and say what their tests expect.
alert_rules() {
  local promtool
  promtool=$(or_skip python3 .ci/debian.py promtool prometheus)
  "$promtool" check rules crates/bartizan-metrics/docs/alerts.yml
  "$promtool" test rules crates/bartizan-metrics/tests/alerts.yml
}

# On what is embedded alone, and with the servers; and what shows it without them.
shop_without_stage() {
  cargo test -p shop --no-default-features
  cargo clippy -p shop --no-default-features --features servers -- -D warnings
  cargo clippy -p shop --no-default-features --features stage -- -D warnings
}

# Each crate as it would be uploaded, compiled from its package with the others' packages: all at once, for otherwise each
# would choose the features of what it stands on anew. That each asks for what it uses is the matter of `features`.
packages_verify() {
  local packages folder crate
  packages=$(published)
  rm -rf "$ci"/package.*
  folder=$(mktemp -d "$ci/package.XXXXXX")
  # shellcheck disable=SC2086
  cargo package --allow-dirty --no-verify --target-dir "$folder" $packages
  mkdir "$folder/all"
  cp Cargo.lock "$folder/all"
  {
    printf '[workspace]\nresolver = "3"\nmembers = ["*"]\n[patch.crates-io]\n'
    for crate in "$folder"/package/*.crate; do
      tar xzf "$crate" -C "$folder/all"
      crate=$(basename "$crate" .crate)
      echo "${crate%%-[0-9]*} = { path = \"$crate\" }"
    done
  } >"$folder/all/Cargo.toml"
  cargo check --workspace --lib --all-features --manifest-path "$folder/all/Cargo.toml" --target-dir "$folder"
  rm -rf "$folder"
}

# Models of hand-written atomics run under loom's own scheduler, in a target folder of their own: the flag
# changes every crate.
loom_models() {
  local packages
  packages=$(git grep -lE 'cfg\(.*loom' -- 'crates/*/src/*.rs' | cut -d/ -f2 | sort -u | sed 's/^/-p /')
  # At once, for otherwise each would choose the features of what it stands on anew.
  # shellcheck disable=SC2086
  RUSTFLAGS='--cfg bartizan_loom' cargo test --no-fail-fast $packages --release --lib --target-dir target/loom loom
  grep -q '^test .*loom.* ok$' "$log"
}

# The experiments whose figures do not depend on the machine, on few seeds.
yardstick_simulated() {
  released
  target/release/yardstick all --quick --simulated
}

# The image, the containers and the manifests of the shop, by their schemas.
deploy_files() { or_skip python3 .ci/deploy.py; }

# The README's first command, and a customer; then both over TLS.
shop_sells() {
  released
  python3 .ci/sells.py target/release/shop
  SHOP_TLS=1 python3 .ci/sells.py target/release/shop
}

# The shop's API, asked for what its own document promises.
shop_api() {
  released
  or_skip python3 .ci/api.py target/release/shop
}
