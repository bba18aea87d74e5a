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

# The tests that ask a real server, each started for them; elsewhere they are ignored.
server_tests() {
  .ci/servers redis -- cargo test --workspace --tests -- --ignored || {
    local status=$?
    ((status != 77)) || note "$(grep -h '^SKIPPED: ' "$log")"
    return $status
  }
}

# The rows of the conformance list, read off the tests that just ran, or that run now when this check is asked for alone.
conformance_rows() {
  [ -e "$logs/tests.log" ] || cargo test -p conformance --no-fail-fast 2>&1 | tee "$logs/tests.log" || true
  python3 .ci/conformance.py "$logs/tests.log" | tee "$log.note"
}

shop_without_stage() { cargo test -p shop --no-default-features; }

# Each crate as it would be uploaded, built from its package with the others' packages. In a folder that was never
# used before: cargo takes a package of the same version in the same place for the one that it unpacked last time.
packages_verify() {
  local packages folder
  packages=$(published)
  rm -rf "$ci"/package.*
  folder=$(mktemp -d "$ci/package.XXXXXX")
  # shellcheck disable=SC2086
  cargo package --allow-dirty --all-features --target-dir "$folder" $packages
  rm -rf "$folder"
}

# Models of hand-written atomics run under loom's own scheduler, in a target folder of their own: the flag
# changes every crate.
loom_models() {
  local package
  for package in $(git grep -lE 'cfg\(.*loom' -- 'crates/*/src/*.rs' | cut -d/ -f2 | sort -u); do
    echo "== $package"
    RUSTFLAGS='--cfg bartizan_loom' cargo test -p "$package" --release --lib --target-dir target/loom loom
  done
  grep -q '^test .*loom.* ok$' "$log"
}

# The experiments whose figures do not depend on the machine, on few seeds.
yardstick_simulated() { cargo run --release -p yardstick -- all --quick --simulated; }

# The README's first command, and a customer.
shop_sells() {
  cargo build --release -p shop
  python3 .ci/sells.py target/release/shop
}
