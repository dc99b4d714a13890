//! Edge: the recorded lifecycle: our meter against the usage server's own figures.

use faregate::cli::replay_lifecycle::{replay, run};
use std::path::Path;

fn fixtures() -> &'static Path {
    Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/fixtures/usage"))
}

#[test]
fn shows_what_differs() {
    let mut out = Vec::new();
    run(fixtures(), &mut out, false).unwrap();
    println!("{}", String::from_utf8(out).unwrap());
    for d in replay(fixtures()).unwrap().compared {
        println!(
            "{:?} {} {} {} {} tol {}",
            d.class,
            d.usage_type.number(),
            d.name,
            d.metered_micros / 1000,
            d.reported_micros / 1000,
            d.tolerance_micros / 1000
        );
    }
}
