//! Pure: turns policy files into a [`RuleSet`], or names every fault at once.

use std::collections::BTreeMap;

use jiff::tz::TimeZone;
use rust_decimal::Decimal;
use sha2::{Digest, Sha256};
use toml::Spanned;

use crate::policy::access::read::Reading;
use crate::policy::books;
use crate::policy::caps;
use crate::policy::commitment;
use crate::policy::contact::contact;
use crate::policy::customer::{
    Customer, ForTheRest, Owned, PayMode, RuleSet, Seller, Subject, TaxMode, TaxProfile, TaxRate,
};
use crate::policy::ending;
use crate::policy::faults::Faults;
use crate::policy::limits;
use crate::policy::prepaid::PrepaidProfile;
use crate::policy::shape;
use crate::policy::store_away;
use crate::policy::variable;
use crate::policy::wholesale;
use crate::terms::ids::{PayerId, SellerId};
use crate::terms::money::{Micros, charge_to_micros};
use crate::terms::time::Timestamp;

pub use crate::policy::faults::PolicyFault;

/// Checks all files (path and text) together. Refuses with every fault found, by file and line.
pub fn load(files: &[(String, String)]) -> Result<RuleSet, Vec<PolicyFault>> {
    load_for(files, None)
}

/// As [`load`]; with the cloud's offerings, a tariff for an unknown one is a fault too.
pub fn load_for(
    files: &[(String, String)],
    offerings: Option<&[String]>,
) -> Result<RuleSet, Vec<PolicyFault>> {
    let mut found = Vec::new();
    let mut rules = RuleSet::default();
    let mut versions = Vec::new();
    let shapes = parse(files, &mut found);
    let mut access = Reading::default();
    for (path, text, file) in &shapes {
        let mut faults = faults(path, text, &mut found);
        access.file(file, &mut faults);
        file.seller
            .iter()
            .for_each(|one| seller(one, &mut rules, &mut faults));
        file.prepaid
            .iter()
            .for_each(|one| prepaid(one, &mut rules, &mut faults));
        rest(file, &mut rules, &mut faults);
        match &file.book {
            Some(book) => versions.extend(books::version(
                book,
                &file.line,
                offerings,
                &mut faults,
                (path, text),
            )),
            None => {
                if let Some(line) = file.line.first() {
                    let what = "a [[line]] stands in a file without [book]".to_owned();
                    faults.at(
                        line.span().start,
                        what,
                        "write [book] with id, currency, from",
                    );
                }
            }
        }
    }
    rules.books = books::books(versions, &mut found);
    rules.prepaid.entry("standard".to_owned()).or_default();
    for (path, text, file) in &shapes {
        let mut faults = faults(path, text, &mut found);
        file.customer
            .iter()
            .for_each(|one| customer(one, &mut rules, &mut faults));
    }
    for (path, text, file) in &shapes {
        limits::check::read(file, &mut rules, &mut faults(path, text, &mut found));
    }
    for (path, text, file) in &shapes {
        caps::check::read(file, &mut rules, &mut faults(path, text, &mut found));
    }
    for (path, text, file) in &shapes {
        let mut faults = faults(path, text, &mut found);
        file.seller
            .iter()
            .for_each(|one| wholesale::check(one.get_ref(), &rules, &mut faults));
    }
    (rules.access, rules.modes) = access.done();
    rules.hash = hash(files);
    found.sort();
    found.dedup();
    if found.is_empty() {
        Ok(rules)
    } else {
        Err(found)
    }
}

/// The set's hash: paths and texts in the order of the paths, each with its length.
fn hash(files: &[(String, String)]) -> [u8; 32] {
    let mut files: Vec<&(String, String)> = files.iter().collect();
    files.sort();
    let mut hash = Sha256::new();
    for part in files.iter().flat_map(|(path, text)| [path, text]) {
        hash.update(u64::try_from(part.len()).unwrap_or(u64::MAX).to_le_bytes());
        hash.update(part.as_bytes());
    }
    hash.finalize().into()
}

/// The files that can be read as TOML of the vocabulary, with path and text.
fn parse<'a>(
    files: &'a [(String, String)],
    found: &mut Vec<PolicyFault>,
) -> Vec<(&'a str, &'a str, shape::File)> {
    let mut shapes = Vec::new();
    for (path, text) in files {
        match toml::from_str::<shape::File>(text) {
            Ok(file) => shapes.push((path.as_str(), text.as_str(), file)),
            Err(error) => {
                let offset = error.span().map_or(0, |span| span.start);
                let what = error.message().replace('\n', " ");
                let instead = "see the vocabulary in policies/README.md";
                faults(path, text, found).at(offset, what, instead);
            }
        }
    }
    shapes
}

fn faults<'a>(file: &'a str, text: &'a str, found: &'a mut Vec<PolicyFault>) -> Faults<'a> {
    Faults { file, text, found }
}

fn rest(file: &shape::File, rules: &mut RuleSet, faults: &mut Faults<'_>) {
    let words = [("refuse", false), ("house", true)];
    if let Some(rest) = &file.rest
        && let Some(house) = faults.word(&rest.get_ref().payer, &words)
    {
        rules.rest = if house {
            ForTheRest::House
        } else {
            ForTheRest::Refuse
        };
    }
}

fn seller(written: &Spanned<shape::Seller>, rules: &mut RuleSet, faults: &mut Faults<'_>) {
    let start = written.span().start;
    let shape = written.get_ref();
    let currency = faults.currency(&shape.currency);
    let zone = faults.zone(&shape.zone);
    let modes = [("at-use", TaxMode::AtUse), ("at-top-up", TaxMode::AtTopUp)];
    let tax_mode = faults.word(&shape.tax_mode, &modes);
    let tax = tax(&shape.tax, &zone.unwrap_or(TimeZone::UTC), faults);
    let (Some(currency), Some(tax_mode)) = (currency, tax_mode) else {
        return;
    };
    let id = SellerId::from(shape.id.as_str());
    let seller = Seller {
        id: id.clone(),
        name: shape.name.clone(),
        address: shape.address.clone(),
        vat_id: shape.vat_id.clone(),
        currency,
        zone: shape.zone.get_ref().clone(),
        tax_mode,
        tax,
        series: shape.invoice_series.clone(),
        payment_days: shape.payment_days,
        top_up_url: shape.top_up_url.clone(),
        wholesale: shape
            .wholesale
            .as_ref()
            .map(|id| PayerId::from(id.get_ref().as_str())),
    };
    if rules.sellers.insert(id, seller).is_some() {
        let what = format!("seller `{}` is written twice", shape.id);
        faults.at(start, what, "give each seller an id of its own");
    }
}

fn tax(
    written: &[Spanned<shape::Tax>],
    zone: &TimeZone,
    faults: &mut Faults<'_>,
) -> BTreeMap<String, TaxProfile> {
    let mut profiles: BTreeMap<String, TaxProfile> = BTreeMap::new();
    for one in written {
        let shape = one.get_ref();
        let from = match &shape.from {
            Some(from) => faults.instant(from, zone),
            None => Some(Timestamp::from_micros(i64::MIN)),
        };
        if let (Some(rate), Some(from)) = (faults.amount(&shape.rate, "rate"), from) {
            if rate > Decimal::ONE {
                let what = format!("rate `{}` is over 100 %", shape.rate.get_ref());
                faults.at(shape.rate.span().start, what, "write \"0.19\" for 19 %");
            }
            let rates = &mut profiles.entry(shape.profile.clone()).or_default().rates;
            if rates
                .iter()
                .any(|old| old.group == shape.group && old.from == from)
            {
                let what = format!(
                    "tax of group `{}` is written twice for one date",
                    shape.group
                );
                faults.at(one.span().start, what, "keep one rate a date");
            }
            rates.push(TaxRate {
                group: shape.group.clone(),
                code: shape.code.clone(),
                rate,
                from,
            });
        }
    }
    profiles
}

fn prepaid(written: &Spanned<shape::Prepaid>, rules: &mut RuleSet, faults: &mut Faults<'_>) {
    let start = written.span().start;
    let shape = written.get_ref();
    let mut profile = PrepaidProfile {
        id: shape.id.clone(),
        stops: shape.stops,
        ..PrepaidProfile::default()
    };
    let times = [
        (&shape.horizon, "horizon", &mut profile.horizon),
        (&shape.worst_delay, "worst_delay", &mut profile.worst_delay),
        (&shape.stop_lead, "stop_lead", &mut profile.stop_lead),
        (&shape.retention, "retention", &mut profile.retention),
        (&shape.bundle, "bundle", &mut profile.bundle),
    ];
    for (text, what, place) in times {
        if let Some(read) = text.as_ref().and_then(|text| faults.duration(text, what)) {
            *place = read;
        }
    }
    if let Some(notices) = &shape.notices {
        profile.notices = notices
            .iter()
            .filter_map(|text| faults.duration(text, "notice"))
            .collect();
        profile.notices.sort_unstable_by(|a, b| b.cmp(a));
    }
    if let Some(written) = &shape.store_away
        && let Some(read) = store_away::read(written, faults)
    {
        profile.store_away = read;
    }
    if profile.horizon < profile.horizon_min() {
        let what = format!(
            "horizon of `{}` is under 2 renewals and the worst delay",
            shape.id
        );
        let at = shape
            .horizon
            .as_ref()
            .map_or(start, |text| text.span().start);
        let seconds = profile.horizon_min() / crate::terms::time::SECOND;
        faults.at(at, what, &format!("write {seconds}s or more"));
    }
    profile.ending = ending::read(shape, profile.retention, faults);
    profile.commitments = commitment::read(shape, faults);
    profile.variable = variable::read(shape, faults);
    if rules.prepaid.insert(shape.id.clone(), profile).is_some() {
        let what = format!("prepaid profile `{}` is written twice", shape.id);
        faults.at(start, what, "give each profile an id of its own");
    }
}

fn customer(written: &Spanned<shape::Customer>, rules: &mut RuleSet, faults: &mut Faults<'_>) {
    let start = written.span().start;
    let shape = written.get_ref();
    let modes = [
        ("prepaid", PayMode::Prepaid),
        ("postpaid", PayMode::Postpaid),
    ];
    let mode = faults.word(&shape.mode, &modes);
    let credit_line = credit_line(shape, faults);
    let seller_id = SellerId::from(shape.seller.get_ref().as_str());
    let Some(seller) = rules.sellers.get(&seller_id).cloned() else {
        let what = format!(
            "seller `{seller_id}` of customer `{}` is not known",
            shape.id
        );
        faults.at(
            shape.seller.span().start,
            what,
            "write the id of a [[seller]]",
        );
        return;
    };
    let currency = match &shape.currency {
        Some(text) => faults.currency(text),
        None => Some(seller.currency),
    };
    let zone = TimeZone::get(&seller.zone).unwrap_or(TimeZone::UTC);
    let owns: Vec<Owned> = shape
        .owns
        .iter()
        .filter_map(|one| owned(one, &zone, faults))
        .collect();
    let profile = shape
        .prepaid
        .as_ref()
        .map_or("standard", |text| text.get_ref());
    if !rules.prepaid.contains_key(profile) {
        let what = format!("prepaid profile `{profile}` is not known");
        faults.at(start, what, "write the id of a [[prepaid]]");
    }
    let (Some(mode), Some(credit_line), Some(currency)) = (mode, credit_line, currency) else {
        return;
    };
    let id = PayerId::from(shape.id.as_str());
    let customer = Customer {
        id: id.clone(),
        name: shape.name.clone(),
        address: shape.address.clone(),
        vat_id: shape.vat_id.clone(),
        seller: seller_id,
        currency,
        mode,
        credit_line,
        tax: shape.tax.get_ref().clone(),
        owns,
        show_balance: shape.show_balance,
        book: shape.book.get_ref().clone(),
        prepaid: profile.to_owned(),
        contact: contact(shape, faults),
    };
    fits(shape, &customer, &seller, rules, faults);
    owned_once(start, &customer, rules, faults);
    if rules.customers.insert(id, customer).is_some() {
        let what = format!("customer `{}` is written twice", shape.id);
        faults.at(start, what, "give each customer an id of its own");
    }
}

fn credit_line(shape: &shape::Customer, faults: &mut Faults<'_>) -> Option<Micros> {
    let Some(text) = &shape.credit_line else {
        return Some(Micros::ZERO);
    };
    let read = charge_to_micros(faults.amount(text, "credit_line")?);
    if read.is_err() {
        let what = format!("credit_line `{}` is out of range", text.get_ref());
        faults.at(text.span().start, what, "write a smaller amount");
    }
    read.ok()
}

fn owned(
    written: &Spanned<shape::Owns>,
    zone: &TimeZone,
    faults: &mut Faults<'_>,
) -> Option<Owned> {
    let shape = written.get_ref();
    let subject = match (&shape.project, &shape.account, &shape.domain) {
        (Some(id), None, None) => Subject::Project(id.clone()),
        (None, Some(id), None) => Subject::Account(id.clone()),
        (None, None, Some(id)) => Subject::Domain(id.clone()),
        _ => {
            let what = "an entry of `owns` names not exactly one subject".to_owned();
            let instead = "write one of project, account, domain an entry";
            faults.at(written.span().start, what, instead);
            return None;
        }
    };
    let from = match &shape.from {
        Some(from) => faults.instant(from, zone)?,
        None => Timestamp::from_micros(i64::MIN),
    };
    Some(Owned { subject, from })
}

/// Whether the customer's book, currency and tax fit together.
fn fits(
    shape: &shape::Customer,
    customer: &Customer,
    seller: &Seller,
    rules: &RuleSet,
    faults: &mut Faults<'_>,
) {
    let profile = seller.tax.get(&customer.tax);
    if profile.is_none() {
        let what = format!(
            "seller `{}` has no tax profile `{}`",
            seller.id, customer.tax
        );
        faults.at(
            shape.tax.span().start,
            what,
            "write the profile of a [[seller.tax]]",
        );
    }
    let at = shape.book.span().start;
    let Some(book) = rules.books.get(&customer.book) else {
        let what = format!("price book `{}` is not known", customer.book);
        faults.at(at, what, "write the id of a [book]");
        return;
    };
    if book.currency != customer.currency || seller.currency != customer.currency {
        let what = format!(
            "customer `{}` pays in {}, its book is in {}, its seller's books in {}",
            customer.id, customer.currency, book.currency, seller.currency
        );
        faults.at(at, what, "use one currency for all three");
    }
    let first = book.versions.first().map(|version| version.from);
    for owned in &customer.owns {
        let dated = owned.from > Timestamp::from_micros(i64::MIN);
        if dated && first.is_some_and(|first| owned.from < first) {
            let what = format!("book `{}` has a hole before its first version", book.id);
            faults.at(at, what, "start the book before its first customer");
        }
    }
    let groups = book.versions.iter().flat_map(|version| &version.lines);
    let mut unknown: Vec<&str> = groups
        .map(|line| line.tax_group.as_str())
        .filter(|group| {
            profile.is_some_and(|profile| profile.rates.iter().all(|rate| rate.group != *group))
        })
        .collect();
    unknown.sort_unstable();
    unknown.dedup();
    for group in unknown {
        let what = format!(
            "tax profile `{}` has no rate for group `{group}`",
            customer.tax
        );
        faults.at(
            shape.tax.span().start,
            what,
            "write a [[seller.tax]] with that group",
        );
    }
}

/// A subject must not have two payers from one instant on.
fn owned_once(start: usize, customer: &Customer, rules: &RuleSet, faults: &mut Faults<'_>) {
    for other in rules
        .customers
        .values()
        .filter(|other| other.id != customer.id)
    {
        for owned in customer
            .owns
            .iter()
            .filter(|owned| other.owns.contains(owned))
        {
            let what = format!(
                "customers `{}` and `{}` both own {:?} from the same date",
                other.id, customer.id, owned.subject
            );
            faults.at(start, what, "give the subject to one, or another `from`");
        }
    }
}
