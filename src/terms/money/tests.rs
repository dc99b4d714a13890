//! Pure: what the words of money promise.

use super::*;

#[test]
fn an_amount_reads_back_as_it_was_shown() {
    for micros in [0, 1, -1, 999_999, -1_000_001, i64::MAX, i64::MIN + 1] {
        let amount = Micros::new(micros);
        assert_eq!(amount.to_string().parse::<Micros>(), Ok(amount));
    }
}

#[test]
fn what_is_not_an_amount_is_refused_with_its_text() {
    for text in [
        "",
        "-",
        "1e3",
        "+1",
        " 1",
        "0.1234567",
        "1,5",
        "NaN",
        "--1",
        "1.2.3",
    ] {
        assert!(
            matches!(text.parse::<Micros>(), Err(MoneyError::NotAnAmount(_))),
            "{text}"
        );
    }
    assert_eq!(
        "99999999999999".parse::<Micros>(),
        Err(MoneyError::Overflow)
    );
}

#[test]
fn a_charge_rounds_half_to_even_and_a_document_half_up() {
    let charge = |text: &str| charge_to_micros(text.parse().unwrap()).unwrap().get();
    assert_eq!(
        [
            charge("0.0000005"),
            charge("0.0000015"),
            charge("-0.0000005")
        ],
        [0, 2, 0]
    );
    let minor = |text: &str| {
        to_minor_unit(text.parse().unwrap(), Currency::EUR)
            .unwrap()
            .get()
    };
    assert_eq!(
        [minor("0.005"), minor("-0.005"), minor("0.0049")],
        [10_000, -10_000, 0]
    );
}
