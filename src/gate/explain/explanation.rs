//! Pure: what an operator is told of a call that might be made: the same figures as a table for
//! people and as JSON for programs. Amounts are texts in main units of one currency.

use crate::gate::refusal::Refusal;
use serde::Serialize;

/// All that is told of a call.
#[derive(Clone, Debug, Default, Serialize)]
pub struct Explanation {
    /// What was asked, where it was no running node.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub source: Option<String>,
    /// The command, in the table's own case.
    pub command: String,
    /// `read`, `lowers`, `neutral`, `raises`; `none` for a command that is refused as such.
    pub class: String,
    /// The rules by which owner and price are found.
    pub by: Option<String>,
    /// The caller; none: nobody who can be verified.
    pub caller: Option<CallerTold>,
    /// Access rules that fit, the one that decides among them.
    pub access: Vec<AccessTold>,
    /// Call limits that the call would count against; how far they are used is not looked at.
    pub calllimit: Vec<CallLimitTold>,
    /// Who would pay.
    pub payer: Option<String>,
    /// Why it is not sure whose the call is.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub doubt: Option<&'static str>,
    /// Price lines, hold and balance.
    pub money: Option<MoneyTold>,
    /// Caps that a hold for it would pass.
    pub caps: Vec<CapTold>,
    /// Things limits that the call would count against.
    pub things: Vec<ThingTold>,
    /// `enforce` or `observe`.
    pub mode: Option<&'static str>,
    /// What would become of it.
    pub verdict: VerdictTold,
}

/// Who calls.
#[derive(Clone, Debug, Serialize)]
pub struct CallerTold {
    /// Account name.
    pub account: String,
    /// Account id.
    pub accountid: String,
}

/// An access rule that fits.
#[derive(Clone, Debug, Serialize)]
pub struct AccessTold {
    /// Its id.
    pub rule: String,
    /// `allows` or `denies`.
    pub says: &'static str,
    /// It is why the call is refused.
    pub decides: bool,
    /// Its reason.
    pub reason: String,
}

/// A cap on the way of a hold.
#[derive(Clone, Debug, Serialize)]
pub struct CapTold {
    /// The rule's id.
    pub rule: String,
    /// Whose spending it counts together.
    pub counts: String,
    /// Used in this period.
    pub used: String,
    /// So much may be.
    pub most: String,
    /// When the period began.
    pub since: String,
}

/// A limit of how often somebody may call.
#[derive(Clone, Debug, Serialize)]
pub struct CallLimitTold {
    /// Its id.
    pub id: String,
    /// Whose calls are counted together.
    pub per: &'static str,
    /// So many calls.
    pub calls: u32,
    /// In so many seconds.
    pub seconds: i64,
    /// So many at once after a rest.
    pub burst: u32,
    /// Its reason.
    pub reason: String,
}

/// What a call costs, and the payer's money around it.
#[derive(Clone, Debug, Serialize)]
pub struct MoneyTold {
    /// Code of ISO 4217.
    pub currency: String,
    /// Price lines of every meter.
    pub meter: Vec<MeterTold>,
    /// None where the call cannot be priced.
    pub price: Option<PriceTold>,
    /// The payer's money.
    pub balance: BalanceTold,
}

/// A meter and one of its price lines.
#[derive(Clone, Debug, Serialize)]
pub struct MeterTold {
    /// It runs already: its price is taken off.
    pub runs: bool,
    /// CloudStack's name of the usage type.
    pub meter: String,
    /// CloudStack's number of it.
    pub usagetype: u8,
    /// The line's id; none: no line prices the meter.
    pub line: Option<String>,
    /// The line is free, by its own word.
    pub free: bool,
    /// Units: vCPUs, GiB, pieces.
    pub quantity: String,
    /// Net price of one unit.
    pub unitprice: String,
    /// `hour` or `month`.
    pub unit: &'static str,
    /// For one hour, with the tax that the wallet pays.
    pub perhour: String,
    /// For 730 hours, likewise.
    pub permonth: String,
    /// Once, likewise; a call that only changes what runs does not pay it again.
    pub oneoff: String,
    /// Code of the tax and its rate in percent.
    pub tax: String,
    /// Allowance and cap of the month: a hold counts on neither.
    pub note: String,
}

/// The price of a call: what it starts, less what it finds running.
#[derive(Clone, Debug, Serialize)]
pub struct PriceTold {
    /// For one hour.
    pub perhour: String,
    /// For 730 hours.
    pub permonth: String,
    /// Once.
    pub oneoff: String,
    /// What is held.
    pub hold: String,
    /// Of that from the wallet.
    pub holdwallet: String,
    /// Of that from gift credit, net.
    pub holdgift: String,
    /// For so many seconds.
    pub horizon: i64,
}

/// A payer's money.
#[derive(Clone, Debug, Serialize)]
pub struct BalanceTold {
    /// `prepaid` or `postpaid`.
    pub mode: &'static str,
    /// To spend before the call.
    pub available: String,
    /// Gift credit before the call.
    pub gift: String,
    /// How far below nothing holds may take it.
    pub creditline: String,
    /// To spend after the hold; none where no hold would be made.
    pub after: Option<String>,
    /// Gift credit after the hold.
    pub giftafter: Option<String>,
    /// How long all that runs then can go on; none: without end.
    pub hoursleft: Option<i64>,
}

/// A limit of what a payer may have.
#[derive(Clone, Debug, Serialize)]
pub struct ThingTold {
    /// Its id.
    pub id: String,
    /// What is counted.
    pub component: String,
    /// So much at most.
    pub most: String,
    /// So much is there or under way.
    pub has: String,
    /// So much the call adds.
    pub adds: String,
    /// It refuses the call.
    pub refuses: bool,
    /// Its reason.
    pub reason: String,
}

/// What would become of the call.
#[derive(Clone, Debug, Default, Serialize)]
pub struct VerdictTold {
    /// `held and forwarded`, `forwarded`, `refused`, `noted and forwarded`.
    pub what: &'static str,
    /// The rule that says no.
    pub rule: Option<String>,
    /// The code that the caller is answered.
    pub code: Option<i64>,
    /// Why, in the words that the caller is told.
    pub reason: Option<String>,
}

impl VerdictTold {
    /// A verdict without a refusal.
    #[must_use]
    pub fn passes(what: &'static str) -> Self {
        Self {
            what,
            ..Self::default()
        }
    }

    /// The verdict of a refusal.
    #[must_use]
    pub fn of(what: &'static str, refusal: &Refusal) -> Self {
        Self {
            what,
            rule: Some(refusal.rule().to_owned()),
            code: Some(refusal.error().code),
            reason: Some(refusal.text()),
        }
    }
}

impl Explanation {
    /// For people: a word, then what it says; prices as a table.
    #[must_use]
    pub fn lines(&self) -> Vec<String> {
        let mut lines = Vec::new();
        if let Some(source) = &self.source {
            lines.push(format!("asked    {source}"));
        }
        let by = self.by.as_ref().map(|by| format!(" ({by})"));
        lines.push(format!("class    {}{}", self.class, by.unwrap_or_default()));
        lines.push(match &self.caller {
            Some(caller) => format!("caller   {} ({})", caller.account, caller.accountid),
            None => "caller   not verified".to_owned(),
        });
        self.rules(&mut lines);
        if let Some(payer) = &self.payer {
            lines.push(format!("payer    {payer}"));
        }
        if let Some(doubt) = self.doubt {
            lines.push(format!("payer    {doubt}"));
        }
        if let Some(money) = &self.money {
            money.lines(&mut lines);
        }
        for one in &self.caps {
            lines.push(format!(
                "cap      {} ({}): {} of {} used since {}",
                one.rule, one.counts, one.used, one.most, one.since
            ));
        }
        for one in &self.things {
            let word = if one.refuses { ": refuses" } else { "" };
            lines.push(format!(
                "limit    {}: {} of {} {}, {} more asked for{word} ({})",
                one.id, one.has, one.most, one.component, one.adds, one.reason
            ));
        }
        if let Some(mode) = self.mode {
            lines.push(format!("mode     {mode}"));
        }
        lines.push(self.verdict.line());
        lines
    }

    fn rules(&self, lines: &mut Vec<String>) {
        if self.access.is_empty() {
            lines.push("access   no rule speaks of it".to_owned());
        }
        for one in &self.access {
            lines.push(format!(
                "access   rule {} {}: {}",
                one.rule, one.says, one.reason
            ));
        }
        if !self.access.is_empty() {
            lines.push(match self.access.iter().find(|one| one.decides) {
                None => "access   may call".to_owned(),
                Some(one) => format!("access   {} decides", one.rule),
            });
        }
        for one in &self.calllimit {
            lines.push(format!(
                "counts   limit {}: {} calls in {} s, {} at once, per {}; not counted now ({})",
                one.id, one.calls, one.seconds, one.burst, one.per, one.reason
            ));
        }
    }
}

impl VerdictTold {
    fn line(&self) -> String {
        match (&self.rule, self.code) {
            (Some(rule), Some(code)) => {
                let reason = self.reason.as_deref().unwrap_or_default();
                format!("verdict  {}: {rule} ({code}) {reason}", self.what)
            }
            _ => format!("verdict  {}", self.what),
        }
    }
}

/// Heads of the table, and whether a column is set to the right.
const COLUMNS: [(&str, bool); 9] = [
    ("meter", false),
    ("price line", false),
    ("quantity", true),
    ("net price", true),
    ("an hour", true),
    ("a month", true),
    ("once", true),
    ("tax", false),
    ("", false),
];

impl MoneyTold {
    fn lines(&self, lines: &mut Vec<String>) {
        let unit = &self.currency;
        if self.meter.is_empty() {
            lines.push("price    nothing: no meter starts".to_owned());
        } else {
            table(&self.meter, lines);
        }
        if let Some(price) = &self.price {
            lines.push(format!(
                "price    {} {unit} an hour, {} {unit} a month of 730 hours, {} {unit} once",
                price.perhour, price.permonth, price.oneoff
            ));
            lines.push(format!(
                "hold     {} {unit} for {} s: {} {unit} of the wallet, {} {unit} of gift credit",
                price.hold, price.horizon, price.holdwallet, price.holdgift
            ));
        }
        let it = &self.balance;
        lines.push(format!(
            "balance  {} {unit}, gift credit {} {unit}, credit line {} {unit} ({})",
            it.available, it.gift, it.creditline, it.mode
        ));
        if let (Some(after), Some(gift)) = (&it.after, &it.giftafter) {
            let left = match it.hoursleft {
                Some(hours) => format!("; what runs then can go on for {hours} h"),
                None => String::new(),
            };
            lines.push(format!(
                "after    {after} {unit}, gift credit {gift} {unit}{left}"
            ));
        }
    }
}

fn table(meters: &[MeterTold], lines: &mut Vec<String>) {
    let mut rows = vec![COLUMNS.map(|(head, _)| head.to_owned())];
    rows.extend(meters.iter().map(cells));
    let widths: Vec<usize> = (0..COLUMNS.len())
        .map(|at| {
            let cells = rows.iter().filter_map(|row| row.get(at));
            cells.map(|cell| cell.chars().count()).max().unwrap_or(0)
        })
        .collect();
    for row in rows {
        let mut line = "price   ".to_owned();
        for ((cell, width), (_, right)) in row.iter().zip(&widths).zip(COLUMNS) {
            line.push_str(&match right {
                true => format!(" {cell:>width$} "),
                false => format!(" {cell:<width$} "),
            });
        }
        lines.push(line.trim_end().to_owned());
    }
}

fn cells(one: &MeterTold) -> [String; COLUMNS.len()] {
    let sign = if one.runs { "- " } else { "+ " };
    let meter = format!("{sign}{} ({})", one.meter, one.usagetype);
    let Some(line) = &one.line else {
        let mut row = [const { String::new() }; COLUMNS.len()];
        let [first, second, ..] = &mut row;
        (*first, *second) = (meter, "no price".to_owned());
        return row;
    };
    let price = match one.free {
        true => "free".to_owned(),
        false if one.unit == "hour" => format!("{} an hour", one.unitprice),
        false => format!("{} a {}", one.unitprice, one.unit),
    };
    [
        meter,
        line.clone(),
        one.quantity.clone(),
        price,
        one.perhour.clone(),
        one.permonth.clone(),
        one.oneoff.clone(),
        one.tax.clone(),
        one.note.clone(),
    ]
}
