//! The `waveft` command.
fn main() {}
