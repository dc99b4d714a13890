//! Edge: x
fn main() {}
