//! Edge: what the journal keeps over a cut at each byte.

use super::*;
use crate::terms::ids::HoldId;

fn entry(number: u128) -> Entry {
    let kept = Kept {
        call: CallId::from_bits(number).to_string(),
        hold: Some(HoldId::from_bits(number).to_string()),
        payer: "pete".to_owned(),
        wallet: 432_240,
        one_off: 7,
        at: 1_000_000,
        horizon: 3_600_000_000,
        owner: "{}".to_owned(),
        command: "deployVirtualMachine".to_owned(),
        params: "name=a%20b".to_owned(),
        job: Some("a-b".to_owned()),
        planned: "{}".to_owned(),
        sent: 2_000_000,
    };
    kept.entry().unwrap()
}

fn passed(number: u128) -> Row {
    Row::Passed(Box::new(Kept::of(&entry(number))))
}

fn folder(name: &str) -> PathBuf {
    let folder = std::env::temp_dir().join(format!("faregate-{name}-{}", std::process::id()));
    let _ = std::fs::remove_dir_all(&folder);
    std::fs::create_dir_all(&folder).unwrap();
    folder
}

#[test]
fn what_was_acknowledged_is_read_back_after_a_cut_at_any_byte() {
    let folder = folder("journal-cut");
    let (journal, entries) = Journal::open(&folder).unwrap();
    assert_eq!(entries, []);
    journal.append(&passed(1)).unwrap();
    let one = std::fs::metadata(folder.join(NAME)).unwrap().len();
    journal.append(&passed(2)).unwrap();
    drop(journal);
    let whole = std::fs::read(folder.join(NAME)).unwrap();
    let one = usize::try_from(one).unwrap();
    for cut in one..whole.len() {
        std::fs::write(folder.join(NAME), &whole[..cut]).unwrap();
        let (journal, entries) = Journal::open(&folder).unwrap();
        assert_eq!(entries, [entry(1)], "cut at {cut}");
        journal.append(&passed(3)).unwrap();
        assert_eq!(read(&folder).unwrap(), [entry(1), entry(3)], "cut at {cut}");
    }
    std::fs::remove_dir_all(folder).unwrap();
}

#[test]
fn a_call_of_which_nothing_came_is_not_read_back_and_a_job_is() {
    let folder = folder("journal-rows");
    let (journal, _) = Journal::open(&folder).unwrap();
    for number in 1..=2 {
        journal.append(&passed(number)).unwrap();
    }
    let call = |number| CallId::from_bits(number).to_string();
    journal.append(&Row::NotMade { call: call(1) }).unwrap();
    let job = "their-own".to_owned();
    journal.append(&Row::Job { call: call(2), job }).unwrap();
    let (_, entries) = Journal::open(&folder).unwrap();
    assert_eq!(entries.len(), 1);
    assert_eq!(entries[0].intent.job, Some("their-own".into()));
    assert_eq!(entries[0].intent.status, IntentStatus::Answered);
    journal.clear().unwrap();
    assert_eq!(read(&folder).unwrap(), []);
    journal.append(&passed(3)).unwrap();
    assert_eq!(read(&folder).unwrap(), [entry(3)]);
    std::fs::remove_dir_all(folder).unwrap();
}

#[test]
fn a_damaged_line_stops_the_start_and_is_named() {
    let folder = folder("journal-damaged");
    let (journal, _) = Journal::open(&folder).unwrap();
    for number in 1..=2 {
        journal.append(&passed(number)).unwrap();
    }
    let path = folder.join(NAME);
    let mut text = std::fs::read(&path).unwrap();
    let at = text.iter().rposition(|byte| *byte == b'4').unwrap();
    text[at] = b'1';
    std::fs::write(&path, &text).unwrap();
    let fault = Journal::open(&folder).unwrap_err();
    assert!(
        matches!(fault, JournalFault::Damaged { line: 2, .. }),
        "{fault}"
    );
    assert_eq!(std::fs::read(&path).unwrap(), text, "nothing was cut off");
    std::fs::remove_dir_all(folder).unwrap();
}

#[test]
fn a_journal_that_failed_once_takes_nothing_more() {
    let full = Journal {
        path: PathBuf::from("/dev/full"),
        state: Mutex::new(State::Open(
            OpenOptions::new().write(true).open("/dev/full").unwrap(),
        )),
    };
    assert!(matches!(
        full.append(&passed(1)),
        Err(JournalFault::Disk(..))
    ));
    assert!(matches!(
        full.append(&passed(1)),
        Err(JournalFault::Failed(_))
    ));
    assert!(full.fault().is_some());
}
