//! Sets how the library is linked.

fn main() {
    // JDK 21 and later unload an agent whose attach failed, while hooks and handlers may still call
    // it.
    println!("cargo::rustc-cdylib-link-arg=-Wl,-z,nodelete");
    println!("cargo::rerun-if-changed=build.rs");
}
