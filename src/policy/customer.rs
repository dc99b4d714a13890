//! Pure: who sells, who pays, and which CloudStack subject belongs to whom.

use crate::policy::access::AccessRules;
use crate::policy::caps::SpendCap;
use crate::policy::commitment::Commitments;
use crate::policy::limits::{CallLimit, ThingLimit};
use crate::policy::mode::Modes;
use crate::policy::prepaid::PrepaidProfile;
use crate::policy::tariff::PriceBook;
use crate::terms::ids::{PayerId, SellerId};
use crate::terms::money::{Currency, Micros};
use crate::terms::time::Timestamp;
use rust_decimal::Decimal;
use std::collections::BTreeMap;

/// How a customer pays.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum PayMode {
    /// Money first.
    Prepaid,
    /// On a credit line, by invoice.
    Postpaid,
}

/// When tax is taken.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum TaxMode {
    /// Top-ups are not taxed; holds and accrual are gross; the invoice carries the tax.
    AtUse,
    /// A top-up issues an advance invoice; consumption is net.
    AtTopUp,
}

/// A tax rate of a profile, in force from an instant on.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct TaxRate {
    /// Group that price lines name: `standard`.
    pub group: String,
    /// Country and rate as the ledger's account says it: `DE.19`.
    pub code: String,
    /// The rate: 0.19.
    pub rate: Decimal,
    /// Since when.
    pub from: Timestamp,
}

/// The tax rates of one kind of customer.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct TaxProfile {
    /// Oldest first within a group.
    pub rates: Vec<TaxRate>,
}

impl TaxProfile {
    /// The rate of a group at an instant.
    #[must_use]
    pub fn rate_at(&self, group: &str, at: Timestamp) -> Option<&TaxRate> {
        self.rates
            .iter()
            .filter(|rate| rate.group == group && rate.from <= at)
            .max_by_key(|rate| rate.from)
    }
}

/// Who issues invoices.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Seller {
    /// Its id.
    pub id: SellerId,
    /// Legal name (BT-27).
    pub name: String,
    /// Address, a line each.
    pub address: Vec<String>,
    /// VAT id (BT-31).
    pub vat_id: String,
    /// Currency of its books.
    pub currency: Currency,
    /// IANA time zone: months and days are its.
    pub zone: String,
    /// When tax is taken.
    pub tax_mode: TaxMode,
    /// Profiles by name: `domestic`, `reverse-charge` …
    pub tax: BTreeMap<String, TaxProfile>,
    /// Prefix of invoice numbers.
    pub series: String,
    /// Days until an invoice is due.
    pub payment_days: i64,
    /// Where customers top up.
    pub top_up_url: String,
    /// A reseller's own side in his supplier's books: his wholesale wallet.
    pub wholesale: Option<PayerId>,
}

/// What a customer owns in CloudStack.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub enum Subject {
    /// A project and nothing else.
    Project(String),
    /// An account and nothing else.
    Account(String),
    /// A domain and its subtree.
    Domain(String),
}

/// A subject, from an instant on.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Owned {
    /// Which.
    pub subject: Subject,
    /// Since when; before it, the resource belongs to whom it belonged to.
    pub from: Timestamp,
}

/// Where a customer is told.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Contact {
    /// Mail addresses.
    pub mail: Vec<String>,
    /// A URL that takes signed posts.
    pub webhook: Option<String>,
}

/// A legal party that pays.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Customer {
    /// Its side of the ledger.
    pub id: PayerId,
    /// Legal name (BT-44).
    pub name: String,
    /// Address, a line each.
    pub address: Vec<String>,
    /// VAT id (BT-48), where there is one.
    pub vat_id: Option<String>,
    /// Whose customer.
    pub seller: SellerId,
    /// The one currency.
    pub currency: Currency,
    /// Prepaid or postpaid.
    pub mode: PayMode,
    /// How far below nothing holds may take the wallet.
    pub credit_line: Micros,
    /// Name of a tax profile of the seller.
    pub tax: String,
    /// Its subjects.
    pub owns: Vec<Owned>,
    /// Whether users of the account are told the balance in refusals.
    pub show_balance: bool,
    /// Its price book.
    pub book: String,
    /// Its prepaid profile.
    pub prepaid: String,
    /// Where its notices go.
    pub contact: Contact,
}

/// Who pays for subjects that no customer owns.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub enum ForTheRest {
    /// Raising calls are refused.
    #[default]
    Refuse,
    /// The house: metered, never billed.
    House,
}

/// Who a resource belongs to, as CloudStack says.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct OwnerPath<'a> {
    /// The project, where it belongs to one (its own account does not count then).
    pub project: Option<&'a str>,
    /// The account.
    pub account: Option<&'a str>,
    /// Domain ids from the root to the owner's own.
    pub domains: &'a [&'a str],
}

/// Who pays.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum PayerChoice {
    /// This customer.
    Payer(PayerId),
    /// Nobody: a raising call is refused.
    Refuse,
    /// The house: metered, never billed.
    House,
}

/// What the rating of one payer needs besides prices.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct PayerTerms {
    /// Zone of the seller's months.
    pub zone: String,
    /// Whether accrual is gross or net.
    pub tax_mode: TaxMode,
    /// The payer's tax rates.
    pub tax: TaxProfile,
}

/// Everything that was checked, in force as one.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct RuleSet {
    /// Sellers by id.
    pub sellers: BTreeMap<SellerId, Seller>,
    /// Customers by payer.
    pub customers: BTreeMap<PayerId, Customer>,
    /// Price books by id.
    pub books: BTreeMap<String, PriceBook>,
    /// Prepaid profiles by id.
    pub prepaid: BTreeMap<String, PrepaidProfile>,
    /// Who pays for the rest.
    pub rest: ForTheRest,
    /// Who may call what.
    pub access: AccessRules,
    /// Where refusals are only noted.
    pub modes: Modes,
    /// How often somebody may call.
    pub limits: Vec<CallLimit>,
    /// How much of what a payer may have.
    pub things: Vec<ThingLimit>,
    /// How much may be spent in a period.
    pub caps: Vec<SpendCap>,
    /// SHA-256 over the files it was read from: events name the rules that decided them.
    pub hash: [u8; 32],
}

impl RuleSet {
    /// Who pays for what `owner` has at the instant: longest match of project → account →
    /// domain subtree (the owner's own domain first, then upwards) → the default. A project
    /// without a line of its own pays by its domain, never by an account.
    #[must_use]
    pub fn payer_for(&self, owner: &OwnerPath<'_>, at: Timestamp) -> PayerChoice {
        let project = owner.project.map(|id| Subject::Project(id.to_owned()));
        let account = match owner.project {
            Some(_) => None,
            None => owner.account.map(|id| Subject::Account(id.to_owned())),
        };
        let domains = owner
            .domains
            .iter()
            .rev()
            .map(|id| Subject::Domain((*id).to_owned()));
        project
            .into_iter()
            .chain(account)
            .chain(domains)
            .find_map(|subject| self.owner_of(&subject, at))
            .map_or_else(
                || match self.rest {
                    ForTheRest::Refuse => PayerChoice::Refuse,
                    ForTheRest::House => PayerChoice::House,
                },
                PayerChoice::Payer,
            )
    }

    /// The customer whose line for the subject is the newest in force at the instant.
    fn owner_of(&self, subject: &Subject, at: Timestamp) -> Option<PayerId> {
        self.customers
            .values()
            .flat_map(|customer| customer.owns.iter().map(move |owned| (customer, owned)))
            .filter(|(_, owned)| owned.subject == *subject && owned.from <= at)
            .max_by_key(|(_, owned)| owned.from)
            .map(|(customer, _)| customer.id.clone())
    }

    /// The payer and, where his seller is a reseller, the wholesale wallets above him, nearest
    /// first: a hold takes a leg of each or none.
    #[must_use]
    pub fn chain_of(&self, payer: &PayerId) -> Vec<PayerId> {
        let mut chain = vec![payer.clone()];
        let mut at = payer;
        while let Some(next) = self
            .customers
            .get(at)
            .and_then(|customer| self.sellers.get(&customer.seller))
            .and_then(|seller| seller.wholesale.as_ref())
            .filter(|next| !chain.contains(next))
        {
            chain.push(next.clone());
            at = next;
        }
        chain
    }

    /// The payer and, where a seller buys through him, all whose chain goes through him: what
    /// they run costs him too, at his own prices.
    #[must_use]
    pub fn supplied_through(&self, payer: &PayerId) -> Vec<PayerId> {
        let mut all = vec![payer.clone()];
        let mut sellers = self.sellers.values();
        // Hardly anybody resells: the chains are gone through for those alone.
        if sellers.any(|seller| seller.wholesale.as_ref() == Some(payer)) {
            let others = self.customers.keys().filter(|other| *other != payer);
            let below = others.filter(|other| self.chain_of(other).contains(payer));
            all.extend(below.cloned());
        }
        all
    }

    /// What rating the payer needs, if he is known.
    #[must_use]
    pub fn terms_of(&self, payer: &PayerId) -> Option<PayerTerms> {
        let customer = self.customers.get(payer)?;
        let seller = self.sellers.get(&customer.seller)?;
        Some(PayerTerms {
            zone: seller.zone.clone(),
            tax_mode: seller.tax_mode,
            tax: seller.tax.get(&customer.tax)?.clone(),
        })
    }

    /// The payer's price book, if he is known.
    #[must_use]
    pub fn book_of(&self, payer: &PayerId) -> Option<&PriceBook> {
        self.books.get(&self.customers.get(payer)?.book)
    }

    /// The payer's prepaid profile, if he is known.
    #[must_use]
    pub fn profile_of(&self, payer: &PayerId) -> Option<&PrepaidProfile> {
        self.prepaid.get(&self.customers.get(payer)?.prepaid)
    }

    /// For how much of what a rule starts by itself the payer must have money; the default's where
    /// he is not known.
    #[must_use]
    pub fn commitments_of(&self, payer: &PayerId) -> Commitments {
        let profile = self.profile_of(payer);
        profile
            .map(|profile| profile.commitments)
            .unwrap_or_default()
    }
}
