//! Built by Cargo before the library: how it is linked.

fn main() {
    // A JVM unloads an agent whose attach failed (JDK 21 and later), while hooks and handlers may still lead into it.
    println!("cargo::rustc-cdylib-link-arg=-Wl,-z,nodelete");
    println!("cargo::rerun-if-changed=build.rs");
}
