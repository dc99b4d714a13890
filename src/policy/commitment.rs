//! Pure: for how much of what a rule may start without a call there must be money when the rule
//! is made: autoscale groups, snapshot policies, backup schedules, clusters that scale.

use crate::policy::faults::Faults;
use crate::policy::shape;

/// For how many of the things that a rule may start there must be money.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub enum Commitment {
    /// As many as it may ever have.
    #[default]
    Maximum,
    /// One more than there are.
    Next,
    /// The first one; nothing more where there is one.
    First,
}

impl Commitment {
    /// How many pieces must be affordable, those that are there included. `least` are started at
    /// once whatever the mode (an autoscale group's `minmembers`); never under what is there, and
    /// else never over `most`.
    #[must_use]
    pub fn pieces(self, has: i64, least: i64, most: i64) -> i64 {
        let wanted = match self {
            Self::Maximum => most,
            Self::Next => has.saturating_add(1),
            Self::First => 1,
        };
        wanted.max(least).min(most).max(has).max(0)
    }
}

/// What kind of rule starts things by itself.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum RuleKind {
    /// An autoscale group, or the profile of some.
    AutoScale,
    /// A policy that takes snapshots of a volume.
    SnapshotPolicy,
    /// A schedule that takes backups of a machine.
    BackupSchedule,
    /// A Kubernetes cluster that scales by itself.
    Kubernetes,
    /// A schedule that starts a machine.
    VmSchedule,
}

impl RuleKind {
    const ALL: [Self; 5] = [
        Self::AutoScale,
        Self::SnapshotPolicy,
        Self::BackupSchedule,
        Self::Kubernetes,
        Self::VmSchedule,
    ];

    /// Its name in rows and for people.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::AutoScale => "autoscale-group",
            Self::SnapshotPolicy => "snapshot-policy",
            Self::BackupSchedule => "backup-schedule",
            Self::Kubernetes => "kubernetes-cluster",
            Self::VmSchedule => "vm-schedule",
        }
    }

    /// The kind of that name.
    #[must_use]
    pub fn named(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|kind| kind.name() == name)
    }
}

/// The mode of each kind of rule.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Commitments {
    /// Autoscale groups.
    pub autoscale: Commitment,
    /// Snapshot policies.
    pub snapshots: Commitment,
    /// Backup schedules.
    pub backups: Commitment,
    /// Kubernetes clusters that scale by themselves.
    pub kubernetes: Commitment,
}

impl Commitments {
    /// The mode of a kind.
    #[must_use]
    pub const fn of(&self, kind: RuleKind) -> Commitment {
        match kind {
            RuleKind::AutoScale => self.autoscale,
            RuleKind::SnapshotPolicy => self.snapshots,
            RuleKind::BackupSchedule => self.backups,
            RuleKind::Kubernetes => self.kubernetes,
            // It starts one machine or none.
            RuleKind::VmSchedule => Commitment::Maximum,
        }
    }
}

/// Reads what a `[[prepaid]]` says of rules that start things.
pub(super) fn read(shape: &shape::Prepaid, faults: &mut Faults<'_>) -> Commitments {
    let mut read = Commitments::default();
    let words = [
        ("maximum", Commitment::Maximum),
        ("next", Commitment::Next),
        ("first", Commitment::First),
    ];
    let keys = [
        (&shape.commit_autoscale, &mut read.autoscale),
        (&shape.commit_snapshots, &mut read.snapshots),
        (&shape.commit_backups, &mut read.backups),
        (&shape.commit_kubernetes, &mut read.kubernetes),
    ];
    for (text, place) in keys {
        if let Some(text) = text
            && let Some(word) = faults.word(text, &words)
        {
            *place = word;
        }
    }
    read
}

#[cfg(test)]
mod tests {
    use super::Commitment::{self, First, Maximum, Next};

    #[test]
    fn a_mode_says_how_many_pieces_must_be_affordable() {
        let table: [(Commitment, i64, i64, i64, i64); 14] = [
            // mode, there are, started at once, at most: must be affordable
            (Maximum, 0, 0, 4, 4),
            (Maximum, 3, 1, 4, 4),
            (Maximum, 0, 0, 0, 0),
            (Next, 0, 0, 4, 1),
            (Next, 2, 1, 4, 3),
            (Next, 0, 3, 4, 3),
            (Next, 4, 1, 4, 4),
            (Next, 0, 0, 0, 0),
            (First, 0, 0, 4, 1),
            (First, 0, 2, 4, 2),
            (First, 3, 1, 4, 3),
            (First, 0, 0, 0, 0),
            // What is there is never taken off, even where the rule allows fewer from now on.
            (Maximum, 5, 1, 4, 5),
            (Next, i64::MAX, 0, i64::MAX, i64::MAX),
        ];
        for (mode, has, least, most, pieces) in table {
            assert_eq!(
                mode.pieces(has, least, most),
                pieces,
                "{mode:?}, {has} there, {least} at once, {most} at most"
            );
        }
    }
}
