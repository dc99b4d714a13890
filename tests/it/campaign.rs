//! How often a campaign goes round, and from which seed. An ordinary run takes the sample that the
//! test names; `tests/run --long NAME` says how many rounds the campaign NAME has in full.

/// Rounds of the campaign `name`: all of them where it is the one that runs in full.
pub fn rounds(name: &str, sample: u64) -> u64 {
    let full = read("FAREGATE_TEST_ROUNDS").and_then(|text| text.parse().ok());
    match (read("FAREGATE_LONG"), full) {
        (Some(named), Some(rounds)) if named == name => rounds,
        _ => sample,
    }
}

/// Numbers drawn from the run's seed: the same seed and stream give the same numbers.
pub struct Draw(u64);

impl Draw {
    /// A stream of its own for each round.
    pub fn of_round(round: u64) -> Draw {
        let seed: u64 = read("FAREGATE_TEST_SEED").map_or(1, |text| {
            text.parse()
                .unwrap_or_else(|_| panic!("FAREGATE_TEST_SEED is no number: {text}"))
        });
        Draw(seed.wrapping_mul(0x9E37_79B9_7F4A_7C15) ^ round.wrapping_mul(0xD1B5_4A32_D192_ED03))
    }

    /// The stream of one seed, whatever the run's.
    pub fn of_seed(seed: u64) -> Draw {
        Draw(seed.wrapping_mul(0x9E37_79B9_7F4A_7C15))
    }

    /// A number below `bound`, which is not 0 (splitmix64).
    pub fn below(&mut self, bound: u64) -> u64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mixed = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        (mixed ^ (mixed >> 31)) % bound
    }
}

/// A test's own settings; the product reads its environment in `config/` alone.
#[allow(clippy::disallowed_methods)]
fn read(name: &str) -> Option<String> {
    std::env::var(name).ok().filter(|text| !text.is_empty())
}

#[test]
fn the_same_seed_and_round_draw_the_same_numbers() {
    let draw = |round| {
        let mut draw = Draw::of_round(round);
        [(); 8].map(|()| draw.below(1_000_000))
    };
    assert_eq!(draw(7), draw(7));
    assert_ne!(draw(7), draw(8));
}
