//! Edge: the node's own figures: connections, certificates.

use super::wiring::Product;
use crate::ops::metrics::Figure;

/// What the node has to say of itself now.
#[must_use]
pub fn of(product: &Product) -> Vec<Figure> {
    let plain = |name, help, value: i64| Figure {
        name,
        help,
        label: None,
        value,
    };
    let count = |value: usize| i64::try_from(value).unwrap_or(i64::MAX);
    let caps = &product.front.entrance.caps;
    let mut figures = vec![
        plain(
            "faregate_connections_open",
            "Customers' connections that are open",
            count(caps.open()),
        ),
        plain(
            "faregate_connections_turned_away",
            "Connections over a bound since the start",
            count(caps.turned_away()),
        ),
        plain(
            "faregate_calls_raising",
            "Raising calls under way",
            count(caps.working()),
        ),
    ];
    figures.extend(super::ladder::figures(product));
    if let Some(tls) = &product.front.entrance.tls {
        figures.push(plain(
            "faregate_certificates_refused",
            "1 where certificate files cannot be used and older ones are in use",
            i64::from(product.front.certificates.refused()),
        ));
        let days = tls.days_left(product.clock.wall());
        figures.extend(days.into_iter().map(|(chain, days)| Figure {
            name: "faregate_certificate_days_left",
            help: "Whole days until a certificate in use ends",
            label: Some(("file", chain.display().to_string())),
            value: days,
        }));
    }
    figures
}
