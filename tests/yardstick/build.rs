//! Tells the program by which compiler it was built: what is measured depends on it.

use std::{env, process::Command};

fn main() {
    let rustc = env::var_os("RUSTC").expect("cargo tells a build script its compiler");
    let said = Command::new(rustc).arg("--version").output().expect("the compiler runs");
    println!("cargo:rustc-env=YARDSTICK_RUSTC={}", String::from_utf8_lossy(&said.stdout).trim());
    println!("cargo:rerun-if-changed=build.rs");
    println!("cargo:rerun-if-env-changed=RUSTC");
}
