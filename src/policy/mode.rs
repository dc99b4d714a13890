//! Pure: whether the gate refuses, or only says what it would have refused, domain by domain.

/// What a refusal does.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub enum Mode {
    /// The call is refused.
    #[default]
    Enforce,
    /// The call is forwarded, and the refusal is noted with its price.
    Observe,
}

impl Mode {
    /// The words of policy files.
    pub const ALL: [(&'static str, Self); 2] =
        [("enforce", Self::Enforce), ("observe", Self::Observe)];
    /// The word of policy files.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Enforce => "enforce",
            Self::Observe => "observe",
        }
    }
}

/// `[[mode]]`.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct ModeRule {
    /// The domain's id, with its subtree; none: the whole platform.
    pub domain: Option<String>,
    /// Its mode.
    pub mode: Mode,
}

/// Every mode that was written.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Modes {
    /// In the order of the files.
    pub rules: Vec<ModeRule>,
}

impl Modes {
    /// Whether domains differ, so that the mode depends on who it is.
    #[must_use]
    pub fn by_domain(&self) -> bool {
        self.rules.iter().any(|rule| rule.domain.is_some())
    }

    /// The mode of one who is not known: he may be of any domain, so that one enforced domain
    /// is enough.
    #[must_use]
    pub fn of_unknown(&self) -> Mode {
        let enforced = |rule: &ModeRule| rule.mode == Mode::Enforce;
        match self.rules.iter().any(enforced) {
            true => Mode::Enforce,
            false => self.of::<&str>(&[]),
        }
    }

    /// The mode of a domain, by its path from the root: the nearest domain with a mode decides,
    /// then the platform's. An empty path is nobody's: see [`Modes::of_unknown`].
    #[must_use]
    pub fn of<D: AsRef<str>>(&self, path: &[D]) -> Mode {
        let of = |wanted: Option<&str>| {
            let found = self.rules.iter().find(|r| r.domain.as_deref() == wanted);
            found.map(|rule| rule.mode)
        };
        path.iter()
            .rev()
            .find_map(|domain| of(Some(domain.as_ref())))
            .or_else(|| of(None))
            .unwrap_or_default()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_nearest_domain_decides_whether_a_refusal_is_only_noted() {
        let rule = |domain: Option<&str>, mode| ModeRule {
            domain: domain.map(str::to_owned),
            mode,
        };
        let modes = Modes {
            rules: vec![
                rule(None, Mode::Observe),
                rule(Some("a"), Mode::Enforce),
                rule(Some("a1"), Mode::Observe),
            ],
        };
        for (path, mode) in [
            (vec![], Mode::Observe),
            (vec!["root"], Mode::Observe),
            (vec!["root", "a"], Mode::Enforce),
            (vec!["root", "a", "a2"], Mode::Enforce),
            (vec!["root", "a", "a1", "x"], Mode::Observe),
        ] {
            assert_eq!(modes.of(&path), mode, "{path:?}");
        }
        assert_eq!(modes.of_unknown(), Mode::Enforce, "he may be of domain a");
        let observed = Modes {
            rules: vec![rule(None, Mode::Observe), rule(Some("a1"), Mode::Observe)],
        };
        assert_eq!(observed.of_unknown(), Mode::Observe);
        assert_eq!(Modes::default().of_unknown(), Mode::Enforce);
        assert_eq!(Modes::default().of::<&str>(&[]), Mode::Enforce);
    }
}
