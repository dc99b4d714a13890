//! No request is run as something else than what was judged: known ways to be read in two ways,
//! through a gate as a process, beside a real Jetty that gets the same bytes.
//!
//! Rows that are no bytes are elsewhere: many parallel calls (`race.rs`), a client that hangs up
//! or asks again (`resend.rs`, `kill.rs`), commands without a class (`command_table.rs`).

pub mod bed;

use crate::oracle::{Jetty, Told};
use crate::smuggle::bytes;
use bed::{Bed, statuses};
use faregate::cloudstack::query::ParamMap;

const ROWS: &str = include_str!("../fixtures/wire/bypass/rows.tsv");

struct Row {
    name: &'static str,
    required: &'static str,
    runs: &'static str,
    charset: &'static str,
    text: &'static str,
}

fn rows() -> impl Iterator<Item = Row> {
    let lines = ROWS.lines().filter(|line| !line.starts_with('#'));
    lines.map(|line| {
        let cells: Vec<&str> = line.split('\t').collect();
        Row {
            name: cells[0],
            required: cells[1],
            runs: cells[2],
            charset: cells[3],
            text: cells[4],
        }
    })
}

/// A disk offering whose size the customer chooses.
fn custom_disk(bed: &Bed) -> String {
    let heard = bed.stage.admin().call("listDiskOfferings", &[]).unwrap();
    let rows = heard.inside()["diskoffering"].as_array().cloned();
    let custom = rows
        .unwrap()
        .into_iter()
        .find(|row| row["iscustomized"] == true);
    custom.unwrap()["id"].as_str().unwrap().to_owned()
}

/// The row's bytes, with that signature.
fn expanded(row: &Row, bed: &Bed, signature: &str) -> Vec<u8> {
    let stage = &bed.stage;
    let mut escaped = ParamMap::default();
    escaped.insert("s", signature);
    let small = stage.text("/offerings/small");
    let text = row
        .text
        .replace("{Z}", &stage.text("/zone_id"))
        .replace("{T}", &stage.text("/template_id"))
        .replace("{N}", &stage.text("/network_id"))
        .replace("{SO}", &small)
        .replace("{SO^}", &small.to_uppercase())
        .replace("{MO}", &stage.text("/offerings/medium"))
        .replace("{DO}", &custom_disk(bed))
        .replace("{AK}", &stage.customer(0).key)
        .replace("{VK}", &stage.customer(1).key)
        .replace("{SG}", &escaped.to_wire()[2..]);
    let all = bytes(&text);
    let end = all.windows(4).position(|w| w == b"\r\n\r\n").unwrap() + 4;
    let body = String::from_utf8(all[end..].to_vec()).unwrap();
    let body = match row.charset {
        "utf-16" => body.encode_utf16().flat_map(u16::to_be_bytes).collect(),
        _ => body.into_bytes(),
    };
    let head = String::from_utf8(all[..end].to_vec()).unwrap();
    let head = head.replace("{n}", &body.len().to_string());
    [head.into_bytes(), body].concat()
}

/// The bytes with the signature that CloudStack would compute of what it reads.
fn signed(row: &Row, bed: &Bed, jetty: &Jetty) -> (Vec<u8>, Option<Told>) {
    let ask = |bytes: &Vec<u8>| {
        // An answer to HEAD has no body to read.
        let is_asked = !bytes.starts_with(b"HEAD") && row.runs != "-";
        is_asked.then(|| jetty.told(std::slice::from_ref(bytes)).remove(0))
    };
    let first = ask(&expanded(row, bed, "x"));
    let computed = match &first {
        Some(told) if told.status == 200 => told.of("computed").to_owned(),
        _ => "x".to_owned(),
    };
    let bytes = expanded(row, bed, &computed);
    let told = ask(&bytes);
    (bytes, told)
}

/// A map as the oracle prints it, without what the gate adds and without the signature.
fn compared(map: &str) -> String {
    let pairs = map.split('&');
    let kept: Vec<&str> = pairs
        .filter(|pair| !pair.starts_with("customjobid=") && !pair.starts_with("signature="))
        .collect();
    kept.join("&")
}

fn forwarded_as_what_runs(row: &Row, direct: Option<&Told>, upstream: &Told) -> Option<String> {
    if !upstream.of("session").is_empty() || upstream.of("remote") != "127.0.0.1" {
        return Some(format!("session or address went upstream: {upstream:?}"));
    }
    let direct = direct?;
    let (own, ours) = (compared(direct.of("map")), compared(upstream.of("map")));
    let is_same = match row.name {
        "44.upper" => own.eq_ignore_ascii_case(&ours) && own != ours,
        _ => own == ours,
    };
    let same = |name: &str| direct.of(name) == upstream.of(name);
    if is_same && same("command") && same("apikey") && same("method") {
        None
    } else {
        Some(format!("{direct:?} became {upstream:?}"))
    }
}

#[test]
fn every_row_of_the_bypass_list_ends_as_required() {
    let bed = Bed::start("bypass");
    let jetty = Jetty::start(&bed.stage.customer(0).secret);
    let mut wrong = Vec::new();
    let mut count = 0;
    for row in rows() {
        let (bytes, direct) = signed(&row, &bed, &jetty);
        if let Some(told) = &direct {
            let runs = told.of("command");
            let expected = if row.runs == "(empty)" { "" } else { row.runs };
            if runs != expected || told.status != 200 {
                wrong.push(format!("{}: the server runs `{runs}`: {told:?}", row.name));
            }
        }
        let heard = bed.send(&bytes);
        let (found, seen) = (statuses(&heard), bed.seen());
        let said = String::from_utf8_lossy(&heard);
        match (row.required, seen.as_slice()) {
            ("canon", [message]) => {
                let upstream = jetty.told(std::slice::from_ref(message)).remove(0);
                let fault = forwarded_as_what_runs(&row, direct.as_ref(), &upstream);
                wrong.extend(fault.map(|fault| format!("{}: {fault}", row.name)));
            }
            // Whose session it is was asked, and nothing answered as a cloud would; `sessions.rs`
            // has sessions that are somebody's.
            ("asked", [question]) if found == [503] => {
                let asks = String::from_utf8_lossy(question).contains("command=listAccounts");
                if !asks {
                    wrong.push(format!("{}: {question:?} went upstream", row.name));
                }
            }
            (status, []) if found.len() == 1 && found[0].to_string() == status => {}
            (required, seen) => wrong.push(format!(
                "{}: {required}, but {found:?} and {} upstream: {said}",
                row.name,
                seen.len()
            )),
        }
        count += 1;
    }
    assert!(
        wrong.is_empty(),
        "{} of {count}:\n{}",
        wrong.len(),
        wrong.join("\n")
    );
    println!("{count} rows");
}
